// The arenas that a plan runs in: one per tier, of exactly the planned size (a file's in
// whole blocks).
#pragma once

#include <cstddef>
#include <memory>

#include "runtime/backends/backend.h"
#include "runtime/base/checked.h"
#include "runtime/base/status.h"
#include "runtime/memory/spill_file.h"

namespace wsi {

struct TierSizes {
  Bytes device = 0;
  Bytes host = 0;
  Bytes file = 0;
};

// Move-only. Borrows the backend, which outlives it.
class ArenaSet {
 public:
  // A tier of size 0 gets no memory.
  static Result<ArenaSet> Make(Backend* backend, const TierSizes& sizes,
                               const SpillFileOptions& spill);

  // Null where the arena has size 0. REQUIRES: 0 <= offset <= the arena's size.
  std::byte* Device(Bytes offset) const;
  std::byte* Host(Bytes offset) const;
  // The file tier; null where its size is 0.
  const SpillFile* file() const { return file_.get(); }

  // What was allocated for the device tier.
  Bytes device_bytes() const { return device_ ? device_->size() : 0; }

  // Fill memory with 0xFF, a NaN in every float type, so that a test sees whoever
  // reads what nobody wrote. REQUIRES: the range lies in the arena.
  Status PoisonDevice(Bytes offset, Bytes bytes);
  void PoisonHost(Bytes offset, Bytes bytes);
  Status PoisonFile(Bytes offset, Bytes bytes);

 private:
  explicit ArenaSet(Backend* backend) : backend_(backend) {}

  Backend* backend_;
  std::unique_ptr<Arena> device_;
  std::unique_ptr<Arena> host_;
  std::unique_ptr<SpillFile> file_;
};

}  // namespace wsi
