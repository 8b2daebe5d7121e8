// Layer normalization (Ba, Kiros and Hinton, 2016) and its form without mean, root mean
// square normalization (Zhang and Sennrich, 2019).
#pragma once

#include "compiler/ops/op_def.h"

namespace wsi {

extern const OpDef kLayerNormGrad;
extern const OpDef kLayerNormalization;
extern const OpDef kRMSNormGrad;
extern const OpDef kRMSNormalization;

}  // namespace wsi
