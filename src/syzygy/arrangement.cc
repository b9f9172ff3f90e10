#include "syzygy/arrangement.h"

#include <algorithm>
#include <array>
#include <map>

#include "chess/attacks.h"
#include "error.h"

namespace syzygy {

using chess::Square, chess::file_of, chess::rank_of;

namespace {

struct Binomials {
  std::uint64_t of[65][8]{};
  constexpr Binomials() {
    for (int n = 0; n <= 64; ++n) {
      of[n][0] = 1;
      for (int k = 1; k < 8; ++k) of[n][k] = n == 0 ? 0 : of[n - 1][k - 1] + of[n - 1][k];
    }
  }
};
constexpr Binomials kBinomials;
std::uint64_t choose(int n, int k) { return n < 0 ? 0 : kBinomials.of[n][k]; }

// Numbers of squares and pairs of squares under the symmetries of a board without pawns.
struct Triangles {
  int triangle[64]{};     // of a1-d1-d4: 0 to 5 below the diagonal, 6 to 9 on it
  int below[64]{};        // of the squares below the diagonal a1-h8, rank by rank
  int kings[10][64]{};    // of a king in the triangle and the other
  constexpr Triangles() {
    int number = 0, low = 0;
    for (Square s = 0; s < 64; ++s) {
      if (file_of(s) > rank_of(s)) below[s] = low++;
      if (file_of(s) > rank_of(s) && file_of(s) < 4 && rank_of(s) < 4) triangle[s] = number++;
    }
    for (Square s = 0; s < 4 * 9; s += 9) triangle[s] = number++;
    int pairs = 0;
    for (bool both_on_diagonal : {false, true}) {
      for (int t = 0; t < 10; ++t) {
        Square a = 0;
        while (triangle[a] != t || (t == 0 && a != 1)) ++a;  // all other squares have 0, too
        for (Square b = 0; b < 64; ++b) {
          const int files = file_of(b) - file_of(a), ranks = rank_of(b) - rank_of(a);
          if (files * files <= 1 && ranks * ranks <= 1) continue;
          const bool a_on = t >= 6, b_on = file_of(b) == rank_of(b);
          if (a_on && rank_of(b) > file_of(b)) continue;
          if ((a_on && b_on) == both_on_diagonal) kings[t][b] = pairs++;
        }
      }
    }
  }
};
constexpr Triangles kTriangles;

// Pawns of the files a to d count down from 47 on a2 in steps of two; their mirrored squares lie between.
constexpr int pawn_number(Square s) {
  return file_of(s) < 4 ? 47 - 12 * file_of(s) - 2 * (rank_of(s) - 1) : pawn_number(s ^ 7) - 1;
}

// How many sets of `count` lead pawns have their leader on a lower square of the file of s.
std::uint64_t leaders_below(int count, Square s) {
  std::uint64_t sum = 0;
  for (Square below = 8 + file_of(s); below < s; below += 8) sum += choose(pawn_number(below), count - 1);
  return sum;
}

// A set of squares as a number: each square counts among those that the earlier groups left free.
std::uint64_t combination(Square* squares, int count, const Square* earlier, int others, int lowest_square) {
  std::sort(squares, squares + count);
  std::uint64_t sum = 0;
  for (int m = 0; m < count; ++m) {
    const auto smaller = std::count_if(earlier, earlier + others, [&](Square s) { return s < squares[m]; });
    sum += choose(squares[m] - static_cast<int>(smaller) - lowest_square, m + 1);
  }
  return sum;
}

}  // namespace

Arrangement::Arrangement(std::span<const Code> codes, int order, int order2, int pawn_file)
    : codes_(codes.begin(), codes.end()), pawns_(pawn_file >= 0) {
  cut(pawns_);
  const int count = static_cast<int>(groups_.size());
  if (order >= count || (second_ && (order2 >= count || order2 == order))) throw Error("the order of its pieces makes no sense");

  // Cardinalities are taken in the order of the list, for the squares that earlier groups leave; factors in the order of the digits.
  int free = 64 - groups_[0].size - (second_ ? groups_[1].size : 0);
  std::vector<std::uint64_t> cardinalities;
  for (int g = 0; g < count; ++g) cardinalities.push_back(cardinality(groups_[g], second_ && g == 1, free, pawn_file));
  int next = second_ ? 2 : 1;
  for (int place = 0; place < count; ++place) {
    const int g = place == order ? 0 : second_ && place == order2 ? 1 : next++;
    groups_[g].factor = size_;
    if (__builtin_mul_overflow(size_, cardinalities[g], &size_)) throw Error("it is larger than any table");
  }
}

void Arrangement::cut(bool pawns) {
  const auto add = [&](int first, int size) { groups_.push_back({first, size, 0}); };
  const auto run = [&](int first) {  // length of the run of equal men
    int end = first;
    while (end < static_cast<int>(codes_.size()) && codes_[end] == codes_[first]) ++end;
    return end - first;
  };
  std::map<Code, int> count;
  for (Code code : codes_) ++count[code];
  for (int first = 0; first < static_cast<int>(codes_.size());) {
    const int size = run(first);
    if (size != count[codes_[first]]) throw Error("equal pieces are apart in it");
    first += size;
  }
  int next;
  if (pawns) {
    if (type_of(codes_[0]) != chess::kPawn) throw Error("its first piece is no pawn");
    add(0, next = run(0));
    second_ = type_of(codes_[next]) == chess::kPawn;
    if (second_) add(next, run(next)), next += run(next);
  } else {
    const auto unique = std::count_if(count.begin(), count.end(), [](const auto& entry) { return entry.second == 1; });
    next = unique >= 3 ? 3 : 2;
    for (int i = 0; i < next; ++i)
      if (next == 3 ? count[codes_[i]] != 1 : type_of(codes_[i]) != chess::kKing) throw Error("its first pieces make no sense");
    add(0, next);
  }
  for (; next < static_cast<int>(codes_.size()); next += run(next)) {
    if (type_of(codes_[next]) == chess::kPawn) throw Error("its pawns are apart");
    add(next, run(next));
  }
}

std::uint64_t Arrangement::cardinality(const Group& group, bool second, int& free, int pawn_file) const {
  if (second) return choose(48 - groups_[0].size, group.size);
  if (group.first == 0) return pawns_ ? leaders_below(group.size, 56 + pawn_file) : group.size == 3 ? 31332 : 462;
  free -= group.size;
  return choose(free + group.size, group.size);
}

int Arrangement::lead_pawn(const Square* pawns, int count) {
  return static_cast<int>(std::max_element(pawns, pawns + count, [](Square a, Square b) { return pawn_number(a) < pawn_number(b); }) - pawns);
}

std::uint64_t Arrangement::index(Square* squares) const {
  std::uint64_t sum = groups_[0].factor * (pawns_ ? lead_with_pawns(squares) : lead_without_pawns(squares));
  for (std::size_t g = 1; g < groups_.size(); ++g) {
    const auto& [first, size, factor] = groups_[g];
    sum += factor * combination(squares + first, size, squares, first, second_ && g == 1 ? 8 : 0);
  }
  return sum;
}

std::uint64_t Arrangement::lead_without_pawns(Square* squares) const {
  const int all = static_cast<int>(codes_.size()), lead = groups_[0].size;
  const auto change = [&](auto f) {
    for (Square* s = squares; s < squares + all; ++s) *s = f(*s);
  };
  if (file_of(squares[0]) > 3) change([](Square s) { return s ^ 7; });
  if (rank_of(squares[0]) > 3) change([](Square s) { return s ^ 56; });
  const Square* const off = std::find_if(squares, squares + lead, [](Square s) { return file_of(s) != rank_of(s); });
  if (off != squares + lead && rank_of(*off) > file_of(*off)) change([](Square s) { return s >> 3 | (s & 7) << 3; });

  const Square a = squares[0], b = squares[1];
  if (lead == 2) return kTriangles.kings[kTriangles.triangle[a]][b];
  const Square c = squares[2];
  const int p = b > a, q = (c > a) + (c > b);
  const auto on = [](Square s) { return file_of(s) == rank_of(s); };
  constexpr int kOneOn = 6 * 63 * 62, kTwoOn = kOneOn + 4 * 28 * 62, kAllOn = kTwoOn + 4 * 7 * 28;
  if (!on(a)) return (kTriangles.triangle[a] * 63 + b - p) * 62 + c - q;
  if (!on(b)) return kOneOn + (rank_of(a) * 28 + kTriangles.below[b]) * 62 + c - q;
  if (!on(c)) return kTwoOn + (rank_of(a) * 7 + rank_of(b) - p) * 28 + kTriangles.below[c];
  return kAllOn + (rank_of(a) * 7 + rank_of(b) - p) * 6 + rank_of(c) - q;
}

std::uint64_t Arrangement::lead_with_pawns(Square* squares) const {
  const int count = groups_[0].size;
  std::swap(squares[0], squares[lead_pawn(squares, count)]);
  if (file_of(squares[0]) > 3)
    for (Square* s = squares; s < squares + codes_.size(); ++s) *s ^= 7;
  std::sort(squares + 1, squares + count, [](Square a, Square b) { return pawn_number(a) < pawn_number(b); });
  std::uint64_t sum = leaders_below(count, squares[0]);
  for (int m = 1; m < count; ++m) sum += choose(pawn_number(squares[m]), m);
  return sum;
}

}  // namespace syzygy
