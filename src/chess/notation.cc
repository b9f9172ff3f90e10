#include "chess/notation.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>

#include "chess/placement.h"
#include "error.h"

namespace chess {

namespace {

constexpr std::string_view kPieceLetters = "pnbrqk";

// For messages: short, and ASCII whatever the text holds.
std::string printable(std::string_view text) {
  constexpr std::size_t kLongest = 100;
  std::string printed;
  for (char c : text.substr(0, kLongest)) printed += c >= ' ' && c <= '~' ? c : '?';
  return printed + (text.size() > kLongest ? "..." : "");
}

std::string quote(std::string_view text) { return "'" + printable(text) + "'"; }

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

std::string lower(std::string_view text) {
  std::string lowered(text);
  for (char& c : lowered) c = lower(c);
  return lowered;
}

// The squares here are White's: a1 = 0 whoever moves.
class FenParser {
 public:
  FenParser(std::string_view fen, bool chess960) : fen_(without_quotes(fen)), chess960_(chess960) {}

  Position parse() {
    parse_men(next_field("piece placement", ""));
    parse_side(next_field("side to move", "w"));
    parse_castling(next_field("castling rights", "-"));
    parse_en_passant(next_field("en-passant square", "-"));
    const int rule50 = parse_number(next_field("halfmove clock", "0"), 0);
    const int number = std::max(1, parse_number(next_field("move number", "1"), 1));
    if (!skip_spaces().empty()) leave_out("the end '" + std::string(fen_rest_) + "'", "nothing can follow the move number");

    const Board board = make_board(black_);
    field_ = "piece placement", text_ = quote(fen_);
    if (make_board(!black_).in_check()) fail("the side that has just moved is in check");
    return {.board = board, .rule50 = rule50, .ply = 2 * (number - 1) + black_};
  }

  // What was left out of the FEN and why; empty if nothing was.
  const std::string& remarks() const { return remarks_; }

 private:
  [[noreturn]] void fail(const std::string& reason) const {
    throw Error("bad FEN, " + field_ + " " + text_ + ": " + reason);
  }

  void leave_out(const std::string& what, const std::string& reason) {
    constexpr std::size_t kEnough = 500;
    if (remarks_.size() > kEnough) return;
    remarks_ += (remarks_.empty() ? "left out of the FEN: " : ", ") + printable(what) + " (" + reason + ")";
  }

  static std::string_view without_quotes(std::string_view text) {
    const std::size_t first = text.find_first_not_of(" \t\r\n\"'"), last = text.find_last_not_of(" \t\r\n\"'");
    return first == std::string_view::npos ? "" : text.substr(first, last - first + 1);
  }

  std::string_view skip_spaces() {
    fen_rest_.remove_prefix(std::min(fen_rest_.find_first_not_of(kSpaces), fen_rest_.size()));
    return fen_rest_;
  }

  std::string_view next_field(const char* name, std::string_view missing) {
    std::string_view field = skip_spaces().substr(0, fen_rest_.find_first_of(kSpaces));
    fen_rest_.remove_prefix(field.size());
    if (field.empty()) field = missing;
    field_ = name, text_ = quote(field);
    return field;
  }

  void parse_men(std::string_view text) {
    int rank = 7, file = 0;
    for (char c : text) {
      if (c == '/') {
        if (file != 8) fail("each rank needs 8 squares");
        if (--rank < 0) fail("8 ranks are needed");
        file = 0;
      } else if (c >= '1' && c <= '8') {
        file += c - '0';
      } else {
        const auto type = kPieceLetters.find(lower(c));
        if (type == std::string_view::npos) {
          fail("men are the letters pnbrqk and PNBRQK, empty squares the digits 1 to 8");
        }
        if (file > 7) fail("each rank needs 8 squares");
        const Bitboard square = bit(8 * rank + file++);
        men_[type] |= square;
        (c >= 'a' ? blacks_ : whites_) |= square;
      }
      if (file > 8) fail("each rank needs 8 squares");
    }
    if (rank != 0 || file != 8) fail("8 ranks of 8 squares are needed");
    if (const char* reason = why_unplayable(men_, whites_, blacks_)) fail(reason);
  }

  void parse_side(std::string_view text) {
    const std::string side = lower(text);
    black_ = side == "b" || side == "black";
    if (!black_ && side != "w" && side != "white") fail("must be w or b");
  }

  void parse_castling(std::string_view text) {
    for (char c : text)
      if (c != '-')
        if (const char* reason = add_right(c)) leave_out(std::string("castling right ") + c, reason);
  }

  // Why there can be no such right, or nullptr.
  const char* add_right(char c) {
    const char letter = lower(c);
    if (letter != 'k' && letter != 'q' && (letter < 'a' || letter > 'h')) return "rights are KQkq or the files of the rooks";
    const bool black = c >= 'a';
    const Bitboard side = black ? blacks_ : whites_, home = black ? kRank8 : kRank1;
    const Bitboard king = men_[kKing] & side & home;
    if (!king) return "its king is not on its first rank";
    if (!chess960_ && !(king & (kFileA << 4))) return "its king is not on the e-file, and UCI_Chess960 is off";

    const Bitboard kingside = home & ~((king << 1) - 1), queenside = home & (king - 1);
    Bitboard rooks = men_[kRook] & side & (kingside | queenside);
    if (!chess960_) rooks &= kFileA | kFileA << 7;
    if (letter == 'k') {
      rooks = std::bit_floor(rooks & kingside);  // the outermost
    } else if (letter == 'q') {
      rooks &= queenside;
      rooks &= -rooks;
    } else {
      rooks &= kFileA << (letter - 'a');
    }
    if (!rooks) return "there is no rook to castle with";
    const Bitboard taken = castling_ & (rooks & kingside ? kingside : queenside);
    if (taken & ~rooks) return "another rook has the right on this wing";
    castling_ |= rooks;
    return nullptr;
  }

  void parse_en_passant(std::string_view text) {
    if (text == "-") return;
    if (const char* reason = set_en_passant(lower(text))) leave_out("en-passant square " + std::string(text), reason);
  }

  // Why there can be no such square, or nullptr.
  const char* set_en_passant(const std::string& text) {
    if (text.size() != 2 || text[0] < 'a' || text[0] > 'h' || text[1] < '1' || text[1] > '8') return "it is no square";
    if (text[1] != (black_ ? '3' : '6')) return black_ ? "with Black to move it is on rank 3" : "with White to move it is on rank 6";
    const int file = text[0] - 'a', forward = black_ ? 8 : -8;  // the way their pawn went
    const Square square = 8 * (text[1] - '1') + file;
    const Bitboard pawns = men_[kPawn] & (black_ ? whites_ : blacks_), behind = bit(square) | bit(square - forward);
    if (!(pawns & bit(square + forward)) || (whites_ | blacks_) & behind) return "no pawn has just passed it";
    en_passant_file_ = file;
    return nullptr;
  }

  // From 0 to 9999; anything else is left out, and with text that is no number all that follows: a database's opcodes.
  int parse_number(std::string_view text, int fallback) {
    if (text == "-") return fallback;
    int number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error == std::errc{} && end == text.data() + text.size() && number >= 0 && number <= 9999) return number;
    std::string what = field_ + ' ' + std::string(text);
    if (error == std::errc::invalid_argument) {
      what = "'" + std::string(text) + std::string(fen_rest_) + "'";
      fen_rest_ = {};
    }
    leave_out(what, "a " + field_ + " is a number from 0 to 9999");
    return fallback;
  }

  Board make_board(bool black) const {
    const auto view = [black](Bitboard b) { return black ? flip_ranks(b) : b; };
    std::array<Bitboard, 6> men;
    for (int type = 0; type < 6; ++type) men[type] = view(men_[type]);
    const Bitboard ours = black ? blacks_ : whites_, theirs = black ? whites_ : blacks_;
    return {men, view(ours), view(theirs), view(castling_), en_passant_file_, black};
  }

  static constexpr std::string_view kSpaces = " \t\r\n_";  // web addresses write _

  std::string_view fen_, fen_rest_ = fen_;
  bool chess960_;
  std::string field_, text_;  // where the parser is, for messages
  std::string remarks_;
  std::array<Bitboard, 6> men_{};
  Bitboard whites_ = 0, blacks_ = 0, castling_ = 0;
  int en_passant_file_ = -1;
  bool black_ = false;
};

std::string square_name(Square s) { return {static_cast<char>('a' + file_of(s)), static_cast<char>('1' + rank_of(s))}; }

// X-FEN: K and Q for the outermost of the side's rooks on its home rank, else the file.
char castling_letter(Square rook, Bitboard rooks, bool kingside) {
  const Square outermost = lowest(kingside ? std::bit_floor(rooks) : rooks & -rooks);
  if (rook == outermost) return kingside ? 'K' : 'Q';
  return static_cast<char>('A' + file_of(rook));
}

std::string castling_text(const Board& board) {
  std::string text;
  for (bool black : {false, true}) {
    const bool us = black == board.black_to_move();
    const Bitboard home = us ? kRank1 : kRank8;
    const Bitboard rooks = home & (us ? board.ours(kRook) : board.theirs(kRook));
    for (bool kingside : {true, false}) {
      const Bitboard right = home & (kingside ? board.kingside_castling() : board.queenside_castling());
      if (!right) continue;
      const char letter = castling_letter(lowest(right), rooks, kingside);
      text += black ? static_cast<char>(letter - 'A' + 'a') : letter;
    }
  }
  return text.empty() ? "-" : text;
}

}  // namespace

Position parse_fen(std::string_view fen, bool chess960, std::string* remarks) {
  FenParser parser(fen, chess960);
  const Position position = parser.parse();
  if (remarks) *remarks = parser.remarks();
  return position;
}

std::string to_fen(const Position& position) {
  const Board& board = position.board;
  const bool black = board.black_to_move();
  std::string fen;
  for (int rank = 7; rank >= 0; --rank) {
    int empty = 0;
    const auto flush = [&] {
      if (empty) fen += static_cast<char>('0' + empty);
      empty = 0;
    };
    for (int file = 0; file < 8; ++file) {
      const Square s = (8 * rank + file) ^ (black ? 56 : 0);
      const PieceType type = board.type_at(s);
      if (type == kNoPiece) {
        ++empty;
        continue;
      }
      flush();
      const bool white = ((board.ours() & bit(s)) != 0) != black;
      fen += static_cast<char>(white ? std::toupper(kPieceLetters[type]) : kPieceLetters[type]);
    }
    flush();
    if (rank) fen += '/';
  }
  const int file = board.en_passant_file();
  fen += black ? " b " : " w ";
  fen += castling_text(board) + ' ';
  fen += file < 0 ? "-" : square_name(8 * (black ? 2 : 5) + file);
  return fen + ' ' + std::to_string(position.rule50) + ' ' + std::to_string(position.ply / 2 + 1);
}

Move parse_move(const Board& board, std::string_view typed) {
  const std::string text = lower(typed);
  MoveList moves;  // of the man on the square that the text begins with
  if (text.size() >= 4 && text[0] >= 'a' && text[0] <= 'h' && text[1] >= '1' && text[1] <= '8')
    board.legal_moves(moves, bit((8 * (text[1] - '1') + text[0] - 'a') ^ (board.black_to_move() ? 56 : 0)));
  const Square king = board.our_king();
  for (Move move : moves) {
    const std::string name = to_uci(board, move);
    if (text == name) return move;
    if (move.promotion() != kNoPiece && text == name.substr(0, 4))
      throw Error("promotion " + quote(typed) + " needs the letter of its piece: " + text + "q, " + text + "r, " + text + "b or " +
                  text + "n");
  }
  for (Move move : moves) {  // e1g1 second: it may be the king taking a rook on g1
    if (board.is_castling(move) && file_of(king) == 4) {
      const Square target = move.to() > king ? 6 : 2;
      if (text == to_uci(board, Move(king, target))) return move;
    }
  }
  throw Error("illegal move " + quote(typed) + ": moves are written like e2e4, e7e8q or, for castling, e1g1 or e1h1");
}

std::string to_uci(const Board& board, Move move, bool chess960) {
  const int mirror = board.black_to_move() ? 56 : 0;
  Square to = move.to();
  if (!chess960 && board.is_castling(move) && file_of(move.from()) == 4 && (file_of(to) == 0 || file_of(to) == 7)) {
    to = to > move.from() ? 6 : 2;
  }
  std::string text = square_name(move.from() ^ mirror) + square_name(to ^ mirror);
  if (move.promotion() != kNoPiece) text += kPieceLetters[move.promotion()];
  return text;
}

}  // namespace chess
