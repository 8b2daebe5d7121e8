// ONNX's generated classes. Included by sources of this folder only; the
// definitions that the header asks for come with the CMake target.
#pragma once

#include <onnx/onnx-data_pb.h>
#include <onnx/onnx_pb.h>
