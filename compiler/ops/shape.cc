constexpr std::string_view kConstantResult = "the result does not depend on any element";

constexpr OpDef Known(std::string_view name, std::string_view summary, int inputs,
                      InferFunction infer, FoldFunction fold) {
  return {.name = name,
          .summary = summary,
          .min_inputs = inputs,
          .max_inputs = inputs,
          .infer = infer,
          .gradient = {.none_because = kConstantResult},
          .cost = MoveCost,
          .half = HalfPolicy::kNeutral,
          .rows = RowKind::kNone,
          .layout = LayoutRule::kFixed,
          .fold = fold};
}

}  // namespace

constinit const OpDef kCastLike = [] {
  OpDef op = Known("CastLike", "x, like -> x as like's type; Cast where the type is known", 2,
                   InferCastLike, FoldCastLike);
  op.gradient = {.none_because = "it is imported as Cast"};
  op.layout = LayoutRule::kAny;
  op.rows = RowKind::kPointwise;
  return op;
}();
constinit const OpDef kConstantOfShape =
    Known("ConstantOfShape", "-> {value=0} everywhere {shape, dtype: \"f32\", \"i64\", ...}; folded only",
          0, InferFill, FoldFill);
constinit const OpDef kFill = [] {
  OpDef op = Known("Fill", "-> {value} everywhere {shape, dtype: \"f32\", \"i64\", ...}", 0,
                   InferFill, nullptr);
  op.is_onnx = false;
  return op;
}();
constinit const OpDef kRange =
    Known("Range", "-> start, start + delta, ... before limit {start, limit, delta, dtype}; folded only",
          0, InferRange, FoldRange);
constinit const OpDef kShape =
    Known("Shape", "x -> its sizes, i64 {start=0, end=rank}; folded only, whatever x holds", 1,
          InferShape, FoldShape);
constinit const OpDef kSize =
    Known("Size", "x -> its element count, i64; folded only, whatever x holds", 1, InferSize, FoldSize);

}  // namespace wsi
