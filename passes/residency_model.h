// ResidencyModel: a scheduled step as the planner of memory sees it: operators with
// durations, and the memories that they read and write.
//
// A memory is a value with all its views. Views are no operators here: whoever brings a
// value back brings its views back too.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "compiler/ir/graph.h"
#include "runtime/base/checked.h"
#include "runtime/base/status.h"
#include "runtime/plan/plan.pb.h"

namespace wsi {

// Where a memory's contents come from.
enum class MemoryKind : uint8_t {
  kMade,   // An operator makes it.
  kInput,  // Written from outside before the step.
  kHomed,  // Persists in the host tier: copied in before use, and out when updated.
};

struct ModelMemory {
  ValueId value;   // The root; views have others.
  Bytes size = 0;  // Of its room, alignment included.
  MemoryKind kind = MemoryKind::kMade;
  int maker = -1;  // The operator that makes it.
  // Operators that read or write it, ascending; the maker first where there is one.
  std::vector<int> accesses;
  bool is_kept_to_end = false;  // Read behind the step.
};

struct ModelOp {
  NodeId node;
  double seconds = 0;
  Bytes workspace = 0;
  std::vector<int> reads;   // Memories, each once.
  std::vector<int> writes;  // Memories, each once.
  // (output memory, input memory) that may share room where the input dies here.
  std::vector<std::pair<int, int>> in_place;
  // Whether it gives the same results again, up to operator `repeatable_until`: it is a
  // forward operator that writes no state, and what it reads is not updated before that.
  bool is_repeatable = false;
  int repeatable_until = 0;
};

// A time in which a memory is not touched: behind access `index` of `memory` and before the
// next one. Planning decides what becomes of the memory in each.
struct Gap {
  int memory = 0;
  int index = 0;
  int begin = 0;  // The operator of the access before it.
  int end = 0;    // The operator of the access behind it.
};

struct ResidencyModel {
  std::vector<ModelOp> ops;  // In the schedule's order.
  std::vector<ModelMemory> memories;
  std::vector<Gap> gaps;
  // By memory: gap behind its i-th access, or -1 where that is no gap (the next access is
  // the very next operator) or not worth deciding.
  std::vector<std::vector<int>> gap_behind;
  std::vector<int> memory_of;  // By value; -1: fixed.
  Bytes fixed_bytes = 0;       // Device bytes of what is there throughout.
  Bytes homed_bytes = 0;       // Host bytes of what persists there.
  double in_rate = 0;          // Bytes per second, host to device,
  double out_rate = 0;         // and back.
  double read_rate = 0;        // File to host,
  double write_rate = 0;       // and back.
  double copy_seconds = 0;     // Fixed cost of a copy.
};

struct ResidencyModelOptions {
  Bytes smallest = 1 << 16;  // Memories below this are never moved or recomputed.
  // Names of persistent values that live in the host tier.
  std::set<std::string, std::less<>> homed;
};

// REQUIRES: a scheduled graph that VerifyGraph accepts, without copies; `rates` known for
// memory and copies.
Result<ResidencyModel> BuildResidencyModel(const Graph& graph, const plan::Rates& rates,
                                           const ResidencyModelOptions& options);

// Persistent values that may live in the host tier: parameters and states of at least
// `smallest` bytes.
std::set<std::string, std::less<>> HomeableValues(const Graph& graph, Bytes smallest);

}  // namespace wsi
