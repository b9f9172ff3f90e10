// The Python class Backend: what evaluates positions, given as planes or as Inputs, and how long that takes.
#include "bindings/backend.h"

#include <pybind11/numpy.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <bit>
#include <chrono>
#include <cmath>
#include <optional>

#include "bindings/bindings.h"
#include "bindings/function.h"
#include "bindings/gil.h"
#include "bindings/inputs.h"
#include "chess/policy.h"
#include "error.h"

namespace py = pybind11;

namespace {

using Masks = py::array_t<std::uint64_t, py::array::c_style | py::array::forcecast>;
using Floats = py::array_t<float, py::array::c_style | py::array::forcecast>;

nn::Options options_of(const py::dict& entries) {
  nn::Options options;
  for (const auto& [key, value] : entries) {
    const std::string name = py::str(key);
    if (py::isinstance<py::bool_>(value)) {  // before int: True is one
      options.values[name] = value.cast<bool>();
    } else if (py::isinstance<py::int_>(value)) {
      options.values[name] = value.cast<std::int64_t>();
    } else if (py::isinstance<py::float_>(value)) {
      options.values[name] = value.cast<double>();
    } else if (py::isinstance<py::str>(value)) {
      options.values[name] = value.cast<std::string>();
    } else if (py::isinstance<py::dict>(value)) {
      options.children.push_back({name, options_of(value.cast<py::dict>())});
    } else if (py::isinstance<BackendHandle>(value)) {
      options.children.push_back({name, {}, value.cast<BackendHandle&>().evaluator});
    } else {
      throw Error("back-end option " + name + " must be true or false, a number, text, a dictionary or a Backend");
    }
  }
  return options;
}

std::vector<chess::Planes> planes_of(const Masks& masks, const Floats& values) {
  for (const py::array* array : {static_cast<const py::array*>(&masks), static_cast<const py::array*>(&values)})
    if (array->ndim() != 2 || array->shape(1) != chess::kPlanes || array->shape(0) != masks.shape(0))
      throw Error("planes must be two arrays of shape (n, 112): masks and values");
  std::vector<chess::Planes> planes(masks.shape(0));
  for (std::size_t i = 0; i < planes.size(); ++i) {
    std::copy_n(masks.data(i, 0), chess::kPlanes, planes[i].mask.begin());
    std::copy_n(values.data(i, 0), chess::kPlanes, planes[i].value.begin());
  }
  return planes;
}

// Without the interpreter's lock, but with an eye on signals: Ctrl-C ends the evaluation of many positions between two batches.
void evaluate_released(nn::Evaluator& evaluator, const nn::Batch& batch) {
  const Release release;
  evaluator.open().evaluate(batch, [] {
    const py::gil_scoped_acquire gil;
    if (PyErr_CheckSignals() != 0) throw py::error_already_set();
  });
}

py::tuple evaluate(BackendHandle& self, const Masks& masks, const Floats& values) {
  const auto planes = planes_of(masks, values);
  const auto n = static_cast<py::ssize_t>(planes.size());
  Floats policy({n, py::ssize_t{chess::kPolicySize}}), q(n), d(n), m(n);
  std::vector<nn::Value> out(planes.size());
  nn::Batch batch;
  batch.size = static_cast<int>(planes.size());
  batch.planes = planes.data();
  batch.policy = policy.mutable_data();
  batch.values = out.data();
  evaluate_released(*self.evaluator, batch);
  for (py::ssize_t i = 0; i < n; ++i) {
    q.mutable_at(i) = out[i].q;
    d.mutable_at(i) = out[i].d;
    m.mutable_at(i) = out[i].m;
  }
  return py::make_tuple(policy, q, d, m);
}

// Not 0, subnormal or finite: the exponent's bits are all set.
bool is_number(float x) { return (std::bit_cast<std::uint32_t>(x) & 0x7f800000) != 0x7f800000; }

bool are_numbers(const float* values, std::size_t count) {
  bool all = true;
  for (std::size_t i = 0; i < count; ++i) all &= is_number(values[i]);  // all of them: vectorised
  return all;
}

[[noreturn]] void no_numbers(std::size_t position) {
  throw Error("the back end gave values that are no numbers for position " + std::to_string(position) +
              "; try another one, or one with more precision");
}

// All that was evaluated of n positions: their policy, q (n), win, draw and loss (n, 3), m (n).
py::tuple with_values(const Floats& policy, const std::vector<nn::Value>& values) {
  const auto n = static_cast<py::ssize_t>(values.size());
  Floats q(n), wdl({n, py::ssize_t{3}}), m(n);
  float *out = wdl.mutable_data(), *out_q = q.mutable_data(), *out_m = m.mutable_data();
  const auto share = [](float p) { return std::clamp(p, 0.0f, 1.0f); };  // rounding leaves it a little outside
  for (std::size_t i = 0; i < values.size(); ++i) {
    const nn::Value& value = values[i];
    if (!is_number(value.q + value.d + value.m)) no_numbers(i);
    *out++ = share((1 + value.q - value.d) / 2);
    *out++ = share(value.d);
    *out++ = share((1 - value.q - value.d) / 2);
    *out_q++ = value.q;
    *out_m++ = value.m;
  }
  return py::make_tuple(policy, q, wdl, m);
}

// see(name, first, values): values, (count, *shape), are those of positions first .. first + count - 1; what it makes of them goes on where it
// returns True.
nn::Visit visit_of(const nn::Evaluator& evaluator, std::set<std::string> wanted, const py::function& see) {
  std::map<std::string, std::vector<py::ssize_t>> shapes;
  for (const nn::Layer& layer : evaluator.layers()) shapes[layer.name].assign(layer.shape.begin(), layer.shape.end());
  for (const std::string& name : wanted)
    if (!shapes.contains(name)) throw Error("no layer that this back end shows is called " + name);
  return {std::move(wanted), [shapes = std::move(shapes), &see](const std::string& name, int first, int count, float* values) {
            const py::gil_scoped_acquire gil;
            std::vector<py::ssize_t> shape = shapes.at(name);
            shape.insert(shape.begin(), count);
            const Floats array(shape, values, py::capsule(values, [](void*) {}));  // a view of them
            return see(name, first, array).cast<bool>();
          }};
}

py::tuple evaluate_inputs(BackendHandle& self, const Inputs& inputs, std::set<std::string> layers, const std::optional<py::function>& see) {
  std::vector<nn::Value> values(inputs.planes.size());
  Floats policy({py::ssize_t{inputs.size()}, py::ssize_t{chess::kPolicySize}});
  nn::Batch batch;
  batch.size = inputs.size();
  batch.planes = inputs.planes.data();
  batch.policy = policy.mutable_data();
  batch.values = values.data();
  if (see) {
    const nn::Visit visit = visit_of(*self.evaluator, std::move(layers), *see);
    const Release release;
    self.evaluator->open().inspect(batch, visit);
  } else {
    evaluate_released(*self.evaluator, batch);
  }
  if (!are_numbers(policy.data(), static_cast<std::size_t>(policy.size())))
    for (std::size_t i = 0; i < values.size(); ++i)
      if (!are_numbers(policy.data() + i * chess::kPolicySize, chess::kPolicySize)) no_numbers(i);
  return with_values(policy, values);
}

// logits (count) -> probabilities, in place and exactly; at temperature 0 the first of the largest takes all.
void distribute(float* logits, std::size_t count, double temperature) {
  if (count == 0) return;
  const float* const best = std::max_element(logits, logits + count);
  const double top = *best;
  std::vector<double> weights(count);
  double sum = 0;
  for (std::size_t i = 0; i < count; ++i)
    sum += weights[i] = temperature > 0 ? std::exp((logits[i] - top) / temperature) : logits + i == best;
  for (std::size_t i = 0; i < count; ++i) logits[i] = static_cast<float>(weights[i] / sum);
}

py::tuple policies(BackendHandle& self, const Inputs& inputs, double temperature) {
  if (inputs.first_move.size() != inputs.planes.size() + 1) throw Error("policies need inputs that were made with their moves");
  if (!(temperature >= 0)) throw Error("the temperature of a policy must be 0 or more");
  std::vector<nn::Value> values(inputs.planes.size());
  Floats policy(static_cast<py::ssize_t>(inputs.indices.size()));
  float* out = policy.mutable_data();
  nn::Batch batch;
  batch.size = inputs.size();
  batch.planes = inputs.planes.data();
  batch.moves = inputs.indices.data();
  batch.first_move = inputs.first_move.data();
  batch.policy = inputs.indices.empty() ? nullptr : out;  // no moves at all would mean every one
  batch.values = values.data();
  evaluate_released(*self.evaluator, batch);
  for (std::size_t i = 0; i < values.size(); ++i) {
    const std::size_t first = inputs.first_move[i], count = inputs.first_move[i + 1] - first;
    if (!are_numbers(out + first, count)) no_numbers(i);
    distribute(out + first, count, temperature);
  }
  return with_values(policy, values);
}

std::vector<double> time_batches(BackendHandle& self, const Masks& masks, const Floats& values, int count,
                                 const std::vector<std::uint16_t>& moves) {
  const auto planes = planes_of(masks, values);
  if (planes.empty()) throw Error("a batch of no positions takes no time; give at least one");
  if (count < 1) throw Error("a batch must be timed at least once");
  std::vector<nn::Value> out(planes.size());
  nn::Batch batch;
  batch.values = out.data();
  std::vector<std::uint16_t> wanted;
  std::vector<std::uint32_t> first_move{0};
  for (std::size_t i = 0; i < planes.size(); ++i) {
    wanted.insert(wanted.end(), moves.begin(), moves.end());
    first_move.push_back(static_cast<std::uint32_t>(wanted.size()));
  }
  std::vector<float> policy(wanted.size());
  if (!wanted.empty()) {
    batch.moves = wanted.data();
    batch.first_move = first_move.data();
    batch.policy = policy.data();
  }

  batch.size = static_cast<int>(planes.size());
  batch.planes = planes.data();

  const Release release;
  auto session = self.evaluator->open();
  using Clock = std::chrono::steady_clock;
  const auto start = Clock::now();
  std::vector<double> ended;
  for (int i = 0; i < count; ++i) {
    session.evaluate(batch);
    ended.push_back(std::chrono::duration<double>(Clock::now() - start).count());
  }
  return ended;
}

py::dict info_of(const BackendHandle& self) {
  const nn::Info& info = self.evaluator->info();
  py::dict fields;
  fields["device"] = info.device;
  fields["input_format"] = static_cast<int>(info.input_format);
  fields["wdl"] = info.wdl;
  fields["moves_left"] = info.moves_left;
  fields["half"] = info.half;
  fields["cpu"] = info.cpu;
  fields["max_batch"] = info.max_batch;
  fields["best_batch"] = info.best_batch;
  fields["threads"] = info.threads;
  fields["sizes"] = info.sizes;
  return fields;
}

}  // namespace

void bind_backend(py::module_& m) {
  py::class_<BackendHandle, std::shared_ptr<BackendHandle>>(m, "Backend")
      .def(py::init([](const std::string& name, std::shared_ptr<nn::Network> network, const py::dict& entries) {
             const nn::Options options = options_of(entries);
             const Release release;
             const process::Work work;
             auto handle = std::make_shared<BackendHandle>();
             handle->name = name;
             handle->evaluator = std::make_shared<nn::Evaluator>(nn::create_backend(name, std::move(network), options));
             handle->unasked_options = options.unasked();
             return handle;
           }),
           py::arg("name"), py::arg("network").none(true), py::arg("options") = py::dict())
      .def_static("of_function", &backend_of_function, py::arg("name"), py::arg("function"), py::kw_only(), py::arg("device"),
                  py::arg("input_format"), py::arg("wdl"), py::arg("moves_left"), py::arg("half"), py::arg("cpu"), py::arg("max_batch"),
                  py::arg("best_batch"), py::arg("unasked_options"))
      .def_readonly("name", &BackendHandle::name)
      .def_readonly("unasked_options", &BackendHandle::unasked_options)
      .def_property_readonly("info", &info_of)
      .def_property_readonly("layers", [](const BackendHandle& self) {
        std::vector<std::pair<std::string, py::tuple>> layers;
        for (const nn::Layer& layer : self.evaluator->layers()) layers.emplace_back(layer.name, py::tuple(py::cast(layer.shape)));
        return layers;
      })
      .def_property_readonly("plans", [](const BackendHandle& self) { return self.evaluator->plans(); })
      .def_property_readonly("has_more_room", [](const BackendHandle& self) { return self.evaluator->has_more_room(); })
      .def("evaluate", &evaluate, py::arg("masks"), py::arg("values"))
      .def("evaluate", &evaluate_inputs, py::arg("inputs"), py::arg("layers") = std::set<std::string>(), py::arg("see") = std::nullopt)
      .def("policies", &policies, py::arg("inputs"), py::arg("temperature"))
      .def("time_batches", &time_batches, py::arg("masks"), py::arg("values"), py::arg("count"),
           py::arg("moves") = std::vector<std::uint16_t>());

  m.def("registered_backends", [] {
    std::vector<std::tuple<std::string, std::string, bool, std::string>> all;
    for (const auto& entry : nn::registered_backends())
      all.emplace_back(entry.name, entry.why_not, entry.needs_network, entry.where);
    return all;
  });
}
