// Elementwise loops on integers and bools. They carry little work, so they are
// compiled once and not per instruction set.
#pragma once

#include <cstdint>
#include <string_view>

namespace wsi::cpu {

template <typename T>
using IntegerUnary = void (*)(const T* x, int64_t n, T* y);
template <typename T>
using IntegerBinary = void (*)(const T* a, int64_t a_stride, const T* b, int64_t b_stride,
                               int64_t n, T* y);
template <typename T>
using IntegerCompare = void (*)(const T* a, int64_t a_stride, const T* b, int64_t b_stride,
                                int64_t n, uint8_t* y);

// Null where integers of type T have no such operator. T: an integer of 8 to 64 bits;
// uint8_t is bool too (Not, And, Or). "Fmod" is Mod with fmod=1.
template <typename T>
IntegerUnary<T> FindIntegerUnary(std::string_view op);
template <typename T>
IntegerBinary<T> FindIntegerBinary(std::string_view op);
template <typename T>
IntegerCompare<T> FindIntegerCompare(std::string_view op);

}  // namespace wsi::cpu
