// kernel.h - the seven kernels of layer 1: each a process with one job. docs/grace.md.
//
// On the bus a kernel is kernel-<name>: it answers req.kernel-<name>.*, keeps its store in
// <dir>/kernel-<name>, and its source is that name too.
#pragma once
#include "runtime/service.h"

#define KERNEL(name, meaning) extern const service_definition_t kernel_##name##_definition;
#include "proto/kernel.def"
#undef KERNEL

#define KERNEL(name, meaning) +1
enum {
    KERNEL_COUNT = 0
#include "proto/kernel.def"
};
#undef KERNEL

typedef struct {
    const char *name; // "memory"
    const service_definition_t *definition;
    const char *meaning; // what it does, for a person
} kernel_row_t;

extern const kernel_row_t kernel_rows[KERNEL_COUNT];

// The kernel of this name (without kernel-), or NULL.
const kernel_row_t *kernel_find(const char *name);
