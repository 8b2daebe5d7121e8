#include "tests/backends/random_cases.h"

namespace wsi {
namespace {

using Ints = std::vector<int64_t>;

Shape Of(const Ints& sizes) { return Shape::Make(sizes).value(); }

RandomCase Exact(Attributes attributes, std::vector<Operand> inputs, std::vector<int> wrt = {0}) {
  return {{{}, {}, std::move(attributes), std::move(inputs), std::move(wrt)}, Slope::kExact};
}

RandomCase ConcatCase(std::string_view /*op*/, Dice& dice) {
  Ints sizes = dice.Sizes(1, 4, 40);
  const auto axis = static_cast<size_t>(dice.Between(0, static_cast<int64_t>(sizes.size()) - 1));
  std::vector<Operand> inputs;
  std::vector<int> wrt;
  for (int64_t i = dice.Between(1, 4); i > 0; --i) {
    sizes[axis] = dice.Between(1, 4);
    wrt.push_back(static_cast<int>(inputs.size()));
    inputs.push_back({Of(sizes), Fill::kWhole});
  }
  return Exact({{"axis", static_cast<int64_t>(axis)}}, std::move(inputs), std::move(wrt));
}

RandomCase ExpandCase(std::string_view /*op*/, Dice& dice) {
  const Shape shape = dice.AnyShape(0, 4);
  return Exact({{"shape", Ints(shape.begin(), shape.end())}},
               {{dice.Broadcasting(shape), Fill::kWhole}});
}

RandomCase PadCase(std::string_view /*op*/, Dice& dice) {
  const Shape x = dice.AnyShape(1, 4, 40);
  Ints pads(static_cast<size_t>(2 * x.rank()));
  for (int64_t& pad : pads) pad = dice.OneIn(3) ? dice.Between(1, 3) : 0;
  return Exact({{"pads", pads}, {"value", 2.0}}, {{x, Fill::kWhole}});
}

// Merges neighbours and splits axes.
RandomCase ReshapeCase(std::string_view /*op*/, Dice& dice) {
  const Ints sizes = dice.Sizes(1, 4);
  Ints to;
  for (const int64_t size : sizes) {
    if (!to.empty() && dice.OneIn(3)) {
      to.back() *= size;
    } else if (size % 2 == 0 && dice.OneIn(3)) {
      to.insert(to.end(), {2, size / 2});
    } else {
      to.push_back(size);
    }
    if (dice.OneIn(5)) to.push_back(1);
  }
  return Exact({{"shape", to}}, {{Of(sizes), Fill::kWhole}});
}

RandomCase TransposeCase(std::string_view /*op*/, Dice& dice) {
  const Shape x = dice.AnyShape(1, 5);
  return Exact({{"perm", dice.Permutation(x.rank())}}, {{x, Fill::kWhole}});
}

RandomCase SliceCase(std::string_view /*op*/, Dice& dice) {
  const Shape x = dice.AnyShape(1, 4);
  const Ints axes = dice.Axes(x.rank());
  Ints starts, ends, steps;
  for (const int64_t axis : axes) {
    const int64_t size = x[static_cast<int>(axis)];
    const int64_t low = dice.Between(0, size - 1);
    const int64_t high = dice.Between(low, size - 1);
    const bool up = dice.Coin();
    starts.push_back(up ? low : high);
    ends.push_back(up ? high + 1 : low - 1);
    steps.push_back(dice.Between(1, 3) * (up ? 1 : -1));
  }
  return Exact({{"axes", axes}, {"ends", ends}, {"starts", starts}, {"steps", steps}},
               {{x, Fill::kWhole}});
}

Attributes AnyAxis(Dice& dice, const Shape& x) { return {{"axis", dice.Between(0, x.rank() - 1)}}; }

int64_t SizeAlong(const Attributes& attributes, const Shape& x) {
  return x[static_cast<int>(attributes.Int("axis", 0))];
}

Operand AnyIndex(Shape shape, int64_t below, Dice& dice) {
  return {std::move(shape), Fill::kSignedIndex, static_cast<double>(below),
          dice.Coin() ? DType::kI64 : DType::kI32};
}

RandomCase GatherCase(std::string_view /*op*/, Dice& dice) {
  const Shape x = dice.AnyShape(1, 4);
  const Attributes attributes = AnyAxis(dice, x);
  return Exact(attributes,
               {{x, Fill::kWhole}, AnyIndex({dice.Between(1, 6)}, SizeAlong(attributes, x), dice)});
}

// No longer than x but along the axis.
Shape IndexShape(const Attributes& attributes, const Shape& x, int64_t along, Dice& dice) {
  Ints sizes(x.begin(), x.end());
  for (int64_t& size : sizes) size = dice.OneIn(3) ? dice.Between(1, size) : size;
  sizes[static_cast<size_t>(attributes.Int("axis", 0))] = along;
  return Of(sizes);
}

RandomCase GatherElementsCase(std::string_view /*op*/, Dice& dice) {
  const Shape x = dice.AnyShape(1, 4);
  const Attributes attributes = AnyAxis(dice, x);
  const Shape indices = IndexShape(attributes, x, dice.Between(1, 6), dice);
  return Exact(attributes, {{x, Fill::kWhole}, AnyIndex(indices, SizeAlong(attributes, x), dice)});
}

// What one update overwrites no other one does: a single index along the axis.
RandomCase ScatterElementsCase(std::string_view /*op*/, Dice& dice) {
  const Shape x = dice.AnyShape(1, 4);
  Attributes attributes = AnyAxis(dice, x);
  const bool add = dice.Coin();
  if (add) attributes.Set("reduction", std::string("add"));
  const Shape indices = IndexShape(attributes, x, add ? dice.Between(1, 6) : 1, dice);
  return Exact(attributes,
               {{x, Fill::kWhole},
                AnyIndex(indices, SizeAlong(attributes, x), dice),
                {indices, Fill::kWhole}},
               {0, 2});
}

RandomCase ResampleCase(std::string_view /*op*/, Dice& dice) {
  const Shape x = dice.AnyShape(1, 4);
  const Attributes attributes = AnyAxis(dice, x);
  const Shape table = {dice.Between(1, 7), dice.Between(1, 4)};
  return Exact(attributes, {{x, Fill::kWhole},
                            Index(table, SizeAlong(attributes, x)),
                            {table, Fill::kWhole, 0, DType::kF64}});
}

}  // namespace

void AddMovementDraws(std::vector<RandomOp>& ops) {
  ops.push_back({"Concat", ConcatCase});
  ops.push_back({"Expand", ExpandCase});
  ops.push_back({"Pad", PadCase});
  ops.push_back({"Reshape", ReshapeCase});
  ops.push_back({"Transpose", TransposeCase});
  ops.push_back({"Slice", SliceCase});
  ops.push_back({"Gather", GatherCase});
  ops.push_back({"GatherElements", GatherElementsCase});
  ops.push_back({"ScatterElements", ScatterElementsCase});
  ops.push_back({"Resample", ResampleCase});
}

}  // namespace wsi
