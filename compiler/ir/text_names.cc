#include "compiler/ir/text_names.h"

#include <array>

namespace wsi {
namespace {

template <typename T>
struct Named {
  T value;
  std::string_view word;
};

constexpr std::array<Named<Role>, 7> kRoles = {{{Role::kIntermediate, "intermediate"},
                                                {Role::kInput, "input"},
                                                {Role::kTarget, "target"},
                                                {Role::kScalar, "scalar"},
                                                {Role::kParameter, "parameter"},
                                                {Role::kState, "state"},
                                                {Role::kConstant, "constant"}}};
constexpr std::array<Named<Phase>, 3> kPhases = {
    {{Phase::kForward, "forward"}, {Phase::kBackward, "backward"}, {Phase::kUpdate, "update"}}};
constexpr std::array<Named<Tier>, 3> kTiers = {
    {{Tier::kDevice, "device"}, {Tier::kHost, "host"}, {Tier::kFile, "file"}}};

template <typename Table, typename T>
std::string_view WordOf(const Table& table, T value) {
  for (const auto& entry : table) {
    if (entry.value == value) return entry.word;
  }
  WSI_CHECK(false);  // An enumerator without a word.
  return {};
}

template <typename T, size_t kCount>
std::optional<T> FromWord(const std::array<Named<T>, kCount>& table, std::string_view word) {
  for (const Named<T>& entry : table) {
    if (entry.word == word) return entry.value;
  }
  return std::nullopt;
}

}  // namespace

std::string_view RoleWord(Role role) { return WordOf(kRoles, role); }
std::string_view PhaseWord(Phase phase) { return WordOf(kPhases, phase); }
std::string_view TierWord(Tier tier) { return WordOf(kTiers, tier); }
std::optional<Role> RoleFromWord(std::string_view word) { return FromWord(kRoles, word); }
std::optional<Phase> PhaseFromWord(std::string_view word) { return FromWord(kPhases, word); }
std::optional<Tier> TierFromWord(std::string_view word) { return FromWord(kTiers, word); }

}  // namespace wsi
