// The ranks that a test program was started as: one communicator for the whole process, as MPI
// starts once.
#pragma once

#include <gtest/gtest.h>

#include <memory>

#include "runtime/comm/communicator.h"

namespace wsi {

class RanksEnvironment : public testing::Environment {
 public:
  void SetUp() override {
    Result<std::unique_ptr<Communicator>> connected = Connect({});
    ASSERT_TRUE(connected.ok()) << connected.status().message();
    ranks_ = *std::move(connected);
  }
  void TearDown() override { ranks_.reset(); }
  Communicator& ranks() const { return *ranks_; }

 private:
  std::unique_ptr<Communicator> ranks_;
};

inline const auto* const kRanksEnvironment = static_cast<RanksEnvironment*>(
    testing::AddGlobalTestEnvironment(new RanksEnvironment));  // NOLINT: gtest owns it.

// REQUIRES: within a test.
inline Communicator& TheRanks() { return kRanksEnvironment->ranks(); }

}  // namespace wsi
