// One convolution, or a gradient of one, as a plan of cuDNN's graph API.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "runtime/backends/cuda/compile.h"
#include "runtime/backends/cuda/cudnn_descriptor.h"
#include "runtime/backends/cuda/engine_cache.h"
#include "runtime/base/dtype.h"
#include "runtime/workspace/cuda_convolution.h"

namespace wsi::cuda {

// Channels last; sizes by spatial axis, of which there are 2 or 3.
struct ConvolutionProblem {
  ConvolutionKind kind = ConvolutionKind::kForward;
  DType dtype = DType::kF32;   // Of x, w and y.
  DType result = DType::kF32;  // Of y, dx or dw, whichever is computed.
  bool bias = false;           // Added by a forward convolution before it rounds.
  int64_t images = 1;
  int64_t in_channels = 1;
  int64_t out_channels = 1;
  int64_t groups = 1;
  Bytes alignment = 16;      // Of x and y, up to 16.
  Bytes most_workspace = 0;  // That an engine may take.
  std::vector<int64_t> input, output, kernel, strides, dilations, pad_begin, pad_end;
  auto operator<=>(const ConvolutionProblem&) const = default;

  int64_t InputElements() const;
  int64_t OutputElements() const;
  int64_t WeightElements() const;
  double Flops() const;
  // All of it in one line: equal texts are equal problems.
  std::string ToText() const;
};

// Where the tensors are: x or dx, w or dw, y or dy.
struct ConvolutionOperands {
  void* x;
  void* w;
  void* y;
  void* bias;  // Null without one.
};

class ConvolutionPlan {
 public:
  // Wants workspace_bytes() at `workspace`.
  Status Run(const ConvolutionOperands& operands, void* workspace) const;
  Bytes workspace_bytes() const { return workspace_bytes_; }

 private:
  friend class Cudnn;
  ConvolutionPlan(const CudnnLibrary& library, cudnnHandle_t handle, CudnnDescriptor configuration,
                  CudnnDescriptor plan, Bytes workspace_bytes)
      : library_(library),
        handle_(handle),
        configuration_(std::move(configuration)),
        plan_(std::move(plan)),
        workspace_bytes_(workspace_bytes) {}

  const CudnnLibrary& library_;
  cudnnHandle_t handle_;
  CudnnDescriptor configuration_;
  CudnnDescriptor plan_;
  Bytes workspace_bytes_;
};

// cuDNN on the compute stream, and the plans made so far. Engines that give other bits in
// every run are left out, as are those that compute in less than fp32 or transform tiles.
class Cudnn {
 public:
  // What timing chooses is kept in `cache`.
  Cudnn(cudaStream_t stream, EngineCache cache) : stream_(stream), cache_(std::move(cache)) {}
  ~Cudnn();
  Cudnn(const Cudnn&) = delete;
  Cudnn& operator=(const Cudnn&) = delete;

  // The fastest of the first few plans where the problem is large enough to be worth
  // timing, else the first. Lives as long as this object. kDevice where there is none,
  // kInvalidInput where all want more workspace than the problem has.
  Result<const ConvolutionPlan*> Plan(const ConvolutionProblem& problem);
  // A line for each plan: its problem, engine, workspace and where the choice is from.
  const std::vector<std::string>& choices() const { return choices_; }
  // Problems that were timed, not found in the cache.
  int64_t timed_problems() const { return timed_problems_; }

 private:
  using Plans = std::vector<std::unique_ptr<ConvolutionPlan>>;
  // Of several plans; not measured where there was no room to.
  struct Fastest {
    size_t index = 0;
    std::optional<float> ms;
  };
  Status Open();
  Result<std::unique_ptr<ConvolutionPlan>> MakePlan(const ConvolutionProblem& problem,
                                                    CudnnDescriptor configuration);
  Status AddPlans(const ConvolutionProblem& problem, cudnnBackendHeurMode_t mode, size_t most,
                  Plans& plans);
  Status NoPlan(const ConvolutionProblem& problem) const;
  Result<Fastest> FindFastest(const ConvolutionProblem& problem, const Plans& plans);
  std::string KeyOf(const ConvolutionProblem& problem) const;
  std::unique_ptr<ConvolutionPlan> KeptPlan(const ConvolutionProblem& problem);
  Result<std::unique_ptr<ConvolutionPlan>> PlanOf(const ConvolutionProblem& problem,
                                                  const EngineChoice& choice);
  Result<std::unique_ptr<ConvolutionPlan>> ChoosePlan(const ConvolutionProblem& problem);
  void Note(const ConvolutionProblem& problem, const ConvolutionPlan& plan, std::string_view origin,
            bool keeps);

  cudaStream_t stream_;
  EngineCache cache_;
  std::string machine_;                  // What choices hold for: device and version.
  std::optional<CudnnLibrary> library_;  // Opened when first needed.
  cudnnHandle_t handle_ = nullptr;
  std::map<ConvolutionProblem, std::unique_ptr<ConvolutionPlan>> plans_;
  std::vector<std::string> choices_;
  int64_t timed_problems_ = 0;
  // The least workspace of engines that wanted too much for the problem in hand; 0: none did.
  Bytes least_refused_ = 0;
};

}  // namespace wsi::cuda
