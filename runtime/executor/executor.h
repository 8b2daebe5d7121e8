// Executor: runs the programs of a plan on a backend, in memory of exactly the
// planned size.
//
// A training step with gradient accumulation over k = accumulation_steps micro-steps
// of one slide each (k = 1 without accumulation):
//
//   executor->SetScalar("lr", rate); executor->SetScalar("step", int64_t{step});
//   for (int micro = 0; micro < k; ++micro) {
//     executor->WriteInput(train, 0, image); executor->WriteTarget(train, label);
//     loss += executor->Run(train, micro + 1 < k ? kNoUpdate : kAllPhases);
//   }
//
// `step` counts updates from 1. Inputs and target are written before every Run, whose
// plan may use their memory again; scalars keep their value until set again.
//
// Evaluation: WriteInput(infer, 0, image); Run(infer, kAllPhases);
// ReadOutput(infer, 0). Both programs use the same persistent values.
//
// Gradients without a step: SetGradientTap(...); Run(train, kNoUpdate). State that
// the forward phase updates, such as running statistics, is updated all the same.
//
// With several ranks, collectives are means over them, on a lane of their own, and every
// rank runs the same programs and phases. An error of one rank is not the others': they
// wait for it until the communicator gives up.
//
// Checkpoints: ReadPersistent and WritePersistent of every i in
// plan().persistents(), under its onnx_name.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/backends/backend.h"
#include "runtime/base/tensor.h"
#include "runtime/comm/communicator.h"
#include "runtime/memory/spill_file.h"
#include "runtime/plan/plan_file.h"

namespace wsi {

// Whether runs are captured once and then replayed as one piece of work, where the
// backend can: what is enqueued stays the same, but for less time of the host.
enum class CaptureMode : uint8_t {
  kOff,
  kAuto,  // Where enqueuing took most of a run.
  kOn,    // From the second run of a program on.
};

// By what collectives of several ranks go.
enum class CollectivePath : uint8_t {
  kInPlace,  // The communicator's, on memory of the backend that the host sees too.
  kStaged,   // The communicator's, on copies in the host's memory.
  kBackend,  // The backend's own kernels of "AllReduce" {by_ranks}, on the comm lane.
};

struct ExecutorOptions {
  Communicator* communicator = nullptr;  // Outlives the executor; null: one rank.
  CollectivePath collectives = CollectivePath::kInPlace;
  // For tests: memory that nothing has written yet, or that nobody may read any more,
  // holds NaN. Steps then run one by one.
  bool poison = false;
  SpillFileOptions spill = {};  // Where a plan's file tier is.
  CaptureMode capture = CaptureMode::kAuto;
  // A managed plan may take more managed memory than the device has free.
  bool allow_oversubscription = false;
};

// Which phases of a program a run works off.
struct Phases {
  bool forward = true;
  bool backward = true;
  bool update = true;
};
inline constexpr Phases kAllPhases = {};
// All but the last micro-step of an accumulated step, or gradients only.
inline constexpr Phases kNoUpdate = {.forward = true, .backward = true, .update = false};

// Receives a parameter's name and its gradient in ONNX's shape, as soon as the
// gradient is complete.
using GradientTap = std::function<Status(const std::string& onnx_name, Tensor gradient)>;

// Time spent in the launches of one operator, from where one begins to where it ends.
struct OpTime {
  std::string op;
  int64_t launches = 0;
  double seconds = 0;
};

// When one instruction ran, in seconds from the start of the run. Negative: it did not.
struct RecordedSpan {
  double start = -1;
  double end = -1;
};

// Programs are numbered as in the plan. Not thread-safe.
class Executor {
 public:
  // Allocates the arenas, loads the persistent values and compiles every launch.
  // Borrows file and backend, which outlive the executor.
  static Result<std::unique_ptr<Executor>> Make(const PlanFile* file, Backend* backend,
                                                const ExecutorOptions& options = {});
  ~Executor();
  Executor(const Executor&) = delete;
  Executor& operator=(const Executor&) = delete;

  const plan::Plan& plan() const;
  // The size of the device arena as allocated.
  Bytes device_arena_bytes() const;
  // The program's number, or kInvalidInput.
  Result<int> FindProgram(std::string_view name) const;

  // A tensor has the shape of the plan's value, the model's axes already permuted by
  // Value.permutation; its numbers are cast to the value's type, floats never to
  // integers. Bytes are the value's own.
  Status WriteInput(int program, int index, const Tensor& tensor);
  Status WriteInput(int program, int index, std::span<const std::byte> bytes);
  Status WriteInput(int program, std::string_view name, const Tensor& tensor);
  // Pixels from memory of AllocateHost become the input's values from `begin` on, as numbers
  // in [-1, 1] (pixels.h). The input is a float one, laid out as the pixels are.
  Status WritePixels(int program, int index, int64_t begin, std::span<const uint8_t> rgb);
  // Memory that the device reads fast.
  Result<std::unique_ptr<Arena>> AllocateHost(Bytes bytes);
  Status WriteTarget(int program, const Tensor& tensor);
  Status WriteTarget(int program, std::span<const std::byte> bytes);
  // Sets a scalar of all programs that have it; false if none has. At first "lr" is
  // the plan's learning rate, "step" and "loss_scale" 1 and every other 0.
  bool SetScalar(std::string_view name, double value);
  bool SetScalar(std::string_view name, int64_t value);

  // Runs to the end and returns the loss: 0 where the program has none, or where the
  // forward phase is skipped. Allocates nothing without a tap. An error names
  // program, instruction, node and operator.
  Result<double> Run(int program, Phases phases);

  Result<Tensor> ReadOutput(int program, int index) const;

  // The persistent's number in the plan, or kInvalidInput.
  Result<int> FindPersistent(std::string_view onnx_name) const;
  // In ONNX's shape and the plan's type.
  Result<Tensor> ReadPersistent(int i) const;
  // `tensor` has ONNX's shape; floats are cast to the plan's type.
  Status WritePersistent(int i, const Tensor& tensor);

  // Called from Run of program "train"; an empty one ends it.
  void SetGradientTap(GradientTap tap);

  // Adds up the spans of the launches, by operator. Setting it clears the times.
  void SetTiming(bool on);
  const std::vector<OpTime>& OpTimes(int program) const;

  // Records when each instruction runs on its lane, which costs next to nothing. The
  // spans, by instruction, are those of the program's last successful run.
  void SetRecording(bool on);
  const std::vector<RecordedSpan>& RecordedSpans(int program) const;

  // Runs so far that were replays; those with taps, times or spans never are.
  int64_t ReplayedRuns(int program) const;

 private:
  struct Scalar;
  struct State;
  explicit Executor(std::unique_ptr<State> state);
  Status CheckSlot(int program, int index, int count, std::string_view what) const;

  std::unique_ptr<State> state_;
};

}  // namespace wsi
