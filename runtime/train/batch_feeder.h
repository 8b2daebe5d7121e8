// From slides to the executor's input: batches of decoded, normalised samples.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "runtime/base/status.h"
#include "runtime/executor/executor.h"
#include "runtime/slides/loader.h"
#include "runtime/slides/manifest.h"

namespace wsi {

// The image input of a program: [batch, height, width, 3], channels last.
struct ImageInput {
  int64_t batch = 0;
  int64_t height = 0;
  int64_t width = 0;
};
// kInvalidInput unless the program has exactly one input and that is one.
Result<ImageInput> FindImageInput(const plan::Plan& plan, int program);

// A permutation of [0, count): a function of seed and epoch alone (Fisher and Yates,
// drawn by Philox).
std::vector<int64_t> EpochOrder(int64_t count, int64_t seed, int64_t epoch);

// Not thread-safe. Borrows the executor and the manifest.
class BatchFeeder {
 public:
  // `options.view` gets its size from the program's input.
  static Result<std::unique_ptr<BatchFeeder>> Make(Executor* executor, int program,
                                                   const Manifest* manifest, LoaderOptions options);

  const ImageInput& input() const { return input_; }
  // Asks for these rows of the manifest, behind all that was asked for before.
  Status Enqueue(const std::vector<int64_t>& rows, int64_t epoch);

  // Writes the next samples of `epoch` to the program's input. Their rows, in order; fewer
  // than a batch only at the end of the epoch, whose places in the input then hold what
  // they held before; none behind it.
  Result<std::vector<int64_t>> Next(int64_t epoch);

  // Requests that are done with: delivered by Next or skipped as bad.
  int64_t consumed() const;
  const LoaderStats stats() const { return loader_->stats(); }

 private:
  BatchFeeder(Executor* executor, int program, ImageInput input, std::unique_ptr<Arena> memory,
              std::unique_ptr<SlideLoader> loader);

  Executor* executor_;
  int program_;
  ImageInput input_;
  std::unique_ptr<Arena> memory_;  // Of the loader's samples, where the device reads them.
  std::unique_ptr<SlideLoader> loader_;
  std::optional<Sample> pending_;  // Of a later epoch.
};

// Writes the classes of `rows` to the program's target: indices for i64 targets, one-hot
// (or, where it has one column, the index itself) for float ones.
Status WriteLabels(Executor& executor, int program, const Manifest& manifest,
                   const std::vector<int64_t>& rows);

}  // namespace wsi
