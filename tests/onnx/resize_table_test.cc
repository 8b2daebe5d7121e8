// Tables of Resize against numbers worked out by hand.
#include "frontends/onnx/resize_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>

namespace wsi {
namespace {

using testing::DoubleNear;
using testing::ElementsAre;
using testing::Pointwise;

ResizeAxis Axis(int64_t input, int64_t output, ResizeMode mode) {
  ResizeAxis axis;
  axis.input = input;
  axis.output = output;
  axis.scale = static_cast<double>(output) / static_cast<double>(input);
  axis.mode = mode;
  return axis;
}

TEST(ResizeTable, NearestRoundsHalvesAsAsked) {
  ResizeAxis axis = Axis(2, 4, ResizeMode::kNearest);
  axis.coordinates = ResizeCoordinates::kAsymmetric;  // 0, 0.5, 1, 1.5
  EXPECT_THAT(MakeResizeTable(axis).indices, ElementsAre(0, 0, 1, 1));
  axis.rounding = ResizeRounding::kPreferCeil;
  EXPECT_THAT(MakeResizeTable(axis).indices, ElementsAre(0, 1, 1, 1));
  axis.rounding = ResizeRounding::kFloor;
  EXPECT_THAT(MakeResizeTable(axis).indices, ElementsAre(0, 0, 1, 1));
  axis.rounding = ResizeRounding::kCeil;
  EXPECT_THAT(MakeResizeTable(axis).indices, ElementsAre(0, 1, 1, 1));
}

TEST(ResizeTable, LinearDoublingRepeatsTheEdges) {
  const ResizeTable table = MakeResizeTable(Axis(2, 4, ResizeMode::kLinear));
  EXPECT_EQ(table.taps, 2);
  EXPECT_THAT(table.indices, ElementsAre(0, 0, 0, 1, 0, 1, 1, 1));
  EXPECT_THAT(table.weights,
              Pointwise(testing::DoubleEq(), {0.25, 0.75, 0.75, 0.25, 0.25, 0.75, 0.75, 0.25}));
}

TEST(ResizeTable, WeightsSumToOne) {
  for (const ResizeMode mode : {ResizeMode::kLinear, ResizeMode::kCubic}) {
    for (const bool antialias : {false, true}) {
      for (const int64_t output : {3, 7, 16, 40}) {
        ResizeAxis axis = Axis(16, output, mode);
        axis.antialias = antialias;
        const ResizeTable table = MakeResizeTable(axis);
        ASSERT_EQ(static_cast<int64_t>(table.weights.size()), output * table.taps);
        for (auto at = table.weights.begin(); at != table.weights.end(); at += table.taps) {
          EXPECT_THAT(std::accumulate(at, at + table.taps, 0.0), DoubleNear(1, 1e-12));
        }
      }
    }
  }
}

TEST(ResizeTable, ExcludingTheOutsideLeavesTheEdgesWeightToTheRest) {
  ResizeAxis axis = Axis(2, 4, ResizeMode::kLinear);
  axis.exclude_outside = true;
  const ResizeTable table = MakeResizeTable(axis);
  EXPECT_EQ(table.weights[0], 0);
  EXPECT_EQ(table.weights[1], 1);
}

TEST(ResizeTable, CropsBeyondTheInputAreOutside) {
  ResizeAxis axis = Axis(4, 4, ResizeMode::kLinear);
  axis.coordinates = ResizeCoordinates::kCropAndResize;
  axis.roi_start = 0;
  axis.roi_end = 1.5;  // 0, 1.5, 3, 4.5
  EXPECT_THAT(MakeResizeTable(axis).outside, ElementsAre(false, false, false, true));
}

}  // namespace
}  // namespace wsi
