#include "compiler/ops/op_docs.h"

#include <fmt/format.h>

#include <string_view>

#include "compiler/ops/op_def.h"

namespace wsi {
namespace {

std::string_view HalfName(HalfPolicy half) {
  switch (half) {
    case HalfPolicy::kSafe: return "half";
    case HalfPolicy::kMatrix: return "half, fp32 sums";
    case HalfPolicy::kFloat32: return "fp32";
    case HalfPolicy::kNeutral: return "any";
  }
  CheckFailed(__FILE__, __LINE__, "known half policy");
}

std::string_view RowsName(RowKind rows) {
  switch (rows) {
    case RowKind::kPointwise: return "row by row";
    case RowKind::kWindow: return "window";
    case RowKind::kOtherAxes: return "row by row across its axes";
    case RowKind::kMoved: return "moved";
    case RowKind::kSum: return "sum over bands";
    case RowKind::kBarrier: return "all rows";
    case RowKind::kNone: return "no rows";
  }
  CheckFailed(__FILE__, __LINE__, "known row kind");
}

// `text` as one cell: a bar would end it, a star or underscore could start emphasis.
std::string Cell(std::string_view text) {
  std::string cell;
  for (const char c : text) {
    if (c == '|' || c == '*' || c == '_' || c == '<' || c == '[') cell += '\\';
    cell += c;
  }
  return cell;
}

}  // namespace

std::string OperatorTable() {
  std::string table =
      "| operator | from | operands and result | gradient | rows | in half precision |\n"
      "|---|---|---|---|---|---|\n";
  for (const OpDef* op : AllOps()) {
    const std::string gradient =
        op->gradient.build != nullptr ? "yes" : "none: " + Cell(op->gradient.none_because);
    table +=
        fmt::format("| `{}` | {} | {} | {} | {} | {} |\n", op->name, op->is_onnx ? "ONNX" : "wsic",
                    Cell(op->summary), gradient, RowsName(op->rows), HalfName(op->half));
  }
  return table;
}

}  // namespace wsi
