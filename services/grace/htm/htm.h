// htm.h - the task queue: durable, by priority, then deadline, then arrival. docs/grace.md.
#pragma once
#include "runtime/service.h"

extern const service_definition_t htm_definition;
