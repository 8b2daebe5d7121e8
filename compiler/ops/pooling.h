// Pooling over windows and over whole images, and the gradients.
#pragma once

#include "compiler/ops/op_def.h"

namespace wsi {

extern const OpDef kAveragePool;
extern const OpDef kAveragePoolGrad;
extern const OpDef kGlobalAveragePool;
extern const OpDef kGlobalAveragePoolGrad;
extern const OpDef kGlobalMaxPool;
extern const OpDef kGlobalMaxPoolGrad;
extern const OpDef kMaxPool;
extern const OpDef kMaxPoolGrad;

}  // namespace wsi
