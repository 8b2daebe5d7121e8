// Checks a launch as from a hostile plan and reads its attributes. The first error is
// kept; whatever is read after it has the asked count and range.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "runtime/backends/reference/kernel_table.h"

namespace wsi::reference {

class LaunchCheck {
 public:
  // Borrows the launch.
  explicit LaunchCheck(const LaunchSpec& launch) : launch_(launch) {}

  // One letter per operand: F f64, L i64, B bool, X u8 or i32, * any type; in lower case
  // or ? (for any) it may be absent. "+" at the end of `inputs`: the last one repeats.
  Status Operands(std::string_view inputs, std::string_view outputs);

  bool HasInput(size_t i) const;
  bool HasOutput(size_t i) const;
  // REQUIRES: HasInput(i) or HasOutput(i).
  const Shape& input(size_t i) const { return launch_.inputs[i].shape; }
  const Shape& output(size_t i) const { return launch_.outputs[i].shape; }
  DType input_type(size_t i) const { return launch_.inputs[i].dtype; }
  DType output_type(size_t i) const { return launch_.outputs[i].dtype; }

  // The operand, where present, has this shape or type.
  void InputIs(size_t i, const Shape& shape);
  void OutputIs(size_t i, const Shape& shape);
  void InputIs(size_t i, DType dtype);
  void OutputIs(size_t i, DType dtype);
  // All inputs from `first` to `last` have one entry per channel.
  void PerChannel(size_t first, size_t last, int64_t channels);
  // A spatial operator's tensor: batch, up to 3 spatial axes, channels last.
  void ChannelsLast(const Shape& shape, int min_rank);
  void Require(bool condition, std::string_view what);

  int64_t Int(std::string_view name, int64_t low, int64_t high, int64_t otherwise);
  bool Flag(std::string_view name) { return Int(name, 0, 1, 0) == 1; }
  double Float(std::string_view name);  // Must be there.
  double Float(std::string_view name, double otherwise);
  std::string_view String(std::string_view name, std::string_view otherwise);
  // Must be there, with `count` entries.
  std::vector<int64_t> Ints(std::string_view name, size_t count, int64_t low, int64_t high);
  // Must be there. The entries are distinct axes.
  std::vector<int64_t> Axes(std::string_view name, int rank);
  int Axis(std::string_view name, int rank);  // Must be there.
  bool HasAttribute(std::string_view name) const { return launch_.attributes.Has(name); }

  const Status& status() const { return status_; }

 private:
  void Fail(std::string_view what);
  Status CheckTypes(std::string_view letters, std::span<const OperandSpec> operands,
                    std::string_view side);

  const LaunchSpec& launch_;
  Status status_;
};

// A kernel that calls `run`, a Status(const LaunchArguments&) or a void one.
template <typename F>
KernelResult MakeKernel(F run) {
  class FunctionKernel final : public Kernel {
   public:
    explicit FunctionKernel(F f) : run_(std::move(f)) {}
    Status Run(const LaunchArguments& arguments) override {
      if constexpr (std::is_void_v<decltype(run_(arguments))>) {
        run_(arguments);
        return {};
      } else {
        return run_(arguments);
      }
    }

   private:
    F run_;
  };
  return std::unique_ptr<Kernel>(std::make_unique<FunctionKernel>(std::move(run)));
}

}  // namespace wsi::reference
