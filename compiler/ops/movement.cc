constexpr OpDef Movement(std::string_view name, std::string_view summary, InferFunction infer,
                         Gradient gradient, FoldFunction fold, LayoutRule layout) {
  return {.name = name,
          .summary = summary,
          .infer = infer,
          .gradient = gradient,
          .cost = MoveCost,
          .half = HalfPolicy::kNeutral,
          .rows = RowKind::kBarrier,
          .layout = layout,
          .fold = fold};
}

}  // namespace

// Row j comes from row j except along axis 1, which a pass that bands rows checks.
constinit const OpDef kConcat = [] {
  OpDef op = Movement("Concat", "x... -> one behind the other along {axis >= 0}", InferConcat,
                      {.build = GradConcat}, FoldConcat, LayoutRule::kAxes);
  op.max_inputs = -1;
  op.rows = RowKind::kPointwise;
  return op;
}();
constinit const OpDef kExpand =
    Movement("Expand", "x -> x broadcast to {shape: of the result}", InferExpand,
             {.build = GradExpand}, FoldExpand, LayoutRule::kFixed);
constinit const OpDef kGather = [] {
  OpDef op = Movement("Gather",
                      "x, indices i64 or i32 (negative: from the back) -> x's slices along {axis >= "
                      "0}; folded only",
                      InferGather, {.none_because = "it is folded away"}, FoldGather,
                      LayoutRule::kFixed);
  op.min_inputs = 2;
  op.max_inputs = 2;
  return op;
}();
constinit const OpDef kPad =
    Movement("Pad", "x -> x with {pads (begins, then ends; every axis, >= 0), value=0} around it",
             InferPad, {.build = GradPad}, FoldPad, LayoutRule::kAxes);
constinit const OpDef kReshape = [] {
  OpDef op = Movement("Reshape",
                      "x -> x under {shape: of the result, every size explicit}, a view; Flatten, "
                      "Squeeze and Unsqueeze become this",
                      InferReshape, {.build = GradReshape}, FoldReshape, LayoutRule::kFixed);
  op.cost = ViewCost;
  op.is_view = true;
  return op;
}();
constinit const OpDef kTile =
    Movement("Tile", "x -> x {repeats: times along each axis}; folded only", InferTile,
             {.none_because = "it is folded away"}, FoldTile, LayoutRule::kFixed);
constinit const OpDef kTranspose =
    Movement("Transpose", "x -> y whose axis i is x's axis {perm}[i]", InferTranspose,
             {.build = GradTranspose}, FoldTranspose, LayoutRule::kAxes);

}  // namespace wsi
