// Views: Reshape, Flatten, Squeeze and Unsqueeze are all Reshape to explicit sizes.
#include <fmt/format.h>

#include <algorithm>

#include "frontends/onnx/canonical.h"

namespace wsi {
namespace {

Status GiveReshape(NodeImport& n, std::vector<int64_t> shape) {
  return n.Give("Reshape", {n.Input(0)}, {{"shape", std::move(shape)}});
}

// The axes operand (opset 13 and later) or attribute; none: empty.
Result<std::vector<int64_t>> ReadAxes(NodeImport& n) {
  if (n.opset() < 13) return n.Ints("axes");
  if (!n.HasInput(1)) return std::vector<int64_t>();
  return n.StaticInts(1, "axes");
}

}  // namespace

// 0 copies the input's size (unless allowzero), -1 takes what is left.
Status ImportReshape(NodeImport& n) {
  WSI_RETURN_IF_ERROR(n.RequireInputs(2));
  const Shape& input = n.InputShape(0);
  WSI_ASSIGN_OR_RETURN(std::vector<int64_t> shape, n.StaticInts(1, "shape"));
  const bool allow_zero = n.opset() >= 14 && n.Int("allowzero", 0) != 0;
  const int64_t elements = input.ElementCount();
  int64_t known = 1;
  int64_t* open = nullptr;
  for (size_t i = 0; i < shape.size(); ++i) {
    int64_t& size = shape[i];
    if (size == 0 && !allow_zero) {
      if (static_cast<int>(i) >= input.rank()) {
        return InvalidInput(
            fmt::format("shape has a 0 at axis {}, the input has {} axes", i, input.rank()));
      }
      size = input[static_cast<int>(i)];
    }
    if (size < -1 || (size == -1 && open != nullptr)) {
      return InvalidInput(fmt::format("shape has a {} at axis {}", size, i));
    }
    if (size == -1) {
      open = &size;
    } else {
      WSI_ASSIGN_OR_RETURN(known, CheckedMul(known, size));
    }
  }
  if (open != nullptr) {
    if (known == 0 || elements % known != 0) {
      return InvalidInput(fmt::format("{} does not divide by the {} elements of the sizes given",
                                      input.ToString(), known));
    }
    *open = elements / known;
  }
  return GiveReshape(n, std::move(shape));
}

Status ImportFlatten(NodeImport& n) {
  WSI_RETURN_IF_ERROR(n.RequireInputs(1));
  const Shape& input = n.InputShape(0);
  const int64_t rank = input.rank();
  int64_t axis = n.Int("axis", 1);
  if (axis < -rank || axis > rank) {
    return InvalidInput(fmt::format("axis is {}, the input has {} axes", axis, rank));
  }
  if (axis < 0) axis += rank;
  std::vector<int64_t> matrix = {1, 1};
  for (int i = 0; i < rank; ++i) matrix[i < axis ? 0 : 1] *= input[i];
  return GiveReshape(n, std::move(matrix));
}

Status ImportSqueeze(NodeImport& n) {
  WSI_RETURN_IF_ERROR(n.RequireInputs(1));
  const Shape& input = n.InputShape(0);
  WSI_ASSIGN_OR_RETURN(const std::vector<int64_t> axes, ReadAxes(n));
  std::vector<bool> drop(static_cast<size_t>(input.rank()));
  for (const int64_t given : axes) {
    WSI_ASSIGN_OR_RETURN(const int axis, NormalizeAxis(given, input.rank()));
    if (input[axis] != 1) {
      return InvalidInput(fmt::format("axis {} of {} is not 1", axis, input.ToString()));
    }
    drop[static_cast<size_t>(axis)] = true;
  }
  std::vector<int64_t> shape;
  for (int i = 0; i < input.rank(); ++i) {
    const bool dropped = axes.empty() ? input[i] == 1 : drop[static_cast<size_t>(i)];
    if (!dropped) shape.push_back(input[i]);
  }
  return GiveReshape(n, std::move(shape));
}

Status ImportUnsqueeze(NodeImport& n) {
  WSI_RETURN_IF_ERROR(n.RequireInputs(1));
  const Shape& input = n.InputShape(0);
  WSI_ASSIGN_OR_RETURN(const std::vector<int64_t> axes, ReadAxes(n));
  const size_t rank = static_cast<size_t>(input.rank()) + axes.size();
  if (rank > static_cast<size_t>(Shape::kMaxRank)) {
    return InvalidInput(fmt::format("result has {} axes, {} are allowed", rank, Shape::kMaxRank));
  }
  std::vector<bool> inserted(rank);
  for (const int64_t given : axes) {
    WSI_ASSIGN_OR_RETURN(const int axis, NormalizeAxis(given, static_cast<int>(rank)));
    if (inserted[static_cast<size_t>(axis)]) return InvalidInput("axes names an axis twice");
    inserted[static_cast<size_t>(axis)] = true;
  }
  std::vector<int64_t> shape;
  int next = 0;
  for (size_t i = 0; i < rank; ++i) shape.push_back(inserted[i] ? 1 : input[next++]);
  return GiveReshape(n, std::move(shape));
}

}  // namespace wsi
