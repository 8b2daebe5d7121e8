// Per-channel sums over the positions of a channels-last tensor, and the cutting of
// such tensors into chunks.
#pragma once

#include <cstdint>
#include <span>

#include "runtime/backends/cpu/compile.h"
#include "runtime/backends/cpu/loops/normalization_loops.h"

namespace wsi::cpu {

// `positions` x `channels` elements as rows of `repeat` positions each, so that rows of
// narrow tensors are wide enough for vectors; the last row may be shorter.
class ChannelRows {
 public:
  ChannelRows(int64_t positions, int64_t channels);

  int64_t positions() const { return positions_; }
  int64_t channels() const { return channels_; }
  int64_t repeat() const { return repeat_; }
  int64_t period() const { return repeat_ * channels_; }
  // Chunks of positions; all but the last consist of whole rows.
  const Chunks& chunks() const { return chunks_; }

  // Scratch for the functions below.
  Status Require(Scratch& scratch) const;
  // The i-th of kVectors per-channel operands, repeated to period() floats.
  static constexpr int kVectors = 5;
  float* vector(const Scratch& scratch, int i) const;
  // vector i [j] = value(j % channels).
  template <typename F>
  const float* FillVector(const Scratch& scratch, int i, const F& value) const {
    float* v = vector(scratch, i);
    for (int64_t c = 0; c < channels_; ++c) v[c] = static_cast<float>(value(c));
    for (int64_t j = channels_; j < period(); ++j) v[j] = v[j - channels_];
    return v;
  }
  // Two totals per channel, in fp64.
  std::span<double> totals(const Scratch& scratch, int i) const;
  // Two partial results of period() each for a chunk, and of channels() for the tail.
  double* partial(const Scratch& scratch, int64_t chunk, int i) const;
  double* tail_partial(const Scratch& scratch, int i) const;
  int64_t tail() const { return positions_ % repeat_; }

 private:
  int64_t positions_;
  int64_t channels_;
  int64_t repeat_;
  Chunks chunks_;
};

// totals(0) = mean and totals(1) = sum of squared deviations of each channel of x.
template <typename T>
void ChannelMoments(Context& context, const ChannelRows& rows, const T* x);

// totals(0) = sum of dz and totals(1) = sum of dz * (x - mean).
template <typename T>
void ChannelGradSums(Context& context, const ChannelRows& rows, const GradSumOperands<T>& operands);

}  // namespace wsi::cpu
