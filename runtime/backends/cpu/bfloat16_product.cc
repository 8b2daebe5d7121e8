#include "runtime/backends/cpu/bfloat16_product.h"

namespace wsi::cpu {

using dnnl::memory;

Result<BFloat16Product> BFloat16Product::Make(const DnnlRuntime& runtime,
                                              const ProductGeometry& geometry) {
  return DnnlTry([&] {
    const ProductGeometry& g = geometry;
    const memory::desc a({g.m, g.k}, memory::data_type::bf16,
                         memory::dims{g.a_strides[0], g.a_strides[1]});
    const memory::desc b({g.k, g.n}, memory::data_type::bf16,
                         memory::dims{g.b_strides[0], g.b_strides[1]});
    const memory::desc y({g.m, g.n}, memory::data_type::f32, memory::dims{g.y_stride, 1});
    dnnl::primitive_attr attributes;
    attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
    const dnnl::matmul::primitive_desc desc(runtime.engine, a, b, y, attributes);
    BFloat16Product product;
    product.geometry_ = geometry;
    product.primitive_ = dnnl::matmul(desc);
    product.scratchpad_bytes_ = static_cast<Bytes>(desc.scratchpad_desc().get_size());
    for (size_t w = 0; w < runtime.streams.size(); ++w) {
      product.operands_.push_back(
          {.a = memory(a, runtime.engine, DNNL_MEMORY_NONE),
           .b = memory(b, runtime.engine, DNNL_MEMORY_NONE),
           .y = memory(y, runtime.engine, DNNL_MEMORY_NONE),
           .scratchpad = memory(desc.scratchpad_desc(), runtime.engine, DNNL_MEMORY_NONE)});
    }
    return product;
  });
}

Status BFloat16Product::Run(const DnnlRuntime& runtime, int worker, const void* a, const void* b,
                            float* y, void* scratchpad) const {
  const Operands& operands = operands_[static_cast<size_t>(worker)];
  SetHandle(operands.a, a);
  SetHandle(operands.b, b);
  SetHandle(operands.y, y);
  SetHandle(operands.scratchpad, scratchpad);
  return Execute(primitive_, runtime.streams[static_cast<size_t>(worker)],
                 {{DNNL_ARG_SRC, operands.a.get()},
                  {DNNL_ARG_WEIGHTS, operands.b.get()},
                  {DNNL_ARG_DST, operands.y.get()},
                  {DNNL_ARG_SCRATCHPAD, operands.scratchpad.get()}});
}

Result<size_t> FindOrMake(const DnnlRuntime& runtime, const ProductGeometry& geometry,
                          std::vector<BFloat16Product>& products) {
  for (size_t i = 0; i < products.size(); ++i) {
    if (products[i].geometry() == geometry) return i;
  }
  WSI_ASSIGN_OR_RETURN(BFloat16Product product, BFloat16Product::Make(runtime, geometry));
  products.push_back(std::move(product));
  return products.size() - 1;
}

}  // namespace wsi::cpu
