#include "runtime/plan/verify_plan.h"

#include "runtime/plan/verify_parts.h"

namespace wsi {

Status VerifyPlan(const plan::Plan& plan) {
  WSI_RETURN_IF_ERROR(VerifyStructure(plan));
  WSI_RETURN_IF_ERROR(VerifyWork(plan));
  WSI_RETURN_IF_ERROR(VerifyPlacement(plan));
  for (int p = 0; p < plan.programs_size(); ++p) {
    WSI_RETURN_IF_ERROR(VerifyContents(plan, plan.programs(p), p));
    WSI_RETURN_IF_ERROR(VerifyOrder(plan, plan.programs(p)));
  }
  return {};
}

}  // namespace wsi
