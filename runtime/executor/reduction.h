// Means over ranks as work for a lane. Private to the executor.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "runtime/backends/backend.h"
#include "runtime/base/dtype.h"
#include "runtime/comm/communicator.h"

namespace wsi {

// Replaces `values`, all of type `dtype` (f32 or f64) and in memory that the host sees, by
// their means over the ranks, in one message where there are several. Borrows everything
// but the name, which its errors begin with.
std::unique_ptr<HostTask> MakeReduction(std::string name, Communicator* communicator,
                                        SumOrder order, DType dtype,
                                        std::vector<std::span<std::byte>> values);

}  // namespace wsi
