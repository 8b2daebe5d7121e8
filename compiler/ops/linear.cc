}  // namespace

constinit const OpDef kGemm = {
    .name = "Gemm",
    .summary = "a, b, [c] -> alpha * a' b' + beta * c, ' transposing where transA, transB {alpha=1, "
               "beta=1, transA=0, transB=0}; c broadcasts to the result",
    .min_inputs = 2,
    .max_inputs = 3,
    .infer = InferGemm,
    .gradient = {.build = GradGemm},
    .cost = GemmCost,
    .half = HalfPolicy::kMatrix,
    .rows = RowKind::kNone,
    .layout = LayoutRule::kFixed};
constinit const OpDef kMatMul = {
    .name = "MatMul",
    .summary = "a, b -> a' b', ' transposing the last two axes where transA, transB {transA=0, "
               "transB=0}; leading axes broadcast; a vector is a row of a or a column of b",
    .min_inputs = 2,
    .max_inputs = 2,
    .infer = InferMatMul,
    .gradient = {.build = GradMatMul},
    .cost = MatMulCost,
    .half = HalfPolicy::kMatrix,
    .rows = RowKind::kBarrier,
    .layout = LayoutRule::kFixed};

}  // namespace wsi
