// Attention and RotaryEmbedding as matrix products, softmax and selections.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "frontends/onnx/canonical.h"
#include "frontends/onnx/tensor_proto.h"

namespace wsi {
namespace {

using Sizes = std::vector<int64_t>;

constexpr double kInfinity = std::numeric_limits<double>::infinity();

Result<ValueId> Reshaped(NodeImport& n, ValueId value, Sizes sizes) {
  return n.Emit("Reshape", {value}, {{"shape", std::move(sizes)}});
}

Result<ValueId> CastTo(NodeImport& n, ValueId value, DType dtype) {
  return n.Emit("Cast", {value}, {{"to", std::string(DTypeName(dtype))}});
}

Attributes Over(int axis) { return {{"axes", Sizes{axis}}, {"keepdims", int64_t{1}}}; }

// Queries, keys and values as [batch, heads, positions, size].
struct Heads {
  ValueId q;
  ValueId k;
  ValueId v;
  bool joined = false;  // They came as [batch, positions, heads * size].
};

// `value` of [batch, positions, heads * size] with the heads in front.
Result<ValueId> SplitHeads(NodeImport& n, ValueId value, int64_t heads, std::string_view what) {
  const Shape x = n.ShapeOf(value);
  if (heads < 1 || x[2] % heads != 0) {
    return InvalidInput(
        fmt::format("{} is {}, which does not divide axis 2 of {}", what, heads, x.ToString()));
  }
  WSI_ASSIGN_OR_RETURN(value, Reshaped(n, value, {x[0], x[1], heads, x[2] / heads}));
  return n.Emit("Transpose", {value}, {{"perm", Sizes{0, 2, 1, 3}}});
}

Result<Heads> ReadHeads(NodeImport& n) {
  WSI_RETURN_IF_ERROR(n.RequireInputs(3));
  Heads heads{n.Input(0), n.Input(1), n.Input(2)};
  const int rank = n.InputShape(0).rank();
  if ((rank != 3 && rank != 4) || n.InputShape(1).rank() != rank ||
      n.InputShape(2).rank() != rank) {
    return InvalidInput(fmt::format("Q, K and V are {}, {} and {}; all must have 3 or 4 axes",
                                    n.InputShape(0).ToString(), n.InputShape(1).ToString(),
                                    n.InputShape(2).ToString()));
  }
  heads.joined = rank == 3;
  const int64_t of_q = n.Int("q_num_heads", 0);
  const int64_t of_kv = n.Int("kv_num_heads", 0);
  if (!heads.joined) return heads;
  WSI_ASSIGN_OR_RETURN(heads.q, SplitHeads(n, heads.q, of_q, "q_num_heads"));
  WSI_ASSIGN_OR_RETURN(heads.k, SplitHeads(n, heads.k, of_kv, "kv_num_heads"));
  WSI_ASSIGN_OR_RETURN(heads.v, SplitHeads(n, heads.v, of_kv, "kv_num_heads"));
  return heads;
}

// Each of the heads several times in a row.
Result<ValueId> RepeatHeads(NodeImport& n, ValueId value, int64_t times) {
  if (times == 1) return value;
  const Shape x = n.ShapeOf(value);
  WSI_ASSIGN_OR_RETURN(value, Reshaped(n, value, {x[0], x[1], 1, x[2], x[3]}));
  WSI_ASSIGN_OR_RETURN(
      value, n.Emit("Expand", {value}, {{"shape", Sizes{x[0], x[1], times, x[2], x[3]}}}));
  return Reshaped(n, value, {x[0], x[1] * times, x[2], x[3]});
}

// Which keys a query may see, by position alone.
struct Frontier {
  int64_t queries = 0;
  int64_t keys = 0;
  int64_t offset = 0;  // Keys before the first query.
  bool causal = false;
  int64_t left = -1;   // Keys seen before a query's own position; below 0: all.
  int64_t right = -1;  // And behind it.
  bool limited() const { return causal || left >= 0 || right >= 0; }
  // Whether query i sees key j if `before` keys precede the first query.
  bool Sees(int64_t i, int64_t j, int64_t before) const {
    const int64_t ahead = j - i - before;
    return (!causal || ahead <= 0) && (left < 0 || -ahead <= left) && (right < 0 || ahead <= right);
  }
};

ValueId Constant(NodeImport& n, std::string_view what, Tensor tensor) {
  return n.state().graph.AddConstant(fmt::format("{}/{}", n.name(), what), std::move(tensor));
}

Result<ValueId> Mask(NodeImport& n, const Frontier& f) {
  WSI_ASSIGN_OR_RETURN(Tensor mask, n.NewConstant(DType::kBool, Shape{f.queries, f.keys}));
  for (int64_t i = 0; i < f.queries; ++i) {
    for (int64_t j = 0; j < f.keys; ++j) {
      mask.data<uint8_t>()[static_cast<size_t>(i * f.keys + j)] = f.Sees(i, j, f.offset) ? 1 : 0;
    }
  }
  return Constant(n, "frontier", std::move(mask));
}

// Whether the counts of filled keys are above, or with `below` below, `threshold` of query
// i and key j.
template <typename F>
Result<ValueId> Compared(NodeImport& n, const Frontier& f, ValueId counts, bool below,
                         F threshold) {
  WSI_ASSIGN_OR_RETURN(Tensor values, n.NewConstant(DType::kI64, Shape{1, 1, f.queries, f.keys}));
  for (int64_t i = 0; i < f.queries; ++i) {
    for (int64_t j = 0; j < f.keys; ++j) {
      values.data<int64_t>()[static_cast<size_t>(i * f.keys + j)] = threshold(i, j);
    }
  }
  const ValueId limits = Constant(n, "limits", std::move(values));
  return below ? n.Emit("Less", {counts, limits}) : n.Emit("Less", {limits, counts});
}

Result<ValueId> Both(NodeImport& n, ValueId a, ValueId b) {
  if (!a.valid()) return b;
  if (!b.valid()) return a;
  return n.Emit("And", {a, b});
}

// Of keys of which only the first `counts` (input 6, by batch) are filled, the queries
// being the last of them: before = count - queries.
Result<ValueId> FilledMask(NodeImport& n, const Frontier& f) {
  WSI_ASSIGN_OR_RETURN(ValueId counts, Reshaped(n, n.Input(6), {n.InputShape(6)[0], 1, 1, 1}));
  if (n.InputType(6) != DType::kI64) {
    WSI_ASSIGN_OR_RETURN(counts, CastTo(n, counts, DType::kI64));
  }
  const int64_t q = f.queries;
  WSI_ASSIGN_OR_RETURN(ValueId allowed,
                       Compared(n, f, counts, false, [](int64_t, int64_t j) { return j; }));
  const int64_t ahead = f.causal ? 0 : f.right;
  if (ahead >= 0) {
    WSI_ASSIGN_OR_RETURN(
        const ValueId behind,
        Compared(n, f, counts, false, [=](int64_t i, int64_t j) { return j - i + q - ahead - 1; }));
    WSI_ASSIGN_OR_RETURN(allowed, Both(n, allowed, behind));
  }
  if (f.left >= 0) {
    WSI_ASSIGN_OR_RETURN(
        const ValueId near,
        Compared(n, f, counts, true, [=](int64_t i, int64_t j) { return f.left + j - i + q + 1; }));
    WSI_ASSIGN_OR_RETURN(allowed, Both(n, allowed, near));
  }
  return allowed;
}

// The mask, operand 3, over all keys: those that it lacks are not seen.
Result<ValueId> WholeMask(NodeImport& n, int64_t keys) {
  const Shape mask = n.InputShape(3);
  if (mask.rank() < 1 || mask[-1] > keys) {
    return InvalidInput(fmt::format("attn_mask is {}, there are {} keys", mask.ToString(), keys));
  }
  if (mask[-1] == keys || mask[-1] == 1) return n.Input(3);
  const double value = n.InputType(3) == DType::kBool ? 0 : -kInfinity;
  Sizes pads(2 * static_cast<size_t>(mask.rank()), 0);
  pads.back() = keys - mask[-1];
  return n.Emit("Pad", {n.Input(3)}, {{"pads", std::move(pads)}, {"value", value}});
}

// What is added to the scores: -inf where a key is not seen. Invalid: nothing.
Result<ValueId> EmitBias(NodeImport& n, const Frontier& f, DType dtype) {
  ValueId allowed;
  ValueId added;
  if (n.HasInput(6)) {
    WSI_ASSIGN_OR_RETURN(allowed, FilledMask(n, f));
  } else if (f.limited()) {
    WSI_ASSIGN_OR_RETURN(allowed, Mask(n, f));
  }
  if (n.HasInput(3)) {
    WSI_ASSIGN_OR_RETURN(const ValueId mask, WholeMask(n, f.keys));
    if (n.InputType(3) == DType::kBool) {
      WSI_ASSIGN_OR_RETURN(allowed, Both(n, allowed, mask));
    } else {
      added = mask;
      if (n.InputType(3) != dtype) {
        WSI_ASSIGN_OR_RETURN(added, CastTo(n, mask, dtype));
      }
    }
  }
  if (!allowed.valid()) return added;
  const auto number = [&](double value) -> Result<ValueId> {
    const double one[] = {value};
    WSI_ASSIGN_OR_RETURN(Tensor scalar, Tensor::Of<double>(Shape(), one).Cast(dtype));
    return Constant(n, "bias", std::move(scalar));
  };
  WSI_ASSIGN_OR_RETURN(const ValueId never, number(-kInfinity));
  if (added.valid()) return n.Emit("Where", {allowed, added, never});
  WSI_ASSIGN_OR_RETURN(const ValueId zero, number(0));
  return n.Emit("Where", {allowed, zero, never});
}

// Softmax over the keys; rows whose bias lets no key through become zeros. The scores of
// such rows are set to 0 first, for their gradient.
Result<ValueId> EmitProbabilities(NodeImport& n, ValueId scores, ValueId bias) {
  const Attributes last = {{"axis", int64_t{3}}};
  if (!bias.valid()) return n.Emit("Softmax", {scores}, last);
  const int rank = n.ShapeOf(bias).rank();
  WSI_ASSIGN_OR_RETURN(const ValueId highest, n.Emit("ReduceMax", {bias}, Over(rank - 1)));
  WSI_ASSIGN_OR_RETURN(const ValueId never, n.NumberLike(highest, -kInfinity));
  WSI_ASSIGN_OR_RETURN(const ValueId masked, n.Emit("Equal", {highest, never}));
  if (const Tensor* known = n.state().graph.ConstantTensor(masked); known != nullptr) {
    const std::vector<int64_t> rows = known->ToInts();
    if (std::ranges::find(rows, 1) == rows.end()) return n.Emit("Softmax", {scores}, last);
  }
  WSI_ASSIGN_OR_RETURN(const ValueId zero, n.NumberLike(scores, 0));
  WSI_ASSIGN_OR_RETURN(ValueId value, n.Emit("Where", {masked, zero, scores}));
  WSI_ASSIGN_OR_RETURN(value, n.Emit("Softmax", {value}, last));
  return n.Emit("Where", {masked, zero, value});
}

Result<ValueId> EmitSoftcap(NodeImport& n, ValueId scores, double cap) {
  if (cap == 0) return scores;
  WSI_ASSIGN_OR_RETURN(const ValueId factor, n.NumberLike(scores, cap));
  WSI_ASSIGN_OR_RETURN(ValueId value, n.Emit("Div", {scores, factor}));
  WSI_ASSIGN_OR_RETURN(value, n.Emit("Tanh", {value}));
  return n.Emit("Mul", {value, factor});
}

// Past keys or values, operand `i`, in front of `value`.
Result<ValueId> WithPast(NodeImport& n, int i, ValueId value) {
  if (!n.HasInput(i)) return value;
  return n.Emit("Concat", {n.Input(i), value}, {{"axis", int64_t{2}}});
}

// softmax(cap(q' k) + bias) in the precision asked for; output 3 is one of its stages.
Result<ValueId> EmitWeights(NodeImport& n, const Heads& heads, ValueId bias, double scale) {
  const int64_t mode = n.Int("qk_matmul_output_mode", 0);
  if (mode < 0 || mode > 3) {
    return InvalidInput(fmt::format("qk_matmul_output_mode is {}; allowed are 0 to 3", mode));
  }
  const DType dtype = n.InputType(0);
  WSI_ASSIGN_OR_RETURN(const ValueId factor, n.NumberLike(heads.q, scale));
  WSI_ASSIGN_OR_RETURN(const ValueId scaled, n.Emit("Mul", {heads.q, factor}));
  WSI_ASSIGN_OR_RETURN(const ValueId raw, n.Emit("MatMul", {scaled, heads.k},
                                                 {{"transA", int64_t{0}}, {"transB", int64_t{1}}}));
  WSI_ASSIGN_OR_RETURN(const ValueId capped, EmitSoftcap(n, raw, n.Float("softcap", 0)));
  ValueId biased = capped;
  if (bias.valid()) {
    WSI_ASSIGN_OR_RETURN(biased, n.Emit("Add", {capped, bias}));
  }
  ValueId scores = biased;
  DType precision = dtype;
  if (n.HasAttribute("softmax_precision")) {
    WSI_ASSIGN_OR_RETURN(precision, DTypeFromOnnx(n.Int("softmax_precision", 1)));
    precision = n.state().GraphType(precision);
  }
  if (precision != dtype) {
    WSI_ASSIGN_OR_RETURN(scores, CastTo(n, scores, precision));
  }
  WSI_ASSIGN_OR_RETURN(ValueId weights, EmitProbabilities(n, scores, bias));
  if (precision != dtype) {
    WSI_ASSIGN_OR_RETURN(weights, CastTo(n, weights, dtype));
  }
  const ValueId stages[] = {raw, capped, biased, weights};
  n.SetOutput(3, stages[mode]);
  return weights;
}

}  // namespace

Status ImportAttention(NodeImport& n) {
  WSI_ASSIGN_OR_RETURN(Heads heads, ReadHeads(n));
  if (n.HasInput(4) != n.HasInput(5)) {
    return InvalidInput("past_key and past_value must be given together");
  }
  const int64_t past = n.HasInput(4) ? n.InputShape(4)[2] : 0;
  WSI_ASSIGN_OR_RETURN(heads.k, WithPast(n, 4, heads.k));
  WSI_ASSIGN_OR_RETURN(heads.v, WithPast(n, 5, heads.v));
  n.SetOutput(1, heads.k);
  n.SetOutput(2, heads.v);
  const Shape q = n.ShapeOf(heads.q);
  const Shape k = n.ShapeOf(heads.k);
  if (k[1] < 1 || q[1] % k[1] != 0) {
    return InvalidInput(
        fmt::format("{} heads of keys do not divide {} heads of queries", k[1], q[1]));
  }
  WSI_ASSIGN_OR_RETURN(heads.k, RepeatHeads(n, heads.k, q[1] / k[1]));
  WSI_ASSIGN_OR_RETURN(heads.v, RepeatHeads(n, heads.v, q[1] / k[1]));
  Frontier frontier{q[2], k[2], past, n.Int("is_causal", 0) != 0};
  frontier.left = n.Int("left_window_size", -1);
  frontier.right = n.Int("right_window_size", -1);
  WSI_ASSIGN_OR_RETURN(const ValueId bias, EmitBias(n, frontier, n.InputType(0)));
  const double scale = n.Float("scale", 1 / std::sqrt(static_cast<double>(q[3])));
  WSI_ASSIGN_OR_RETURN(const ValueId weights, EmitWeights(n, heads, bias, scale));
  const Attributes plain = {{"transA", int64_t{0}}, {"transB", int64_t{0}}};
  if (!heads.joined) return n.Give("MatMul", {weights, heads.v}, plain);
  WSI_ASSIGN_OR_RETURN(ValueId y, n.Emit("MatMul", {weights, heads.v}, plain));
  WSI_ASSIGN_OR_RETURN(y, n.Emit("Transpose", {y}, {{"perm", Sizes{0, 2, 1, 3}}}));
  const Shape shape = n.ShapeOf(y);
  return n.Give("Reshape", {y}, {{"shape", Sizes{shape[0], shape[1], shape[2] * shape[3]}}});
}

namespace {

Result<ValueId> SliceLast(NodeImport& n, ValueId value, int64_t begin, int64_t end, int64_t step) {
  const int64_t last = n.ShapeOf(value).rank() - 1;
  return n.Emit("Slice", {value},
                {{"starts", Sizes{begin}},
                 {"ends", Sizes{end}},
                 {"axes", Sizes{last}},
                 {"steps", Sizes{step}}});
}

// The cache (operand `i`) for each batch and position, against [batch, heads, position, size]
// or, where heads stand behind positions, [batch, position, heads, size].
Result<ValueId> ReadCache(NodeImport& n, int i, const Shape& x, bool joined) {
  ValueId cache = n.Input(i);
  const int64_t half = n.InputShape(i).rank() == 0 ? 0 : n.InputShape(i)[-1];
  const int64_t positions = joined ? x[1] : x[2];
  if (n.HasInput(3)) {
    WSI_ASSIGN_OR_RETURN(const ValueId list,
                         Reshaped(n, n.Input(3), {n.InputShape(3).ElementCount()}));
    WSI_ASSIGN_OR_RETURN(cache, n.Emit("Gather", {cache, list}, {{"axis", int64_t{0}}}));
  }
  const int64_t batch = n.ShapeOf(cache).ElementCount() / std::max<int64_t>(positions * half, 1);
  return Reshaped(n, cache,
                  joined ? Sizes{batch, positions, 1, half} : Sizes{batch, 1, positions, half});
}

// (a, b) turned: a cos - b sin, or a sin + b cos.
Result<ValueId> Turned(NodeImport& n, std::string_view op, ValueId a, ValueId by_a, ValueId b,
                       ValueId by_b) {
  WSI_ASSIGN_OR_RETURN(const ValueId first, n.Emit("Mul", {a, by_a}));
  WSI_ASSIGN_OR_RETURN(const ValueId second, n.Emit("Mul", {b, by_b}));
  return n.Emit(op, {first, second});
}

}  // namespace

Status ImportRotaryEmbedding(NodeImport& n) {
  WSI_RETURN_IF_ERROR(n.RequireInputs(3));
  const Shape given = n.InputShape(0);
  const bool joined = given.rank() == 3;
  ValueId x = n.Input(0);
  const int64_t heads = n.Int("num_heads", 0);
  if (joined) {
    if (heads < 1 || given[2] % heads != 0) {
      return InvalidInput(fmt::format("num_heads is {}, which does not divide axis 2 of {}", heads,
                                      given.ToString()));
    }
    WSI_ASSIGN_OR_RETURN(x, Reshaped(n, x, {given[0], given[1], heads, given[2] / heads}));
  } else if (given.rank() != 4) {
    return InvalidInput(fmt::format("input {} has neither 3 nor 4 axes", given.ToString()));
  }
  const Shape shape = n.ShapeOf(x);
  int64_t dim = n.Int("rotary_embedding_dim", 0);
  if (dim == 0) dim = shape[3];
  if (dim < 2 || dim % 2 != 0 || dim > shape[3]) {
    return InvalidInput(
        fmt::format("rotary_embedding_dim is {}; allowed are even numbers to {}", dim, shape[3]));
  }
  const bool interleaved = n.Int("interleaved", 0) != 0;
  WSI_ASSIGN_OR_RETURN(const ValueId cosine, ReadCache(n, 1, shape, joined));
  WSI_ASSIGN_OR_RETURN(const ValueId sine, ReadCache(n, 2, shape, joined));
  const int64_t half = dim / 2;
  WSI_ASSIGN_OR_RETURN(const ValueId a,
                       interleaved ? SliceLast(n, x, 0, dim, 2) : SliceLast(n, x, 0, half, 1));
  WSI_ASSIGN_OR_RETURN(const ValueId b,
                       interleaved ? SliceLast(n, x, 1, dim, 2) : SliceLast(n, x, half, dim, 1));
  WSI_ASSIGN_OR_RETURN(ValueId real, Turned(n, "Sub", a, cosine, b, sine));
  WSI_ASSIGN_OR_RETURN(ValueId imaginary, Turned(n, "Add", a, sine, b, cosine));
  std::vector<ValueId> parts;
  if (interleaved) {
    const Sizes pair = {shape[0], shape[1], shape[2], half, 1};
    WSI_ASSIGN_OR_RETURN(real, Reshaped(n, real, pair));
    WSI_ASSIGN_OR_RETURN(imaginary, Reshaped(n, imaginary, pair));
    WSI_ASSIGN_OR_RETURN(ValueId turned,
                         n.Emit("Concat", {real, imaginary}, {{"axis", int64_t{4}}}));
    WSI_ASSIGN_OR_RETURN(turned, Reshaped(n, turned, {shape[0], shape[1], shape[2], dim}));
    parts = {turned};
  } else {
    parts = {real, imaginary};
  }
  if (dim < shape[3]) {
    WSI_ASSIGN_OR_RETURN(parts.emplace_back(), SliceLast(n, x, dim, shape[3], 1));
  }
  WSI_ASSIGN_OR_RETURN(const ValueId y, n.Emit("Concat", parts, {{"axis", int64_t{3}}}));
  return n.Give("Reshape", {y}, {{"shape", Sizes(given.begin(), given.end())}});
}

}  // namespace wsi
