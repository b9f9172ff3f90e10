#include "backends/cpu/plan.h"

#include <algorithm>
#include <new>
#include <utility>

#include "backends/cpu/quantised.h"
#include "backends/cpu/winograd.h"

namespace cpu {
namespace {

using Memory = dnnl::memory;
using Type = Memory::data_type;
using Tag = Memory::format_tag;

std::size_t size_of(Type type) { return type == Type::f32 ? 4 : 2; }

// What a step makes and takes again, the transformed tiles of a Winograd convolution, should stay in the second-level cache.
constexpr std::size_t kStepBytes = 1 << 19;

// Positions of so many bytes to take at once; divides the batch, both being powers of two.
int positions_at_once(int batch, std::size_t bytes) {
  while (batch > 1 && batch * bytes > kStepBytes) batch /= 2;
  return batch;
}

dnnl::primitive_attr attributes(nn::Activation activation, bool accumulate) {
  using dnnl::algorithm;
  dnnl::post_ops ops;
  if (accumulate) ops.append_sum();
  switch (activation) {
    case nn::Activation::kNone:
      break;
    case nn::Activation::kRelu:
      ops.append_eltwise(algorithm::eltwise_relu, 0, 0);
      break;
    case nn::Activation::kRelu2:
      ops.append_eltwise(algorithm::eltwise_relu, 0, 0);
      ops.append_eltwise(algorithm::eltwise_square, 0, 0);
      break;
    case nn::Activation::kMish:
      ops.append_eltwise(algorithm::eltwise_mish, 0, 0);
      break;
    case nn::Activation::kSwish:
      ops.append_eltwise(algorithm::eltwise_swish, 1, 0);
      break;
    case nn::Activation::kSelu:
      ops.append_eltwise(algorithm::eltwise_elu, 1.67326324f, 0);
      ops.append_eltwise(algorithm::eltwise_linear, 1.05070098f, 0);
      break;
    case nn::Activation::kTanh:
      ops.append_eltwise(algorithm::eltwise_tanh, 0, 0);
      break;
    case nn::Activation::kSigmoid:
      ops.append_eltwise(algorithm::eltwise_logistic, 0, 0);
      break;
  }
  dnnl::primitive_attr attr;
  attr.set_post_ops(ops);
  attr.set_scratchpad_mode(dnnl::scratchpad_mode::user);  // a session may change threads between evaluations
  return attr;
}

}  // namespace

Bytes aligned_bytes(std::size_t bytes) {
  auto* block = static_cast<std::byte*>(std::aligned_alloc(64, (bytes + 64) / 64 * 64));
  if (!block) throw std::bad_alloc();
  return Bytes(block);
}

std::byte* Arena::take(const std::string& name, std::size_t bytes) {
  Block& block = named_[name];
  if (block.size < bytes) {
    blocks_.push_back(aligned_bytes(bytes));
    block = {bytes, blocks_.back().get()};
  }
  return block.data;
}

Plan::Plan(Weights& weights, Arena& arena, Precision precision, int batch)
    : weights_(weights), arena_(arena), type_(precision.type), int8_(precision.int8), batch_(batch), stream_(weights.engine()) {}

Tensor Plan::take(const std::string& name, Type type, int rows, int cols) {
  return {type, arena_.take(name, size_of(type) * kMaxSlice * rows * cols), rows, cols};
}

void Plan::add(const dnnl::primitive& primitive, const Memory::desc& scratchpad,
               std::unordered_map<int, Memory> arguments) {
  arguments[DNNL_ARG_SCRATCHPAD] = scratch(scratchpad);
  steps_.push_back([this, primitive, arguments = std::move(arguments)] { primitive.execute(stream_, arguments); });
}

void Plan::dense(Tensor dst, Tensor src, const nn::Dense& layer, nn::Activation activation, bool accumulate) {
  const Memory::dim rows = Memory::dim{batch_} * src.rows * src.cols / layer.in();
  const Memory::desc from({rows, layer.in()}, src.type, Tag::ab), to({rows, layer.out()}, dst.type, Tag::ab);
  const Memory::desc any({layer.in(), layer.out()}, type_, Tag::any), plain({layer.in(), layer.out()}, Type::f32, Tag::ba);
  const Memory::desc bias({1, layer.out()}, Type::f32, Tag::ab);
  const auto attr = attributes(activation, accumulate);
  const auto description = layer.b ? dnnl::matmul::primitive_desc(weights_.engine(), from, any, bias, to, attr)
                                        : dnnl::matmul::primitive_desc(weights_.engine(), from, any, to, attr);
  std::unordered_map<int, Memory> arguments{
      {DNNL_ARG_SRC, Memory(from, weights_.engine(), src.data)},
      {DNNL_ARG_WEIGHTS, weights_.packed(layer.w, description.weights_desc(), plain)},
      {DNNL_ARG_DST, Memory(to, weights_.engine(), dst.data)}};
  if (layer.b) arguments[DNNL_ARG_BIAS] = weights_.packed(layer.b, bias, bias);
  add(dnnl::matmul(description), description.scratchpad_desc(), std::move(arguments));
}

void Plan::dense_int8(Tensor dst, Tensor src, const nn::Dense& layer, nn::Activation activation) {
  if (!int8_) return dense(dst, src, layer, activation);
  const int in = layer.in(), out = layer.out();
  const int rows_each = src.rows * src.cols / in;
  const int rows = rows_each * positions_at_once(batch_, rows_each * (in + sizeof(std::int32_t) * out));
  const Memory::desc from({rows, in}, Type::s8, Tag::ab), to({rows, out}, Type::s32, Tag::ab), scales({rows}, Type::f32, Tag::a);
  const Memory::desc any({in, out}, Type::s8, Tag::any), plain({in, out}, Type::f32, Tag::ba);
  const dnnl::matmul::primitive_desc description(weights_.engine(), from, any, to, attributes(nn::Activation::kNone, false));
  const auto packed = weights_.packed(whole_numbers(layer.w), description.weights_desc(), plain);
  const float* const column_scales = weights_.table(scales_of(layer.w));
  const float* const biases = layer.b ? weights_.table(layer.b) : nullptr;
  std::size_t place = 0;  // in the scratch memory, by whole cache lines
  const auto next = [&](const Memory::desc& wanted) {
    return scratch(wanted, std::exchange(place, place + (wanted.get_size() + 63) / 64 * 64));
  };
  const Memory q = next(from), sums = next(to), row_scales = next(scales);
  const std::unordered_map<int, Memory> arguments{
      {DNNL_ARG_SRC, q}, {DNNL_ARG_WEIGHTS, packed}, {DNNL_ARG_DST, sums}, {DNNL_ARG_SCRATCHPAD, next(description.scratchpad_desc())}};
  step([=, this, product = dnnl::matmul(description)](auto number) {
    using T = decltype(number);
    auto* const found = static_cast<float*>(row_scales.get_data_handle());
    for (int row = 0; row < batch_ * rows_each; row += rows) {
      quantise(static_cast<std::int8_t*>(q.get_data_handle()), found, src.as<T>() + std::size_t(row) * in, rows, in);
      product.execute(stream_, arguments);
      const auto* done = static_cast<const std::int32_t*>(sums.get_data_handle());
      const auto finish = [&](auto* y) {
        finish_product(y + std::size_t(row) * out, done, found, column_scales, biases, activation, rows, out);
      };
      if (dst.type == Type::f32) finish(dst.as<float>());
      else finish(dst.as<BFloat16>());
    }
  });
}

void Plan::conv3x3(Tensor dst, Tensor src, const nn::Convolution& convolution, nn::Activation activation, bool accumulate) {
  if (type_ == Type::f32) return winograd(dst, src, convolution, activation, accumulate);

  const Memory::dim in = convolution.in(), out = convolution.out();
  const Memory::desc from({batch_, in, 8, 8}, type_, Tag::nhwc), to({batch_, out, 8, 8}, dst.type, Tag::nhwc);
  const Memory::desc any({out, in, 3, 3}, type_, Tag::any), plain({out, in, 3, 3}, Type::f32, Tag::oihw);
  const Memory::desc bias({out}, Type::f32, Tag::a);
  const Memory::dims one{1, 1};
  const dnnl::convolution_forward::primitive_desc description(weights_.engine(), dnnl::prop_kind::forward_inference,
                                                              dnnl::algorithm::convolution_direct, from, any, bias, to,
                                                              one, one, one, attributes(activation, accumulate));
  add(dnnl::convolution_forward(description), description.scratchpad_desc(),
      {{DNNL_ARG_SRC, Memory(from, weights_.engine(), src.data)},
       {DNNL_ARG_WEIGHTS, weights_.packed(convolution.w, description.weights_desc(), plain)},
       {DNNL_ARG_BIAS, weights_.packed(convolution.b, bias, bias)},
       {DNNL_ARG_DST, Memory(to, weights_.engine(), dst.data)}});
}

// fp32: the direct convolution of oneDNN reaches the processor's peak, so only fewer products make it faster.
void Plan::winograd(Tensor dst, Tensor src, const nn::Convolution& convolution, nn::Activation activation, bool accumulate) {
  const int in = convolution.in(), out = convolution.out(), columns = winograd_columns(out);
  const int positions = positions_at_once(batch_, sizeof(float) * kWinogradPoints * kWinogradTiles * (in + columns));
  const int tiles = kWinogradTiles * positions;
  const auto flat = [](std::size_t numbers) { return Memory::desc({Memory::dim(numbers)}, Type::f32, Tag::a); };
  const Memory::desc from = flat(kWinogradPoints * winograd_stride(tiles, in)), to = flat(kWinogradPoints * winograd_stride(tiles, columns));
  const Memory::desc weights = flat(std::size_t{kWinogradPoints} * in * columns);
  const nn::Weight transformed{convolution.w.key + " transformed", {kWinogradPoints, in, columns}, [make = convolution.w.make, in, out] {
                                 return winograd_weights(make(), out, in);
                               }};
  const Memory packed = weights_.packed(transformed, weights, weights);  // aligned to lines of the cache
  const float* const biases = weights_.table(convolution.b);
  const Memory v = scratch(from), m = scratch(to, from.get_size());
  steps_.push_back([=, this] {
    auto* inputs = static_cast<float*>(v.get_data_handle());
    auto* products = static_cast<float*>(m.get_data_handle());
    for (int p = 0; p < batch_; p += positions) {
      float* y = dst.as<float>() + std::size_t{64} * p * out;
      winograd_input(inputs, src.as<float>() + std::size_t{64} * p * in, positions, in);
      winograd_products(products, inputs, static_cast<const float*>(packed.get_data_handle()), tiles, in, out);
      winograd_output(y, products, biases, accumulate ? y : nullptr, activation, positions, out);
    }
  });
}

Memory Plan::scratch(const Memory::desc& description, std::size_t offset) {
  scratch_bytes_ = std::max(scratch_bytes_, offset + description.get_size());
  in_scratch_.emplace_back(Memory(description, weights_.engine(), nullptr), offset);
  return in_scratch_.back().first;
}

void Plan::run(std::size_t first, std::size_t end) {
  if (!scratch_) {
    scratch_ = aligned_bytes(scratch_bytes_);
    for (auto& [memory, offset] : in_scratch_) memory.set_data_handle(scratch_.get() + offset);
  }
  for (std::size_t i = first; i < end; ++i) steps_[i]();
}

}  // namespace cpu
