// Between the plan's protocol buffers and the base types.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/base/attributes.h"
#include "runtime/base/dtype.h"
#include "runtime/base/shape.h"
#include "runtime/base/status.h"
#include "runtime/plan/plan.pb.h"

namespace wsi {

// REQUIRES: the value has passed VerifyPlan.
DType ValueDType(const plan::Value& value);
Shape ValueShape(const plan::Value& value);
Bytes ValueBytes(const plan::Value& value);

Attributes AttributesOf(const google::protobuf::RepeatedPtrField<plan::Attribute>& stored);
void StoreAttributes(const Attributes& attributes,
                     google::protobuf::RepeatedPtrField<plan::Attribute>* stored);
// "strides=[2,2]", "epsilon=1e-05".
std::string AttributeText(const plan::Attribute& attribute);

// The program called `name`, or -1.
int FindProgram(const plan::Plan& plan, std::string_view name);

// "compute", "in", "out", "comm", "read", "write".
std::string_view LaneName(plan::Lane lane);
std::string_view PhaseName(plan::Phase phase);  // "forward", "backward", "update".
std::string_view TierName(plan::Tier tier);     // "device", "host", "file".
// The operator of a launch; "copy", "collective" or "barrier" otherwise.
std::string_view KindName(const plan::Instruction& instruction);

// p[inverse[i]] == i. REQUIRES: `permutation` is one.
std::vector<int64_t> InvertPermutation(std::span<const int64_t> permutation);

// The instruction that gives `value` its contents in `program`: the last that writes
// it, or, of a value that only renames what its buffer holds (a view that was left
// out, a copy that was brought back), the last that writes its buffer before the
// value's first reader. -1 if there is none.
// REQUIRES: the plan has passed VerifyPlan.
int FindWriter(const plan::Plan& plan, const plan::Program& program, int32_t value);

}  // namespace wsi
