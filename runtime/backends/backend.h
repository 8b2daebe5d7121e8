// Backend: the device that runs a plan's launches and owns its memory.
//
// At load, each launch of the plan is compiled once into a Kernel: algorithms are
// chosen and everything that can be prepared is. A step then only enqueues kernels
// and copies on lanes, allocating nothing.
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/base/attributes.h"
#include "runtime/base/checked.h"
#include "runtime/base/dtype.h"
#include "runtime/base/shape.h"
#include "runtime/base/status.h"

namespace wsi {

struct OperandSpec {
  bool present = false;  // An optional operand may be absent.
  DType dtype = DType::kF32;
  Shape shape;
};

// One launch, as the plan states it. Borrowed for the duration of Compile.
struct LaunchSpec {
  std::string_view op;    // A name in the backend's kernel table.
  std::string_view node;  // For messages.
  const Attributes& attributes;
  std::span<const OperandSpec> inputs;
  std::span<const OperandSpec> outputs;
  Bytes workspace_bytes = 0;
};

// Where a launch's operands are. Absent ones are null. An output may share its
// address with an input exactly where OpDef::in_place or is_view allows it.
struct LaunchArguments {
  std::span<const std::byte* const> inputs;
  std::span<std::byte* const> outputs;
  std::byte* workspace = nullptr;

  template <typename T>
  const T* input(size_t i) const {
    return i < inputs.size() ? reinterpret_cast<const T*>(inputs[i]) : nullptr;
  }
  template <typename T>
  T* output(size_t i) const {
    return i < outputs.size() ? reinterpret_cast<T*>(outputs[i]) : nullptr;
  }
};

// A compiled launch.
class Kernel {
 public:
  virtual ~Kernel() = default;
  // Runs, or enqueues on the backend's compute lane. Allocates nothing.
  virtual Status Run(const LaunchArguments& arguments) = 0;
};

// Memory of one arena; move-only owner is behind the pointer.
class Arena {
 public:
  virtual ~Arena() = default;
  virtual std::byte* data() = 0;
  virtual Bytes size() const = 0;
};

// The device's memory as its driver counts it, other processes included. Zeros where the
// device has none of its own.
struct DeviceMemory {
  Bytes free = 0;
  Bytes total = 0;
  Bytes used_before = 0;  // When the backend was made: its context, other processes.
};

// Now, as Lane::Mark has it.
inline double MarkSeconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// Work on the host that takes its turn on a lane, such as a file transfer.
class HostTask {
 public:
  virtual ~HostTask() = default;
  // Called on the lane's own thread. Allocates nothing unless it fails.
  virtual Status Run() = 0;
};

// An in-order queue of work. Lanes run beside each other.
//
// Kernels, tasks and the spans of arguments are borrowed until Synchronize. Behind
// the first error a lane does no more work until Synchronize reports it, but still
// records and waits, so that no other lane hangs.
class Lane {
 public:
  virtual ~Lane() = default;
  virtual Status Launch(Kernel& kernel, const LaunchArguments& arguments) = 0;
  // Copies between the backend's arenas, in either direction.
  virtual Status Copy(std::byte* to, const std::byte* from, Bytes bytes) = 0;
  virtual Status Call(HostTask& task) = 0;
  // Moves managed memory to the device or to the host, behind what the lane does before.
  // A hint: contents and addresses stay. REQUIRES: the range is of AllocateManaged.
  virtual Status Migrate(std::byte* /*memory*/, Bytes /*bytes*/, bool /*to_device*/) { return {}; }
  // Marks the point that this lane has reached as event `event`; Wait makes this
  // lane go on only when that point of the other lane is passed.
  virtual Status Record(int event) = 0;
  virtual Status Wait(int event) = 0;
  // Writes the time when the lane gets here, in seconds of steady_clock since its epoch,
  // by the end of the next Synchronize; *seconds lives until then.
  virtual Status Mark(double* seconds) = 0;
  // Returns when everything enqueued so far is done, with its first error.
  virtual Status Synchronize() = 0;
};

// Work of lanes that was kept by BeginCapture, to run as one piece.
class CapturedWork {
 public:
  virtual ~CapturedWork() = default;
  // Enqueues it on the compute lane.
  virtual Status Enqueue() = 0;
};

class Backend {
 public:
  virtual ~Backend() = default;
  virtual std::string_view name() const = 0;  // "cpu", "reference", "cuda"
  // Names the operator, node and reason where the launch cannot be compiled.
  virtual Result<std::unique_ptr<Kernel>> Compile(const LaunchSpec& launch) = 0;
  // One kernel for launches of one operator that follow each other on the compute lane,
  // with the operands that they will have in every run; its own run ignores those that it
  // is given. Null where the launches are better run one by one.
  virtual Result<std::unique_ptr<Kernel>> CompileTogether(
      std::span<const LaunchSpec> /*launches*/, std::span<const LaunchArguments> /*arguments*/) {
    return std::unique_ptr<Kernel>();
  }
  // kResources, naming needed and available bytes, where the memory cannot be had.
  virtual Result<std::unique_ptr<Arena>> AllocateDevice(Bytes bytes) = 0;
  virtual Result<std::unique_ptr<Arena>> AllocateHost(Bytes bytes) = 0;
  // Memory that device and host both reach, at one address.
  virtual Result<std::unique_ptr<Arena>> AllocateManaged(Bytes bytes) {
    return AllocateHost(bytes);
  }
  virtual Result<DeviceMemory> MeasureDevice() const { return DeviceMemory(); }
  // `events`: events are numbered from 0 to below it and shared by all lanes; each
  // is recorded at most once between two calls of ResetEvents.
  virtual Status SetEventCount(int events) = 0;
  virtual Status ResetEvents() = 0;
  // The first lane made is the compute lane.
  virtual Result<std::unique_ptr<Lane>> MakeLane(std::string_view lane_name) = 0;
  // Between the two calls what the lanes are given is not done but kept; marks must not be
  // among it. `lanes`: all that there are, the compute lane first.
  virtual bool CanCapture() const { return false; }
  virtual Status BeginCapture(std::span<Lane* const> /*lanes*/) { return NoCapture(); }
  virtual Result<std::unique_ptr<CapturedWork>> EndCapture() { return NoCapture(); }
  // Named stretches of what is enqueued, for profilers; they nest. `name` ends in a zero.
  virtual void BeginRange(const char* /*name*/) {}
  virtual void EndRange() {}
  // Between device arena and ordinary host memory, synchronously.
  virtual Status Write(std::byte* device, std::span<const std::byte> host) = 0;
  virtual Status Read(std::span<std::byte> host, const std::byte* device) = 0;
  // Writes pixels, which lie in memory of AllocateHost, as numbers in [-1, 1] (pixels.h),
  // synchronously. REQUIRES: a float type.
  virtual Status WritePixels(std::byte* device, DType dtype, std::span<const uint8_t> rgb);
  // Bytes that compiled kernels hold outside the arenas (scratch, code).
  virtual Bytes private_bytes() const = 0;
  // Every operator in the kernel table, sorted; for tests and docs.
  virtual std::vector<std::string_view> SupportedOps() const = 0;
  // What compiled kernels chose where there was a choice, a line each, for people.
  virtual std::vector<std::string> Choices() const { return {}; }

 private:
  static Status NoCapture() { return InternalError("this backend captures nothing"); }
};

}  // namespace wsi
