// From python-chess boards to planes without a detour through text: a board's attributes are read, and what the network can see of its
// game is played again. 2 us a position and 0.2 us a move of that, twice as much where Python's objects are not in the cache (Xeon,
// busy, 2026-11-28).
#include "bindings/inputs.h"

#include <pybind11/numpy.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <limits>
#include <sstream>

#include "bindings/bindings.h"
#include "bindings/gil.h"
#include "chess/attacks.h"
#include "chess/notation.h"
#include "chess/placement.h"
#include "chess/policy.h"
#include "error.h"

namespace py = pybind11;

namespace {

using chess::Bitboard, chess::PieceType, chess::Square;

constexpr int kShown = 7;  // earlier positions that a network sees, plies
constexpr std::size_t kWatch = 1024;  // positions between two looks at signals

// The names of attributes, made once: looking one up by a C string makes a new object each time.
struct Names {
  py::str pawns{"pawns"}, knights{"knights"}, bishops{"bishops"}, rooks{"rooks"}, queens{"queens"}, kings{"kings"};
  py::str occupied_w{"occupied_w"}, occupied_b{"occupied_b"}, occupied_co{"occupied_co"}, turn{"turn"};
  py::str castling_rights{"castling_rights"}, ep_square{"ep_square"}, halfmove_clock{"halfmove_clock"};
  py::str fullmove_number{"fullmove_number"}, uci_variant{"uci_variant"}, chess960{"chess960"};
  py::str move_stack{"move_stack"}, states{"_stack"}, root{"root"};
  py::str from_square{"from_square"}, to_square{"to_square"}, promotion{"promotion"};
};

const Names& names() {
  static const Names* const all = new Names;  // for ever: the interpreter may go first
  return *all;
}

py::object attribute(const py::handle& object, const py::str& name) {
  PyObject* value = PyObject_GetAttr(object.ptr(), name.ptr());
  if (!value) throw py::error_already_set();
  return py::reinterpret_steal<py::object>(value);
}

Bitboard bitboard(const py::handle& value) {
  const Bitboard bits = PyLong_AsUnsignedLongLong(value.ptr());
  if (PyErr_Occurred()) throw py::error_already_set();
  return bits;
}

int integer(const py::handle& value, int fallback = -1) {
  if (value.is_none()) return fallback;
  const long number = PyLong_AsLong(value.ptr());
  if (number == -1 && PyErr_Occurred()) throw py::error_already_set();
  return static_cast<int>(std::clamp<long>(number, std::numeric_limits<int>::min(), std::numeric_limits<int>::max()));
}

bool is_true(const py::handle& value) {
  const int truth = PyObject_IsTrue(value.ptr());
  if (truth < 0) throw py::error_already_set();
  return truth == 1;
}

// Of a Board, or of what it keeps of an earlier one, which has its colours in attributes of their own.
chess::Placement placement_of(const py::handle& board, bool is_earlier, bool chess960) {
  const Names& n = names();
  chess::Placement p;
  int type = 0;
  for (const py::str* name : {&n.pawns, &n.knights, &n.bishops, &n.rooks, &n.queens, &n.kings})
    p.men[type++] = bitboard(attribute(board, *name));
  if (is_earlier) {
    p.whites = bitboard(attribute(board, n.occupied_w));
    p.blacks = bitboard(attribute(board, n.occupied_b));
  } else {
    const py::list colours = attribute(board, n.occupied_co);
    p.blacks = bitboard(colours[0]);
    p.whites = bitboard(colours[1]);
  }
  p.castling = bitboard(attribute(board, n.castling_rights));
  p.en_passant = integer(attribute(board, n.ep_square));
  p.black = !is_true(attribute(board, n.turn));
  p.chess960 = chess960;
  p.rule50 = integer(attribute(board, n.halfmove_clock));
  p.move_number = integer(attribute(board, n.fullmove_number));
  return p;
}

// python-chess numbers pieces from pawn = 1.
PieceType piece_type(int number) { return number < 2 || number > 5 ? chess::kNoPiece : static_cast<PieceType>(number - 1); }
int piece_number(PieceType type) { return type == chess::kNoPiece ? 0 : type + 1; }

// The king's target of castling as it is written for a king on e.
Square castling_target(Square king, Square rook) { return rook > king ? 6 : 2; }

// A move of python-chess, which may castle either way: king takes rook, or the king to its new square.
chess::Move move_of(const chess::Board& board, const py::handle& move) {
  const Names& n = names();
  const int mirror = board.black_to_move() ? 56 : 0;
  const int from = integer(attribute(move, n.from_square)), to = integer(attribute(move, n.to_square));
  const bool promotes = board.ours(chess::kPawn) & chess::bit((from ^ mirror) & 63) & chess::kRank8 >> 8;
  const PieceType promotion = promotes ? piece_type(integer(attribute(move, n.promotion))) : chess::kNoPiece;
  if (from == to) throw Error("the move stack holds a null move; a network sees only games of legal moves");
  const chess::Move wanted(from ^ mirror, to ^ mirror, promotion);
  chess::MoveList legal;
  board.legal_moves(legal, chess::bit(wanted.from()));
  for (const chess::Move candidate : legal)
    if (candidate == wanted) return candidate;
  for (const chess::Move candidate : legal)
    if (board.is_castling(candidate) && candidate.from() == wanted.from() && chess::file_of(candidate.from()) == 4 &&
        castling_target(candidate.from(), candidate.to()) == wanted.to())
      return candidate;
  throw Error("the move stack holds the illegal move " + std::string(py::str(move)));
}

// Whether the board stands where its moves have led. What its squares hold is not looked at, only which: python-chess drops the moves of
// a board whose men are moved otherwise.
bool is_at(const chess::Position& position, const py::handle& board, bool chess960) {
  const Names& n = names();
  const bool black = position.board.black_to_move();
  const auto view = [black](Bitboard b) { return black ? chess::flip_ranks(b) : b; };
  const py::list colours = attribute(board, n.occupied_co);
  if (is_true(attribute(board, n.turn)) == black || integer(attribute(board, n.halfmove_clock)) != position.rule50 ||
      bitboard(colours[black ? 0 : 1]) != view(position.board.ours()) || bitboard(colours[black ? 1 : 0]) != view(position.board.theirs()))
    return false;
  return bitboard(attribute(board, n.castling_rights)) == view(position.board.castling()) ||  // or it has rights without a meaning
         make_position(placement_of(board, false, chess960)).board.castling() == position.board.castling();
}

// The start is the last position before everything that the network can see: seven plies back, from there to the last capture or pawn
// move, because repetitions count, and one more, so that what can be taken in passing is ours to say. Without python-chess's earlier
// states it is the start of the game.
void replay(const py::handle& board, bool chess960, chess::History& history) {
  const Names& n = names();
  const py::list moves = attribute(board, n.move_stack);
  const auto count = static_cast<std::ptrdiff_t>(moves.size());
  if (count == 0) return history.restart(make_position(placement_of(board, false, chess960)));
  std::ptrdiff_t start = 0;
  const py::object states = py::getattr(board, n.states, py::none());
  if (py::isinstance<py::list>(states) && py::len(states) == moves.size()) {
    const py::list earlier = states;
    start = std::max<std::ptrdiff_t>(0, count - kShown);
    start = std::max<std::ptrdiff_t>(0, start - integer(attribute(earlier[start], n.halfmove_clock)) - 1);
    history.restart(make_position(placement_of(earlier[start], true, chess960)));
  } else {
    history.restart(make_position(placement_of(attribute(board, n.root)(), false, chess960)));
  }
  for (std::ptrdiff_t i = start; i < count; ++i) __builtin_prefetch(PyList_GET_ITEM(moves.ptr(), i));  // they lie anywhere
  for (std::ptrdiff_t i = start; i < count; ++i) history.push(move_of(history.last().board, moves[i]));
  if (!is_at(history.last(), board, chess960))
    throw Error("the board was changed after its last move; board.clear_stack() makes it a position without a history");
}

// A chess.Board into a history; whether it castles as Chess960 does.
bool read_board(const py::handle& board, chess::History& history) {
  py::object variant;
  try {
    variant = attribute(board, names().uci_variant);
  } catch (const py::error_already_set&) {
    throw Error(std::string("a position is a chess.Board or the text of a FEN, not ") + Py_TYPE(board.ptr())->tp_name);
  }
  if (!variant.equal(py::str("chess"))) throw Error("lc0rocm plays chess and Chess960, not " + std::string(py::str(variant)));
  try {
    const bool chess960 = is_true(attribute(board, names().chess960));
    replay(board, chess960, history);
    return chess960;
  } catch (py::error_already_set& error) {
    if (!error.matches(PyExc_Exception)) throw;  // an interruption
    throw Error("the board has an attribute that no chess.Board has: " + std::string(py::str(error.value())));
  }
}

// "FEN" or "FEN moves e2e4 ...".
void read(const std::string& text, chess::History& history) {
  const std::string_view mark = " moves ";
  const auto at = text.find(mark);
  history.restart(chess::parse_fen(std::string_view(text).substr(0, at)));
  if (at == std::string::npos) return;
  std::istringstream moves(text.substr(at + mark.size()));
  for (std::string move; moves >> move;) history.push(parse_move(history.last().board, move));
}

class Reader {
 public:
  Reader(int format, chess::HistoryFill fill, bool with_moves) : format_(input_format(format)), fill_(fill), with_moves_(with_moves) {}

  void add(const py::handle& item) {
    bool chess960 = false;
    if (const chess::History* game = history_of(item)) {
      history_ = *game;
    } else if (PyUnicode_Check(item.ptr())) {
      read(text_of(item), history_);
    } else {
      chess960 = read_board(item, history_);
    }
    inputs_.planes.push_back(encode(history_, format_, fill_));
    if (with_moves_) add_moves(chess960);
  }
  Inputs take() { return std::move(inputs_); }

 private:
  void add_moves(bool chess960) {
    const chess::Board& board = history_.last().board;
    const int transform = chess::canonical_transform(history_.last(), format_), mirror = board.black_to_move() ? 56 : 0;
    chess::MoveList legal;
    board.legal_moves(legal);
    for (const chess::Move move : legal) {
      const int file = chess::file_of(move.to());
      const bool castles = !chess960 && board.is_castling(move) && chess::file_of(move.from()) == 4 && (file == 0 || file == 7);
      const Square to = castles ? castling_target(move.from(), move.to()) : move.to();
      inputs_.indices.push_back(chess::policy_index(move, transform));
      inputs_.moves.push_back(
          static_cast<std::uint16_t>((move.from() ^ mirror) | (to ^ mirror) << 6 | piece_number(move.promotion()) << 12));
    }
    inputs_.first_move.push_back(static_cast<std::uint32_t>(inputs_.moves.size()));
  }

  const chess::InputFormat format_;
  const chess::HistoryFill fill_;
  const bool with_moves_;
  chess::History history_{chess::kStartFen};
  Inputs inputs_;
};

Inputs read_all(const py::iterable& positions, int format, const std::string& fill, bool with_moves) {
  Reader reader(format, history_fill(fill), with_moves);
  std::size_t at = 0;
  for (const py::handle position : positions) {
    try {
      reader.add(position);
    } catch (const Error& error) {
      throw Error("position " + std::to_string(at) + ": " + error.what());
    }
    if (++at % kWatch == 0 && PyErr_CheckSignals() != 0) throw py::error_already_set();
  }
  return reader.take();
}

template <class T>
py::array_t<T> array_of(const std::vector<T>& values) {
  return py::array_t<T>(static_cast<py::ssize_t>(values.size()), values.data());
}

py::array_t<float> expanded(const Inputs& self) {
  py::array_t<float> planes({py::ssize_t{self.size()}, py::ssize_t{chess::kPlanes}, py::ssize_t{8}, py::ssize_t{8}});
  float* out = planes.mutable_data();
  const Release release;
  for (const chess::Planes& one : self.planes)
    for (int i = 0; i < chess::kPlanes; ++i, out += 64) chess::expand_plane(one.mask[i], one.value[i], out);
  return planes;
}

}  // namespace

void bind_inputs(py::module_& m) {
  using py::arg;
  m.def(
      "check_board",
      [](const py::object& board) {
        chess::History history{chess::kStartFen};
        read_board(board, history);
      },
      arg("board"));
  py::class_<Inputs>(m, "Inputs")
      .def(py::init(&read_all), arg("positions"), arg("input_format"), arg("history_fill") = "fen_only", arg("moves") = true)
      .def("__len__", &Inputs::size)
      .def_property_readonly("planes", &expanded)
      .def_property_readonly("first_move", [](const Inputs& self) { return array_of(self.first_move); })
      .def_property_readonly("indices", [](const Inputs& self) { return array_of(self.indices); })
      .def_property_readonly("moves", [](const Inputs& self) {
        py::list all(self.moves.size());
        for (std::size_t i = 0; i < self.moves.size(); ++i) {
          const int move = self.moves[i], promotion = move >> 12;
          all[i] = py::make_tuple(move & 63, move >> 6 & 63, promotion ? py::object(py::int_(promotion)) : py::none());
        }
        return all;
      });
}
