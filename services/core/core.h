// core.h - Core: chooses an agent for each task, learns from what came of it, knows
// things. docs/contract.md section 6.
#pragma once
#include "runtime/service.h"

extern const service_definition_t core_definition;
