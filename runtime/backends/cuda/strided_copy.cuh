// Copies between strided tensors of any type.
#pragma once

#include "runtime/backends/cuda/strided.cuh"

namespace wsi::cuda {

// Element by element, as wide as rows, strides and starts allow; where rows of one tensor
// lie across those of the other, in tiles through shared memory, so that both are accessed
// along their rows.
class StridedCopy {
 public:
  // Tensor 0 of the axes is read, tensor 1 written, along the last axis in one piece.
  StridedCopy(const Axes<2>& axes, Bytes element);
  // Both aligned to 16 bytes.
  void Run(const std::byte* from, std::byte* to, cudaStream_t stream) const;

 private:
  bool CanDouble() const;
  void Double();
  // The axis that tensor 0 lies along, if tiles of it and the last one are worth it, or -1.
  int TileAxis() const;

  Axes<2> axes_;
  Bytes unit_;
  int tile_axis_ = -1;
};

}  // namespace wsi::cuda
