// Functions of one tensor, element by element.
#pragma once

#include "compiler/ops/op_def.h"

namespace wsi {

extern const OpDef kAbs;
extern const OpDef kCast;
extern const OpDef kCeil;
extern const OpDef kClip;
extern const OpDef kCos;
extern const OpDef kCosh;
extern const OpDef kElu;
extern const OpDef kErf;
extern const OpDef kExp;
extern const OpDef kFloor;
extern const OpDef kGelu;
extern const OpDef kHardSigmoid;
extern const OpDef kHardSwish;
extern const OpDef kIdentity;
extern const OpDef kLeakyRelu;
extern const OpDef kLog;
extern const OpDef kNeg;
extern const OpDef kNot;
extern const OpDef kReciprocal;
extern const OpDef kRelu;
extern const OpDef kRound;
extern const OpDef kSigmoid;
extern const OpDef kSign;
extern const OpDef kSin;
extern const OpDef kSinh;
extern const OpDef kSoftplus;
extern const OpDef kSqrt;
extern const OpDef kTanh;

}  // namespace wsi
