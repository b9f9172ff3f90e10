#include "backends/rocm/linear/planner.h"

#include <algorithm>
#include <charconv>
#include <sstream>

#include "backends/rocm/linear/libraries.h"
#include "error.h"

namespace rocm {
namespace {

// Not by a stream's operators: they fail between libraries of which one has the C++ library linked in.
bool to_float(const std::string& word, float& value) {
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
  return error == std::errc() && end == word.data() + word.size();
}

}  // namespace

Planner::Planner(const Device& device, const std::string& without, const std::string& plans) : architecture_(device.architecture) {
  for (const Library& library : kLibraries)
    if (has_kernels(library, architecture_)) allowed_.insert(library.name);
  std::istringstream names(without);
  for (std::string name; names >> name; allowed_.erase(name))
    if (std::ranges::find(kLibraries, name, &Library::name) == std::end(kLibraries))
      throw Error("back-end option without names " + name + ", expected some of hipblaslt, rocblas, miopen");
  std::istringstream lines(plans);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string key, time, more;
    Entry entry;
    if (words >> key >> entry.winner >> time && !(words >> more) && to_float(time, entry.microseconds)) table_[key] = entry;
  }
}

bool Planner::prefers(const std::string& library) const { return may_call(library) && !is_weak(library, architecture_); }

std::optional<std::string> Planner::planned(const std::string& key) const {
  const std::scoped_lock lock(mutex_);
  const auto entry = table_.find(key);
  return entry == table_.end() ? std::nullopt : std::optional(entry->second.winner);
}

void Planner::settle(const std::string& key, const std::string& winner, float microseconds) {
  const std::scoped_lock lock(mutex_);
  table_[key] = {winner, microseconds};
}

std::string Planner::plans() const {
  const std::scoped_lock lock(mutex_);
  std::string text;
  for (const auto& [key, entry] : table_) text += key + ' ' + entry.winner + ' ' + std::to_string(entry.microseconds) + '\n';
  return text;
}

void Planner::measure_for(double seconds) {
  measure_until_ = Clock::now() + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
}

}  // namespace rocm
