constexpr OpDef Reduction(std::string_view name, std::string_view summary, Gradient gradient,
                          HalfPolicy half, FoldFunction fold) {
  return {.name = name,
          .summary = summary,
          .infer = InferReduction,
          .gradient = gradient,
          .cost = ReadCost,
          .half = half,
          .rows = RowKind::kBarrier,
          .layout = LayoutRule::kAxes,
          .fold = fold};
}

constexpr std::string_view kFoldedOnly = "it is folded away";

}  // namespace

constinit const OpDef kReduceMax =
    Reduction("ReduceMax", "x -> maximum over {axes (explicit, >= 0), keepdims=1}; folded only",
              {.none_because = kFoldedOnly}, HalfPolicy::kSafe, FoldReduceMax);
constinit const OpDef kReduceMean =
    Reduction("ReduceMean", "x -> mean over {axes (explicit, >= 0), keepdims=1}; floats",
              {.build = GradReduceMean}, HalfPolicy::kFloat32, FoldReduceMean);
constinit const OpDef kReduceMin =
    Reduction("ReduceMin", "x -> minimum over {axes (explicit, >= 0), keepdims=1}; folded only",
              {.none_because = kFoldedOnly}, HalfPolicy::kSafe, FoldReduceMin);
constinit const OpDef kReduceProd =
    Reduction("ReduceProd", "x -> product over {axes (explicit, >= 0), keepdims=1}; folded only",
              {.none_because = kFoldedOnly}, HalfPolicy::kFloat32, FoldReduceProd);
constinit const OpDef kReduceSum =
    Reduction("ReduceSum", "x -> sum over {axes (explicit, >= 0), keepdims=1}",
              {.build = GradReduceSum}, HalfPolicy::kFloat32, FoldReduceSum);

}  // namespace wsi
