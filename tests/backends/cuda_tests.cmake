# What can be tested of the CUDA backend without a GPU; the rest is backend_suite_cuda.
wsi_add_test(cuda_backend_test SOURCES cuda_backend_test.cc LIBS wsi_backend_cuda)
wsi_add_test(cuda_ranks_test SOURCES cuda_ranks_test.cc LIBS wsi_backend_cuda)
if(WSI_HAVE_CUDA)
  wsi_add_test(cuda_source_test
    SOURCES cuda_engine_cache_test.cc cuda_kernel_table_test.cc cuda_source_test.cc
    LIBS wsi_backend_cuda wsi_ops wsi_ir wsi_base)
  target_include_directories(cuda_source_test SYSTEM PRIVATE ${CUDAToolkit_INCLUDE_DIRS})
  add_subdirectory(cuda_emulation)
endif()
