#include "runtime/backends/cpu/loops/pointwise_loops.h"

#include "runtime/backends/cpu/loops/pointwise_functions.h"

namespace wsi::cpu::WSI_ISA {
namespace {

template <typename F, typename R>
void Unary(const R* x, int64_t n, Numbers<R> k, R* y) {
  WSI_INDEPENDENT
  for (int64_t i = 0; i < n; ++i) y[i] = F::Of(x[i], k);
}

template <typename F, typename R, typename Out>
void BinaryRun(const R* a, int64_t a_stride, const R* b, int64_t b_stride, int64_t n, Numbers<R> k,
               Out* y) {
  if (a_stride == 1 && b_stride == 1) {
    WSI_INDEPENDENT
    for (int64_t i = 0; i < n; ++i) y[i] = F::Of(a[i], b[i], k);
  } else if (a_stride == 1) {
    const R v = b[0];
    WSI_INDEPENDENT
    for (int64_t i = 0; i < n; ++i) y[i] = F::Of(a[i], v, k);
  } else if (b_stride == 1) {
    const R v = a[0];
    WSI_INDEPENDENT
    for (int64_t i = 0; i < n; ++i) y[i] = F::Of(v, b[i], k);
  } else {
    const auto v = F::Of(a[0], b[0], k);
    for (int64_t i = 0; i < n; ++i) y[i] = v;
  }
}
template <typename F, typename R>
void Binary(const R* a, int64_t a_stride, const R* b, int64_t b_stride, int64_t n, Numbers<R> k,
            R* y) {
  BinaryRun<F>(a, a_stride, b, b_stride, n, k, y);
}
template <typename F, typename R>
void Compare(const R* a, int64_t a_stride, const R* b, int64_t b_stride, int64_t n, uint8_t* y) {
  BinaryRun<F>(a, a_stride, b, b_stride, n, Numbers<R>{}, y);
}

template <int64_t kC, int64_t kA, int64_t kB, typename R>
void SelectRun(const R* c, const R* a, const R* b, int64_t n, R* y) {
  WSI_INDEPENDENT
  for (int64_t i = 0; i < n; ++i) y[i] = c[i * kC] != R{0} ? a[i * kA] : b[i * kB];
}
template <typename R>
void SelectLoop(const R* c, int64_t c_stride, const R* a, int64_t a_stride, const R* b,
                int64_t b_stride, int64_t n, R* y) {
  const bool varies = c_stride == 1;
  if (a_stride == 1 && b_stride == 1) {
    varies ? SelectRun<1, 1, 1>(c, a, b, n, y) : SelectRun<0, 1, 1>(c, a, b, n, y);
  } else if (a_stride == 1) {
    varies ? SelectRun<1, 1, 0>(c, a, b, n, y) : SelectRun<0, 1, 0>(c, a, b, n, y);
  } else if (b_stride == 1) {
    varies ? SelectRun<1, 0, 1>(c, a, b, n, y) : SelectRun<0, 0, 1>(c, a, b, n, y);
  } else {
    varies ? SelectRun<1, 0, 0>(c, a, b, n, y) : SelectRun<0, 0, 0>(c, a, b, n, y);
  }
}

template <typename R>
constexpr PointwiseLoopsOf<R> kLoops = {
    .relu = Unary<Relu, R>,
    .sigmoid = Unary<Sigmoid, R>,
    .tanh = Unary<Tanh, R>,
    .exp = Unary<Exp, R>,
    .log = Unary<Log, R>,
    .sqrt = Unary<Sqrt, R>,
    .neg = Unary<Neg, R>,
    .abs = Unary<Abs, R>,
    .reciprocal = Unary<Reciprocal, R>,
    .erf = Unary<Erf, R>,
    .softplus = Unary<Softplus, R>,
    .hard_sigmoid = Unary<HardSigmoid, R>,
    .hard_swish = Unary<HardSwish, R>,
    .leaky_relu = Unary<LeakyRelu, R>,
    .elu = Unary<Elu, R>,
    .clip = Unary<Clip, R>,
    .sign = Unary<Sign, R>,
    .floor = Unary<Floor, R>,
    .ceil = Unary<Ceil, R>,
    .cos = Unary<Cos, R>,
    .cosh = Unary<Cosh, R>,
    .gelu = Unary<Gelu, R>,
    .round = Unary<Round, R>,
    .sin = Unary<Sin, R>,
    .sinh = Unary<Sinh, R>,
    .add = Binary<Add, R>,
    .sub = Binary<Sub, R>,
    .mul = Binary<Mul, R>,
    .div = Binary<Div, R>,
    .pow = Binary<Pow, R>,
    .max = Binary<Max, R>,
    .min = Binary<Min, R>,
    .mod = Binary<Mod, R>,
    .relu_grad = Binary<ReluGrad, R>,
    .clip_grad = Binary<ClipGrad, R>,
    .sigmoid_grad = Binary<SigmoidGrad, R>,
    .tanh_grad = Binary<TanhGrad, R>,
    .erf_grad = Binary<ErfGrad, R>,
    .hard_sigmoid_grad = Binary<HardSigmoidGrad, R>,
    .hard_swish_grad = Binary<HardSwishGrad, R>,
    .leaky_relu_grad = Binary<LeakyReluGrad, R>,
    .elu_grad = Binary<EluGrad, R>,
    .gelu_grad = Binary<GeluGrad, R>,
    .equal = Compare<Equal, R>,
    .less = Compare<Less, R>,
    .greater = Compare<Greater, R>,
    .equal_truth = Binary<TruthOf<Equal>, R>,
    .less_truth = Binary<TruthOf<Less>, R>,
    .greater_truth = Binary<TruthOf<Greater>, R>,
    .logical_and = Binary<And, R>,
    .logical_or = Binary<Or, R>,
    .logical_not = Unary<Not, R>,
    .select = SelectLoop<R>,
    .moving_average = Binary<MovingAverage, R>,
};

}  // namespace

extern const PointwiseLoops kPointwiseLoops = {kLoops<float>, kLoops<double>};

}  // namespace wsi::cpu::WSI_ISA
