// heal_child.h - runs this very program with other arguments, and takes what it prints.
//
// One child at a time, since drills measure time: the others wait for their turn. A child gets
// SIGKILL from the kernel when this process dies, however it dies. Owner: the loop's thread;
// nothing blocks.
#pragma once
#include "proto/error.h"
#include "proto/view.h"
#include "runtime/loop.h"
#include <stdint.h>

typedef struct kernel_heal_children kernel_heal_children_t;

enum {
    KERNEL_HEAL_CHILD_ARGS_MAX = 24, // words of a command, with its NULL
    KERNEL_HEAL_CHILD_OUTPUT_MAX =
        256 * 1024,                     // bytes of its stdout that are kept; a summary has a few
    KERNEL_HEAL_CHILD_WAITING_MAX = 16, // commands; there are fewer playbooks at once
    KERNEL_HEAL_CHILD_SIGNALLED = 128   // and the signal: the status of one that a signal ended
};

kernel_heal_children_t *kernel_heal_children_new(loop_t *loop);
// Kills the child; nobody is told.
void kernel_heal_children_destroy(kernel_heal_children_t **self_p);

// `status`: its exit status; KERNEL_HEAL_CHILD_SIGNALLED and the signal; -1 where it could not be
// started.
typedef void(kernel_heal_child_fn)(void *arg, int status, bus_view_t output);
// Runs `argv` (argv[0] is what ps shows; copied) when it is its turn; SIGTERM after `timeout_ms` of
// running, and SIGKILL a while later. BUS_BUSY: KERNEL_HEAL_CHILD_WAITING_MAX wait.
BUS_CHECK bus_err_t kernel_heal_children_run(kernel_heal_children_t *self,
                                             const char *const *argv,
                                             unsigned timeout_ms,
                                             kernel_heal_child_fn *fn,
                                             void *arg);
// Forgets all that was asked for with `arg`: what runs is told to stop.
void kernel_heal_children_forget(kernel_heal_children_t *self, const void *arg);
// Tells what runs to stop, forgets it and what waits; whether something still runs.
bool kernel_heal_children_drain(kernel_heal_children_t *self);
