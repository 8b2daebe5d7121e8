// Row algebra: what it takes to compute a band of an operator's result.
//
//      operand                               result
//      +--------------------+                +--------------------+
//      |                    |                |                    |
//      |....................| rows.begin     |                    |
//      |####################|                |....................| begin
//      |####################|  same op,      |####################|
//      |####################|  attributes    |####################|
//      |....................|  of the band   |....................| end
//      |                    | rows.end       |                    |
//      +--------------------+                +--------------------+
//
// Rows are the indices of one axis, the row axis: of a convolution's result any axis but
// that of the channels, of others whatever the operator does not work along. A node with
// the band's attributes on the operands' rows gives the rows [begin, end) of every result,
// or a share of results that add up over bands. Padding belongs to the edges of the whole
// alone; what counts or numbers the elements of the whole has the attribute `band`
// (runtime/base/band.h).
#pragma once

#include <optional>
#include <vector>

#include "compiler/ops/op_def.h"
#include "runtime/base/tensor.h"

namespace wsi {

struct RowRange {
  int64_t begin = 0;
  int64_t end = 0;

  int64_t count() const { return end - begin; }
  bool operator==(const RowRange&) const = default;
};

struct BandOperand {
  int axis = -1;                   // Of the operand's rows; -1: it is needed as it is.
  RowRange rows;                   // Of them, where it has an axis. May be empty.
  std::optional<Tensor> constant;  // What stands for a constant operand instead.
};

struct Band {
  std::vector<BandOperand> inputs;
  // The axis of the rows in each output that the operator can have; -1: the outputs of
  // all bands add up to the whole.
  std::vector<int> output_axes;
  Attributes attributes;
};

// The node that computes `rows` along `axis` of output 0; where OpDef::summed_input is not
// negative, of that input. An error where the operator has no such bands, saying why.
// REQUIRES: inferred types, rows that exist, one at least.
Result<Band> BandOf(const OpView& op, int axis, RowRange rows);

// How many rows there are along `axis` of what BandOf takes its rows from; an error if it
// has no such axis.
Result<int64_t> RowCount(const OpView& op, int axis);

// Rows of input `input` needed for the first `end` rows of the result: [0, RowsNeeded), all
// of them if `end` is all, those without rows included.
Result<int64_t> RowsNeeded(const OpView& op, int axis, int input, int64_t end);

// Rows [0, FinalGradientRows) of the gradient of input `input` depend on no other rows of
// the result's gradient than [0, end).
Result<int64_t> FinalGradientRows(const OpView& op, int axis, int input, int64_t end);

// The axis of BandOf whose bands take rows along `axis` of `input`; none if there is none.
std::optional<int> RowAxisBehind(const OpView& op, int input, int axis);

}  // namespace wsi
