#include "runtime/backends/cpu/sums.h"

#include <algorithm>

#include "runtime/backends/cpu/loops/sum_loops.h"

namespace wsi::cpu {
namespace {

constexpr int64_t kColumnBlock = 4096;
constexpr int64_t kMaxRowChunks = 256;

}  // namespace

MiddleSum::MiddleSum(int64_t outer, int64_t reduced, int64_t inner)
    : outer_(outer), inner_(inner), columns_(std::max<int64_t>(1, CeilDiv(inner, kColumnBlock))) {
  rows_ = ChunksOf(reduced, std::min(inner, kColumnBlock), kGrain);
  rows_.grain = std::max(rows_.grain, CeilDiv(reduced, kMaxRowChunks));
  // Few enough chunks in all: whole columns where there are very many of them.
  if (outer_ * columns_ > ThreadPool::kMaxChunks / (2 * kMaxRowChunks)) {
    rows_.grain = std::max<int64_t>(reduced, 1);
  }
}

Status MiddleSum::Require(Scratch& scratch) const {
  const int64_t width = std::min(inner_, kColumnBlock);
  if (rows_.count() <= 1) return scratch.Require(0, width * 12);
  return scratch.Require(outer_ * rows_.count() * inner_ * 8, width * 12);
}

template <typename T, typename U>
void MiddleSum::Run(Context& context, const T* x, double factor, U* y) const {
  const auto& loops = GetSumLoops().Of<T>();
  const int64_t parts = rows_.count();
  double* partial = context.scratch.shared<double>();
  const auto reduce = [&](int64_t o, int64_t part, int64_t column, int worker) {
    const int64_t first = column * kColumnBlock;
    const int64_t width = std::min(kColumnBlock, inner_ - first);
    double* total = parts > 1 ? partial + (o * parts + part) * inner_ + first
                              : context.scratch.worker<double>(worker);
    const int64_t begin = rows_.begin(part);
    const T* p = x + (o * rows_.items + begin) * inner_ + first;
    const int64_t count = rows_.end(part) - begin;
    if (inner_ == 1) {
      *total = loops.sum(p, count);
    } else {
      std::fill(total, total + width, 0.0);
      float* block = reinterpret_cast<float*>(context.scratch.worker<double>(worker) +
                                              std::min(inner_, kColumnBlock));
      loops.columns(p, count, inner_, width, total, block);
    }
    if (parts > 1) return;
    U* out = y + o * inner_ + first;
    for (int64_t j = 0; j < width; ++j) Store(static_cast<float>(total[j] * factor), out[j]);
  };
  if (parts > 1) {
    context.pool.ParallelFor(outer_ * parts * columns_, [&](int64_t chunk, int worker) {
      const int64_t row = chunk / columns_;
      reduce(row / parts, row % parts, chunk % columns_, worker);
    });
    for (int64_t o = 0; o < outer_; ++o) {
      double* total = partial + o * parts * inner_;
      for (int64_t part = 1; part < parts; ++part) {
        const double* other = total + part * inner_;
        for (int64_t j = 0; j < inner_; ++j) total[j] += other[j];
      }
      for (int64_t j = 0; j < inner_; ++j) {
        Store(static_cast<float>(total[j] * factor), y[o * inner_ + j]);
      }
    }
    return;
  }
  // Short reductions: several columns of several outer indices a chunk.
  const Chunks chunks =
      ChunksOf(outer_ * columns_, rows_.items * std::min(inner_, kColumnBlock), kGrain);
  ForChunks(context.pool, chunks, [&](int64_t begin, int64_t end, int64_t, int worker) {
    for (int64_t k = begin; k < end; ++k) reduce(k / columns_, 0, k % columns_, worker);
  });
}

template <typename T>
double SquareSum::Run(Context& context, const T* x) const {
  const auto& loops = GetSumLoops().Of<T>();
  double* partial = context.scratch.shared<double>();
  ForChunks(context.pool, chunks_, [&](int64_t begin, int64_t end, int64_t chunk, int) {
    partial[chunk] = loops.squares(x + begin, end - begin);
  });
  double total = 0.0;
  for (int64_t c = 0; c < chunks_.count(); ++c) total += partial[c];
  return total;
}

template double SquareSum::Run(Context&, const float*) const;
template void MiddleSum::Run(Context&, const float*, double, float*) const;
template double SquareSum::Run(Context&, const Half*) const;
template void MiddleSum::Run(Context&, const Half*, double, float*) const;
template void MiddleSum::Run(Context&, const Half*, double, Half*) const;
template double SquareSum::Run(Context&, const BFloat16*) const;
template void MiddleSum::Run(Context&, const BFloat16*, double, float*) const;
template void MiddleSum::Run(Context&, const BFloat16*, double, BFloat16*) const;

}  // namespace wsi::cpu
