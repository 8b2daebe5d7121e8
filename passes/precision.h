// Precision: activations and their gradients in half precision, everything else in fp32.
//
// What an operator computes in is what OpDef::half says of it:
//
//   %w f32 ---Cast--> %w.f16 --+            parameters, moments, statistics: fp32 as they
//                              v            were; one Cast a step serves all half readers
//   %x f16 ----------------> Conv --> %y f16 --> BatchNormTrain --> ...
//                                                  scale, bias, statistics: f32
//   ... --> Gemm{dtype="f32"} --> %scores f32 --> SoftmaxCrossEntropyLoss: kFloat32
//
// - kMatrix and kSafe run in half as soon as an activation does. What is computed from
//   parameters, scalars and fp32 results alone stays in fp32, matrix products excepted.
// - kFloat32 and the update phase run in fp32, kNeutral follows its operands.
// - Sums whose readers all want fp32 give it without rounding (OpDef::half_sum).
// - Inputs of the model become half where no reader wants more. Outputs, loss, gradients
//   and what updates leave behind are fp32.
// - A Cast whose operand is itself a Cast that loses nothing reads the original. Casts down
//   are shared by the whole step; casts up are made anew behind the forward phase, so that
//   not the wider of the two lives until then.
// Requires: a graph whose floats are f32; before fuse.
#pragma once

#include "compiler/ir/graph.h"
#include "compiler/pass/pass_context.h"
#include "runtime/base/status.h"

namespace wsi {

struct PrecisionOptions {
  DType half = DType::kF16;  // or kBF16
};
Result<bool> ReducePrecision(Graph& graph, const PrecisionOptions& options, PassContext& context);

}  // namespace wsi
