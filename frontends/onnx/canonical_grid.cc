// GridSample.
#include "frontends/onnx/canonical.h"

namespace wsi {

// Opset 20 renamed bilinear to linear and bicubic to cubic.
Status ImportGridSample(NodeImport& n) {
  WSI_RETURN_IF_ERROR(n.RequireInputs(2));
  std::string mode = n.String("mode", "linear");
  if (mode == "bilinear") mode = "linear";
  if (mode == "bicubic") mode = "cubic";
  ValueId grid = n.Input(1);
  if (n.InputType(1) != n.InputType(0)) {
    WSI_ASSIGN_OR_RETURN(grid,
                         n.Emit("Cast", {grid}, {{"to", std::string(DTypeName(n.InputType(0)))}}));
  }
  return n.Give("GridSample", {n.Input(0), grid},
                {{"mode", std::move(mode)},
                 {"padding_mode", n.String("padding_mode", "zeros")},
                 {"align_corners", n.Int("align_corners", 0)}});
}

}  // namespace wsi
