#include "runtime/backends/cpu/strided_copy.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>

namespace wsi::cpu {
namespace {

// Elements on a side of a transposed tile: 16 cache lines of fp32 each way.
constexpr int64_t kTile = 16;

struct Offsets {
  int64_t from = 0;
  int64_t to = 0;
};

template <typename T>
void CopyRun(const T* from, int64_t from_stride, T* to, int64_t to_stride, int64_t n) {
  if (from_stride == 1 && to_stride == 1) {
    std::memcpy(to, from, static_cast<size_t>(n) * sizeof(T));
  } else if (from_stride == 0 && to_stride == 1) {
    std::fill(to, to + n, *from);
  } else if (to_stride == 1) {
    for (int64_t i = 0; i < n; ++i) to[i] = from[i * from_stride];
  } else if (from_stride == 1) {
    for (int64_t i = 0; i < n; ++i) to[i * to_stride] = from[i];
  } else {
    for (int64_t i = 0; i < n; ++i) to[i * to_stride] = from[i * from_stride];
  }
}

// The indices [begin, end) of an axis.
struct Range {
  int64_t begin = 0;
  int64_t end = 0;
};

// The block of two axes, inner runs of at most `step` elements.
template <typename T>
void CopyBlock(const StridedCopy::Axis& middle, Range m_range, const StridedCopy::Axis& inner,
               Range i_range, int64_t step, const T* from, T* to) {
  for (int64_t first = i_range.begin; first < i_range.end; first += step) {
    const int64_t count = std::min(step, i_range.end - first);
    for (int64_t m = m_range.begin; m < m_range.end; ++m) {
      CopyRun(from + m * middle.from_stride + first * inner.from_stride, inner.from_stride,
              to + m * middle.to_stride + first * inner.to_stride, inner.to_stride, count);
    }
  }
}

bool IsContiguous(const StridedCopy::Axis& axis) {
  return axis.from_stride == 1 && axis.to_stride == 1;
}

}  // namespace

std::vector<int64_t> RowMajorStrides(const Shape& shape) {
  std::vector<int64_t> strides(static_cast<size_t>(shape.rank()), 1);
  for (int axis = shape.rank() - 1; axis > 0; --axis) {
    strides[static_cast<size_t>(axis) - 1] = strides[static_cast<size_t>(axis)] * shape[axis];
  }
  return strides;
}

StridedCopy::StridedCopy(std::span<const Axis> axes, int64_t from_offset, int64_t to_offset,
                         Bytes element_bytes)
    : from_offset_(from_offset), to_offset_(to_offset), element_bytes_(element_bytes) {
  std::vector<Axis> merged;
  for (const Axis& axis : axes) {
    if (axis.size == 1) continue;
    if (!merged.empty() && merged.back().from_stride == axis.from_stride * axis.size &&
        merged.back().to_stride == axis.to_stride * axis.size) {
      merged.back() = {merged.back().size * axis.size, axis.from_stride, axis.to_stride};
    } else {
      merged.push_back(axis);
    }
  }
  // The axis of unit stride in `to` is last as written. Where `from` has its unit
  // stride on another axis, that one becomes the middle one, or the inner one if it is
  // much the longer.
  const auto unit_from = std::find_if(merged.begin(), merged.end(),
                                      [](const Axis& axis) { return axis.from_stride == 1; });
  if (unit_from != merged.end() && unit_from + 1 != merged.end()) {
    const bool inner = unit_from->size >= kTile && merged.back().size < kTile;
    std::rotate(unit_from, unit_from + 1, merged.end());
    if (!inner && merged.size() >= 2) std::swap(merged.back(), merged[merged.size() - 2]);
  }
  if (!merged.empty()) {
    inner_ = merged.back();
    merged.pop_back();
  }
  if (!merged.empty()) {
    middle_ = merged.back();
    merged.pop_back();
  }
  tiled_ = !IsContiguous(inner_) && middle_.size >= kTile && inner_.size >= kTile;
  inner_tile_ = std::clamp<int64_t>(inner_.size, 1, kGrain);
  inner_tiles_ = CeilDiv(inner_.size, inner_tile_);
  middle_tile_ = tiled_ ? kTile : std::max<int64_t>(1, 4096 / inner_tile_);
  middle_tiles_ = CeilDiv(middle_.size, middle_tile_);
  rows_ = middle_tiles_ * inner_tiles_;
  for (const Axis& axis : merged) rows_ *= axis.size;
  outer_ = std::move(merged);
}

void StridedCopy::CopyRows(int64_t begin, int64_t end, const std::byte* from, std::byte* to) const {
  for (int64_t row = begin; row < end; ++row) {
    int64_t index = row / inner_tiles_ / middle_tiles_;
    Offsets at{from_offset_, to_offset_};
    for (size_t d = outer_.size(); d-- > 0;) {
      at.from += index % outer_[d].size * outer_[d].from_stride;
      at.to += index % outer_[d].size * outer_[d].to_stride;
      index /= outer_[d].size;
    }
    const int64_t m = row / inner_tiles_ % middle_tiles_ * middle_tile_;
    const int64_t i = row % inner_tiles_ * inner_tile_;
    const Range middle{m, std::min(m + middle_tile_, middle_.size)};
    const Range inner{i, std::min(i + inner_tile_, inner_.size)};
    const auto copy = [&]<typename T>(T) {
      CopyBlock(middle_, middle, inner_, inner, tiled_ ? kTile : inner_tile_,
                reinterpret_cast<const T*>(from) + at.from, reinterpret_cast<T*>(to) + at.to);
    };
    switch (element_bytes_) {
      case 1: copy(uint8_t{}); break;
      case 2: copy(uint16_t{}); break;
      case 4: copy(uint32_t{}); break;
      default: copy(uint64_t{}); break;
    }
  }
}

void StridedCopy::Run(ThreadPool& pool, const std::byte* from, std::byte* to) const {
  ForChunks(pool, ChunksOf(rows_, middle_tile_ * inner_tile_, kGrain),
            [&](int64_t begin, int64_t end, int64_t, int) { CopyRows(begin, end, from, to); });
}

}  // namespace wsi::cpu
