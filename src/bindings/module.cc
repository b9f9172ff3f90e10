#include "bindings/bindings.h"
#include "bindings/gil.h"
#include "error.h"
#include "process.h"

PYBIND11_MODULE(_core, m) {
  m.doc() = "The compiled core of lc0rocm; types in _core.pyi.";
  static const auto& error = pybind11::register_exception<Error>(m, "Error", PyExc_RuntimeError);
  pybind11::register_local_exception_translator([](std::exception_ptr thrown) {
    try {
      std::rethrow_exception(thrown);
    } catch (const std::system_error& failure) {  // no further thread, in most cases
      pybind11::set_error(error, ("the system refuses what is needed: " + sentence(failure)).c_str());
    } catch (const std::bad_alloc& failure) {
      pybind11::set_error(error, sentence(failure).c_str());
    }
  });
  bind_chess(m);
  bind_inputs(m);
  bind_network(m);
  bind_backend(m);
  bind_search(m);
  bind_syzygy(m);
  // After this nothing of ours runs while the interpreter and then the static objects of back ends go.
  constexpr double kPatience = 5;  // seconds: more than most batches take, if the device answers at all
  pybind11::module_::import("atexit").attr("register")(pybind11::cpp_function([] {
    const Release release;
    process::end(kPatience);
  }));
}
