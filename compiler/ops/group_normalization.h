// Group normalization (Wu and He, 2018), which instance normalization is a case of.
#pragma once

#include "compiler/ops/op_def.h"

namespace wsi {

extern const OpDef kGroupNormGrad;
extern const OpDef kGroupNormalization;

}  // namespace wsi
