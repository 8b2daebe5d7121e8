// The memory of a running plan: where its buffers and values are, and values going in
// and out as tensors, persistent ones in ONNX's axis order.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "runtime/backends/backend.h"
#include "runtime/base/tensor.h"
#include "runtime/executor/managed_layout.h"
#include "runtime/memory/arena_set.h"
#include "runtime/plan/plan_file.h"

namespace wsi {

// Borrows plan file and backend. Values are read and written where they are, in
// whichever tier. All methods but the addresses wait for the copy to end; nothing may be
// running on the lanes.
class PlanMemory {
 public:
  // Of a managed plan: refuses more managed memory than the device has free, unless
  // `allow_oversubscription`.
  static Result<PlanMemory> Make(const PlanFile* file, Backend* backend,
                                 const SpillFileOptions& spill, bool allow_oversubscription);

  const plan::Plan& plan() const { return file_->plan(); }
  // Of a managed plan: all managed memory.
  Bytes device_arena_bytes() const { return managed_ ? managed_->size() : arenas_.device_bytes(); }
  // REQUIRES: not in the file tier.
  std::byte* BufferAddress(int32_t buffer) const;
  std::byte* ValueAddress(int32_t value) const;
  // The file tier; null where the plan has none.
  const SpillFile* spill_file() const { return arenas_.file(); }
  // Nothing in managed memory, where what ended in one buffer goes on in another.
  Status PoisonBuffer(int32_t buffer);
  // Everything that the arenas hold.
  Status PoisonAll();

  // Initial contents of every persistent, from the plan file.
  Status LoadPersistents();

  // In the value's own type and layout.
  Result<Tensor> Read(int32_t value) const;
  // REQUIRES: as many bytes as the value has.
  Status WriteBytes(int32_t value, std::span<const std::byte> bytes);
  // Pixels as numbers (Backend::WritePixels), from the value's element `begin` on.
  Status WritePixels(int32_t value, int64_t begin, std::span<const uint8_t> rgb);
  // `tensor` has the value's shape; another number type is cast, floats never to
  // integers.
  Status Write(int32_t value, const Tensor& tensor);

  // Persistent `i`, or its gradient, in ONNX's shape.
  Result<Tensor> ReadPersistent(int i) const;
  Result<Tensor> ReadGradient(int i) const;
  Status WritePersistent(int i, const Tensor& tensor);

 private:
  PlanMemory(const PlanFile* file, Backend* backend, ArenaSet arenas)
      : file_(file), backend_(backend), arenas_(std::move(arenas)) {}
  static Result<PlanMemory> MakeManaged(const PlanFile* file, Backend* backend, ArenaSet files,
                                        bool allow_oversubscription);
  Status ReadBuffer(int32_t buffer, std::span<std::byte> to) const;
  Status WriteBuffer(int32_t buffer, std::span<const std::byte> from);
  Result<Tensor> ToOnnx(int persistent, Tensor tensor) const;

  const PlanFile* file_;
  Backend* backend_;
  ArenaSet arenas_;
  ManagedLayout layout_;            // Of a managed plan,
  std::unique_ptr<Arena> managed_;  // and its memory.
};

}  // namespace wsi
