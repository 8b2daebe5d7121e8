# What is special to the CPU backend; what all backends share is in backend_suite.
foreach(name cpu_backend_test cpu_convolution_test cpu_half_test cpu_kernels_test cpu_movement_test
             cpu_pooling_test cpu_vector_math_test)
  wsi_add_test(${name} SOURCES ${name}.cc cpu_launch.cc LIBS wsi_backend_cpu)
endforeach()
wsi_add_test(cpu_thread_pool_test SOURCES cpu_thread_pool_test.cc LIBS wsi_backend_cpu)
