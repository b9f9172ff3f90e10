// The Python class Network: named arrays and the architecture that says how they go together.
#include "nn/network.h"

#include <pybind11/numpy.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <functional>
#include <numeric>
#include <set>

#include "bindings/bindings.h"
#include "error.h"
#include "nn/description.h"
#include "process.h"

namespace py = pybind11;

namespace {

// Keeps a Python object's memory in place for as long as a network reads it; the last reader may be any thread.
struct HeldBuffer {
  explicit HeldBuffer(const py::handle& object) {
    if (PyObject_GetBuffer(object.ptr(), &view, PyBUF_SIMPLE) != 0) throw py::error_already_set();
  }
  ~HeldBuffer() {
    if (process::is_over_for_this_thread()) return;
    const py::gil_scoped_acquire gil;
    PyBuffer_Release(&view);
  }
  HeldBuffer(const HeldBuffer&) = delete;
  HeldBuffer& operator=(const HeldBuffer&) = delete;
  Py_buffer view;
};

nn::Array array_of(const std::string& name, const py::tuple& fields) {
  if (fields.size() != 5) throw Error("array " + name + ": expected (encoding, buffer, min, max, shape)");
  const int encoding = fields[0].cast<int>();
  if (encoding < 1 || encoding > 4)
    throw Error("array " + name + ": encoding " + std::to_string(encoding) + " is unknown; there are 1 to 4");
  if (!PyObject_CheckBuffer(fields[1].ptr()))
    throw Error("array " + name + ": the second entry is no bytes-like object");
  const auto held = std::make_shared<HeldBuffer>(fields[1]);
  const auto bytes = static_cast<std::size_t>(held->view.len);

  nn::Array array;
  array.encoding = static_cast<nn::Array::Encoding>(encoding);
  const std::size_t width = array.encoding == nn::Array::Encoding::kFloat32 ? 4 : 2;
  if (bytes % width != 0)
    throw Error("array " + name + ": " + std::to_string(bytes) + " bytes do not hold elements of " +
                std::to_string(width));
  array.data = static_cast<const std::byte*>(held->view.buf);
  array.shape = fields[4].cast<std::vector<int>>();
  const auto size = std::accumulate(array.shape.begin(), array.shape.end(), std::size_t{1}, std::multiplies<>());
  if (size != bytes / width)
    throw Error("array " + name + ": its shape has " + std::to_string(size) + " elements, its buffer " + std::to_string(bytes / width));
  array.min = fields[2].cast<float>();
  array.max = fields[3].cast<float>();
  array.owner = held;
  return array;
}

// Reads the dictionary of an architecture field by field and complains about what is missing or left over.
class ArchitectureReader {
 public:
  explicit ArchitectureReader(const py::dict& fields) : fields_(fields) {}

  int integer(const char* key) { return read<int>(key, "an integer"); }
  bool flag(const char* key) { return read<bool>(key, "true or false"); }
  template <class T>
  T one_of(const char* key, std::initializer_list<int> numbers) {
    const int number = integer(key);
    if (std::ranges::find(numbers, number) == numbers.end())
      throw Error(std::string("architecture: ") + key + " " + std::to_string(number) + " is not supported");
    return static_cast<T>(number);
  }
  nn::Activation activation(const char* key) {
    const auto name = read<std::string>(key, "text");
    const auto found = std::ranges::find(nn::kActivationNames, name);
    if (found == std::end(nn::kActivationNames)) throw Error(std::string("architecture: ") + key + ": unknown activation " + name);
    return static_cast<nn::Activation>(found - nn::kActivationNames);
  }
  void finish() const {
    for (const auto& [key, value] : fields_)
      if (!known_.contains(py::str(key))) throw Error("architecture: unknown field " + std::string(py::str(key)));
  }

 private:
  template <class T>
  T read(const char* key, const char* wanted) {
    known_.insert(key);
    if (!fields_.contains(key)) throw Error(std::string("architecture: field ") + key + " is missing");
    try {
      return fields_[key].cast<T>();
    } catch (const py::cast_error&) {
      throw Error(std::string("architecture: ") + key + " must be " + wanted);
    }
  }

  py::dict fields_;
  std::set<std::string> known_;
};

nn::Architecture architecture_of(const py::dict& fields) {
  ArchitectureReader reader(fields);
  nn::Architecture a;
  a.input_format = reader.one_of<chess::InputFormat>("input_format", {1, 2, 3, 4, 5, 132, 133});
  a.filters = reader.integer("filters");
  a.blocks = reader.integer("blocks");
  a.attention_body = reader.flag("attention_body");
  a.dense_embedding = reader.flag("dense_embedding");
  a.embedding = reader.integer("embedding");
  a.encoders = reader.integer("encoders");
  a.heads = reader.integer("heads");
  a.activation = reader.activation("activation");
  a.smolgen_activation = reader.activation("smolgen_activation");
  a.ffn_activation = reader.activation("ffn_activation");
  a.policy = reader.one_of<nn::PolicyKind>("policy", {1, 2, 3});
  a.policy_encoders = reader.integer("policy_encoders");
  a.policy_heads = reader.integer("policy_heads");
  a.wdl = reader.flag("wdl");
  a.moves_left = reader.flag("moves_left");
  reader.finish();
  return a;
}

py::array_t<float> floats_of(const std::vector<float>& values) {
  return py::array_t<float>(static_cast<py::ssize_t>(values.size()), values.data());
}

}  // namespace

void bind_network(py::module_& m) {
  py::class_<nn::Network, std::shared_ptr<nn::Network>>(m, "Network")
      .def(py::init([](const py::dict& architecture, const std::map<std::string, py::tuple>& arrays) {
             std::map<std::string, nn::Array> read;
             for (const auto& [name, fields] : arrays) read.emplace(name, array_of(name, fields));
             return std::make_shared<nn::Network>(architecture_of(architecture), std::move(read));
           }),
           py::arg("architecture"), py::arg("arrays"))
      .def(
          "array", [](const nn::Network& self, const std::string& name) { return floats_of(self.get(name)); },
          py::arg("name"))
      .def(
          "convolution",
          [](const nn::Network& self, const std::string& prefix) {
            const nn::Folded folded = nn::folded(self, prefix);
            return py::make_tuple(floats_of(folded.weights), floats_of(folded.biases));
          },
          py::arg("prefix"));
}
