// heal_conf.h - drill.conf, the settings that drills give their instances, and its last good state.
//
// <dir>/drill.conf is a person's; <dir>/drill.conf.good is what it was in the last boot drill that
// was good, and is ours. What was found to be the cause of slow boots is kept in
// <dir>/drill.conf.rejected. No file is the same as an empty one. All are private (0600), since a
// setting may be a secret: so none of them goes through the journal, only its SHA-256. Blocks for
// the time of a small file.
#pragma once
#include "proto/auto.h"
#include "proto/error.h"
#include "proto/view.h"
#include "runtime/sha256.h"
#include <stddef.h>

enum {
    KERNEL_HEAL_CONF_SIZE_MAX = 65536, // a drill takes no larger one
};

typedef struct {
    char *text; // owned; never NULL
    size_t size;
} kernel_heal_conf_t;

// The current one, and the good one. BUS_NOT_FOUND where there is no good one yet; BUS_IO,
// BUS_PAYLOAD_TOO_LARGE.
BUS_CHECK bus_err_t kernel_heal_conf_read(const char *dir, kernel_heal_conf_t *ret_conf);
BUS_CHECK bus_err_t kernel_heal_conf_read_good(const char *dir, kernel_heal_conf_t *ret_conf);
void kernel_heal_conf_clear(kernel_heal_conf_t *self);

bool kernel_heal_conf_equal(const kernel_heal_conf_t *a, const kernel_heal_conf_t *b);
void kernel_heal_conf_hash(const kernel_heal_conf_t *self, char ret_hex[SHA256_HEX_SIZE]);

// The current one is good, if it still is the one with this hash: keeps it. BUS_CONFLICT where it
// is another by now; BUS_IO, BUS_PAYLOAD_TOO_LARGE.
BUS_CHECK bus_err_t kernel_heal_conf_keep(const char *dir, bus_view_t hash);
// Puts the good one in place of `current`, which is kept as the rejected one; and back again.
// BUS_CONFLICT where the file is not `current` any more: a person was faster. BUS_IO.
BUS_CHECK bus_err_t kernel_heal_conf_restore(const char *dir,
                                             const kernel_heal_conf_t *current,
                                             const kernel_heal_conf_t *good);
BUS_CHECK bus_err_t kernel_heal_conf_put_back(const char *dir,
                                              const kernel_heal_conf_t *good,
                                              const kernel_heal_conf_t *rejected);

// The name of the `index`-th setting in which the two differ, without its value (it may be a
// secret), NUL-terminated; false behind the last.
bool kernel_heal_conf_difference(const kernel_heal_conf_t *a,
                                 const kernel_heal_conf_t *b,
                                 size_t index,
                                 char *ret_name,
                                 size_t size);
