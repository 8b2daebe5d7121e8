#include "frontends/onnx/onnx_operators.h"

#include <fmt/format.h>

#include <algorithm>

#include "compiler/ops/op_def.h"
#include "compiler/ops/op_docs.h"
#include "frontends/onnx/canonical.h"

namespace wsi {
namespace {

std::vector<std::string_view> Words(std::string_view text) {
  std::vector<std::string_view> words;
  while (!text.empty()) {
    const size_t end = std::min(text.find(' '), text.size());
    words.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return words;
}

bool HasGradient(std::string_view name) {
  const OpDef* op = FindOp(name);
  return op != nullptr && op->gradient.build != nullptr;
}

// Nothing is left of those that name, choose or count values; values pass through the former.
OnnxOperator Describe(const Canonicalizer& canonicalizer) {
  OnnxOperator op{.name = canonicalizer.op, .becomes = Words(canonicalizer.becomes)};
  const bool is_name = canonicalizer.becomes == kAnotherName;
  if (is_name) op.becomes.clear();
  if (canonicalizer.becomes.empty() && FindOp(op.name) != nullptr && !IsFoldedOnly(op.name)) {
    op.becomes = {op.name};
  }
  op.is_differentiable = is_name || std::ranges::any_of(op.becomes, HasGradient);
  return op;
}

std::string BecomesCell(const OnnxOperator& op) {
  if (op.becomes.empty()) return op.is_differentiable ? "another name of its value" : "a constant";
  if (op.becomes.size() == 1 && op.becomes[0] == op.name) return "itself";
  std::string cell;
  for (const std::string_view name : op.becomes) {
    cell += fmt::format("{}{}", cell.empty() ? "" : ", ", name);
  }
  return cell;
}

}  // namespace

std::vector<OnnxOperator> OnnxOperators() {
  std::vector<OnnxOperator> ops;
  for (const Canonicalizer& canonicalizer : Canonicalizers()) {
    ops.push_back(Describe(canonicalizer));
  }
  return ops;
}

namespace {

std::string OnnxOperatorTable() {
  std::string table = "| from ONNX | becomes | gradient |\n|---|---|---|\n";
  const std::vector<OnnxOperator> ops = OnnxOperators();
  int64_t differentiable = 0;
  for (const OnnxOperator& op : ops) {
    differentiable += op.is_differentiable ? 1 : 0;
    table += fmt::format("| `{}` | {} | {} |\n", op.name, BecomesCell(op),
                         op.is_differentiable ? "yes" : "none");
  }
  return table + fmt::format(
                     "\n{} operators of ONNX, {} of them with gradients; and If, Loop and "
                     "model-local functions, which become what they hold.\n",
                     ops.size(), differentiable);
}

}  // namespace

std::string OperatorsPage() {
  return fmt::format("## ONNX\n\n{}\n## The graph\n\n{}", OnnxOperatorTable(), OperatorTable());
}

}  // namespace wsi
