#include "backends/rocm/linear/plan_table.h"

#include <atomic>
#include <charconv>
#include <map>
#include <mutex>
#include <set>
#include <sstream>
#include <utility>

namespace rocm {
namespace {

struct Entry {
  std::string winner;
  float microseconds;
};
std::mutex mutex;  // of all below
std::map<std::string, Entry> table;
std::set<std::string> shunned;

std::atomic<bool> interrupted = false;
thread_local int measurers = 0;
thread_local std::function<void()> first_begins;  // not called yet

// Not by a stream's operators: they fail between libraries of which one has the C++ library linked in.
bool to_float(const std::string& word, float& value) {
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
  return error == std::errc() && end == word.data() + word.size();
}

}  // namespace

std::optional<std::string> planned(const std::string& key) {
  const std::scoped_lock lock(mutex);
  const auto entry = table.find(key);
  return entry == table.end() ? std::nullopt : std::optional(entry->second.winner);
}

void plan(const std::string& key, const std::string& winner, float microseconds) {
  const std::scoped_lock lock(mutex);
  table[key] = {winner, microseconds};
}

void load_plans(const std::string& text) {
  const std::scoped_lock lock(mutex);
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string key, time, more;
    Entry entry;
    if (words >> key >> entry.winner >> time && !(words >> more) && to_float(time, entry.microseconds)) table[key] = entry;
  }
}

std::string save_plans() {
  const std::scoped_lock lock(mutex);
  std::string text;
  for (const auto& [key, entry] : table) text += key + ' ' + entry.winner + ' ' + std::to_string(entry.microseconds) + '\n';
  return text;
}

void clear_plans() {
  const std::scoped_lock lock(mutex);
  table.clear();
}

void shun(const std::string& library, bool shun) {
  const std::scoped_lock lock(mutex);
  if (shun) shunned.insert(library);
  else shunned.erase(library);
}

bool shuns(const std::string& library) {
  const std::scoped_lock lock(mutex);
  return shunned.contains(library);
}

Measuring::Measuring(std::function<void()> begins) {
  ++measurers;
  first_begins = std::move(begins);
}
Measuring::~Measuring() {
  --measurers;
  first_begins = nullptr;
}
bool measuring() { return measurers > 0 && !interrupted; }
void measurement_begins() {
  if (const auto tell = std::exchange(first_begins, nullptr)) tell();
}
void interrupt_measuring(bool stop) { interrupted = stop; }

}  // namespace rocm
