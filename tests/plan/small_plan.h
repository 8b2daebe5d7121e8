// A plan small enough to follow by hand that has one of everything: programs "train"
// and "infer", a permuted parameter, state, a constant, scalars, in-place results, a
// view, a workspace, an offloaded input, waits across lanes and a barrier.
//
//   train: h = x * w; d = h - t (in place); loss = sum(d^2) / 2; total += loss;
//          g = d * x; w -= lr * g
//   infer: out = reshape(x * w + c)
#pragma once

#include <array>
#include <functional>
#include <span>
#include <string>

#include "runtime/base/tensor.h"
#include "runtime/plan/plan.pb.h"
#include "runtime/plan/plan_file.h"

namespace wsi {

plan::Plan MakeSmallPlan(DType dtype = DType::kF32);
// Contents of its persistents: w = 1..6 in physical layout, c = 10.
PersistentSource SmallPlanData(const plan::Plan& plan);
// The index of the value called `name` in `plan`. REQUIRES: there is one.
int32_t ValueIndex(const plan::Plan& plan, const std::string& name);

}  // namespace wsi
