// The words that stand for enumerators in the text form.
#pragma once

#include <optional>
#include <string_view>

#include "compiler/ir/graph.h"

namespace wsi {

std::string_view RoleWord(Role role);
std::string_view PhaseWord(Phase phase);
std::string_view TierWord(Tier tier);
// None if no enumerator has that word. kIntermediate has one for messages only.
std::optional<Role> RoleFromWord(std::string_view word);
std::optional<Phase> PhaseFromWord(std::string_view word);
std::optional<Tier> TierFromWord(std::string_view word);

}  // namespace wsi
