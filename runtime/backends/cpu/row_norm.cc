#include "runtime/backends/cpu/row_norm.h"

#include <algorithm>
#include <cmath>

#include "runtime/backends/cpu/loops/row_norm_loops.h"
#include "runtime/backends/cpu/stored_run.h"

namespace wsi::cpu {
namespace {

struct Rows {
  int64_t count = 0;
  int64_t length = 1;  // Elements of a row.
  bool centered = true;
  DType stored = DType::kF32;  // Of x, y and their gradients; all else is fp32.
  Chunks chunks;
  Shape elements;    // Of scale and bias.
  Shape statistics;  // Of mean and inverse deviation.
};

// REQUIRES: input 0 is present.
Result<Rows> MakeRows(const LaunchSpec& launch) {
  const Shape& x = launch.inputs[0].shape;
  WSI_ASSIGN_OR_RETURN(const int axis, NormalizeAxis(launch.attributes.Int("axis", -1), x.rank()));
  std::vector<int64_t> statistics(x.begin(), x.end());
  std::fill(statistics.begin() + axis, statistics.end(), 1);
  Rows rows;
  rows.centered = launch.op.starts_with("Layer");
  rows.stored = launch.inputs[0].dtype;
  if (!IsHalf(rows.stored)) WSI_RETURN_IF_ERROR(ExpectInput(launch, 0, DType::kF32));
  WSI_ASSIGN_OR_RETURN(rows.elements, Shape::Make(x.sizes().subspan(static_cast<size_t>(axis))));
  WSI_ASSIGN_OR_RETURN(rows.statistics, Shape::Make(statistics));
  rows.length = rows.elements.ElementCount();
  if (rows.length == 0) return CompileError(launch, "wants rows with elements");
  rows.count = rows.statistics.ElementCount();
  rows.chunks = ChunksOf(rows.count, rows.length, kGrain);
  return rows;
}

// Sums over all rows of the gradients of scale and bias: one pair of partial sums for each
// chunk of rows, combined in order.
class ParameterSums {
 public:
  explicit ParameterSums(const Rows& rows) : length_(rows.length), chunks_(rows.chunks.count()) {}

  Status Require(Scratch& scratch) const {
    WSI_ASSIGN_OR_RETURN(Bytes bytes, CheckedMul(chunks_, 2 * length_));
    WSI_ASSIGN_OR_RETURN(bytes, CheckedMul(bytes, int64_t{sizeof(float)}));
    return scratch.Require(bytes, 0);
  }
  // The partial sums of a chunk, all 0: of scale, then of bias.
  float* Begin(const Scratch& scratch, int64_t chunk) const {
    float* partial = scratch.shared<float>() + chunk * 2 * length_;
    std::fill_n(partial, 2 * length_, 0.0F);
    return partial;
  }
  // Either result may be null.
  void Finish(Context& context, float* dscale, float* dbias) const {
    const float* partial = context.scratch.shared<float>();
    ForChunks(context.pool, ChunksOf(length_, chunks_, kGrain),
              [&](int64_t begin, int64_t end, int64_t, int) {
                Combine(partial, begin, end, dscale);
                Combine(partial + length_, begin, end, dbias);
              });
  }

 private:
  void Combine(const float* partial, int64_t begin, int64_t end, float* sums) const {
    if (sums == nullptr) return;
    for (int64_t j = begin; j < end; ++j) {
      double total = 0;
      for (int64_t c = 0; c < chunks_; ++c) {
        total += static_cast<double>(partial[c * 2 * length_ + j]);
      }
      sums[j] = static_cast<float>(total);
    }
  }

  int64_t length_;
  int64_t chunks_;
};

struct RowMoments {
  double mean = 0;  // 0 where none is subtracted.
  double variance = 0;
};
RowMoments MomentsOf(const Rows& rows, const WidenedRun<float>& x) {
  const RowNormLoops& loops = GetRowNormLoops();
  const auto length = static_cast<double>(rows.length);
  float buffer[kBlock];
  double sum = 0;
  if (rows.centered) {
    ForBlocks(rows.stored, rows.length,
              [&](int64_t at, int64_t n) { sum += loops.sum(x.Read(at, n, buffer), n); });
  }
  const double mean = sum / length;
  double squares = 0;
  ForBlocks(rows.stored, rows.length, [&](int64_t at, int64_t n) {
    squares += loops.squares(x.Read(at, n, buffer), n, static_cast<float>(mean));
  });
  return {mean, squares / length};
}

// bias may be null.
void Normalize(const Rows& rows, const WidenedRun<float>& x, float mean, float inverse,
               const float* scale, const float* bias, const NarrowedRun<float>& y) {
  float in[kBlock];
  float out[kBlock];
  ForBlocks(rows.stored, rows.length, [&](int64_t at, int64_t n) {
    float* results = y.At(at, out);
    GetRowNormLoops().apply(x.Read(at, n, in), n, mean, inverse, scale + at,
                            bias != nullptr ? bias + at : nullptr, results);
    y.Write(at, n, results);
  });
}

struct GradRow {
  int64_t n = 0;
  DType stored = DType::kF32;
  WidenedRun<float> dy;
  WidenedRun<float> x;
  float mean = 0;
  float inverse = 0;
  const float* scale = nullptr;

  // Adds to dscale and, where a mean is subtracted, to dbias, which else is null.
  void Run(float* dscale, float* dbias, const NarrowedRun<float>& dx) const {
    const RowNormLoops& loops = GetRowNormLoops();
    float dy_buffer[kBlock];
    float x_buffer[kBlock];
    float dx_buffer[kBlock];
    double sum = 0;
    double dot = 0;
    ForBlocks(stored, n, [&](int64_t at, int64_t count) {
      double part_sum = 0;
      double part_dot = 0;
      loops.grad_sums(dy.Read(at, count, dy_buffer), x.Read(at, count, x_buffer), count, mean,
                      inverse, scale + at, dscale + at, dbias != nullptr ? dbias + at : nullptr,
                      &part_sum, &part_dot);
      sum += part_sum;
      dot += part_dot;
    });
    const double shift = dbias != nullptr ? sum / static_cast<double>(n) : 0;
    const double slope = dot / static_cast<double>(n);
    ForBlocks(stored, n, [&](int64_t at, int64_t count) {
      float* results = dx.At(at, dx_buffer);
      loops.grad_apply(dy.Read(at, count, dy_buffer), x.Read(at, count, x_buffer), count, mean,
                       inverse, scale + at, static_cast<float>(shift), static_cast<float>(slope),
                       results);
      dx.Write(at, count, results);
    });
  }
};

void PutStatistic(float* out, int64_t row, double value) {
  if (out != nullptr) out[row] = static_cast<float>(value);
}

}  // namespace

// Inputs: x, scale, [bias]; outputs: y, [mean, inv_std], or y, [inv_rms].
KernelResult CompileRowNorm(const LaunchSpec& launch, Context& context) {
  WSI_RETURN_IF_ERROR(ExpectOperands(launch, 2, 3, 1, 3));
  WSI_ASSIGN_OR_RETURN(const Rows rows, MakeRows(launch));
  WSI_RETURN_IF_ERROR(ExpectOutput(launch, 0, rows.stored, launch.inputs[0].shape));
  for (size_t i = 1; i <= 2; ++i) {
    WSI_RETURN_IF_ERROR(ExpectInput(launch, i, DType::kF32, rows.elements));
    WSI_RETURN_IF_ERROR(ExpectOutput(launch, i, DType::kF32, rows.statistics));
  }
  const double epsilon = launch.attributes.Float("epsilon", 1e-5);
  return MakeKernel([rows, epsilon, &context](const LaunchArguments& a) {
    float* means = rows.centered ? a.output<float>(1) : nullptr;
    float* inverses = a.output<float>(rows.centered ? 2 : 1);
    ForChunks(context.pool, rows.chunks, [&](int64_t begin, int64_t end, int64_t, int) {
      for (int64_t r = begin; r < end; ++r) {
        const WidenedRun<float> x(rows.stored, a.inputs[0], r * rows.length, 1);
        const RowMoments moments = MomentsOf(rows, x);
        const double inverse = 1 / std::sqrt(moments.variance + epsilon);
        PutStatistic(means, r, moments.mean);
        PutStatistic(inverses, r, inverse);
        Normalize(rows, x, static_cast<float>(moments.mean), static_cast<float>(inverse),
                  a.input<float>(1), a.input<float>(2),
                  NarrowedRun<float>(rows.stored, a.outputs[0], r * rows.length));
      }
    });
  });
}

// Inputs: dy, x, scale, mean, inv_std, or dy, x, scale, inv_rms; outputs: dx, dscale,
// [dbias]. With g = dy * scale and averages over the row,
//   dx = inverse * (g - average(g) - xhat * average(g * xhat)),
// the first average left out where there is no mean.
KernelResult CompileRowNormGrad(const LaunchSpec& launch, Context& context) {
  WSI_RETURN_IF_ERROR(ExpectOperands(launch, 4, 5, 2, 3));
  WSI_ASSIGN_OR_RETURN(const Rows rows, MakeRows(launch));
  const Shape& shape = launch.inputs[0].shape;
  if (rows.centered != HasInput(launch, 4)) {
    return CompileError(launch, "wants a mean exactly where it is subtracted");
  }
  WSI_RETURN_IF_ERROR(ExpectInput(launch, 1, rows.stored, shape));
  WSI_RETURN_IF_ERROR(ExpectInput(launch, 2, DType::kF32, rows.elements));
  WSI_RETURN_IF_ERROR(ExpectInput(launch, 3, DType::kF32, rows.statistics));
  WSI_RETURN_IF_ERROR(ExpectInput(launch, 4, DType::kF32, rows.statistics));
  WSI_RETURN_IF_ERROR(ExpectOutput(launch, 0, rows.stored, shape));
  WSI_RETURN_IF_ERROR(ExpectOutput(launch, 1, DType::kF32, rows.elements));
  WSI_RETURN_IF_ERROR(ExpectOutput(launch, 2, DType::kF32, rows.elements));
  const ParameterSums sums(rows);
  WSI_RETURN_IF_ERROR(sums.Require(context.scratch));
  return MakeKernel([rows, sums, &context](const LaunchArguments& a) {
    const float* means = rows.centered ? a.input<float>(3) : nullptr;
    const float* inverses = a.input<float>(rows.centered ? 4 : 3);
    const float* scale = a.input<float>(2);
    const int64_t n = rows.length;
    ForChunks(context.pool, rows.chunks, [&](int64_t begin, int64_t end, int64_t chunk, int) {
      float* dscale = sums.Begin(context.scratch, chunk);
      for (int64_t r = begin; r < end; ++r) {
        const GradRow row = {.n = n,
                             .stored = rows.stored,
                             .dy = {rows.stored, a.inputs[0], r * n, 1},
                             .x = {rows.stored, a.inputs[1], r * n, 1},
                             .mean = means != nullptr ? means[r] : 0.0F,
                             .inverse = inverses[r],
                             .scale = scale};
        row.Run(dscale, means != nullptr ? dscale + n : nullptr,
                NarrowedRun<float>(rows.stored, a.outputs[0], r * n));
      }
    });
    sums.Finish(context, a.output<float>(1), a.output<float>(2));
  });
}

}  // namespace wsi::cpu
