# What can be tested of the CUDA backend without a GPU; the rest is backend_suite_cuda.
wsi_add_test(cuda_backend_test SOURCES cuda_backend_test.cc LIBS wsi_backend_cuda)
wsi_add_test(cuda_ranks_test SOURCES cuda_ranks_test.cc LIBS wsi_backend_cuda)
if(WSI_HAVE_CUDA)
  wsi_add_test(cuda_source_test
    SOURCES cuda_engine_cache_test.cc cuda_kernel_table_test.cc cuda_product_parts_test.cc
            cuda_source_test.cc
    LIBS wsi_backend_cuda wsi_ops wsi_ir wsi_base)
  target_include_directories(cuda_source_test SYSTEM PRIVATE ${CUDAToolkit_INCLUDE_DIRS})
  add_library(wsi_large_memory STATIC large_memory.cu)
  target_include_directories(wsi_large_memory PRIVATE ${PROJECT_SOURCE_DIR})
  target_compile_options(wsi_large_memory PRIVATE --expt-relaxed-constexpr -Werror=all-warnings)
  target_link_libraries(wsi_large_memory PUBLIC wsi_backend_cuda)
  wsi_add_large_test(cuda_large_test wsi_large_memory backend_suite_cuda.cc cuda_one_piece_test.cc
                     large_scale_cuda.cc)
  target_include_directories(cuda_large_test SYSTEM PRIVATE ${CUDAToolkit_INCLUDE_DIRS}
                                                            ${WSI_CUDNN_INCLUDE})
  add_test(NAME cuda_large_test COMMAND cuda_large_test --gtest_brief=1)
  add_subdirectory(cuda_emulation)
endif()
