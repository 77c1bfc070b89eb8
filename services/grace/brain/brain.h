// brain.h - the brain: from what is observed to what is to be done, and what that taught.
// docs/grace.md.
#pragma once
#include "runtime/service.h"

extern const service_definition_t brain_definition;
