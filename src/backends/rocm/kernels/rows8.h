// Rows in 8 bits. No device code: hosts read this too.
#pragma once
#include <cstddef>
#include <cstdint>

namespace rocm {

// Whole numbers of -127 to 127; or numbers of a sign, four bits of exponent and three of mantissa: as OCP has them, up to 448, or as gfx942 (FNUZ), with
// twice the exponents below, up to 240 (fp8.h).
enum class Numbers : std::uint8_t { kInt8, kFp8, kFp8Fnuz };

constexpr float most_of(Numbers kind) { return kind == Numbers::kInt8 ? 127 : kind == Numbers::kFp8 ? 448 : 240; }

// f<kind>()
template <class F>
void with_numbers(Numbers kind, F&& f) {
  if (kind == Numbers::kInt8) f.template operator()<Numbers::kInt8>();
  else if (kind == Numbers::kFp8) f.template operator()<Numbers::kFp8>();
  else f.template operator()<Numbers::kFp8Fnuz>();
}

// Numbers, times a scale each row; or none.
struct Rows8 {
  void* numbers = nullptr;  // (rows, cols)
  float* scales = nullptr;  // (rows)
  Numbers kind = Numbers::kInt8;
  explicit operator bool() const { return numbers; }
  Rows8 from(std::size_t row, std::size_t cols) const { return {static_cast<std::int8_t*>(numbers) + row * cols, scales + row, kind}; }
};

}  // namespace rocm
