// What a search tells: numbers for people and programs (docs/spec/engine.md 3.7, 3.8); the text is made elsewhere.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace search {

enum class StopReason { kNone, kNodes, kTime, kDepth, kMate, kSmartPruning, kKld, kRam, kStop, kError };

// How castling is written.
enum class Castling { kKingTakesRook, kKingMoves };

struct Result {
  std::string best_move;  // empty without a legal move
  std::string ponder;     // empty without one
  std::uint64_t playouts = 0;
  StopReason reason = StopReason::kNone;
};

struct PvInfo {
  enum class Proof { kNone, kEnd, kTablebase };
  double wl = 0, d = 0;            // side to move's view, after the display transform
  double q = 0;                    // before it: WL + draw score * D
  double mu = 0;                   // 0 where the transform was skipped
  double m = 0;                    // plies left of this move
  Proof proof = Proof::kNone;
  std::uint32_t visits = 0;
  std::vector<std::string> moves;  // UCI
};

struct Update {
  int depth = 1, seldepth = 0;
  std::int64_t time_ms = 0;
  std::uint64_t nodes = 0, playouts = 0, evaluations = 0, evaluated_batches = 0, cache_hits = 0, tb_hits = 0;
  double busy_ms = 0, span_ms = 0;  // of the back end, see Meter
  bool tables_chose = false;  // of the root's moves only those that the tables rank highest are searched
  std::optional<std::int64_t> nps, eps;
  std::vector<PvInfo> pvs;  // best first; after the search the move that was chosen comes first
  std::vector<std::string> messages;
};

struct MoveStats {
  std::string move;            // castling as king takes rook; "node" for the root
  int index = 0;               // in the policy, mover's view; the number of legal moves for the root
  std::uint32_t visits = 0, in_flight = 0;
  double p = 0;                // 0 to 1; for the root the sum of the visited
  std::optional<double> wl, d, m;
  double q = 0, u = 0, s = 0;
  std::optional<double> v;     // the network's own value, or the terminal one; root's side to move
  const char* flag = "";       // T, W, L: proven
};

}  // namespace search
