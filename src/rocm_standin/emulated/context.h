// Switching between stacks. On x86-64 a dozen instructions (ucontext makes two system calls a switch); elsewhere ucontext.
#pragma once
#include <cstddef>
#include <cstdint>

#if defined(__x86_64__)

namespace hip_emulated {
using Context = void*;  // the stack pointer; the registers a call preserves lie on the stack
extern "C" void hip_emulated_switch(Context* from, Context to);

inline void switch_context(Context& from, Context& to) { hip_emulated_switch(&from, to); }

// A context that calls `entry` on its own stack when first switched to; `entry` never returns.
inline void make_context(Context& context, std::byte* stack, size_t bytes, void (*entry)()) {
  auto** top = reinterpret_cast<void**>(reinterpret_cast<std::uintptr_t>(stack + bytes) & ~std::uintptr_t{15});
  *--top = nullptr;                          // the return address of `entry`
  *--top = reinterpret_cast<void*>(entry);   // where the first switch returns to
  for (int i = 0; i < 6; ++i) *--top = nullptr;
  context = top;
}
}  // namespace hip_emulated

#else

#include <ucontext.h>

namespace hip_emulated {
using Context = ucontext_t;
inline void switch_context(Context& from, Context& to) { swapcontext(&from, &to); }
inline void make_context(Context& context, std::byte* stack, size_t bytes, void (*entry)()) {
  getcontext(&context);
  context.uc_stack.ss_sp = stack;
  context.uc_stack.ss_size = bytes;
  context.uc_link = nullptr;
  makecontext(&context, entry, 0);
}
}  // namespace hip_emulated

#endif
