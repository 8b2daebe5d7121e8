// Tile and the exchanges between channels and space: views and transpositions.
#include <fmt/format.h>

#include <algorithm>

#include "frontends/onnx/canonical.h"

namespace wsi {
namespace {

using Sizes = std::vector<int64_t>;

// reshape(transpose(reshape(x, split), perm), result)
Status GiveShuffled(NodeImport& n, Sizes split, Sizes perm, Sizes result) {
  WSI_ASSIGN_OR_RETURN(ValueId value,
                       n.Emit("Reshape", {n.Input(0)}, {{"shape", std::move(split)}}));
  WSI_ASSIGN_OR_RETURN(value, n.Emit("Transpose", {value}, {{"perm", std::move(perm)}}));
  return n.Give("Reshape", {value}, {{"shape", std::move(result)}});
}

// Whether attribute mode says column, row, depth instead of depth, column, row.
Result<bool> IsColumnRowDepth(NodeImport& n) {
  const std::string mode = n.String("mode", "DCR");
  if (mode == "CRD") return true;
  if (mode == "DCR") return false;
  return InvalidInput("mode is none of DCR, CRD");
}

Result<int64_t> ReadBlock(NodeImport& n) {
  WSI_RETURN_IF_ERROR(n.RequireInputs(1));
  const Shape& x = n.InputShape(0);
  const int64_t block = n.RequiredInt("blocksize");
  if (x.rank() != 4 || block < 1 || block > (int64_t{1} << 20)) {
    return InvalidInput(
        fmt::format("blocksize is {}, the input {}; a size of 1 or more and 4 axes "
                    "are needed",
                    block, x.ToString()));
  }
  return block;
}

}  // namespace

Status ImportDepthToSpace(NodeImport& n) {
  WSI_ASSIGN_OR_RETURN(const int64_t b, ReadBlock(n));
  WSI_ASSIGN_OR_RETURN(const bool crd, IsColumnRowDepth(n));
  const Shape x = n.InputShape(0);
  if (x[1] % (b * b) != 0) {
    return InvalidInput(fmt::format("blocksize {} squared does not divide {} channels", b, x[1]));
  }
  const int64_t c = x[1] / (b * b);
  const Sizes result = {x[0], c, x[2] * b, x[3] * b};
  if (crd) return GiveShuffled(n, {x[0], c, b, b, x[2], x[3]}, {0, 1, 4, 2, 5, 3}, result);
  return GiveShuffled(n, {x[0], b, b, c, x[2], x[3]}, {0, 3, 4, 1, 5, 2}, result);
}

Status ImportSpaceToDepth(NodeImport& n) {
  WSI_ASSIGN_OR_RETURN(const int64_t b, ReadBlock(n));
  WSI_ASSIGN_OR_RETURN(const bool crd, IsColumnRowDepth(n));
  const Shape x = n.InputShape(0);
  if (x[2] % b != 0 || x[3] % b != 0) {
    return InvalidInput(fmt::format("blocksize {} does not divide {}", b, x.ToString()));
  }
  const int64_t h = x[2] / b;
  const int64_t w = x[3] / b;
  return GiveShuffled(n, {x[0], x[1], h, b, w, b},
                      crd ? Sizes{0, 1, 3, 5, 2, 4} : Sizes{0, 3, 5, 1, 2, 4},
                      {x[0], x[1] * b * b, h, w});
}

// An axis that repeats becomes two, the first of which is stretched.
Status ImportTile(NodeImport& n) {
  WSI_RETURN_IF_ERROR(n.RequireInputs(2));
  const Shape x = n.InputShape(0);
  WSI_ASSIGN_OR_RETURN(const std::vector<int64_t> repeats, n.StaticInts(1, "repeats"));
  if (static_cast<int>(repeats.size()) != x.rank()) {
    return InvalidInput(
        fmt::format("repeats has {} entries, the input {} axes", repeats.size(), x.rank()));
  }
  Sizes split;
  Sizes stretched;
  Sizes result;
  for (size_t i = 0; i < repeats.size(); ++i) {
    const int64_t size = x[static_cast<int>(i)];
    if (repeats[i] < 0) return InvalidInput(fmt::format("repeats has a {}", repeats[i]));
    if (repeats[i] != 1) {
      split.push_back(1);
      stretched.push_back(repeats[i]);
    }
    split.push_back(size);
    stretched.push_back(size);
    WSI_ASSIGN_OR_RETURN(result.emplace_back(), CheckedMul(size, repeats[i]));
  }
  if (split.size() > static_cast<size_t>(Shape::kMaxRank)) {
    return InvalidInput("repeats along more axes than are supported");
  }
  WSI_ASSIGN_OR_RETURN(ValueId value, n.Emit("Reshape", {n.Input(0)}, {{"shape", split}}));
  WSI_ASSIGN_OR_RETURN(value, n.Emit("Expand", {value}, {{"shape", stretched}}));
  return n.Give("Reshape", {value}, {{"shape", std::move(result)}});
}

}  // namespace wsi
