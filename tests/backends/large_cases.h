// Launches on tensors of more than 2^31 elements, or of few with the same code.
#pragma once

#include <map>
#include <span>
#include <string>
#include <vector>

#include "runtime/base/tensor.h"
#include "tests/backends/backend_cases.h"
#include "tests/backends/drawn_values.h"

namespace wsi {

// The sizes that cases are made of.
struct Scale {
  // Elements, and bytes, at which something may change. Each case has a tensor of more.
  int64_t mark = int64_t{1} << 31;
  int64_t columns = 4099;  // Of an image.
  int64_t side = 8192;     // Of an image whose positions are summed over.

  int64_t RowsOf(int64_t elements) const { return mark / elements + 5; }
  Shape Image(int64_t channels) const { return {1, RowsOf(columns * channels), columns, channels}; }
};
// Of the program: more than the device is known to take, or few.
Scale ScaleUnderTest();

struct WindowAxis {
  int axis = 0;  // Of output 0.
  int64_t rows = 1;
};

struct LargeCase {
  std::string op;
  Attributes attributes;
  std::vector<Operand> inputs;     // Floats of the types that they have here.
  std::map<size_t, Draw> draws;    // Inputs that are drawn otherwise than their fill says.
  std::map<size_t, Tensor> given;  // Inputs that are not drawn.
  std::vector<bool> outputs = {true};
  Bound bound = {.c = 0};
  // What is compared in one place, and computed from bands of the operands along these axes.
  std::vector<WindowAxis> window = {{1, 2}, {2, 12}};
  // Not by BandOf: rows of axis 0 are apart, of all operands that have as many.
  bool is_sliced = false;
  bool in_place = false;  // As OpDef::in_place allows.
};

struct NamedLargeCase {
  const char* name;
  LargeCase (*make)(const Scale&);
};
void PrintTo(const NamedLargeCase& large, std::ostream* out);

// What input i is drawn from.
Draw DrawOf(const LargeCase& large, size_t i, int64_t seed);

std::span<const NamedLargeCase> MovementLargeCases();
std::span<const NamedLargeCase> ChannelLargeCases();  // Pools, norms, reductions, softmax.
std::span<const NamedLargeCase> FlatLargeCases();     // Losses, updates, dropout, indices.
// Those whose CUDA kernels are not the backend's own, or made at run time.
std::span<const NamedLargeCase> LibraryLargeCases();

}  // namespace wsi
