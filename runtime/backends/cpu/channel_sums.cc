#include "runtime/backends/cpu/channel_sums.h"

#include <algorithm>

namespace wsi::cpu {
namespace {

constexpr int64_t kWide = 64;          // Floats of a row at least.
constexpr int64_t kMaxPartials = 128;  // Chunks of a large tensor.

// The operands from element `at` on, the first of a row.
template <typename T>
GradSumOperands<T> From(GradSumOperands<T> operands, int64_t at) {
  for (const T** tensor : {&operands.dy, &operands.addend, &operands.x, &operands.y}) {
    if (*tensor != nullptr) *tensor += at;
  }
  if (operands.dz != nullptr) operands.dz += at;
  return operands;
}

}  // namespace

ChannelRows::ChannelRows(int64_t positions, int64_t channels)
    : positions_(positions),
      channels_(channels),
      repeat_(channels >= kWide ? 1 : CeilDiv(kWide, std::max<int64_t>(channels, 1))) {
  const int64_t grain = std::max(kGrain, CeilDiv(positions, kMaxPartials) * channels);
  chunks_ = ChunksOf(positions, channels, grain);
  chunks_.grain = AlignUp(chunks_.grain, repeat_);
}

Status ChannelRows::Require(Scratch& scratch) const {
  const Bytes doubles = 2 * (chunks_.count() * period() + 2 * channels_);
  return scratch.Require(doubles * 8 + kVectors * period() * 4, 2 * period() * 4);
}

std::span<double> ChannelRows::totals(const Scratch& scratch, int i) const {
  return {scratch.shared<double>() + i * channels_, static_cast<size_t>(channels_)};
}
double* ChannelRows::tail_partial(const Scratch& scratch, int i) const {
  return scratch.shared<double>() + (2 + i) * channels_;
}
double* ChannelRows::partial(const Scratch& scratch, int64_t chunk, int i) const {
  return scratch.shared<double>() + 4 * channels_ + (2 * chunk + i) * period();
}
float* ChannelRows::vector(const Scratch& scratch, int i) const {
  return reinterpret_cast<float*>(partial(scratch, chunks_.count(), 0)) + i * period();
}

template <typename T>
void ChannelMoments(Context& context, const ChannelRows& rows, const T* x) {
  const auto& loops = GetNormalizationLoops().Of<T>();
  const Scratch& scratch = context.scratch;
  const Chunks& chunks = rows.chunks();
  const int64_t channels = rows.channels();
  const int64_t period = rows.period();
  ForChunks(context.pool, chunks, [&](int64_t begin, int64_t end, int64_t chunk, int worker) {
    const int64_t whole = (end - begin) / rows.repeat();
    const T* p = x + begin * channels;
    float* block = scratch.worker<float>(worker);
    loops.moments(p, whole, period, rows.partial(scratch, chunk, 0),
                  rows.partial(scratch, chunk, 1), block);
    if (end == rows.positions() && rows.tail() > 0) {
      loops.moments(p + whole * period, rows.tail(), channels, rows.tail_partial(scratch, 0),
                    rows.tail_partial(scratch, 1), block);
    }
  });

  const std::span<double> mean = rows.totals(scratch, 0);
  const std::span<double> m2 = rows.totals(scratch, 1);
  std::fill(mean.begin(), mean.end(), 0.0);
  std::fill(m2.begin(), m2.end(), 0.0);
  // function(count, mean, m2) for each partial result, of `channels` each.
  const auto for_each_part = [&](const auto& function) {
    for (int64_t k = 0; k < chunks.count(); ++k) {
      const int64_t count = (chunks.end(k) - chunks.begin(k)) / rows.repeat();
      for (int64_t r = 0; r < rows.repeat(); ++r) {
        function(static_cast<double>(count), rows.partial(scratch, k, 0) + r * channels,
                 rows.partial(scratch, k, 1) + r * channels);
      }
    }
    if (rows.tail() > 0) {
      function(static_cast<double>(rows.tail()), rows.tail_partial(scratch, 0),
               rows.tail_partial(scratch, 1));
    }
  };
  const double inverse = 1.0 / static_cast<double>(rows.positions());
  for_each_part([&](double count, const double* part_mean, const double*) {
    for (size_t c = 0; c < mean.size(); ++c) mean[c] += part_mean[c] * (count * inverse);
  });
  for_each_part([&](double count, const double* part_mean, const double* part_m2) {
    for (size_t c = 0; c < mean.size(); ++c) {
      const double delta = part_mean[c] - mean[c];
      m2[c] += part_m2[c] + count * delta * delta;
    }
  });
}

template <typename T>
void ChannelGradSums(Context& context, const ChannelRows& rows,
                     const GradSumOperands<T>& operands) {
  const auto& loops = GetNormalizationLoops().Of<T>();
  const Scratch& scratch = context.scratch;
  const Chunks& chunks = rows.chunks();
  const int64_t channels = rows.channels();
  const int64_t period = rows.period();
  ForChunks(context.pool, chunks, [&](int64_t begin, int64_t end, int64_t chunk, int worker) {
    const int64_t whole = (end - begin) / rows.repeat();
    float* block = scratch.worker<float>(worker);
    const int64_t first = begin * channels;
    loops.grad_sums(From(operands, first), whole, period, rows.partial(scratch, chunk, 0),
                    rows.partial(scratch, chunk, 1), block);
    if (end == rows.positions() && rows.tail() > 0) {
      loops.grad_sums(From(operands, first + whole * period), rows.tail(), channels,
                      rows.tail_partial(scratch, 0), rows.tail_partial(scratch, 1), block);
    }
  });
  for (int i = 0; i < 2; ++i) {
    const std::span<double> total = rows.totals(scratch, i);
    std::fill(total.begin(), total.end(), 0.0);
    for (int64_t k = 0; k < chunks.count(); ++k) {
      const double* part = rows.partial(scratch, k, i);
      for (int64_t r = 0; r < rows.repeat(); ++r, part += channels) {
        for (size_t c = 0; c < total.size(); ++c) total[c] += part[c];
      }
    }
    if (rows.tail() > 0) {
      const double* part = rows.tail_partial(scratch, i);
      for (size_t c = 0; c < total.size(); ++c) total[c] += part[c];
    }
  }
}

template void ChannelMoments(Context&, const ChannelRows&, const float*);
template void ChannelGradSums(Context&, const ChannelRows&, const GradSumOperands<float>&);
template void ChannelMoments(Context&, const ChannelRows&, const Half*);
template void ChannelGradSums(Context&, const ChannelRows&, const GradSumOperands<Half>&);
template void ChannelMoments(Context&, const ChannelRows&, const BFloat16*);
template void ChannelGradSums(Context&, const ChannelRows&, const GradSumOperands<BFloat16>&);

}  // namespace wsi::cpu
