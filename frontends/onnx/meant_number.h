// The number that an exporter had before it rounded it to a float.
#pragma once

namespace wsi {

// The simplest number that rounds to `stored`: a decimal of at most 6 digits (1e-3 is stored
// 4.7e-8 off, which gradients in fp64 show), a fraction (1/6), the root of a whole number or
// its reciprocal (sqrt(2), 1/sqrt(32)); else `stored` itself. As a float it is `stored`.
double MeantNumber(float stored);

}  // namespace wsi
