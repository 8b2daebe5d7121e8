#include "runtime/backends/cuda/engine_choice.h"

#include <algorithm>

namespace wsi::cuda {

Result<CudnnDescriptor> EngineOf(const CudnnLibrary& library,
                                 const CudnnDescriptor& configuration) {
  WSI_ASSIGN_OR_RETURN(CudnnDescriptor engine,
                       CudnnDescriptor::Make(library, CUDNN_BACKEND_ENGINE_DESCRIPTOR));
  cudnnBackendDescriptor_t descriptor = engine.get();
  WSI_RETURN_IF_ERROR(configuration
                          .Get(CUDNN_ATTR_ENGINECFG_ENGINE, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1,
                               static_cast<void*>(&descriptor))
                          .status());
  return engine;
}

Result<EngineChoice> ChoiceOf(const CudnnLibrary& library, const CudnnDescriptor& configuration) {
  EngineChoice choice;
  WSI_ASSIGN_OR_RETURN(const CudnnDescriptor engine, EngineOf(library, configuration));
  WSI_RETURN_IF_ERROR(
      engine.Get(CUDNN_ATTR_ENGINE_GLOBAL_INDEX, CUDNN_TYPE_INT64, 1, &choice.engine).status());
  std::vector<CudnnDescriptor> knobs;
  std::vector<cudnnBackendDescriptor_t> descriptors;
  for (int i = 0; i < CUDNN_KNOB_TYPE_COUNTS; ++i) {
    WSI_ASSIGN_OR_RETURN(CudnnDescriptor knob,
                         CudnnDescriptor::Make(library, CUDNN_BACKEND_KNOB_CHOICE_DESCRIPTOR));
    descriptors.push_back(knob.get());
    knobs.push_back(std::move(knob));
  }
  WSI_ASSIGN_OR_RETURN(
      const int64_t count,
      configuration.Get(CUDNN_ATTR_ENGINECFG_KNOB_CHOICES, CUDNN_TYPE_BACKEND_DESCRIPTOR,
                        CUDNN_KNOB_TYPE_COUNTS, static_cast<void*>(descriptors.data())));
  for (size_t i = 0; i < std::min(knobs.size(), static_cast<size_t>(count)); ++i) {
    cudnnBackendKnobType_t type = CUDNN_KNOB_TYPE_COUNTS;
    int64_t value = 0;
    WSI_RETURN_IF_ERROR(
        knobs[i].Get(CUDNN_ATTR_KNOB_CHOICE_KNOB_TYPE, CUDNN_TYPE_KNOB_TYPE, 1, &type).status());
    WSI_RETURN_IF_ERROR(
        knobs[i].Get(CUDNN_ATTR_KNOB_CHOICE_KNOB_VALUE, CUDNN_TYPE_INT64, 1, &value).status());
    choice.knobs.emplace_back(static_cast<int64_t>(type), value);
  }
  return choice;
}

Result<CudnnDescriptor> ConfigurationOf(const CudnnLibrary& library, const CudnnDescriptor& graph,
                                        const EngineChoice& choice) {
  WSI_ASSIGN_OR_RETURN(CudnnDescriptor engine,
                       CudnnDescriptor::Make(library, CUDNN_BACKEND_ENGINE_DESCRIPTOR));
  WSI_RETURN_IF_ERROR(engine.Set(CUDNN_ATTR_ENGINE_OPERATION_GRAPH, graph));
  WSI_RETURN_IF_ERROR(engine.Set(CUDNN_ATTR_ENGINE_GLOBAL_INDEX, CUDNN_TYPE_INT64, choice.engine));
  WSI_RETURN_IF_ERROR(engine.Finalize());
  std::vector<CudnnDescriptor> knobs;
  std::vector<cudnnBackendDescriptor_t> descriptors;
  for (const auto& [type, value] : choice.knobs) {
    if (type >= CUDNN_KNOB_TYPE_COUNTS) return DeviceError("cuDNN: no such knob");
    WSI_ASSIGN_OR_RETURN(CudnnDescriptor knob,
                         CudnnDescriptor::Make(library, CUDNN_BACKEND_KNOB_CHOICE_DESCRIPTOR));
    WSI_RETURN_IF_ERROR(knob.Set(CUDNN_ATTR_KNOB_CHOICE_KNOB_TYPE, CUDNN_TYPE_KNOB_TYPE,
                                 static_cast<cudnnBackendKnobType_t>(type)));
    WSI_RETURN_IF_ERROR(knob.Set(CUDNN_ATTR_KNOB_CHOICE_KNOB_VALUE, CUDNN_TYPE_INT64, value));
    WSI_RETURN_IF_ERROR(knob.Finalize());
    descriptors.push_back(knob.get());
    knobs.push_back(std::move(knob));
  }
  WSI_ASSIGN_OR_RETURN(CudnnDescriptor configuration,
                       CudnnDescriptor::Make(library, CUDNN_BACKEND_ENGINECFG_DESCRIPTOR));
  WSI_RETURN_IF_ERROR(configuration.Set(CUDNN_ATTR_ENGINECFG_ENGINE, engine));
  if (!descriptors.empty()) {
    WSI_RETURN_IF_ERROR(
        configuration.Set(CUDNN_ATTR_ENGINECFG_KNOB_CHOICES, CUDNN_TYPE_BACKEND_DESCRIPTOR,
                          static_cast<int64_t>(descriptors.size()), descriptors.data()));
  }
  WSI_RETURN_IF_ERROR(configuration.Finalize());
  return configuration;
}

}  // namespace wsi::cuda
