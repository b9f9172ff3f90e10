// A stream's arena for test_rocm_arena.py.
#include <optional>
#include <vector>

#include "rocm_calls.h"

namespace {
std::optional<rocm::Arena> arena;
}

extern "C" {
void arena_open() { arena.emplace(); }
void arena_close() { arena.reset(); }
size_t arena_bytes() { return arena->bytes(); }
size_t arena_peak() { return arena->peak(); }
size_t arena_largest() { return arena->largest(); }
int arena_reserve(size_t bytes) {
  return calls::guarded([&] { arena->reserve(bytes); });
}
int arena_grow(size_t bytes) { return arena->grow(bytes); }

// A pass: of each step the bytes that it takes, 0 for a scope that begins, -1 for the last one's end. `given`: what each step took.
int arena_pass(const long* steps, int count, void** given) {
  return calls::guarded([&] {
    std::vector<std::unique_ptr<rocm::Arena::Scope>> scopes;
    const auto begin = [&] { scopes.push_back(std::make_unique<rocm::Arena::Scope>(*arena)); };
    const struct Ends {  // the inner ones first, whatever is thrown
      decltype(scopes)& all;
      ~Ends() {
        while (!all.empty()) all.pop_back();
      }
    } ends{scopes};
    begin();
    for (int i = 0; i < count; ++i)
      if (steps[i] > 0) given[i] = arena->take(static_cast<size_t>(steps[i]));
      else if (steps[i] == 0) begin();
      else scopes.pop_back();
  });
}
}
