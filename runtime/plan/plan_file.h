// The plan file: a header, hashes, the plan as protocol buffers, and the initial
// contents of persistent values. All numbers are little-endian; sections begin at
// multiples of 64 bytes; what lies between them is zero.
//
//   0    magic "wsiplan\n"
//   8    u32 version, u32 persistents
//   16   u64 bytes of the file
//   24   u64 offset, u64 bytes of the plan
//   40   u64 offset, u64 bytes of the data section
//   56   hash of the plan             (16 bytes)
//   72   hash of the hash table       (16 bytes)
//   88   hash of bytes 0 to 87        (16 bytes)
//   128  hash table: for each persistent the hash of its data (16 bytes each)
//   ...  the plan: plan.proto's Plan
//   ...  data section: each persistent's data in physical layout
//
// Hashes are XXH3-128, so that every bit of the file is covered.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "runtime/base/file.h"
#include "runtime/base/hash.h"
#include "runtime/base/tensor.h"

namespace wsi::plan {
class Plan;
}

namespace wsi {

// The initial contents of plan.persistents(i), as the type and in the physical layout
// of its value. Asked once, in order, for each persistent whose data_bytes is not 0.
using PersistentSource = std::function<Result<Tensor>(int i)>;

// Verifies `plan` and writes it. Sets Persistent.data_offset of the stored plan; the
// given ones are ignored.
Status WritePlan(const std::string& path, const plan::Plan& plan, const PersistentSource& source,
                 OutputOptions options);

// A plan file open for reading. Its plan has passed VerifyPlan; its data is checked as
// it is read. Move-only. Thread-safe.
class PlanFile {
 public:
  PlanFile(PlanFile&&) noexcept;
  PlanFile& operator=(PlanFile&&) = delete;
  ~PlanFile();

  const plan::Plan& plan() const { return *plan_; }
  const std::string& path() const { return file_.path(); }
  Bytes size() const { return file_.size(); }
  // Reads the data of persistent `i` into `out` (zeros where it has none) and checks
  // its hash. REQUIRES: `out` has the size of its value.
  Status ReadPersistent(int i, std::span<std::byte> out) const;

 private:
  friend Result<PlanFile> ReadPlan(const std::string& path);
  PlanFile(InputFile file, std::unique_ptr<plan::Plan> plan, std::vector<Hash128> hashes,
           Bytes data_offset);

  InputFile file_;
  std::unique_ptr<plan::Plan> plan_;
  std::vector<Hash128> hashes_;  // By persistent.
  Bytes data_offset_ = 0;
};

// kInvalidInput says whether the file is cut short, is no plan, has another version,
// fails a hash, or holds a plan that VerifyPlan refuses.
Result<PlanFile> ReadPlan(const std::string& path);

}  // namespace wsi
