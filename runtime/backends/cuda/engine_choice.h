// cuDNN's descriptors of an engine and its knobs, to and from numbers.
#pragma once

#include "runtime/backends/cuda/cudnn_descriptor.h"
#include "runtime/backends/cuda/engine_cache.h"

namespace wsi::cuda {

// The engine of a configuration that the heuristics gave.
Result<CudnnDescriptor> EngineOf(const CudnnLibrary& library, const CudnnDescriptor& configuration);

Result<EngineChoice> ChoiceOf(const CudnnLibrary& library, const CudnnDescriptor& configuration);

// The choice as a configuration for `graph`; kDevice where cuDNN does not take it.
Result<CudnnDescriptor> ConfigurationOf(const CudnnLibrary& library, const CudnnDescriptor& graph,
                                        const EngineChoice& choice);

}  // namespace wsi::cuda
