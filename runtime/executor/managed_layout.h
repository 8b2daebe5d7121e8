// Where the buffers of a managed plan are, in memory that device and host both reach.
//
// Buffers between device and host that copies connect share one region, and their copies
// become moves of its pages:
//
//   offload   device  x --.            .-- x.in       two buffers of the arena
//             host         `-- x.out --'              one of the other
//   managed           [         x          ]          one region
//
// They do so only where every reader of any of them then sees what it would have seen: not
// where one is written while another is still to be read, nor where files or other ranks
// read them beside the compute lane. Those stay where the plan has them, and are copied.
#pragma once

#include <cstdint>
#include <vector>

#include "runtime/base/checked.h"
#include "runtime/base/status.h"
#include "runtime/plan/plan.pb.h"

namespace wsi {

struct ManagedLayout {
  std::vector<Bytes> offsets;  // By buffer; -1: in the file tier.
  std::vector<bool> shared;    // By buffer: in a region with others.
  Bytes bytes = 0;             // Of all.
  Bytes shared_bytes = 0;      // Of the regions.
};

// REQUIRES: the plan has passed VerifyPlan.
Result<ManagedLayout> ComputeManagedLayout(const plan::Plan& plan);

// kResources, naming the sizes, where the device has less free than the layout takes;
// `total` of 0 says that it has no memory of its own.
Status CheckManagedBytes(const ManagedLayout& layout, Bytes free, Bytes total,
                         bool allow_oversubscription);

}  // namespace wsi
