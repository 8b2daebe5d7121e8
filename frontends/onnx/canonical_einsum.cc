// Einsum as transpositions, sums and matrix products, one operand after the other.
#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <vector>

#include "frontends/onnx/canonical.h"

namespace wsi {
namespace {

using Sizes = std::vector<int64_t>;
using Labels = std::string;  // One character per axis; ellipsis axes are digits and beyond.

constexpr char kEllipsis = '\x01';  // The first of the labels for ellipsis axes, from the back.
constexpr int kMostEllipsis = 16;

bool Has(const Labels& labels, char label) { return labels.find(label) != Labels::npos; }

// A tensor whose axes have names.
struct Term {
  ValueId value;
  Labels labels;
};

struct Equation {
  std::vector<Labels> operands;
  Labels result;
};

// The labels of one term, its ellipsis standing for `ellipsis` axes.
Result<Labels> ReadTerm(std::string_view text, int ellipsis) {
  Labels labels;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == ' ') continue;
    if (text.substr(i, 3) == "...") {
      for (int e = ellipsis; e-- > 0;) labels += static_cast<char>(kEllipsis + e);
      i += 2;
    } else if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')) {
      labels += c;
    } else {
      return InvalidInput("equation has a character that is neither a letter nor one of ., ->");
    }
  }
  return labels;
}

int CountLetters(std::string_view text) {
  return static_cast<int>(std::ranges::count_if(
      text, [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }));
}

std::vector<std::string_view> SplitTerms(std::string_view text) {
  std::vector<std::string_view> terms;
  for (;;) {
    const size_t comma = text.find(',');
    terms.push_back(text.substr(0, comma));
    if (comma == std::string_view::npos) return terms;
    text.remove_prefix(comma + 1);
  }
}

// Without an arrow the result has the ellipsis and, sorted, the labels that appear once.
Labels ImplicitResult(const std::vector<Labels>& operands, int ellipsis) {
  Labels result;
  for (int e = ellipsis; e-- > 0;) result += static_cast<char>(kEllipsis + e);
  Labels all;
  for (const Labels& labels : operands) all += labels;
  Labels once;
  for (const char label : all) {
    if (label >= 'A' && std::ranges::count(all, label) == 1) once += label;
  }
  std::ranges::sort(once);
  return result + once;
}

Result<Equation> ReadEquation(NodeImport& n) {
  const std::string text = n.String("equation", "");
  const size_t arrow = text.find("->");
  const auto terms = SplitTerms(std::string_view(text).substr(0, arrow));
  if (static_cast<int>(terms.size()) != n.input_count()) {
    return InvalidInput(
        fmt::format("equation has {} terms, there are {} inputs", terms.size(), n.input_count()));
  }
  WSI_RETURN_IF_ERROR(n.RequireInputs(n.input_count()));
  int widest = 0;
  std::vector<int> ellipsis;
  for (size_t i = 0; i < terms.size(); ++i) {
    const bool has = terms[i].find("...") != std::string_view::npos;
    const int rank = n.InputShape(static_cast<int>(i)).rank();
    ellipsis.push_back(has ? rank - CountLetters(terms[i]) : 0);
    if (ellipsis.back() < 0 || ellipsis.back() > kMostEllipsis ||
        CountLetters(terms[i]) + ellipsis.back() != rank) {
      return InvalidInput(fmt::format("term {} of the equation does not name the axes of {}", i,
                                      n.InputShape(static_cast<int>(i)).ToString()));
    }
    widest = std::max(widest, ellipsis.back());
  }
  Equation equation;
  for (size_t i = 0; i < terms.size(); ++i) {
    WSI_ASSIGN_OR_RETURN(equation.operands.emplace_back(), ReadTerm(terms[i], ellipsis[i]));
  }
  if (arrow == std::string::npos) {
    equation.result = ImplicitResult(equation.operands, widest);
    return equation;
  }
  WSI_ASSIGN_OR_RETURN(equation.result, ReadTerm(std::string_view(text).substr(arrow + 2), widest));
  return equation;
}

Sizes SizesOf(NodeImport& n, ValueId value) {
  const Shape& shape = n.ShapeOf(value);
  return {shape.begin(), shape.end()};
}

Result<Term> Transposed(NodeImport& n, const Term& term, const Labels& order) {
  if (term.labels == order) return term;
  Sizes perm;
  for (const char label : order) perm.push_back(static_cast<int64_t>(term.labels.find(label)));
  WSI_ASSIGN_OR_RETURN(const ValueId value,
                       n.Emit("Transpose", {term.value}, {{"perm", std::move(perm)}}));
  return Term{value, order};
}

// A label that stands twice keeps the diagonal of its two axes.
Result<Term> WithoutRepeats(NodeImport& n, Term term) {
  for (size_t i = 0; i < term.labels.size(); ++i) {
    const size_t twin = term.labels.find(term.labels[i], i + 1);
    if (twin == Labels::npos) continue;
    Sizes sizes = SizesOf(n, term.value);
    const int64_t size = sizes[i];
    if (sizes[twin] != size) {
      return InvalidInput(
          fmt::format("label {} stands for sizes {} and {}", term.labels[i], size, sizes[twin]));
    }
    Sizes perm;
    for (size_t a = 0; a < sizes.size(); ++a) {
      if (a != i && a != twin) perm.push_back(static_cast<int64_t>(a));
    }
    perm.insert(perm.end(), {static_cast<int64_t>(i), static_cast<int64_t>(twin)});
    WSI_ASSIGN_OR_RETURN(term.value, n.Emit("Transpose", {term.value}, {{"perm", perm}}));
    const char label = term.labels[i];
    std::erase(term.labels, label);
    term.labels += label;
    Sizes flat = SizesOf(n, term.value);
    flat.pop_back();
    flat.back() = size * size;
    WSI_ASSIGN_OR_RETURN(term.value, n.Emit("Reshape", {term.value}, {{"shape", flat}}));
    WSI_ASSIGN_OR_RETURN(term.value, n.Emit("Slice", {term.value},
                                            {{"starts", Sizes{0}},
                                             {"ends", Sizes{size * size}},
                                             {"axes", Sizes{static_cast<int64_t>(flat.size()) - 1}},
                                             {"steps", Sizes{size + 1}}}));
    return WithoutRepeats(n, std::move(term));
  }
  return term;
}

// Sums over the axes that `drops` says of.
template <typename F>
Result<Term> Summed(NodeImport& n, const Term& term, F drops) {
  Sizes axes;
  Labels kept;
  for (size_t i = 0; i < term.labels.size(); ++i) {
    if (drops(term.labels[i])) {
      axes.push_back(static_cast<int64_t>(i));
    } else {
      kept += term.labels[i];
    }
  }
  if (axes.empty()) return term;
  WSI_ASSIGN_OR_RETURN(const ValueId value, n.Emit("ReduceSum", {term.value},
                                                   {{"axes", axes}, {"keepdims", int64_t{0}}}));
  return Term{value, kept};
}

// An axis of size 1 that the other operand has larger is dropped: it broadcasts.
Result<Term> WithoutOnes(NodeImport& n, const Term& term, const Term& other) {
  Sizes sizes;
  Labels kept;
  for (size_t i = 0; i < term.labels.size(); ++i) {
    const int64_t size = n.ShapeOf(term.value)[static_cast<int>(i)];
    const size_t there = other.labels.find(term.labels[i]);
    if (there != Labels::npos) {
      const int64_t their = n.ShapeOf(other.value)[static_cast<int>(there)];
      if (size == 1 && their != 1) continue;
      if (size != their && their != 1) {
        return InvalidInput(fmt::format("one label stands for sizes {} and {}", size, their));
      }
    }
    sizes.push_back(size);
    kept += term.labels[i];
  }
  if (kept == term.labels) return term;
  WSI_ASSIGN_OR_RETURN(const ValueId value, n.Emit("Reshape", {term.value}, {{"shape", sizes}}));
  return Term{value, kept};
}

int64_t SizeOf(NodeImport& n, const Term& term, const Labels& labels) {
  int64_t size = 1;
  for (const char label : labels) {
    size *= n.ShapeOf(term.value)[static_cast<int>(term.labels.find(label))];
  }
  return size;
}

// One matrix product for each index of the labels that both have and `later` needs; the
// other labels that both have are summed over.
Result<Term> Multiplied(NodeImport& n, const Term& left, const Term& right, const Labels& later) {
  WSI_ASSIGN_OR_RETURN(Term a, WithoutOnes(n, left, right));
  WSI_ASSIGN_OR_RETURN(Term b, WithoutOnes(n, right, a));
  WSI_ASSIGN_OR_RETURN(a,
                       Summed(n, a, [&](char l) { return !Has(b.labels, l) && !Has(later, l); }));
  WSI_ASSIGN_OR_RETURN(b,
                       Summed(n, b, [&](char l) { return !Has(a.labels, l) && !Has(later, l); }));
  Labels batch, inner, rows, columns;
  for (const char label : a.labels) {
    (!Has(b.labels, label) ? rows : Has(later, label) ? batch : inner) += label;
  }
  for (const char label : b.labels) {
    if (!Has(a.labels, label)) columns += label;
  }
  WSI_ASSIGN_OR_RETURN(a, Transposed(n, a, batch + rows + inner));
  WSI_ASSIGN_OR_RETURN(b, Transposed(n, b, batch + inner + columns));
  const int64_t batches = SizeOf(n, a, batch);
  const int64_t depth = SizeOf(n, a, inner);
  Sizes sizes;
  for (const char label : batch + rows) sizes.push_back(SizeOf(n, a, Labels(1, label)));
  for (const char label : columns) sizes.push_back(SizeOf(n, b, Labels(1, label)));
  WSI_ASSIGN_OR_RETURN(
      const ValueId x,
      n.Emit("Reshape", {a.value}, {{"shape", Sizes{batches, SizeOf(n, a, rows), depth}}}));
  WSI_ASSIGN_OR_RETURN(
      const ValueId y,
      n.Emit("Reshape", {b.value}, {{"shape", Sizes{batches, depth, SizeOf(n, b, columns)}}}));
  WSI_ASSIGN_OR_RETURN(ValueId product,
                       n.Emit("MatMul", {x, y}, {{"transA", int64_t{0}}, {"transB", int64_t{0}}}));
  WSI_ASSIGN_OR_RETURN(product, n.Emit("Reshape", {product}, {{"shape", sizes}}));
  return Term{product, batch + rows + columns};
}

}  // namespace

Status ImportEinsum(NodeImport& n) {
  WSI_ASSIGN_OR_RETURN(const Equation equation, ReadEquation(n));
  Term term{n.Input(0), equation.operands[0]};
  WSI_ASSIGN_OR_RETURN(term, WithoutRepeats(n, term));
  for (size_t i = 1; i < equation.operands.size(); ++i) {
    Labels later = equation.result;
    for (size_t k = i + 1; k < equation.operands.size(); ++k) later += equation.operands[k];
    Term next{n.Input(static_cast<int>(i)), equation.operands[i]};
    WSI_ASSIGN_OR_RETURN(next, WithoutRepeats(n, next));
    WSI_ASSIGN_OR_RETURN(term, Multiplied(n, term, next, later));
  }
  WSI_ASSIGN_OR_RETURN(term, Summed(n, term, [&](char l) { return !Has(equation.result, l); }));
  for (const char label : equation.result) {
    if (!Has(term.labels, label) || std::ranges::count(equation.result, label) != 1) {
      return InvalidInput("the result of the equation has a label twice, or one of no operand");
    }
  }
  WSI_ASSIGN_OR_RETURN(term, Transposed(n, term, equation.result));
  n.SetOutput(0, term.value);
  return {};
}

}  // namespace wsi
