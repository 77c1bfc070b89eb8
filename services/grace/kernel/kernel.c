// kernel.c - the seven kernels, by name.
#include "kernel.h"
#include <string.h>

#define KERNEL(name, meaning) {#name, &kernel_##name##_definition, meaning},
const kernel_row_t kernel_rows[KERNEL_COUNT] = {
#include "proto/kernel.def"
};
#undef KERNEL

const kernel_row_t *
kernel_find(const char *name)
{
    for (size_t i = 0; i < KERNEL_COUNT; i++) {
        if (strcmp(kernel_rows[i].name, name) == 0) {
            return &kernel_rows[i];
        }
    }
    return NULL;
}
