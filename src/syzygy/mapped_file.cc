#include "syzygy/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "error.h"

namespace syzygy {

MappedFile::MappedFile(const std::string& path) {
  const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);  // a pipe would wait for somebody who writes
  struct stat facts {};
  void* memory = MAP_FAILED;
  if (file >= 0 && fstat(file, &facts) == 0 && facts.st_size > 0)
    memory = mmap(nullptr, facts.st_size, PROT_READ, MAP_SHARED, file, 0);
  const int reason = errno;
  if (file >= 0) close(file);
  const bool regular = S_ISREG(facts.st_mode);
  if (memory == MAP_FAILED) throw Error(file < 0 || (regular && facts.st_size > 0) ? std::strerror(reason) : regular ? "it is empty" : "it is no file");
  madvise(memory, facts.st_size, MADV_RANDOM);
  bytes_ = {static_cast<const std::uint8_t*>(memory), static_cast<std::size_t>(facts.st_size)};
}

MappedFile::~MappedFile() { munmap(const_cast<std::uint8_t*>(bytes_.data()), bytes_.size()); }

}  // namespace syzygy
