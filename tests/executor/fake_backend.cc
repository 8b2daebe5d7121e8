#include "tests/executor/fake_backend.h"

#include <array>
#include <chrono>
#include <cstring>
#include <thread>

namespace wsi {
namespace {

template <typename T>
void Compute(std::string_view op, size_t count, const LaunchArguments& a) {
  const T* x = a.input<T>(0);
  const T* y = a.input<T>(1);
  T* out = a.output<T>(0);
  if (op == "HalfSumSquares") {
    T* scratch = reinterpret_cast<T*>(a.workspace);  // Uses its workspace.
    scratch[0] = 0;
    for (size_t i = 0; i < count; ++i) scratch[0] += x[i] * x[i] / 2;
    out[0] = scratch[0];
    return;
  }
  for (size_t i = 0; i < count; ++i) {
    if (op == "Mul") out[i] = x[i] * y[i];
    if (op == "Sub") out[i] = x[i] - y[i];
    if (op == "Add") out[i] = x[i] + y[i];
    if (op == "Reshape") out[i] = x[i];
    if (op == "SgdUpdate") out[i] = x[i] - a.input<T>(2)[0] * y[i];
  }
}

class FakeKernel : public Kernel {
 public:
  FakeKernel(const FakeBackend* backend, std::string op, DType dtype, size_t count, bool fails)
      : backend_(backend), op_(std::move(op)), dtype_(dtype), count_(count), fails_(fails) {}
  Status Run(const LaunchArguments& arguments) override {
    if (backend_->on_work) backend_->on_work(op_);
    if (fails_ || op_ == backend_->fails_now) return NumericError("made to fail");
    if (dtype_ == DType::kF64) {
      Compute<double>(op_, count_, arguments);
    } else {
      Compute<float>(op_, count_, arguments);
    }
    return {};
  }

 private:
  const FakeBackend* backend_;
  std::string op_;
  DType dtype_;
  size_t count_;
  bool fails_;
};

// Runs kernels one behind the other on the operands that it was made with.
class FakeJoint : public Kernel {
 public:
  void Add(std::unique_ptr<Kernel> kernel, const LaunchArguments& arguments) {
    kernels_.push_back(std::move(kernel));
    arguments_.push_back({{arguments.inputs.begin(), arguments.inputs.end()},
                          {arguments.outputs.begin(), arguments.outputs.end()}});
  }
  Status Run(const LaunchArguments&) override {
    for (size_t i = 0; i < kernels_.size(); ++i) {
      WSI_RETURN_IF_ERROR(kernels_[i]->Run({arguments_[i].inputs, arguments_[i].outputs}));
    }
    return {};
  }

 private:
  struct Operands {
    std::vector<const std::byte*> inputs;
    std::vector<std::byte*> outputs;
  };
  std::vector<std::unique_ptr<Kernel>> kernels_;
  std::vector<Operands> arguments_;
};

class FakeArena : public Arena {
 public:
  explicit FakeArena(Bytes size) : bytes_(static_cast<size_t>(size)) {}
  std::byte* data() override { return bytes_.data(); }
  Bytes size() const override { return static_cast<Bytes>(bytes_.size()); }

 private:
  std::vector<std::byte> bytes_;
};

// A thread that works off a ring of fixed size, so that enqueuing allocates nothing.
class FakeLane : public Lane {
 public:
  FakeLane(FakeBackend* backend, std::string name, FakeEvents* events)
      : backend_(backend), name_(std::move(name)), events_(events), thread_([this] { Work(); }) {}
  ~FakeLane() override {
    Put({.kind = Kind::kStop}).ok();
    thread_.join();
  }
  Status Launch(Kernel& kernel, const LaunchArguments& arguments) override {
    return Put({.kind = Kind::kLaunch, .kernel = &kernel, .arguments = arguments});
  }
  Status Copy(std::byte* to, const std::byte* from, Bytes bytes) override {
    return Put({.kind = Kind::kCopy, .to = to, .from = from, .bytes = bytes});
  }
  Status Call(HostTask& task) override { return Put({.kind = Kind::kCall, .task = &task}); }
  Status Migrate(std::byte*, Bytes, bool) override {
    ++backend_->moves;
    return {};
  }
  Status Record(int event) override { return Put({.kind = Kind::kRecord, .event = event}); }
  Status Wait(int event) override { return Put({.kind = Kind::kWait, .event = event}); }
  Status Mark(double* seconds) override { return Put({.kind = Kind::kMark, .seconds = seconds}); }
  Status Synchronize() override {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return done_ == put_; });
    return std::exchange(error_, Status());
  }

 private:
  enum class Kind { kLaunch, kCopy, kCall, kRecord, kWait, kMark, kStop };
  struct Task {
    Kind kind = Kind::kStop;
    Kernel* kernel = nullptr;
    LaunchArguments arguments = {};
    HostTask* task = nullptr;
    std::byte* to = nullptr;
    const std::byte* from = nullptr;
    Bytes bytes = 0;
    int event = -1;
    double* seconds = nullptr;
  };

  Status Put(const Task& task) {
    if (FakeBackend::Tape* tape = backend_->tape()) {
      WSI_CHECK(task.kind != Kind::kMark);
      tape->push_back([this, task] { return Put(task); });
      return {};
    }
    if (backend_->put_ms > 0) {
      std::this_thread::sleep_for(std::chrono::milliseconds(backend_->put_ms));
    }
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return put_ - done_ < ring_.size(); });
    ring_[put_++ % ring_.size()] = task;
    changed_.notify_all();
    return {};
  }

  void Work() {
    for (;;) {
      Task task;
      bool failed = false;
      {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [&] { return done_ < put_; });
        task = ring_[done_ % ring_.size()];
        failed = !error_.ok();
      }
      Status status = Do(task, failed);
      const std::lock_guard lock(mutex_);
      if (error_.ok()) error_ = std::move(status);
      ++done_;
      changed_.notify_all();
      if (task.kind == Kind::kStop) return;
    }
  }

  Status Do(const Task& task, bool failed) {
    if (failed && task.kind != Kind::kRecord && task.kind != Kind::kWait) return {};
    switch (task.kind) {
      case Kind::kLaunch: return task.kernel->Run(task.arguments);
      case Kind::kCopy:
        BeginCopy();
        std::memcpy(task.to, task.from, static_cast<size_t>(task.bytes));
        return {};
      case Kind::kCall: BeginCopy(); return task.task->Run();
      case Kind::kRecord: events_->Record(task.event); return {};
      case Kind::kWait: events_->Wait(task.event); return {};
      case Kind::kMark: *task.seconds = MarkSeconds(); return {};
      case Kind::kStop: return {};
    }
    return {};
  }

  void BeginCopy() const {
    if (backend_->on_work) backend_->on_work(name_);
    std::this_thread::sleep_for(std::chrono::milliseconds(backend_->lag_ms));
  }

  FakeBackend* backend_;
  std::string name_;
  FakeEvents* events_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::array<Task, 64> ring_;
  size_t put_ = 0;
  size_t done_ = 0;
  Status error_;
  std::thread thread_;
};

class TapedWork : public CapturedWork {
 public:
  explicit TapedWork(FakeBackend::Tape tape) : tape_(std::move(tape)) {}
  Status Enqueue() override {
    for (const auto& put : tape_) WSI_RETURN_IF_ERROR(put());
    return {};
  }

 private:
  FakeBackend::Tape tape_;
};

}  // namespace

void FakeEvents::Reset(size_t count) {
  const std::lock_guard lock(mutex_);
  recorded_.assign(count, false);
}

void FakeEvents::Record(int event) {
  const std::lock_guard lock(mutex_);
  WSI_CHECK(!recorded_.at(static_cast<size_t>(event)));  // Once between resets.
  recorded_[static_cast<size_t>(event)] = true;
  changed_.notify_all();
}

void FakeEvents::Wait(int event) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return recorded_.at(static_cast<size_t>(event)); });
}

Result<std::unique_ptr<Kernel>> FakeBackend::Compile(const LaunchSpec& launch) {
  if (launch.op == refused_op) return InvalidInput("no kernel for " + std::string(launch.op));
  if (launch.op == "HalfSumSquares") WSI_CHECK(launch.workspace_bytes == 64);
  ++compiled;
  const OperandSpec& first = launch.inputs[0];
  return std::unique_ptr<Kernel>(new FakeKernel(this, std::string(launch.op), first.dtype,
                                                static_cast<size_t>(first.shape.ElementCount()),
                                                launch.op == failing_op));
}

Result<std::unique_ptr<Kernel>> FakeBackend::CompileTogether(
    std::span<const LaunchSpec> launches, std::span<const LaunchArguments> arguments) {
  if (launches[0].op != joined_op) return std::unique_ptr<Kernel>();
  auto joint = std::make_unique<FakeJoint>();
  for (size_t i = 0; i < launches.size(); ++i) {
    WSI_ASSIGN_OR_RETURN(std::unique_ptr<Kernel> kernel, Compile(launches[i]));
    joint->Add(std::move(kernel), arguments[i]);
  }
  ++joints;
  return std::unique_ptr<Kernel>(std::move(joint));
}

Result<std::unique_ptr<Arena>> FakeBackend::AllocateDevice(Bytes bytes) {
  if (bytes > device_limit) return ResourceError("device memory");
  device_bytes += bytes;
  return std::unique_ptr<Arena>(new FakeArena(bytes));
}

Result<std::unique_ptr<Arena>> FakeBackend::AllocateHost(Bytes bytes) {
  host_bytes += bytes;
  return std::unique_ptr<Arena>(new FakeArena(bytes));
}

Result<std::unique_ptr<Arena>> FakeBackend::AllocateManaged(Bytes bytes) {
  managed_bytes += bytes;
  return std::unique_ptr<Arena>(new FakeArena(bytes));
}

Status FakeBackend::SetEventCount(int events) {
  event_count_ = static_cast<size_t>(events);
  return ResetEvents();
}

Status FakeBackend::ResetEvents() {
  events_.Reset(event_count_);
  return {};
}

Result<std::unique_ptr<Lane>> FakeBackend::MakeLane(std::string_view lane_name) {
  lanes.emplace_back(lane_name);
  return std::unique_ptr<Lane>(new FakeLane(this, std::string(lane_name), &events_));
}

Status FakeBackend::BeginCapture(std::span<Lane* const> captured) {
  WSI_CHECK(captured.size() == lanes.size());
  tape_.emplace();
  return {};
}

Result<std::unique_ptr<CapturedWork>> FakeBackend::EndCapture() {
  ++captures;
  auto work = std::make_unique<TapedWork>(std::move(tape_).value());
  tape_.reset();
  if (capture_fails) return DeviceError("made to fail");
  return std::unique_ptr<CapturedWork>(std::move(work));
}

Status FakeBackend::Write(std::byte* device, std::span<const std::byte> host) {
  if (!host.empty()) std::memcpy(device, host.data(), host.size());
  return {};
}

Status FakeBackend::Read(std::span<std::byte> host, const std::byte* device) {
  if (!host.empty()) std::memcpy(host.data(), device, host.size());
  return {};
}

}  // namespace wsi
