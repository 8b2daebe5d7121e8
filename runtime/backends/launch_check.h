// Checks a launch as from a hostile plan and reads its attributes. The first error is
// kept; whatever is read after it has the asked count and range.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "runtime/backends/backend.h"

namespace wsi {

// The types that a backend's letters stand for; letters are upper case or '*'.
struct OperandLetters {
  std::string_view backend;  // For messages.
  bool (*matches)(char letter, DType dtype);
  std::string_view (*wanted)(char letter);  // "f64"
};

class LaunchCheck {
 public:
  // Borrows both.
  LaunchCheck(const LaunchSpec& launch, const OperandLetters& letters)
      : launch_(launch), letters_(letters) {}

  // One letter per operand; in lower case or ? (for *) it may be absent. "+" at the end of
  // `inputs`: the last one repeats.
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
  const OperandLetters& letters_;
  Status status_;
};

}  // namespace wsi
