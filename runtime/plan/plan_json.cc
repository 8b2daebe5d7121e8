#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "runtime/plan/plan_types.h"
#include "runtime/plan/show_plan.h"

namespace wsi {
namespace {

using Json = nlohmann::ordered_json;

template <typename Repeated>
Json List(const Repeated& repeated) {
  Json list = Json::array();
  for (const auto& item : repeated) list.push_back(item);
  return list;
}

Json InstructionJson(const plan::Instruction& instruction) {
  Json json = {{"name", instruction.name()},
               {"op", KindName(instruction)},
               {"lane", LaneName(instruction.lane())},
               {"phase", PhaseName(instruction.phase())},
               {"waits", List(instruction.waits())}};
  if (instruction.has_launch()) {
    const plan::Launch& launch = instruction.launch();
    Json attributes = Json::array();
    for (const plan::Attribute& a : launch.attributes()) attributes.push_back(AttributeText(a));
    json["attributes"] = std::move(attributes);
    json["inputs"] = List(launch.inputs());
    json["outputs"] = List(launch.outputs());
    json["workspace"] = launch.workspace();
    json["flops"] = launch.flops();
    json["bytes"] = launch.bytes();
  } else if (instruction.has_copy()) {
    json["from"] = instruction.copy().from();
    json["to"] = instruction.copy().to();
  } else if (instruction.has_collective()) {
    json["values"] = List(instruction.collective().values());
  }
  return json;
}

Json ProgramJson(const plan::Program& program) {
  Json instructions = Json::array();
  for (const plan::Instruction& instruction : program.instructions()) {
    instructions.push_back(InstructionJson(instruction));
  }
  return {{"name", program.name()},
          {"inputs", List(program.inputs())},
          {"target", program.target()},
          {"scalars", List(program.scalars())},
          {"outputs", List(program.outputs())},
          {"loss", program.loss()},
          {"instructions", std::move(instructions)}};
}

Json TrainingJson(const plan::Training& training) {
  nlohmann::json numbers = nlohmann::json::object();  // Sorted by name.
  for (const auto& [name, number] : training.numbers()) numbers[name] = number;
  return {{"loss", training.loss()},
          {"optimizer", training.optimizer()},
          {"accumulation_steps", training.accumulation_steps()},
          {"learning_rate", training.learning_rate()},
          {"classes", training.classes()},
          {"numbers", std::move(numbers)}};
}

Json BuffersJson(const plan::Plan& plan) {
  Json buffers = Json::array();
  for (const plan::Buffer& b : plan.buffers()) {
    buffers.push_back({{"tier", TierName(b.tier())},
                       {"offset", b.offset()},
                       {"bytes", b.size()},
                       {"program", b.program()},
                       {"begin", b.begin()},
                       {"end", b.end()}});
  }
  return buffers;
}

Json ValuesJson(const plan::Plan& plan) {
  Json values = Json::array();
  for (const plan::Value& v : plan.values()) {
    values.push_back({{"name", v.name()},
                      {"dtype", DTypeName(ValueDType(v))},
                      {"dims", List(v.dims())},
                      {"buffer", v.buffer()}});
  }
  return values;
}

Json PersistentsJson(const plan::Plan& plan) {
  Json persistents = Json::array();
  for (const plan::Persistent& p : plan.persistents()) {
    persistents.push_back({{"name", p.onnx_name()},
                           {"value", p.value()},
                           {"onnx_dims", List(p.onnx_dims())},
                           {"permutation", List(p.permutation())},
                           {"data_bytes", p.data_bytes()},
                           {"gradient", p.gradient()},
                           {"optimizer_state", p.optimizer_state()}});
  }
  return persistents;
}

}  // namespace

std::string PlanToJson(const plan::Plan& plan) {
  const plan::Provenance& from = plan.provenance();
  Json json = {{"model_name", from.model_name()},
               {"model_hash", from.model_hash()},
               {"compiler", from.compiler()},
               {"flags", List(from.flags())},
               {"device", plan.device()},
               {"precision", plan.precision()},
               {"deterministic", plan.deterministic()},
               {"device_peak_bytes", plan.device_peak_bytes()},
               {"host_peak_bytes", plan.host_peak_bytes()},
               {"file_peak_bytes", plan.file_peak_bytes()}};
  if (plan.has_training()) json["training"] = TrainingJson(plan.training());
  json["buffers"] = BuffersJson(plan);
  json["values"] = ValuesJson(plan);
  json["persistents"] = PersistentsJson(plan);
  Json programs = Json::array();
  for (const plan::Program& program : plan.programs()) programs.push_back(ProgramJson(program));
  json["programs"] = std::move(programs);
  // Strings of a parsed plan are UTF-8; those of one made in memory may not be.
  return json.dump(1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace wsi
