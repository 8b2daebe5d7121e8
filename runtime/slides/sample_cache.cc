#include "runtime/slides/sample_cache.h"

#include <algorithm>
#include <new>
#include <utility>

#include "runtime/base/status.h"

namespace wsi {

bool SampleCache::Get(int64_t row, std::span<uint8_t> out) {
  WSI_CHECK(out.size() == sample_bytes_);
  const std::scoped_lock lock(mutex_);
  const auto found = by_row_.find(row);
  if (found == by_row_.end()) return false;
  entries_.splice(entries_.begin(), entries_, found->second);
  std::copy_n(found->second->pixels.get(), sample_bytes_, out.data());
  return true;
}

void SampleCache::Put(int64_t row, std::span<const uint8_t> pixels) {
  WSI_CHECK(pixels.size() == sample_bytes_);
  if (capacity_ == 0) return;
  const std::scoped_lock lock(mutex_);
  if (by_row_.contains(row)) return;
  Entry entry{.row = row, .pixels = nullptr};
  if (entries_.size() == capacity_) {
    entry.pixels = std::move(entries_.back().pixels);
    by_row_.erase(entries_.back().row);
    entries_.pop_back();
  } else {
    entry.pixels.reset(new (std::nothrow) uint8_t[sample_bytes_]);
    if (entry.pixels == nullptr) return;
  }
  std::copy_n(pixels.data(), sample_bytes_, entry.pixels.get());
  entries_.push_front(std::move(entry));
  by_row_.emplace(row, entries_.begin());
}

}  // namespace wsi
