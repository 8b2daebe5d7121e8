// A backend of a handful of operators in plain loops whose lanes are real threads, so
// that the executor's waits are what keeps the results right.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/backends/backend.h"

namespace wsi {

// Events as the lanes share them.
class FakeEvents {
 public:
  void Reset(size_t count);
  void Record(int event);
  void Wait(int event);

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<bool> recorded_;
};

struct FakeBackend : public Backend {
  // Set by a test before the executor is made.
  int lag_ms = 0;          // Every copy starts this late.
  int put_ms = 0;          // What it takes to give a lane something.
  std::string refused_op;  // Compile fails for it.
  std::string failing_op;  // Run fails for it.
  std::string joined_op;   // Launches of it are taken together.
  std::string fails_now;   // The same, decided when it runs.
  bool can_capture = false;
  bool capture_fails = false;
  Bytes device_limit = 1 << 20;
  DeviceMemory memory;  // What the device says that it has.
  // Called on the lane's thread with what begins there: an operator, or the lane of a copy.
  std::function<void(const std::string&)> on_work;

  // What the executor did.
  int captures = 0;
  int joints = 0;
  std::atomic<int> moves = 0;
  Bytes managed_bytes = 0;
  std::vector<std::string> lanes;
  Bytes device_bytes = 0;
  Bytes host_bytes = 0;
  int compiled = 0;

  std::string_view name() const override { return "fake"; }
  Result<std::unique_ptr<Kernel>> Compile(const LaunchSpec& launch) override;
  Result<std::unique_ptr<Kernel>> CompileTogether(
      std::span<const LaunchSpec> launches, std::span<const LaunchArguments> arguments) override;
  Result<std::unique_ptr<Arena>> AllocateDevice(Bytes bytes) override;
  Result<std::unique_ptr<Arena>> AllocateHost(Bytes bytes) override;
  Result<std::unique_ptr<Arena>> AllocateManaged(Bytes bytes) override;
  Result<DeviceMemory> MeasureDevice() const override { return memory; }
  Status SetEventCount(int events) override;
  Status ResetEvents() override;
  Result<std::unique_ptr<Lane>> MakeLane(std::string_view lane_name) override;
  bool CanCapture() const override { return can_capture; }
  Status BeginCapture(std::span<Lane* const> captured) override;
  Result<std::unique_ptr<CapturedWork>> EndCapture() override;
  Status Write(std::byte* device, std::span<const std::byte> host) override;
  Status Read(std::span<std::byte> host, const std::byte* device) override;
  Bytes private_bytes() const override { return 0; }
  std::vector<std::string_view> SupportedOps() const override { return {}; }

  // What lanes are given while something captures: each closure gives it to its lane.
  using Tape = std::vector<std::function<Status()>>;
  Tape* tape() { return tape_ ? &*tape_ : nullptr; }

 private:
  FakeEvents events_;
  std::optional<Tape> tape_;
  size_t event_count_ = 0;
};

}  // namespace wsi
