// Functions of two or three tensors, element by element, broadcast as numpy does.
#pragma once

#include "compiler/ops/op_def.h"

namespace wsi {

extern const OpDef kAdd;
extern const OpDef kAnd;
extern const OpDef kDiv;
extern const OpDef kEqual;
extern const OpDef kGreater;
extern const OpDef kLess;
extern const OpDef kMax;
extern const OpDef kMin;
extern const OpDef kMod;
extern const OpDef kMul;
extern const OpDef kOr;
extern const OpDef kPow;
extern const OpDef kSub;
extern const OpDef kWhere;

}  // namespace wsi
