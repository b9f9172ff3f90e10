// Reads a table file from the front; every read is checked against the end before it happens.
#pragma once
#include <cstdint>
#include <span>

#include "error.h"

namespace syzygy {

class Reader {
 public:
  explicit Reader(std::span<const std::uint8_t> bytes) : bytes_(bytes) {}

  std::span<const std::uint8_t> take(std::uint64_t count) {
    if (count > bytes_.size() - at_) throw Error("it ends too early");
    const auto taken = bytes_.subspan(at_, count);
    at_ += count;
    return taken;
  }
  std::uint32_t number(int bytes) {  // little-endian
    std::uint32_t value = 0;
    int shift = 0;
    for (const std::uint8_t byte : take(bytes)) value |= std::uint32_t{byte} << shift, shift += 8;
    return value;
  }
  void align(std::uint64_t to) { take((to - at_ % to) % to); }

 private:
  std::span<const std::uint8_t> bytes_;
  std::uint64_t at_ = 0;
};

}  // namespace syzygy
