#include "nn/backend.h"

#include <algorithm>

#include "error.h"

namespace nn {
namespace {

struct Entry {
  Registration::Create create;
  Registration::WhyNot why_not;
  bool needs_network;
  Registration::Where where;
};

std::map<std::string, Entry>& registry() {
  static std::map<std::string, Entry> entries;  // inside a function: registrations run before main, in any order
  return entries;
}

template <class T>
T value_or(const Options& options, const std::string& key, T fallback, const char* wanted) {
  options.asked.insert(key);
  const auto found = options.values.find(key);
  if (found == options.values.end()) return fallback;
  if (const T* value = std::get_if<T>(&found->second)) return *value;
  throw Error("back-end option " + key + " must be " + wanted);
}

}  // namespace

bool Options::flag(const std::string& key, bool fallback) const {
  return value_or<bool>(*this, key, fallback, "true or false");
}

std::int64_t Options::integer(const std::string& key, std::int64_t fallback) const {
  return value_or<std::int64_t>(*this, key, fallback, "an integer");
}

double Options::number(const std::string& key, double fallback) const {
  const auto found = values.find(key);
  if (found != values.end() && std::holds_alternative<std::int64_t>(found->second))
    return static_cast<double>(integer(key, 0));
  return value_or<double>(*this, key, fallback, "a number");
}

std::string Options::text(const std::string& key, const std::string& fallback) const {
  return value_or<std::string>(*this, key, fallback, "text");
}

bool Options::asked_for(const std::string& key) const {
  return asked.contains(key) || std::ranges::any_of(children, [&](const auto& child) { return child.options.asked_for(key); });
}

std::vector<std::string> Options::unasked() const {
  std::vector<std::string> keys;
  for (const auto& [key, value] : values)
    if (!asked_for(key)) keys.push_back(key);
  for (const auto& [name, child, made] : children)
    for (const std::string& key : child.unasked())
      if (!values.contains(key)) keys.push_back(name + "." + key);
  return keys;
}

Registration::Registration(std::string name, Create create, WhyNot why_not, bool needs_network, Where where) {
  registry()[std::move(name)] = {std::move(create), std::move(why_not), needs_network, std::move(where)};
}

std::vector<Registered> registered_backends() {
  std::vector<Registered> all;
  for (const auto& [name, entry] : registry())
    all.push_back({name, entry.why_not ? entry.why_not() : std::string(), entry.needs_network,
                   entry.where ? entry.where() : std::string()});
  return all;
}

std::unique_ptr<Backend> create_backend(const std::string& name, std::shared_ptr<const Network> network,
                                        const Options& options) {
  const auto found = registry().find(name);
  if (found == registry().end()) {
    std::string names;
    for (const auto& [known, entry] : registry()) names += (names.empty() ? "" : ", ") + known;
    throw Error("unknown back end " + name + "; there are " + names);
  }
  const Entry& entry = found->second;
  if (entry.why_not)
    if (const std::string reason = entry.why_not(); !reason.empty()) throw Error(name + ": " + reason);
  if (entry.needs_network && !network) throw Error(name + " needs a network; give one with --weights");
  return entry.create(std::move(network), options);
}

}  // namespace nn
