"""lc0rocm: a UCI chess engine and library that runs Lc0 networks."""
