# Sets WSI_HAVE_CUDA where the CUDA backend can be built, which WSI_CUDA=OFF forbids and
# WSI_CUDA=ON demands: with nvcc 12 or newer, the runtime and the headers of cuDNN 9,
# cuBLASLt and NVRTC. Programs open these libraries when they run.
set(WSI_CUDA "AUTO" CACHE STRING "Build the CUDA backend: AUTO, ON or OFF")
set_property(CACHE WSI_CUDA PROPERTY STRINGS AUTO ON OFF)
set(WSI_CUDA_ARCHITECTURES "90" CACHE STRING
    "GPUs to make machine code and PTX for, as CMAKE_CUDA_ARCHITECTURES")

set(WSI_HAVE_CUDA FALSE)
if(WSI_CUDA STREQUAL "OFF")
  return()
endif()

set(missing "")
find_program(WSI_NVCC nvcc HINTS /usr/local/cuda/bin ENV CUDA_HOME PATH_SUFFIXES bin)
if(NOT WSI_NVCC)
  set(missing "nvcc")
else()
  if(NOT CMAKE_CUDA_COMPILER)
    set(CMAKE_CUDA_COMPILER ${WSI_NVCC})
  endif()
  set(CMAKE_CUDA_ARCHITECTURES ${WSI_CUDA_ARCHITECTURES})
  enable_language(CUDA)
  if(NOT CMAKE_CUDA20_STANDARD_COMPILE_OPTION)  # Which older CMakes do not know of nvcc.
    set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION -std=c++20)
    set(CMAKE_CUDA20_EXTENSION_COMPILE_OPTION -std=c++20)
  endif()
  find_package(CUDAToolkit 12 QUIET)
  find_path(WSI_CUDNN_INCLUDE cudnn.h HINTS ${CUDAToolkit_INCLUDE_DIRS})
  if(NOT CUDAToolkit_FOUND)
    set(missing "the CUDA toolkit, 12 or newer")
  elseif(NOT WSI_CUDNN_INCLUDE)
    set(missing "cudnn.h")
  endif()
endif()

if(missing STREQUAL "")
  set(WSI_HAVE_CUDA TRUE)
  message(STATUS "CUDA backend: ${CMAKE_CUDA_COMPILER}, for ${WSI_CUDA_ARCHITECTURES}")
elseif(WSI_CUDA STREQUAL "ON")
  message(FATAL_ERROR "WSI_CUDA=ON, but ${missing} is missing")
else()
  message(STATUS "CUDA backend: left out, ${missing} is missing")
endif()
