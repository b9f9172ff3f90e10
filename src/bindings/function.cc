// A back end that is a Python function: for what evaluates networks in Python, such as onnxruntime.
#include "bindings/function.h"

#include <pybind11/numpy.h>
#include <pybind11/stl.h>

#include <algorithm>

#include "bindings/bindings.h"
#include "error.h"
#include "process.h"

namespace py = pybind11;

namespace {

using Floats = py::array_t<float, py::array::c_style | py::array::forcecast>;

// Its last user may be any thread.
std::shared_ptr<py::function> held(py::function function) {
  return {new py::function(std::move(function)), [](py::function* last) {
            if (process::is_over_for_this_thread()) return;
            const py::gil_scoped_acquire gil;
            delete last;
          }};
}

class FunctionSession final : public nn::Session {
 public:
  explicit FunctionSession(std::shared_ptr<py::function> function) : function_(std::move(function)) {}

  void evaluate(const nn::Batch& batch) override {
    const py::gil_scoped_acquire gil;
    const py::ssize_t n = batch.size;
    py::array_t<std::uint64_t> masks({n, py::ssize_t{chess::kPlanes}});
    py::array_t<float> values({n, py::ssize_t{chess::kPlanes}});
    for (py::ssize_t i = 0; i < n; ++i) {
      std::ranges::copy(batch.planes[i].mask, masks.mutable_data(i, 0));
      std::ranges::copy(batch.planes[i].value, values.mutable_data(i, 0));
    }
    try {
      const auto [policy, scalars] = (*function_)(masks, values).cast<std::pair<Floats, Floats>>();
      if (policy.ndim() != 2 || policy.shape(0) != n || policy.shape(1) != chess::kPolicySize || scalars.ndim() != 2 || scalars.shape(0) != n ||
          scalars.shape(1) != 3)
        throw Error("the network gave arrays of wrong shapes, expected a policy of (n, 1858) and three values of each position");
      const float* const logits = policy.data();
      nn::for_each_logit(batch, 0, batch.size, [&](int position, std::uint16_t move, std::size_t place) {
        batch.policy[place] = logits[std::size_t(position) * chess::kPolicySize + move];
      });
      for (py::ssize_t i = 0; i < n; ++i) batch.values[i] = {scalars.at(i, 0), scalars.at(i, 1), scalars.at(i, 2)};
    } catch (const py::error_already_set& error) {  // which other threads than Python's do not know
      throw Error(py::str(error.value()).cast<std::string>());
    } catch (const py::cast_error&) {
      throw Error("the network gave something else than arrays of numbers");
    }
  }

 private:
  std::shared_ptr<py::function> function_;
};

class FunctionBackend final : public nn::Backend {
 public:
  FunctionBackend(py::function function, nn::Info info) : function_(held(std::move(function))), info_(std::move(info)) {}
  const nn::Info& info() const override { return info_; }
  std::unique_ptr<nn::Session> open() override { return std::make_unique<FunctionSession>(function_); }

 private:
  std::shared_ptr<py::function> function_;
  nn::Info info_;
};

}  // namespace

std::shared_ptr<BackendHandle> backend_of_function(const std::string& name, py::function function, const std::string& device, int format,
                                                   bool wdl, bool moves_left, bool half, bool cpu, int max_batch, int best_batch,
                                                   std::vector<std::string> unasked_options) {
  nn::Info info;
  info.device = device, info.input_format = input_format(format), info.wdl = wdl, info.moves_left = moves_left, info.half = half, info.cpu = cpu;
  info.max_batch = max_batch, info.best_batch = best_batch;
  auto handle = std::make_shared<BackendHandle>();
  handle->name = name;
  handle->evaluator = std::make_shared<nn::Evaluator>(std::make_unique<FunctionBackend>(std::move(function), std::move(info)));
  handle->unasked_options = std::move(unasked_options);
  return handle;
}
