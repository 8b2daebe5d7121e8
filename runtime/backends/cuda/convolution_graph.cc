#include "runtime/backends/cuda/convolution_graph.h"

namespace wsi::cuda {
namespace {

cudnnDataType_t CudnnType(DType dtype) {
  switch (dtype) {
    case DType::kF16: return CUDNN_DATA_HALF;
    case DType::kBF16: return CUDNN_DATA_BFLOAT16;
    case DType::kF64: return CUDNN_DATA_DOUBLE;
    default: return CUDNN_DATA_FLOAT;
  }
}

// A tensor in cuDNN's order of axes, which is N, C, spatial..., lying channels last.
Result<CudnnDescriptor> MakeTensor(const CudnnLibrary& library, int64_t uid, DType dtype,
                                   int64_t outer, int64_t channels,
                                   const std::vector<int64_t>& spatial, Bytes alignment = 16,
                                   bool is_virtual = false) {
  std::vector<int64_t> sizes = {outer, channels};
  std::vector<int64_t> strides = {0, 1};
  sizes.insert(sizes.end(), spatial.begin(), spatial.end());
  strides.resize(sizes.size());
  int64_t stride = channels;
  for (size_t i = sizes.size(); i-- > 2;) {
    strides[i] = stride;
    stride *= sizes[i];
  }
  strides[0] = stride;
  WSI_ASSIGN_OR_RETURN(CudnnDescriptor tensor,
                       CudnnDescriptor::Make(library, CUDNN_BACKEND_TENSOR_DESCRIPTOR));
  WSI_RETURN_IF_ERROR(
      tensor.Set(CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_TYPE_DATA_TYPE, CudnnType(dtype)));
  WSI_RETURN_IF_ERROR(tensor.Set(CUDNN_ATTR_TENSOR_DIMENSIONS, sizes));
  WSI_RETURN_IF_ERROR(tensor.Set(CUDNN_ATTR_TENSOR_STRIDES, strides));
  WSI_RETURN_IF_ERROR(tensor.Set(CUDNN_ATTR_TENSOR_UNIQUE_ID, CUDNN_TYPE_INT64, uid));
  WSI_RETURN_IF_ERROR(tensor.Set(CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, CUDNN_TYPE_INT64, alignment));
  WSI_RETURN_IF_ERROR(tensor.Set(CUDNN_ATTR_TENSOR_IS_VIRTUAL, CUDNN_TYPE_BOOLEAN, is_virtual));
  WSI_RETURN_IF_ERROR(tensor.Finalize());
  return tensor;
}

Result<CudnnDescriptor> MakeWindow(const CudnnLibrary& library, const ConvolutionProblem& p) {
  WSI_ASSIGN_OR_RETURN(CudnnDescriptor window,
                       CudnnDescriptor::Make(library, CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR));
  const auto spatial = static_cast<int64_t>(p.kernel.size());
  const cudnnDataType_t computed = p.dtype == DType::kF64 ? CUDNN_DATA_DOUBLE : CUDNN_DATA_FLOAT;
  const cudnnConvolutionMode_t mode = CUDNN_CROSS_CORRELATION;
  WSI_RETURN_IF_ERROR(window.Set(CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, CUDNN_TYPE_INT64, spatial));
  WSI_RETURN_IF_ERROR(window.Set(CUDNN_ATTR_CONVOLUTION_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, computed));
  WSI_RETURN_IF_ERROR(
      window.Set(CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_TYPE_CONVOLUTION_MODE, mode));
  WSI_RETURN_IF_ERROR(window.Set(CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, p.pad_begin));
  WSI_RETURN_IF_ERROR(window.Set(CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, p.pad_end));
  WSI_RETURN_IF_ERROR(window.Set(CUDNN_ATTR_CONVOLUTION_DILATIONS, p.dilations));
  WSI_RETURN_IF_ERROR(window.Set(CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, p.strides));
  WSI_RETURN_IF_ERROR(window.Finalize());
  return window;
}

// The names of one kind of convolution operation.
struct OperationNames {
  cudnnBackendDescriptorType_t type;
  cudnnBackendAttributeName_t window, x, w, y, alpha, beta;
};

OperationNames NamesOf(ConvolutionKind kind) {
  switch (kind) {
    case ConvolutionKind::kInputGrad:
      return {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_BETA};
    case ConvolutionKind::kWeightGrad:
      return {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_CONV_DESC,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_X,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DW,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DY,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_ALPHA,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_BETA};
    default:
      return {CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR,
              CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC,
              CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X,
              CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W,
              CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y,
              CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA,
              CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA};
  }
}

Result<CudnnDescriptor> MakeOperation(const CudnnLibrary& library, const ConvolutionProblem& p,
                                      const CudnnDescriptor& x, const CudnnDescriptor& w,
                                      const CudnnDescriptor& y) {
  const OperationNames names = NamesOf(p.kind);
  WSI_ASSIGN_OR_RETURN(const CudnnDescriptor window, MakeWindow(library, p));
  WSI_ASSIGN_OR_RETURN(CudnnDescriptor operation, CudnnDescriptor::Make(library, names.type));
  WSI_RETURN_IF_ERROR(operation.Set(names.window, window));
  WSI_RETURN_IF_ERROR(operation.Set(names.x, x));
  WSI_RETURN_IF_ERROR(operation.Set(names.w, w));
  WSI_RETURN_IF_ERROR(operation.Set(names.y, y));
  if (p.dtype == DType::kF64) {
    WSI_RETURN_IF_ERROR(operation.Set(names.alpha, CUDNN_TYPE_DOUBLE, 1.0));
    WSI_RETURN_IF_ERROR(operation.Set(names.beta, CUDNN_TYPE_DOUBLE, 0.0));
  } else {
    WSI_RETURN_IF_ERROR(operation.Set(names.alpha, CUDNN_TYPE_FLOAT, 1.0F));
    WSI_RETURN_IF_ERROR(operation.Set(names.beta, CUDNN_TYPE_FLOAT, 0.0F));
  }
  WSI_RETURN_IF_ERROR(operation.Finalize());
  return operation;
}

// y = inner + bias
Result<CudnnDescriptor> MakeBiasOperation(const CudnnLibrary& library, const CudnnDescriptor& inner,
                                          const CudnnDescriptor& bias, const CudnnDescriptor& y) {
  WSI_ASSIGN_OR_RETURN(CudnnDescriptor add,
                       CudnnDescriptor::Make(library, CUDNN_BACKEND_POINTWISE_DESCRIPTOR));
  WSI_RETURN_IF_ERROR(
      add.Set(CUDNN_ATTR_POINTWISE_MODE, CUDNN_TYPE_POINTWISE_MODE, CUDNN_POINTWISE_ADD));
  WSI_RETURN_IF_ERROR(
      add.Set(CUDNN_ATTR_POINTWISE_MATH_PREC, CUDNN_TYPE_DATA_TYPE, CUDNN_DATA_FLOAT));
  WSI_RETURN_IF_ERROR(add.Finalize());
  WSI_ASSIGN_OR_RETURN(
      CudnnDescriptor operation,
      CudnnDescriptor::Make(library, CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR));
  WSI_RETURN_IF_ERROR(operation.Set(CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, add));
  WSI_RETURN_IF_ERROR(operation.Set(CUDNN_ATTR_OPERATION_POINTWISE_XDESC, inner));
  WSI_RETURN_IF_ERROR(operation.Set(CUDNN_ATTR_OPERATION_POINTWISE_BDESC, bias));
  WSI_RETURN_IF_ERROR(operation.Set(CUDNN_ATTR_OPERATION_POINTWISE_YDESC, y));
  WSI_RETURN_IF_ERROR(operation.Finalize());
  return operation;
}

Result<CudnnDescriptor> GraphOf(const CudnnLibrary& library, cudnnHandle_t handle,
                                const std::vector<cudnnBackendDescriptor_t>& operations) {
  WSI_ASSIGN_OR_RETURN(CudnnDescriptor graph,
                       CudnnDescriptor::Make(library, CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR));
  WSI_RETURN_IF_ERROR(graph.Set(CUDNN_ATTR_OPERATIONGRAPH_OPS, CUDNN_TYPE_BACKEND_DESCRIPTOR,
                                static_cast<int64_t>(operations.size()), operations.data()));
  WSI_RETURN_IF_ERROR(graph.Set(CUDNN_ATTR_OPERATIONGRAPH_HANDLE, CUDNN_TYPE_HANDLE, handle));
  WSI_RETURN_IF_ERROR(graph.Finalize());
  return graph;
}

}  // namespace

Result<CudnnDescriptor> MakeConvolutionGraph(const CudnnLibrary& library, cudnnHandle_t handle,
                                             const ConvolutionProblem& p) {
  const auto type = [&](ConvolutionKind kind) { return p.kind == kind ? p.result : p.dtype; };
  WSI_ASSIGN_OR_RETURN(const CudnnDescriptor x,
                       MakeTensor(library, kUidX, type(ConvolutionKind::kInputGrad), p.images,
                                  p.in_channels, p.input, p.alignment));
  WSI_ASSIGN_OR_RETURN(const CudnnDescriptor w,
                       MakeTensor(library, kUidW, type(ConvolutionKind::kWeightGrad),
                                  p.out_channels, p.in_channels / p.groups, p.kernel));
  WSI_ASSIGN_OR_RETURN(const CudnnDescriptor y,
                       MakeTensor(library, kUidY, type(ConvolutionKind::kForward), p.images,
                                  p.out_channels, p.output, p.alignment));
  if (!p.bias) {
    WSI_ASSIGN_OR_RETURN(const CudnnDescriptor operation, MakeOperation(library, p, x, w, y));
    return GraphOf(library, handle, {operation.get()});
  }
  const std::vector<int64_t> ones(p.kernel.size(), 1);
  WSI_ASSIGN_OR_RETURN(const CudnnDescriptor bias,
                       MakeTensor(library, kUidBias, p.dtype, 1, p.out_channels, ones));
  WSI_ASSIGN_OR_RETURN(
      const CudnnDescriptor inner,
      MakeTensor(library, kUidInner, DType::kF32, p.images, p.out_channels, p.output, 16, true));
  WSI_ASSIGN_OR_RETURN(const CudnnDescriptor operation, MakeOperation(library, p, x, w, inner));
  WSI_ASSIGN_OR_RETURN(const CudnnDescriptor add, MakeBiasOperation(library, inner, bias, y));
  return GraphOf(library, handle, {operation.get(), add.get()});
}

}  // namespace wsi::cuda
