// Decoded samples kept within a budget of bytes, least recently used dropped first.
#pragma once

#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <span>
#include <unordered_map>

#include "runtime/base/checked.h"

namespace wsi {

// All samples have the same size. Thread-safe. Keeps nothing where memory is refused: it is an
// optimisation, and the sample is there without it.
class SampleCache {
 public:
  // REQUIRES: budget >= 0, sample_bytes > 0.
  SampleCache(Bytes budget, Bytes sample_bytes)
      : sample_bytes_(static_cast<size_t>(sample_bytes)),
        capacity_(static_cast<size_t>(budget / sample_bytes)) {}

  // Copies the sample of `row` to `out` if it is here. REQUIRES: out has sample_bytes.
  bool Get(int64_t row, std::span<uint8_t> out);
  // Keeps a copy. REQUIRES: pixels has sample_bytes.
  void Put(int64_t row, std::span<const uint8_t> pixels);

 private:
  struct Entry {
    int64_t row = 0;
    std::unique_ptr<uint8_t[]> pixels;
  };

  const size_t sample_bytes_;
  const size_t capacity_;  // samples
  std::mutex mutex_;
  std::list<Entry> entries_;  // Most recently used first; at most capacity_.
  std::unordered_map<int64_t, std::list<Entry>::iterator> by_row_;
};

}  // namespace wsi
