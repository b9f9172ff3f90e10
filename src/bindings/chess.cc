#include <pybind11/numpy.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "bindings/bindings.h"
#include "bindings/gil.h"
#include "chess/encode.h"
#include "chess/notation.h"
#include "chess/policy.h"
#include "error.h"

namespace py = pybind11;

namespace {

using chess::kPlanes, chess::kPolicySize;

class Game {
 public:
  Game(const std::string& fen, const std::vector<std::string>& moves, bool pseudo_legal, bool chess960)
      : history_(fen, chess960, &remarks_), pseudo_legal_(pseudo_legal) {
    for (const std::string& move : moves) push(move);
  }
  const chess::History& history() const { return history_; }
  const std::string& remarks() const { return remarks_; }
  std::string fen() const { return to_fen(last()); }
  const chess::Position& last() const { return history_.last(); }
  const chess::Board& board() const { return last().board; }
  chess::MoveList legal_moves() const {
    chess::MoveList moves;
    board().legal_moves(moves);
    return moves;
  }
  std::vector<std::string> legal_move_names() const {
    std::vector<std::string> names;
    for (chess::Move move : legal_moves()) names.push_back(to_uci(board(), move));
    return names;
  }
  std::string uci(const std::string& move, bool chess960) const {
    return to_uci(board(), parse_move(board(), move), chess960);
  }
  void push(const std::string& move) {
    history_.push(parse_move(pseudo_legal_ ? board().without_threats() : board(), move));
  }
  Game at(int moves) const {
    if (moves < 0 || moves >= history_.size())
      throw Error("the game has " + std::to_string(history_.size() - 1) + " moves, and not " + std::to_string(moves));
    Game earlier = *this;
    while (earlier.history_.size() > moves + 1) earlier.history_.pop();
    return earlier;
  }
  // One object a move is what takes the time: no list of names is made for Python to sort.
  py::dict policy(const py::array_t<float, py::array::c_style | py::array::forcecast>& shares, bool chess960) const {
    const chess::MoveList moves = legal_moves();
    if (shares.ndim() != 1 || shares.size() != moves.size()) throw Error("a policy has a number for each legal move");
    std::vector<std::pair<float, chess::Move>> sorted;
    for (int i = 0; i < moves.size(); ++i) sorted.emplace_back(shares.data()[i], moves[i]);
    std::stable_sort(sorted.begin(), sorted.end(), [](const auto& a, const auto& b) { return a.first > b.first; });
    py::dict named;
    for (const auto& [share, move] : sorted) named[py::str(to_uci(board(), move, chess960))] = std::nearbyint(1e6 * share) / 1e6;
    return named;
  }
  py::tuple planes(int format, const std::string& fill) const {
    const chess::Planes planes = encode(history_, input_format(format), history_fill(fill));
    return py::make_tuple(py::array_t<std::uint64_t>(kPlanes, planes.mask.data()),
                          py::array_t<float>(kPlanes, planes.value.data()));
  }
  int transform(int format) const { return canonical_transform(last(), input_format(format)); }
  std::vector<int> policy_indices(int format) const {
    const int frame = transform(format);
    std::vector<int> indices;
    for (chess::Move move : legal_moves()) indices.push_back(chess::policy_index(move, frame));
    return indices;
  }

 private:
  std::string remarks_;
  chess::History history_;
  bool pseudo_legal_;
};

std::uint64_t perft(const std::string& fen, int depth) {
  if (depth < 0) throw Error("the depth of perft must be 0 or more, not " + std::to_string(depth));
  return chess::perft(chess::parse_fen(fen).board, depth);
}

template <class T>
using Array = py::array_t<T, py::array::c_style | py::array::forcecast>;

py::array_t<float> expand_planes(const Array<std::uint64_t>& masks, const Array<float>& values) {
  const auto is_planes = [](const py::array& a) { return a.ndim() == 2 && a.shape(1) == kPlanes; };
  if (!is_planes(masks) || !is_planes(values) || masks.shape(0) != values.shape(0)) {
    throw Error("expand_planes needs masks and values of the same shape (n, 112)");
  }
  py::array_t<float> planes({masks.shape(0), py::ssize_t{kPlanes}, py::ssize_t{8}, py::ssize_t{8}});
  const std::uint64_t* mask = masks.data();
  const float* value = values.data();
  float* out = planes.mutable_data();
  const py::ssize_t count = masks.size();
  const Release release;
  for (py::ssize_t i = 0; i < count; ++i) chess::expand_plane(mask[i], value[i], out + 64 * i);
  return planes;
}

std::vector<std::string> policy_moves() {
  const chess::Board white = chess::parse_fen(chess::kStartFen).board;
  std::vector<std::string> names;
  for (std::uint16_t i = 0; i < kPolicySize; ++i) names.push_back(to_uci(white, chess::policy_move(i)));
  return names;
}

}  // namespace

chess::InputFormat input_format(int number) {
  switch (number) {
    case 1: case 2: case 3: case 4: case 5: case 132: case 133: return static_cast<chess::InputFormat>(number);
    default: throw Error("unknown input format " + std::to_string(number) + ": it must be one of 1 to 5, 132, 133");
  }
}

chess::HistoryFill history_fill(const std::string& name) {
  if (name == "no") return chess::HistoryFill::kNo;
  if (name == "fen_only") return chess::HistoryFill::kFenOnly;
  if (name == "always") return chess::HistoryFill::kAlways;
  throw Error("unknown history fill '" + name + "': it must be no, fen_only or always");
}

std::string text_of(const py::handle& text) {
  const auto bytes = py::reinterpret_steal<py::bytes>(PyUnicode_AsEncodedString(text.ptr(), "utf-8", "replace"));
  if (!bytes) throw py::error_already_set();
  return bytes;
}

const chess::History* history_of(const py::handle& object) {
  return py::isinstance<Game>(object) ? &object.cast<const Game&>().history() : nullptr;
}

void bind_chess(py::module_& m) {
  using py::arg;
  m.attr("STARTPOS") = std::string(chess::kStartFen);
  py::class_<Game>(m, "Game")
      .def(py::init([](const py::str& fen, const std::vector<py::str>& moves, bool pseudo_legal, bool chess960) {
             std::vector<std::string> names;
             for (const py::str& move : moves) names.push_back(text_of(move));
             return Game(text_of(fen), names, pseudo_legal, chess960);
           }),
           arg("fen") = std::string(chess::kStartFen), arg("moves") = py::tuple(), arg("pseudo_legal") = false,
           arg("chess960") = true)
      .def_property_readonly("remarks", &Game::remarks)
      .def("fen", &Game::fen)
      .def_property_readonly("ply", [](const Game& g) { return g.last().ply; })
      .def_property_readonly("black_to_move", [](const Game& g) { return g.board().black_to_move(); })
      .def_property_readonly("in_check", [](const Game& g) { return g.board().in_check(); })
      .def_property_readonly("repetitions", [](const Game& g) { return g.last().repetitions; })
      .def_property_readonly("rule50", [](const Game& g) { return g.last().rule50; })
      .def_property_readonly("insufficient_material", [](const Game& g) { return g.board().insufficient_material(); })
      .def_property_readonly("hash", [](const Game& g) { return g.board().hash(); })
      .def("legal_moves", &Game::legal_move_names)
      .def("uci", &Game::uci, arg("move"), arg("chess960"))
      .def("push", &Game::push, arg("move"))
      .def("copy", [](const Game& g) { return g; })
      .def("at", &Game::at, arg("moves"))
      .def("policy", &Game::policy, arg("shares"), arg("chess960"))
      .def("planes", &Game::planes, arg("input_format"), arg("history_fill") = "fen_only")
      .def("transform", &Game::transform, arg("input_format"))
      .def("policy_indices", &Game::policy_indices, arg("input_format"));
  m.def("perft", &perft, arg("fen"), arg("depth"), py::call_guard<Release>());
  m.def("expand_planes", &expand_planes, arg("masks"), arg("values"));
  m.def("policy_moves", &policy_moves);
  m.def("convolution_policy_map",
        [] { return py::array_t<std::uint16_t>(kPolicySize, chess::convolution_policy_map()); });
  m.def("attention_policy_map", [] { return py::array_t<std::uint16_t>(kPolicySize, chess::attention_policy_map()); });
}
