// workflow.h - the Workflow Executor: acts in the world, each thing at most once. docs/contract.md
// section 7.
//
// Read next: execute.c (what is decided), act.c (what is done), adapter.h (how).
#pragma once
#include "runtime/service.h"

extern const service_definition_t workflow_definition;
