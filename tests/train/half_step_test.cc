// One step of a half-precision plan against the same step in fp32, on the backend that
// rounds nothing but what the plan stores as half.
#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "runtime/backends/reference/reference_backend.h"
#include "runtime/base/philox.h"
#include "tests/train/tiny_run.h"

namespace wsi {
namespace {

using Gradients = std::map<std::string, std::vector<double>>;

class HalfStepTest : public testing::Test {
 protected:
  // The gradients of one step from random pixels, divided by the loss scale.
  Gradients Step(const TinyModel& model, double loss_scale = 1) {
    const std::string path = folder_.Path("tiny.plan");
    const Status written = WriteTinyPlan(path, model);
    EXPECT_TRUE(written.ok()) << written.message();
    const Result<PlanFile> file = ReadPlan(path);
    EXPECT_TRUE(file.ok()) << file.status().message();
    const std::unique_ptr<Backend> backend = MakeReferenceBackend();
    Result<std::unique_ptr<Executor>> executor =
        Executor::Make(&*file, backend.get(), {.poison = true});
    EXPECT_TRUE(executor.ok()) << executor.status().message();
    Gradients gradients;
    (*executor)->SetGradientTap([&](const std::string& name, const Tensor& gradient) {
      EXPECT_EQ(gradient.dtype(), DType::kF32) << name;
      gradients[name] = gradient.ToDoubles();
      for (double& v : gradients[name]) v /= loss_scale;
      return Status();
    });
    (*executor)->SetScalar("loss_scale", loss_scale);
    Tensor image = *Tensor::Make(DType::kF32, {1, 16, 16, 3});
    const PhiloxStream random(7, 0, 0);
    for (size_t i = 0; i < image.data<float>().size(); ++i) {
      image.data<float>()[i] = 2 * random.Uniform(static_cast<int64_t>(i)) - 1;
    }
    EXPECT_TRUE((*executor)->WriteInput(0, 0, image).ok());
    EXPECT_TRUE(
        (*executor)->WriteTarget(0, Tensor::Of<int64_t>({1}, std::vector<int64_t>{1})).ok());
    const Result<double> loss = (*executor)->Run(0, kAllPhases);
    EXPECT_TRUE(loss.ok()) << loss.status().message();
    return gradients;
  }

  // The least over all parameters.
  static double Cosine(const Gradients& a, const Gradients& b) {
    double least = 1;
    EXPECT_EQ(a.size(), b.size());
    for (const auto& [name, x] : a) {
      const std::vector<double>& y = b.at(name);
      double xy = 0;
      double xx = 0;
      double yy = 0;
      for (size_t i = 0; i < x.size(); ++i) {
        xy += x[i] * y[i];
        xx += x[i] * x[i];
        yy += y[i] * y[i];
      }
      EXPECT_GT(xx, 0) << name;
      least = std::min(least, yy > 0 ? xy / std::sqrt(xx * yy) : 0.0);
    }
    return least;
  }

  TempFolder folder_;
};

TEST_F(HalfStepTest, PointsWhereSinglePrecisionDoes) {
  const Gradients exact = Step({});
  const Gradients fp16 = Step({.precision = DType::kF16, .loss_scale = true}, 1024);
  const Gradients bf16 = Step({.precision = DType::kBF16});
  EXPECT_GT(Cosine(fp16, exact), 0.9999);
  EXPECT_GT(Cosine(bf16, exact), 0.999);
  EXPECT_NE(fp16, exact) << "nothing was rounded";
  EXPECT_LT(Cosine(bf16, exact), Cosine(fp16, exact));
}

// Without loss scaling a small gradient is lost below 2^-24.
TEST_F(HalfStepTest, LossScalingSavesSmallGradients) {
  const TinyModel model{.precision = DType::kF16, .loss_scale = true};
  const Gradients unscaled = Step(model, 0x1p-16);  // As if the image were so much larger.
  const Gradients scaled = Step(model, 1024);
  const Gradients exact = Step({});
  EXPECT_GT(Cosine(scaled, exact), 0.9999);
  EXPECT_LT(Cosine(unscaled, exact), 0.99);
}

}  // namespace
}  // namespace wsi
