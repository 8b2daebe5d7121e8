#include "runtime/backends/cpu/loops/pointwise_loops.h"

namespace wsi::cpu::WSI_ISA {
namespace {

using Numbers = PointwiseNumbers;

template <typename F>
void Unary(const float* x, int64_t n, Numbers k, float* y) {
  WSI_INDEPENDENT
  for (int64_t i = 0; i < n; ++i) y[i] = F::Of(x[i], k);
}

template <typename F, typename Out>
void BinaryRun(const float* a, int64_t a_stride, const float* b, int64_t b_stride, int64_t n,
               Numbers k, Out* y) {
  if (a_stride == 1 && b_stride == 1) {
    WSI_INDEPENDENT
    for (int64_t i = 0; i < n; ++i) y[i] = F::Of(a[i], b[i], k);
  } else if (a_stride == 1) {
    const float v = b[0];
    WSI_INDEPENDENT
    for (int64_t i = 0; i < n; ++i) y[i] = F::Of(a[i], v, k);
  } else if (b_stride == 1) {
    const float v = a[0];
    WSI_INDEPENDENT
    for (int64_t i = 0; i < n; ++i) y[i] = F::Of(v, b[i], k);
  } else {
    const auto v = F::Of(a[0], b[0], k);
    for (int64_t i = 0; i < n; ++i) y[i] = v;
  }
}
template <typename F>
void Binary(const float* a, int64_t a_stride, const float* b, int64_t b_stride, int64_t n,
            Numbers k, float* y) {
  BinaryRun<F>(a, a_stride, b, b_stride, n, k, y);
}
template <typename F>
void Compare(const float* a, int64_t a_stride, const float* b, int64_t b_stride, int64_t n,
             uint8_t* y) {
  BinaryRun<F>(a, a_stride, b, b_stride, n, Numbers{}, y);
}

struct Relu {
  static float Of(float x, Numbers) { return x < 0.0F ? 0.0F : x; }
};
struct Sigmoid {
  static float Of(float x, Numbers) { return 1.0F / (1.0F + __builtin_expf(-x)); }
};
struct Tanh {
  static float Of(float x, Numbers) { return __builtin_tanhf(x); }
};
struct Exp {
  static float Of(float x, Numbers) { return __builtin_expf(x); }
};
struct Log {
  static float Of(float x, Numbers) { return __builtin_logf(x); }
};
struct Sqrt {
  static float Of(float x, Numbers) { return __builtin_sqrtf(x); }
};
struct Neg {
  static float Of(float x, Numbers) { return -x; }
};
struct Abs {
  static float Of(float x, Numbers) { return __builtin_fabsf(x); }
};
struct Reciprocal {
  static float Of(float x, Numbers) { return 1.0F / x; }
};
struct Erf {
  static float Of(float x, Numbers) { return __builtin_erff(x); }
};
// log(1 + e^x) without overflow.
struct Softplus {
  static float Of(float x, Numbers) {
    return (x > 0.0F ? x : 0.0F) + __builtin_log1pf(__builtin_expf(-__builtin_fabsf(x)));
  }
};
// NaN stays NaN in all that clamp.
struct Clip {
  static float Of(float x, Numbers k) {
    const float v = x < k.a ? k.a : x;
    return v > k.b ? k.b : v;
  }
};
struct HardSigmoid {
  static float Of(float x, Numbers k) { return Clip::Of(k.a * x + k.b, {0.0F, 1.0F}); }
};
struct HardSwish {
  static float Of(float x, Numbers) { return x * Clip::Of(x * (1.0F / 6.0F) + 0.5F, {0.0F, 1.0F}); }
};
struct LeakyRelu {
  static float Of(float x, Numbers k) { return x < 0.0F ? x * k.a : x; }
};
struct Elu {
  static float Of(float x, Numbers k) { return x < 0.0F ? k.a * __builtin_expm1f(x) : x; }
};
struct Sign {
  static float Of(float x, Numbers) { return x > 0.0F ? 1.0F : (x < 0.0F ? -1.0F : x); }
};
struct Floor {
  static float Of(float x, Numbers) { return __builtin_floorf(x); }
};
struct Ceil {
  static float Of(float x, Numbers) { return __builtin_ceilf(x); }
};

struct Add {
  static float Of(float a, float b, Numbers) { return a + b; }
};
struct Sub {
  static float Of(float a, float b, Numbers) { return a - b; }
};
struct Mul {
  static float Of(float a, float b, Numbers) { return a * b; }
};
struct Div {
  static float Of(float a, float b, Numbers) { return a / b; }
};
struct Pow {
  static float Of(float a, float b, Numbers) { return __builtin_powf(a, b); }
};
struct Max {
  static float Of(float a, float b, Numbers) { return a > b || a != a ? a : b; }
};
struct Min {
  static float Of(float a, float b, Numbers) { return a < b || a != a ? a : b; }
};

struct ReluGrad {
  static float Of(float g, float y, Numbers) { return y > 0.0F ? g : 0.0F; }
};
struct ClipGrad {
  static float Of(float g, float x, Numbers k) { return x > k.a && x < k.b ? g : 0.0F; }
};
struct SigmoidGrad {
  static float Of(float g, float y, Numbers) { return g * y * (1.0F - y); }
};
struct TanhGrad {
  static float Of(float g, float y, Numbers) { return g * (1.0F - y * y); }
};
struct ErfGrad {
  static float Of(float g, float x, Numbers) {
    return g * 1.12837916709551257390F * __builtin_expf(-x * x);  // 2 / sqrt(pi)
  }
};
struct HardSigmoidGrad {
  static float Of(float g, float x, Numbers k) {
    const float v = k.a * x + k.b;
    return v > 0.0F && v < 1.0F ? g * k.a : 0.0F;
  }
};
struct HardSwishGrad {
  static float Of(float g, float x, Numbers) {
    const float inside = g * (x * (1.0F / 3.0F) + 0.5F);
    const float v = x < 3.0F ? inside : g;
    return x > -3.0F ? v : 0.0F;
  }
};
struct LeakyReluGrad {
  static float Of(float g, float x, Numbers k) { return x > 0.0F ? g : g * k.a; }
};
struct EluGrad {
  static float Of(float g, float y, Numbers k) { return y > 0.0F ? g : g * (y + k.a); }
};
struct MovingAverage {
  static float Of(float a, float b, Numbers k) { return a * k.a + b * (1.0F - k.a); }
};

struct Equal {
  static uint8_t Of(float a, float b, Numbers) { return a == b ? 1 : 0; }
};
struct Less {
  static uint8_t Of(float a, float b, Numbers) { return a < b ? 1 : 0; }
};
struct Greater {
  static uint8_t Of(float a, float b, Numbers) { return a > b ? 1 : 0; }
};

}  // namespace

extern const PointwiseLoops kPointwiseLoops = {
    .relu = Unary<Relu>,
    .sigmoid = Unary<Sigmoid>,
    .tanh = Unary<Tanh>,
    .exp = Unary<Exp>,
    .log = Unary<Log>,
    .sqrt = Unary<Sqrt>,
    .neg = Unary<Neg>,
    .abs = Unary<Abs>,
    .reciprocal = Unary<Reciprocal>,
    .erf = Unary<Erf>,
    .softplus = Unary<Softplus>,
    .hard_sigmoid = Unary<HardSigmoid>,
    .hard_swish = Unary<HardSwish>,
    .leaky_relu = Unary<LeakyRelu>,
    .elu = Unary<Elu>,
    .clip = Unary<Clip>,
    .sign = Unary<Sign>,
    .floor = Unary<Floor>,
    .ceil = Unary<Ceil>,
    .add = Binary<Add>,
    .sub = Binary<Sub>,
    .mul = Binary<Mul>,
    .div = Binary<Div>,
    .pow = Binary<Pow>,
    .max = Binary<Max>,
    .min = Binary<Min>,
    .relu_grad = Binary<ReluGrad>,
    .clip_grad = Binary<ClipGrad>,
    .sigmoid_grad = Binary<SigmoidGrad>,
    .tanh_grad = Binary<TanhGrad>,
    .erf_grad = Binary<ErfGrad>,
    .hard_sigmoid_grad = Binary<HardSigmoidGrad>,
    .hard_swish_grad = Binary<HardSwishGrad>,
    .leaky_relu_grad = Binary<LeakyReluGrad>,
    .elu_grad = Binary<EluGrad>,
    .equal = Compare<Equal>,
    .less = Compare<Less>,
    .greater = Compare<Greater>,
    .moving_average = Binary<MovingAverage>,
};

}  // namespace wsi::cpu::WSI_ISA
