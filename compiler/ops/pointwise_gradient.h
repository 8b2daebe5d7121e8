// Gradients of pointwise functions that are one pass over memory; the others are
// composed from forward operators. No operand broadcasts.
#pragma once

#include "compiler/ops/op_def.h"

namespace wsi {

extern const OpDef kClipGrad;
extern const OpDef kEluGrad;
extern const OpDef kErfGrad;
extern const OpDef kGeluGrad;
extern const OpDef kHardSigmoidGrad;
extern const OpDef kHardSwishGrad;
extern const OpDef kLeakyReluGrad;
extern const OpDef kReluGrad;
extern const OpDef kSigmoidGrad;
extern const OpDef kTanhGrad;

}  // namespace wsi
