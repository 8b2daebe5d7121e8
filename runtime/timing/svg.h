// Writes SVG 1.1 elements: just those that our drawings need.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace wsi {

// `text` as XML character data or attribute value: markup escaped, characters that XML
// has no place for replaced.
std::string XmlText(std::string_view text);

// A rectangle in the drawing's units, from its upper left corner.
struct SvgBox {
  double x = 0;
  double y = 0;
  double width = 0;
  double height = 0;
};

// Elements are drawn in the order of the calls. `css` names a class of the style sheet.
class Svg {
 public:
  // `style` is a style sheet.
  Svg(double width, double height, std::string_view style);

  // `title` shows when the pointer rests on the box; empty: none.
  void Rectangle(const SvgBox& box, std::string_view css, std::string_view title);
  void Line(double x1, double y1, double x2, double y2, std::string_view css);
  void Polyline(const std::vector<std::pair<double, double>>& points, std::string_view css);
  // `css` decides where on the text (x, y) is.
  void Text(double x, double y, std::string_view css, std::string_view text);
  // The whole document. Nothing can be drawn behind it.
  std::string Finish() &&;

 private:
  std::string out_;
};

}  // namespace wsi
