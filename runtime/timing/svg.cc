#include "runtime/timing/svg.h"

#include <fmt/format.h>

#include <iterator>

namespace wsi {
namespace {

template <typename... T>
void Print(std::string& out, fmt::format_string<T...> format, T&&... arguments) {
  fmt::format_to(std::back_inserter(out), format, std::forward<T>(arguments)...);
}

}  // namespace

// XML 1.0, production 2 ("Char"): no control characters but tab, line feed and return.
std::string XmlText(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '<': out += "&lt;"; break;
      case '>': out += "&gt;"; break;
      case '&': out += "&amp;"; break;
      case '"': out += "&quot;"; break;
      default: out += (static_cast<unsigned char>(c) < 0x20 && c != '\n' && c != '\t') ? '?' : c;
    }
  }
  return out;
}

Svg::Svg(double width, double height, std::string_view style) {
  Print(out_,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0:g}\" height=\"{1:g}\" "
        "viewBox=\"0 0 {0:g} {1:g}\">\n<style>{2}</style>\n"
        "<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n",
        width, height, style);
}

void Svg::Rectangle(const SvgBox& box, std::string_view css, std::string_view title) {
  Print(out_, "<rect x=\"{:.2f}\" y=\"{:.2f}\" width=\"{:.2f}\" height=\"{:.2f}\" class=\"{}\"",
        box.x, box.y, box.width, box.height, css);
  if (title.empty()) {
    out_ += "/>\n";
  } else {
    Print(out_, "><title>{}</title></rect>\n", XmlText(title));
  }
}

void Svg::Line(double x1, double y1, double x2, double y2, std::string_view css) {
  Print(out_, "<line x1=\"{:.2f}\" y1=\"{:.2f}\" x2=\"{:.2f}\" y2=\"{:.2f}\" class=\"{}\"/>\n", x1,
        y1, x2, y2, css);
}

void Svg::Polyline(const std::vector<std::pair<double, double>>& points, std::string_view css) {
  Print(out_, "<polyline class=\"{}\" points=\"", css);
  for (const auto& [x, y] : points) Print(out_, "{:.2f},{:.2f} ", x, y);
  out_ += "\"/>\n";
}

void Svg::Text(double x, double y, std::string_view css, std::string_view text) {
  Print(out_, "<text x=\"{:.2f}\" y=\"{:.2f}\" class=\"{}\">{}</text>\n", x, y, css, XmlText(text));
}

std::string Svg::Finish() && {
  out_ += "</svg>\n";
  return std::move(out_);
}

}  // namespace wsi
