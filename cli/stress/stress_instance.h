// stress_instance.h - a private system for a drill: `bhiv up` of this very program in a folder of
// its own, on free ports, stopped and removed at the end whatever happens.
//
// Owner: the main thread. It blocks while it starts and stops, never longer than its limits.
// Its environment is ours without what says where and which parts (BHIV_DIR, BHIV_ONLY, …), then
// the drill.conf, then the settings; BHIV_STRESS_DEPTH says how many drills it is inside of.
#pragma once
#include "cli.h"
#include "connect.h"
#include <stdint.h>
#include <sys/types.h>

enum {
    CLI_STRESS_START_MS = 20000, // all parts ready, or it failed
    CLI_STRESS_STOP_MS = 8000,   // SIGTERM to SIGKILL
    CLI_STRESS_PARTS_MAX = 32
};

typedef struct {
    char name[64]; // as in run/<name>.pid
    pid_t pid;
    double boot_ms; // from its fork to its ready line
} cli_stress_part_t;

typedef struct cli_stress_instance cli_stress_instance_t;

typedef struct {
    const char *only;    // as --only; NULL: all parts
    const char *without; // as --without
    const char *conf;    // a drill.conf whose settings it gets; NULL, or no such file: none
    const char *dir;     // its folder, which then stays; NULL: a fresh one that is removed
    // Called in the child between fork and exec: namespaces, limits. 0, or it ends with that
    // status. NULL: nothing. Only what is async-signal-safe.
    int (*prepare)(void *arg);
    void *prepare_arg;
    const char *const *settings; // "NAME=VALUE" for its environment, ended by NULL; or NULL
} cli_stress_instance_options_t;

// Starts it and waits until all its parts are ready. Returns 0; or says why not and returns the
// exit status (CLI_TIMED_OUT, CLI_IO, or the instance's own, with the last words of its log).
BUS_CHECK int cli_stress_instance_start(const cli_stress_instance_options_t *options,
                                        cli_stress_instance_t **ret_self);
// SIGTERM, then SIGKILL; its parts are gone and the folder removed when it returns.
void cli_stress_instance_destroy(cli_stress_instance_t **self_p);

const char *cli_stress_instance_dir(const cli_stress_instance_t *self);
const char *cli_stress_instance_ingress(const cli_stress_instance_t *self); // ipc
const char *cli_stress_instance_egress(const cli_stress_instance_t *self);
unsigned cli_stress_instance_port_base(const cli_stress_instance_t *self);
pid_t cli_stress_instance_pid(const cli_stress_instance_t *self); // of bhiv up
// From the fork of `bhiv up` to its `ready` line.
double cli_stress_instance_ready_ms(const cli_stress_instance_t *self);
// The parts as they are now, by its log: pids change where one was started again.
size_t cli_stress_instance_parts(cli_stress_instance_t *self,
                                 cli_stress_part_t ret_parts[CLI_STRESS_PARTS_MAX]);

// --- What happens to it ------------------------------------------------------------------------

// How often `bhiv up` has started a part again, by its log: of this part, or (NULL) of any.
unsigned cli_stress_instance_restarts(cli_stress_instance_t *self, const char *name);
// Waits until part `name` is ready as another process than `pid` (0: as whichever). CLI_TIMED_OUT,
// CLI_INTERRUPTED; says nothing.
BUS_CHECK int cli_stress_instance_await(cli_stress_instance_t *self,
                                        const char *name,
                                        pid_t pid,
                                        unsigned timeout_ms,
                                        cli_stress_part_t *ret_part);
// The path of its log: what all its parts write to stderr.
const char *cli_stress_instance_log(const cli_stress_instance_t *self);

// Whether SIGINT, SIGTERM or SIGHUP is waiting: they are blocked from the first start on, and read
// by whichever loop runs; what runs without one asks here, stops, and returns CLI_INTERRUPTED.
bool cli_stress_instance_interrupted(void);
// Waits until `fd` (-1: nothing) can be read, or a signal waits: 0, CLI_TIMED_OUT, CLI_INTERRUPTED.
BUS_CHECK int cli_stress_instance_wait(int fd, unsigned timeout_ms);
