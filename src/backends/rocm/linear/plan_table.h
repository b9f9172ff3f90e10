// Which way of computing a shape won its auction, by device, library versions, types and shape: one table a process, which Python fills from
// a file and reads back. C++ reads no files.
#pragma once
#include <functional>
#include <optional>
#include <string>

namespace rocm {

// Keys and winners are words without spaces: "gfx1100/rocblas5.2.0/hipblaslt1.2.2/half/gemm/b1/r512/c768/d768/w1/bias/mish" -> "own:64x64:k2".
std::optional<std::string> planned(const std::string& key);  // thread-safe, as all here
void plan(const std::string& key, const std::string& winner, float microseconds);

// "key winner microseconds" a line. load skips lines that it cannot read.
void load_plans(const std::string& text);
std::string save_plans();
void clear_plans();

// A library that failed its probe ("rocblas", "hipblaslt", "miopen") is not called any more, whatever a plan says.
void shun(const std::string& library, bool shun = true);
bool shuns(const std::string& library);

// Whether an unknown shape is measured (at load and by `lc0rocm tune`) or takes its default (in play). Per thread. After
// interrupt_measuring(true) nobody is measuring(), and a measurement in progress ends without a winner.
class Measuring {
 public:
  explicit Measuring(std::function<void()> begins = {});  // called once, before the first measurement, if there is one
  ~Measuring();
};
bool measuring();
void measurement_begins();
void interrupt_measuring(bool stop);

}  // namespace rocm
