// karma.h - Karma, the ledger: tokens, merit, roles, cheat ladder, decay, Q-learning.
// docs/contract.md section 5; formulae in ledger.h and rules.def.
#pragma once
#include "runtime/service.h"

extern const service_definition_t karma_definition;
