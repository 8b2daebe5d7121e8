// Canonicalizers: for each ONNX operator, how its form in any opset from 7 to 28
// becomes the canonical form of compiler/ops/op_def.h.
#pragma once

#include <span>
#include <string_view>

#include "frontends/onnx/node_import.h"

namespace wsi {

struct Canonicalizer {
  std::string_view op;
  Status (*import)(NodeImport&);
  // Names of the operators that may come of it, separated by blanks; none: the one of its
  // own name, or another name of a value.
  std::string_view becomes = {};
};

// Canonicalizer::becomes of operators whose results are operands under another name.
inline constexpr std::string_view kAnotherName = "-";

// Sorted by name.
std::span<const Canonicalizer> Canonicalizers();

// The operator's canonicalizer, or null: not supported.
const Canonicalizer* FindCanonicalizer(std::string_view op);
// Whether `op` exists only to be folded: no backend runs it.
bool IsFoldedOnly(std::string_view op);

// Operators without attributes, whose operands no opset changed: as they are.
Status ImportAsIs(NodeImport& n);

// Gives x^(1/p) of an x that is nowhere negative, whose derivative at 0 is taken as 0.
Status GiveRoot(NodeImport& n, ValueId x, double p);  // canonical_reduce.cc

// canonical_constant.cc
Status ImportConstant(NodeImport& n);
Status ImportConstantOfShape(NodeImport& n);
Status ImportRange(NodeImport& n);
Status ImportShape(NodeImport& n);
Status ImportSize(NodeImport& n);

// canonical_pointwise.cc
Status ImportIdentity(NodeImport& n);
Status ImportNary(NodeImport& n);  // Max, Min, Sum, Mean.
Status ImportPow(NodeImport& n);
Status ImportMod(NodeImport& n);
Status ImportClip(NodeImport& n);
Status ImportCast(NodeImport& n);
Status ImportCastLike(NodeImport& n);
Status ImportWithAlpha(NodeImport& n);  // LeakyRelu, Elu, HardSigmoid.
Status ImportOrEqual(NodeImport& n);    // LessOrEqual, GreaterOrEqual.
Status ImportMatMul(NodeImport& n);
Status ImportGemm(NodeImport& n);

// canonical_activation.cc
Status ImportCelu(NodeImport& n);
Status ImportGelu(NodeImport& n);
Status ImportIsInf(NodeImport& n);
Status ImportIsNaN(NodeImport& n);
Status ImportMish(NodeImport& n);
Status ImportPRelu(NodeImport& n);
Status ImportSelu(NodeImport& n);
Status ImportShrink(NodeImport& n);
Status ImportSoftsign(NodeImport& n);
Status ImportSwish(NodeImport& n);
Status ImportTan(NodeImport& n);
Status ImportThresholdedRelu(NodeImport& n);
Status ImportXor(NodeImport& n);

// canonical_transposed.cc
Status ImportConvTranspose(NodeImport& n);
Status ImportCol2Im(NodeImport& n);

// canonical_attention.cc
Status ImportAttention(NodeImport& n);
Status ImportRotaryEmbedding(NodeImport& n);

// canonical_einsum.cc
Status ImportEinsum(NodeImport& n);

// canonical_grid.cc
Status ImportGridSample(NodeImport& n);

// canonical_resize.cc
Status ImportResize(NodeImport& n);  // And Upsample, which it replaced.

// canonical_window.cc
Status ImportLpPool(NodeImport& n);
Status ImportGlobalLpPool(NodeImport& n);
Status ImportConv(NodeImport& n);
Status ImportMaxPool(NodeImport& n);
Status ImportAveragePool(NodeImport& n);

// canonical_norm.cc
Status ImportBatchNormalization(NodeImport& n);
Status ImportGroupNormalization(NodeImport& n);
Status ImportInstanceNormalization(NodeImport& n);
Status ImportDropout(NodeImport& n);

// canonical_row_norm.cc
Status ImportRowNormalization(NodeImport& n);  // LayerNormalization, RMSNormalization.
Status ImportLpNormalization(NodeImport& n);
Status ImportLRN(NodeImport& n);
Status ImportMeanVarianceNormalization(NodeImport& n);

// canonical_reduce.cc
Status ImportReduce(NodeImport& n);      // ReduceSum, ReduceMean, ...
Status ImportReduceNorm(NodeImport& n);  // ReduceL1, ReduceL2, ReduceSumSquare, ReduceLogSum.
Status ImportReduceLogSumExp(NodeImport& n);
Status ImportSoftmax(NodeImport& n);
Status ImportClassificationLoss(NodeImport& n);

// canonical_index.cc
Status ImportArgExtreme(NodeImport& n);  // ArgMax, ArgMin.
Status ImportCumSum(NodeImport& n);
Status ImportEyeLike(NodeImport& n);
Status ImportGather(NodeImport& n);
Status ImportGatherElements(NodeImport& n);
Status ImportGatherND(NodeImport& n);
Status ImportOneHot(NodeImport& n);
Status ImportScatterElements(NodeImport& n);
Status ImportScatterND(NodeImport& n);
Status ImportTopK(NodeImport& n);
Status ImportTrilu(NodeImport& n);

// canonical_blocks.cc
Status ImportDepthToSpace(NodeImport& n);
Status ImportSpaceToDepth(NodeImport& n);
Status ImportTile(NodeImport& n);

// canonical_sequence.cc
Status ImportConcatFromSequence(NodeImport& n);
Status ImportSequenceAt(NodeImport& n);
Status ImportSequenceConstruct(NodeImport& n);
Status ImportSequenceEmpty(NodeImport& n);
Status ImportSequenceErase(NodeImport& n);
Status ImportSequenceInsert(NodeImport& n);
Status ImportSequenceLength(NodeImport& n);
Status ImportSplitToSequence(NodeImport& n);

// canonical_shape.cc: views.
Status ImportReshape(NodeImport& n);
Status ImportFlatten(NodeImport& n);
Status ImportSqueeze(NodeImport& n);
Status ImportUnsqueeze(NodeImport& n);

// canonical_data.cc: what moves elements.
Status ImportExpand(NodeImport& n);
Status ImportTranspose(NodeImport& n);
Status ImportConcat(NodeImport& n);
Status ImportSlice(NodeImport& n);
Status ImportSplit(NodeImport& n);
Status ImportPad(NodeImport& n);

}  // namespace wsi
