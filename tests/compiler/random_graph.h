// Random graphs that exercise every part of the text form. They mean nothing: their
// operators need not exist.
#pragma once

#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "compiler/ir/graph.h"

namespace wsi {

class RandomGraph {
 public:
  RandomGraph(uint64_t seed, TensorStore* tensors) : random_(seed), graph_(tensors) {}

  // Compact.
  Graph Make();

 private:
  int64_t Below(int64_t n) { return static_cast<int64_t>(random_() % static_cast<uint64_t>(n)); }
  std::string Name(const std::string& base);
  double Real();
  Shape SmallShape();
  AttributeValue Attribute();
  void AddPersistent(int i);
  void AddNode(int i);
  void AddResults();
  void AddBuffers();
  ValueId AnyValue() { return ValueId{static_cast<int32_t>(Below(graph_.value_count()))}; }

  std::mt19937_64 random_;
  Graph graph_;
};

}  // namespace wsi
