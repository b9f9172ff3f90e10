// The contract of a back end: positions in, raw policy logits and values out.
#pragma once
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "chess/encode.h"
#include "chess/policy.h"
#include "error.h"
#include "nn/layers.h"
#include "nn/network.h"

namespace nn {

class Evaluator;
struct NamedOptions;

// Parsed BackendOptions: values of this level and, in order, named sub-dictionaries (already holding what they inherit).
struct Options {
  std::map<std::string, std::variant<bool, std::int64_t, double, std::string>> values;
  std::vector<NamedOptions> children;

  bool flag(const std::string& key, bool fallback) const;
  std::int64_t integer(const std::string& key, std::int64_t fallback) const;
  double number(const std::string& key, double fallback) const;  // an integer is accepted too
  std::string text(const std::string& key, const std::string& fallback) const;

  // Keys that no back end asked for, neither here nor where a sub-dictionary inherits them; those of sub-dictionaries as "name.key".
  std::vector<std::string> unasked() const;
  bool asked_for(const std::string& key) const;

  mutable std::set<std::string> asked;
};

struct NamedOptions {
  std::string name;
  Options options;
  std::shared_ptr<Evaluator> made = nullptr;  // a back end that is there already: its options have been used
};

// What the search and the reports want to know of a back end.
struct Info {
  std::string device;         // one line for people: "CPU, 2 threads, x86-64-v3, oneDNN 3.2, fp32"
  chess::InputFormat input_format = chess::InputFormat::kClassical;
  bool wdl = false;           // d is meaningful
  bool moves_left = false;    // m is meaningful
  bool half = false;          // computed with 16-bit numbers, and so exact
  bool cpu = false;           // evaluation runs on the processor: every position of a batch costs its share
  int max_batch = 1024;       // evaluate() takes no more at once
  int best_batch = 256;       // recommended minibatch
  int threads = 1;            // search threads that keep it busy
  std::vector<int> sizes;     // of batches, to which others are filled up; each may be computed another way. None: all are computed alike
};

struct Value {
  float q = 0;  // win - loss, side to move's view
  float d = 0;  // draw probability, 0 without WDL
  float m = 0;  // plies left, 0 without a moves-left head
};

// A batch. The pointers belong to the caller; a back end gets at most max_batch positions at once.
struct Batch {
  int size = 0;
  const chess::Planes* planes = nullptr;     // (size)
  // Policy wanted: position i gets the logits of moves[first_move[i]] .. moves[first_move[i + 1] - 1], in that order at the
  // same places of `policy`. With moves == nullptr: all 1858 of every position, policy is (size, 1858). With
  // policy == nullptr: no policy.
  const std::uint16_t* moves = nullptr;
  const std::uint32_t* first_move = nullptr;  // (size + 1)
  float* policy = nullptr;                   // raw logits
  Value* values = nullptr;                   // (size)

  // Positions begin .. begin + count - 1 of it, over the same memory: first_move keeps counting from the start of `moves`.
  Batch part(int begin, int count) const {
    Batch part = *this;
    part.size = count;
    part.planes += begin;
    if (moves) part.first_move += begin;
    else if (policy) part.policy += static_cast<std::size_t>(begin) * chess::kPolicySize;
    if (values) part.values += begin;
    return part;
  }
};

// Calls visit(position, move, place) for every logit that positions begin .. begin + count - 1 want; it belongs into policy[place].
template <class Visit>
void for_each_logit(const Batch& batch, int begin, int count, Visit&& visit) {
  if (!batch.policy) return;
  for (int i = begin; i < begin + count; ++i) {
    if (batch.moves) {
      for (std::size_t j = batch.first_move[i]; j < batch.first_move[i + 1]; ++j) visit(i, batch.moves[j], j);
    } else {
      for (std::uint16_t move = 0; move < chess::kPolicySize; ++move)
        visit(i, move, static_cast<std::size_t>(i) * chess::kPolicySize + move);
    }
  }
}

// All that one thread needs to evaluate: used by one thread at a time, independent of other sessions.
class Session {
 public:
  virtual ~Session() = default;
  virtual void evaluate(const Batch& batch) = 0;  // blocking; throws Error
  // The same in a pass of its own, slower, in which `visit` sees layers. What visit.see throws goes through.
  virtual void inspect(const Batch&, const Visit&) { throw Error("this back end shows no layers of a network"); }
  virtual void rest() {}                          // its user has left: nothing is asked until another comes
};

// A loaded network on a device, as back ends implement it; users go through evaluator.h. Thread-safe; outlives its sessions.
class Backend {
 public:
  virtual ~Backend() = default;
  virtual const Info& info() const = 0;
  virtual std::unique_ptr<Session> open() = 0;
  // That its sessions can show; none where they cannot inspect.
  virtual std::vector<Layer> layers() const { return {}; }
  // What users should know of and has happened since this was called last, a sentence each: one GPU of several has failed.
  virtual std::vector<std::string> take_news() { return {}; }
  // What it has measured of this machine: the option `plans` of the next one. Empty where nothing is measured. Thread-safe.
  virtual std::string plans() const { return {}; }
  // Whether memory that it did without when it was made is free by now: made anew, it would take larger batches. Thread-safe.
  virtual bool has_more_room() const { return false; }
};

// Registry. A back end is a folder with one static Registration a name; nothing else lists it.
struct Registration {
  using Create = std::function<std::unique_ptr<Backend>(std::shared_ptr<const Network>, const Options&)>;
  using WhyNot = std::function<std::string()>;  // empty: usable on this machine; else one sentence
  using Where = std::function<std::string()>;   // for people: what it would run on
  Registration(std::string name, Create create, WhyNot why_not = nullptr, bool needs_network = true, Where where = nullptr);
};

struct Registered {
  std::string name;
  std::string why_not;  // empty: usable here
  bool needs_network;
  std::string where;  // what it would run on; empty: nothing to say
};

std::vector<Registered> registered_backends();  // sorted by name
// Throws Error for an unknown name, an unusable back end or a missing network.
std::unique_ptr<Backend> create_backend(const std::string& name, std::shared_ptr<const Network> network, const Options& options);

}  // namespace nn
