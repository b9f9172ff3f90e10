#include "search/search.h"

#include <pybind11/stl.h>

#include "bindings/backend.h"
#include "bindings/bindings.h"
#include "bindings/gil.h"
#include "error.h"

namespace py = pybind11;

namespace {

using Released = py::call_guard<Release>;

search::ParamValue param_value(const std::string& name, const py::handle& value) {
  if (py::isinstance<py::bool_>(value)) return value.cast<bool>();  // before int: True is one
  if (py::isinstance<py::int_>(value)) return value.cast<std::int64_t>();
  if (py::isinstance<py::float_>(value)) return value.cast<double>();
  if (py::isinstance<py::str>(value)) return value.cast<std::string>();
  throw Error("search parameter " + name + " must be true or false, a number or text");
}

search::Params params_of(const py::dict& entries) {
  search::Params params;
  for (const auto& [key, value] : entries) {
    const std::string name = py::str(key);
    search::set_param(params, name, param_value(name, value));
  }
  return params;
}

template <class T>
T limit_value(const std::string& name, const py::handle& value, const char* wanted) {
  try {
    return value.cast<T>();
  } catch (const py::cast_error&) {
    throw Error("search limit " + name + " must be " + wanted);
  }
}

search::Limits limits_of(const py::dict& entries) {
  search::Limits limits;
  for (const auto& [key, value] : entries) {
    const std::string name = py::str(key);
    const auto integer = [&, &value = value] { return limit_value<std::int64_t>(name, value, "an integer"); };
    const auto real = [&, &value = value] { return limit_value<double>(name, value, "a number"); };
    if (name == "nodes") limits.nodes = integer();
    else if (name == "playouts") limits.playouts = integer();
    else if (name == "time_ms") limits.time_ms = integer();
    else if (name == "depth") limits.depth = integer();
    else if (name == "mate") limits.mate = integer();
    else if (name == "elapsed_ms") limits.elapsed_ms = integer();
    else if (name == "remaining_ms") limits.remaining_ms = integer();
    else if (name == "bank_ms") limits.bank.ms = real();
    else if (name == "bank_force_ms") limits.bank.force_ms = real();
    else if (name == "bank_trend_ms") limits.bank.trend_ms = real();
    else if (name == "bank_best_optimism") limits.bank.best_optimism = real();
    else if (name == "bank_overtaker_optimism") limits.bank.overtaker_optimism = real();
    else if (name == "infinite") limits.infinite = limit_value<bool>(name, value, "true or false");
    else if (name == "searchmoves") limits.searchmoves = limit_value<std::vector<std::string>>(name, value, "a list of moves");
    else throw Error("the search has no limit " + name);
  }
  return limits;
}

const char* name_of(search::StopReason reason) {
  switch (reason) {
    case search::StopReason::kNodes: return "nodes";
    case search::StopReason::kTime: return "time";
    case search::StopReason::kDepth: return "depth";
    case search::StopReason::kMate: return "mate";
    case search::StopReason::kSmartPruning: return "smart_pruning";
    case search::StopReason::kKld: return "kld";
    case search::StopReason::kRam: return "ram";
    case search::StopReason::kError: return "error";
    case search::StopReason::kNone:
    case search::StopReason::kStop: return "stop";
  }
  return "stop";
}

const char* name_of(search::PvInfo::Proof proof) {
  using Proof = search::PvInfo::Proof;
  return proof == Proof::kEnd ? "end" : proof == Proof::kTablebase ? "tablebase" : "";
}

search::Castling castling_of(bool chess960) {
  return chess960 ? search::Castling::kKingTakesRook : search::Castling::kKingMoves;
}

using namespace py::literals;

py::dict dict_of(const search::PvInfo& pv) {
  return py::dict("wl"_a = pv.wl, "d"_a = pv.d, "q"_a = pv.q, "mu"_a = pv.mu, "m"_a = pv.m,
                  "terminal"_a = name_of(pv.proof), "visits"_a = pv.visits, "moves"_a = pv.moves);
}

py::dict dict_of(const search::Update& update) {
  py::list pvs;
  for (const search::PvInfo& pv : update.pvs) pvs.append(dict_of(pv));
  return py::dict("depth"_a = update.depth, "seldepth"_a = update.seldepth, "time_ms"_a = update.time_ms,
                  "nodes"_a = update.nodes, "playouts"_a = update.playouts,
                  "evaluations"_a = update.evaluations, "evaluated_batches"_a = update.evaluated_batches,
                  "cache_hits"_a = update.cache_hits, "busy_ms"_a = update.busy_ms, "span_ms"_a = update.span_ms, "nps"_a = update.nps, "eps"_a = update.eps,
                  "tbhits"_a = update.tb_hits, "tables_chose"_a = update.tables_chose, "pvs"_a = pvs, "messages"_a = update.messages);
}

py::dict dict_of(const search::Result& result) {
  return py::dict("best_move"_a = result.best_move, "ponder"_a = result.ponder, "playouts"_a = result.playouts,
                  "stopped_by"_a = name_of(result.reason));
}

py::dict dict_of(const search::MoveStats& stats) {
  return py::dict("move"_a = stats.move, "index"_a = stats.index, "visits"_a = stats.visits, "in_flight"_a = stats.in_flight,
                  "p"_a = stats.p, "wl"_a = stats.wl, "d"_a = stats.d, "m"_a = stats.m, "q"_a = stats.q, "u"_a = stats.u,
                  "s"_a = stats.s, "v"_a = stats.v, "flag"_a = stats.flag);
}

// Runs `work` without the GIL and turns what it gives into Python afterwards.
template <class Work>
auto released(Work work) {
  const Release release;
  return work();
}

}  // namespace

void bind_search(py::module_& m) {
  using search::Search;
  using py::arg;
  m.def("search_options", [] {
    py::list all;
    for (const search::ParamInfo& info : search::all_params())
      all.append(py::dict("name"_a = info.name, "kind"_a = info.kind, "default"_a = info.fallback, "low"_a = info.low,
                          "high"_a = info.high, "choices"_a = py::tuple(py::cast(info.choices)), "live"_a = info.live,
                          "in_nodes"_a = info.in_nodes));
    return all;
  });
  py::class_<nn::Cache, std::shared_ptr<nn::Cache>>(m, "Cache").def(py::init(&nn::make_cache), arg("positions"));
  // Its end joins threads: the GIL must not be held meanwhile.
  const auto make = [] {
    return std::shared_ptr<Search>(new Search, [](Search* s) {
      const Release release;
      delete s;
    });
  };
  py::class_<Search, std::shared_ptr<Search>>(m, "Search")
      .def(py::init(make))
      .def(
          "set_backend",
          [](Search& self, const BackendHandle& backend, const std::string& fill, float policy_temperature,
             std::size_t cache_size) {
            const chess::HistoryFill parsed = history_fill(fill);
            const Release release;
            self.set_backend(backend.evaluator, parsed, policy_temperature, cache_size);
          },
          arg("backend"), arg("history_fill"), arg("policy_temperature"), arg("cache_size"))
      .def(
          "set_backend",
          [](Search& self, const BackendHandle& backend, const std::string& fill, float policy_temperature,
             std::shared_ptr<nn::Cache> cache) {
            const chess::HistoryFill parsed = history_fill(fill);
            const Release release;
            self.set_backend(backend.evaluator, parsed, policy_temperature, std::move(cache));
          },
          arg("backend"), arg("history_fill"), arg("policy_temperature"), arg("cache"))
      .def("set_tables", [](Search& self, std::shared_ptr<syzygy::Tables> tables) { self.set_tables(std::move(tables)); },
           arg("tables").none(true), Released())
      .def("clear", &Search::clear, arg("keep_cache") = false, Released())
      .def("set_position", &Search::set_position, arg("fen"), arg("moves"), arg("keep") = true, Released())
      .def(
          "start",
          [](Search& self, const py::dict& parameters, const py::dict& limits, bool lend) {
            const search::Params params = params_of(parameters);
            const search::Limits parsed = limits_of(limits);
            const Release release;
            self.start(params, parsed, lend);
          },
          arg("parameters"), arg("limits"), arg("lend") = false)
      .def(
          "begin",
          [](Search& self, const BackendHandle& backend, const std::string& fill, float policy_temperature, std::shared_ptr<nn::Cache> cache,
             std::shared_ptr<syzygy::Tables> tables, const std::string& fen, const std::vector<std::string>& moves,
             const py::dict& parameters, const py::dict& limits, bool lend) {
            const chess::HistoryFill parsed_fill = history_fill(fill);
            const search::Params params = params_of(parameters);
            const search::Limits parsed = limits_of(limits);
            const Release release;
            self.set_backend(backend.evaluator, parsed_fill, policy_temperature, std::move(cache));
            self.set_tables(std::move(tables));
            self.set_position(fen, moves, false);
            self.start(params, parsed, lend);
          },
          arg("backend"), arg("history_fill"), arg("policy_temperature"), arg("cache"), arg("tables").none(true), arg("fen"),
          arg("moves"), arg("parameters"), arg("limits"), arg("lend") = false)
      .def("stop", &Search::stop, Released())
      .def(
          "set_option",
          [](Search& self, const std::string& name, const py::object& value) {
            const search::ParamValue parsed = param_value(name, value);
            const Release release;
            self.set_option(name, parsed);
          },
          arg("name"), arg("value"))
      .def(
          "wait",
          [](Search& self, double timeout, bool chess960) -> py::object {
            const auto update = released([&] { return self.wait(timeout, castling_of(chess960)); });
            return update ? py::object(dict_of(*update)) : py::none();
          },
          arg("timeout"), arg("chess960") = true)
      .def_property_readonly("running", py::cpp_function(&Search::running, Released()))
      .def(
          "update",
          [](const Search& self, bool chess960) { return dict_of(released([&] { return self.update(castling_of(chess960)); })); },
          arg("chess960") = true)
      .def(
          "result",
          [](const Search& self, bool chess960) {
            return dict_of(released([&] { return self.result(castling_of(chess960)); }));
          },
          arg("chess960") = true)
      .def(
          "finish",
          [](const Search& self, bool chess960) {
            const search::Castling castling = castling_of(chess960);
            const auto [result, update] = released([&] {
              search::Result found = self.result(castling);
              return std::pair(std::move(found), self.update(castling));
            });
            return py::make_tuple(dict_of(result), dict_of(update));
          },
          arg("chess960") = true)
      .def("move_stats",
           [](const Search& self) {
             py::list all;
             for (const auto& stats : released([&] { return self.move_stats(); })) all.append(dict_of(stats));
             return all;
           })
      .def("save", [](const Search& self) { return py::bytes(released([&] { return self.save(); })); })
      .def("load", &Search::load, arg("data"), Released())
      .def_property_readonly("root_visits", py::cpp_function(&Search::root_visits, Released()));
}
