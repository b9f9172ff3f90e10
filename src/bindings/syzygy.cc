#include <pybind11/stl.h>
#include <pybind11/stl/filesystem.h>

#include <filesystem>

#include "bindings/bindings.h"
#include "bindings/gil.h"
#include "chess/notation.h"
#include "syzygy/root.h"

namespace py = pybind11;

using syzygy::Kind, syzygy::Tables;

static py::dict rank_root(const Tables& tables, const std::string& fen, const std::vector<std::string>& moves, bool fast) {
  chess::History history(fen);
  for (const std::string& move : moves) history.push(parse_move(history.last().board, move));
  syzygy::RootMoves found;
  {
    const Release release;
    found = rank_root(tables, history, fast);
  }
  std::vector<std::string> best;
  for (const chess::Move move : found.best) best.push_back(to_uci(history.last().board, move));
  using namespace py::literals;
  return py::dict("best"_a = best, "by_distance"_a = found.by_distance, "rank"_a = found.rank);
}

// Names of files are bytes: as Python has them in text.
static py::list take_problems(const Tables& tables) {
  py::list all;
  for (const std::string& problem : tables.take_problems())
    all.append(py::reinterpret_steal<py::str>(PyUnicode_DecodeFSDefaultAndSize(problem.data(), static_cast<py::ssize_t>(problem.size()))));
  return all;
}

void bind_syzygy(py::module_& m) {
  using py::arg;
  const py::call_guard<Release> without_gil;
  py::class_<Tables, std::shared_ptr<Tables>>(m, "Tables")
      .def(py::init([](const std::vector<std::filesystem::path>& folders) {
             return std::make_shared<Tables>(std::vector<std::string>(folders.begin(), folders.end()));
           }),
           arg("folders"), without_gil)
      .def_property_readonly("largest", &Tables::largest)
      .def_property_readonly("wdl_files", [](const Tables& t) { return t.count(Kind::kWdl); })
      .def_property_readonly("dtz_files", [](const Tables& t) { return t.count(Kind::kDtz); })
      .def("take_problems", &take_problems)
      .def("wdl", [](const Tables& t, const std::string& fen) { return t.wdl(chess::parse_fen(fen).board); }, arg("fen"), without_gil)
      .def("dtz", [](const Tables& t, const std::string& fen) { return t.dtz(chess::parse_fen(fen).board); }, arg("fen"), without_gil)
      .def("rank_root", &rank_root, arg("fen"), arg("moves") = py::tuple(), arg("fast") = false);
}
