// From measured launches to the rates of the cost model (runtime/timing/launch_time.h).
#pragma once

#include <span>
#include <string>

#include "runtime/plan/plan.pb.h"

namespace wsi {

struct LaunchSample {
  std::string op;
  bool matrix = false;
  bool half = false;  // fp16 or bf16.
  double flops = 0;
  double bytes = 0;
  double seconds = 0;  // Without the fixed cost of a launch.
};

// A roofline: seconds = max(flops / flop_rate, bytes / memory_rate).
struct Roofline {
  double flop_rate = 0;
  double memory_rate = 0;
};

// The rates, among those that single samples and all together reach, that predict the
// samples best: the mean relative error of each, and that of their sum. A flop rate of 0
// where no sample computes. REQUIRES: at least one sample; bytes and seconds above 0.
Roofline FitRoofline(std::span<const LaunchSample> samples);

// To four digits: more are not measured. REQUIRES: not negative.
double RoundedRate(double rate);

// Sets those of rates->operators that there are samples of.
void FitEachOperator(std::span<const LaunchSample> samples, plan::Rates* rates);

// Sets rates->operators from samples of any operators, and from those the device's own
// rates: matrix_flops_* are Conv's, memory_bytes is Add's, vector_flops the largest that
// a launch without matrix work reaches. REQUIRES: fp32 samples of Conv and Add.
void FitOperators(std::span<const LaunchSample> samples, plan::Rates* rates);

}  // namespace wsi
