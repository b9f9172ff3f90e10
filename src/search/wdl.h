// The change of sharpness and objectivity behind contempt and the WDL_mu score (docs/spec/engine.md 4.12): a value is read as a logistic
// distribution of the outcome with mean mu and scale s, and both are moved.
#pragma once
#include <algorithm>
#include <cmath>

namespace search {

struct WdlTransform {
  double ratio = 1;  // of the sharpness the search sees to that of the network
  double shift = 0;  // of mu, for the side the value is seen from; in units of s squared
  double max_s = 1.4;

  // Network value -> search. Both return mu, 0 if the value was too clear to be changed.
  double forward(double& wl, double& d) const {
    return change(wl, d, [this](double& s, double mu) {
      s = std::min(s, max_s);
      const double moved = mu + shift * s * s;
      s *= ratio;
      return moved;
    });
  }
  // Search -> display, with the sharpness of the search.
  double inverse(double& wl, double& d) const {
    return change(wl, d, [this](double& s, double mu) {
      const double reference = std::min(max_s, s / ratio);
      return mu - shift * reference * reference;
    });
  }

 private:
  template <class Move>
  static double change(double& wl, double& d, Move move) {
    const double w = (1 + wl - d) / 2, l = (1 - wl - d) / 2;
    const auto is_clear = [](double p) { return !(p > 0.0001 && p < 0.9999); };
    if (is_clear(w) || is_clear(d) || is_clear(l)) return 0;
    const double a = std::log(1 / l - 1), b = std::log(1 / w - 1);
    double s = 2 / (a + b);
    const double mu = move(s, (a - b) / (a + b));
    const auto sigma = [](double x) { return 1 / (1 + std::exp(-x)); };
    const double new_w = sigma((-1 + mu) / s), new_l = sigma((-1 - mu) / s);
    wl = new_w - new_l;
    d = std::max(0.0, 1 - new_w - new_l);
    return mu;
  }
};

}  // namespace search
