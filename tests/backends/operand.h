// Random operands of operator cases.
#pragma once

#include <cstdint>

#include "runtime/base/philox.h"
#include "runtime/base/shape.h"
#include "runtime/base/tensor.h"

namespace wsi {

// How the elements are drawn. Floats are exact in single precision.
enum class Fill : uint8_t {
  kSpread,       // -2 to 2
  kOffZero,      // magnitude 0.25 to 2, either sign
  kPositive,     // 0.5 to 2
  kNegative,     // -3 to -0.25
  kUnit,         // 0.05 to 0.95
  kDistinct,     // a shuffle of 1/32, 3/32, ... around zero: 1/16 apart, never integers
  kTies,         // -1, 0 or 1
  kWhole,        // -3, -2, -1, 1, 2 or 3
  kIndex,        // an integer from 0 to below `number`
  kSignedIndex,  // an integer from -`number` to below `number`
  kTruth,        // a bool
  kNumber,       // `number` everywhere
  kWindowIndex,  // what MaxPool's second output gives for a random input
};

struct Operand {
  Shape shape;
  Fill fill = Fill::kSpread;
  double number = 0;
  DType dtype = DType::kF32;  // Any float: the float type that the case runs in.
  bool present = true;
};

inline Operand Absent() { return {.shape = {}, .present = false}; }
inline Operand Index(Shape shape, int64_t below, DType dtype = DType::kI64) {
  return {std::move(shape), Fill::kIndex, static_cast<double>(below), dtype};
}
inline Operand Truth(Shape shape) { return {std::move(shape), Fill::kTruth, 0, DType::kBool}; }
inline Operand Number(double value) { return {Shape(), Fill::kNumber, value}; }
inline Operand Integer(int64_t value) {
  return {Shape(), Fill::kNumber, static_cast<double>(value), DType::kI64};
}

// Floats come as f64. REQUIRES: another fill than kWindowIndex. `node` tells the operands
// of one case apart.
Tensor RandomTensor(const Operand& operand, int64_t seed, int64_t node);

// WSI_TEST_SEED, or `otherwise`.
int64_t TestSeed(int64_t otherwise);

}  // namespace wsi
