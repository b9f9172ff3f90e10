/* What scripts/isa_translate.py makes of the code objects of one GPU target: a library whose one symbol is `isa_code`. The machine code
   itself stays what it was; each kind of instruction is a C function over a wave's registers, made from AMD's description of the
   instruction by tinygrad's emulator, that reads the instruction at the program counter. Plain C, for the translated code. */
#pragma once

#define ISA_MEMORY_KINDS 6 /* what a step gets: scalar registers, vector registers, memory from address 0, LDS, scratch, AGPRs */
#define ISA_PC 256         /* the scalar register, and the next, that hold the program counter; all ones: the wave has ended */
#define ISA_SCALARS 260

#ifdef __cplusplus
extern "C" {
#endif

typedef void (*isa_step)(void** memory);

struct isa_argument {
  const char* kind; /* of the code object's notes: global_buffer, by_value, hidden_group_size_x ... */
  unsigned offset, bytes;
};

struct isa_kernel {
  const char* name;                      /* mangled */
  const struct isa_argument* arguments;
  unsigned argument_count, argument_bytes;
  unsigned entry, end;                   /* in the image */
  unsigned lds, scratch;                 /* bytes: static LDS of a block, private memory of a lane */
  unsigned most_threads;                 /* of a block, that it was compiled for */
  unsigned rsrc1, rsrc2, properties, preload;  /* of the kernel's descriptor */
};

struct isa_instruction {
  const char* name;
  isa_step step;   /* null: cannot be executed */
  int is_barrier;
};

struct isa_code {
  const char* target;                          /* gfx1100 */
  int generation, wave;                        /* 9, 11, 12; lanes */
  unsigned char* image;                        /* machine code and constants, as loaded */
  unsigned long bytes;
  const unsigned short* instruction_of_word;   /* of the image's words of four bytes: which of `instructions` begins there; 0: none does */
  const struct isa_instruction* instructions;  /* the first is no instruction */
  const struct isa_kernel* kernels;
  int kernel_count;
};

#ifdef __cplusplus
}
#endif
