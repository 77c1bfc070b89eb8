// kernel.h - the seven kernels of layer 1: each a process with one job. docs/grace.md.
//
// On the bus a kernel is kernel-<name>: it answers req.kernel-<name>.*, keeps its store in
// <dir>/kernel-<name>, and its source is that name too.
#pragma once
#include "runtime/service.h"

extern const service_definition_t kernel_infrastructure_definition;
extern const service_definition_t kernel_governance_definition;
extern const service_definition_t kernel_memory_definition;
extern const service_definition_t kernel_librarian_definition;
extern const service_definition_t kernel_verification_definition;
extern const service_definition_t kernel_self_healing_definition;
extern const service_definition_t kernel_code_definition;

enum { KERNEL_COUNT = 7 };
typedef struct {
    const char *name; // "memory"
    const service_definition_t *definition;
    const char *meaning; // what it does, for a person
} kernel_row_t;

extern const kernel_row_t kernel_rows[KERNEL_COUNT];

// The kernel of this name (without kernel-), or NULL.
const kernel_row_t *kernel_find(const char *name);
