// fault.h - what the files of `bhiv stress faults` share: a scenario, what it expects, its record.
//
// Each scenario runs in a process of its own (fault_run.c). Whatever it starts gets SIGKILL from
// the kernel when that process ends, and mounts, links and namespaces go with their last process:
// however a scenario ends, nothing of it stays. All functions belong to that process's main thread.
#pragma once
#include "cli.h"
#include "proto/pack.h"
#include "stress_instance.h"
#include "stress_run.h"
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

enum {
    CLI_FAULT_WORDS_SIZE = 256,  // of what is said about a result
    CLI_FAULT_FIGURES_MAX = 40,  // of one scenario: one a part, and some
    CLI_FAULT_NAME_SIZE = 40,    // of a figure's name
    CLI_FAULT_TOTAL_MS = 60000,  // a scenario that takes longer is ended, and has failed
    CLI_FAULT_READY_MS = 10000,  // for one part to be ready
    CLI_FAULT_SETTLE_MS = 20000, // for services to have applied what is in the journal
    CLI_FAULT_NOTICE_MS = 15000  // a peer that says nothing is gone: what the bus guarantees
};

typedef enum { CLI_FAULT_PASSED, CLI_FAULT_FAILED, CLI_FAULT_SKIPPED } cli_fault_status_t;

typedef struct {
    char name[CLI_FAULT_NAME_SIZE];
    double value;
} cli_fault_figure_t;

// What a scenario came to. In memory that it shares with whoever runs it, so that what it found
// stays known if it has to be ended.
typedef struct {
    cli_fault_status_t status;
    char reason[CLI_FAULT_WORDS_SIZE]; // why it failed or was skipped: the first thing; else ""
    double took_ms;                    // the longest of what the scenario's limit is for
    unsigned checks;                   // expectations that were looked at
    unsigned misses;                   // of them, not met
    unsigned restarts;                 // parts that came back by themselves
    bool is_done;                      // it came to its end
    size_t figure_count;
    cli_fault_figure_t figures[CLI_FAULT_FIGURES_MAX];
} cli_fault_result_t;

typedef struct cli_fault cli_fault_t;

typedef struct {
    const char *name;
    const char *done;     // what is done
    const char *expected; // what should happen
    unsigned within_ms;   // how soon
    void (*run)(cli_fault_t *fault);
} cli_fault_scenario_t;

struct cli_fault {
    const cli_fault_scenario_t *scenario;
    unsigned within_ms;         // the scenario's, or what --within says instead
    cli_fault_result_t *result; // shared
    cli_stress_run_t *run;      // whose log it writes to
    char dir[CLI_PATH_SIZE];    // its own folder, removed at its end; short enough for sockets
    const char *unit;           // the systemd unit to be tried
};

// All scenarios, in the order in which they are run.
extern const cli_fault_scenario_t cli_fault_scenarios[];
extern const size_t cli_fault_scenario_count;

// --- What a scenario says (fault.c) --------------------------------------------------------------

// Says, in the record, that something is being done to the system.
void cli_fault_inject(cli_fault_t *self, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
// An expectation: it holds or the scenario has failed. Returns `holds`.
bool cli_fault_expect(cli_fault_t *self, bool holds, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
// One about how soon: took_ms is at most the scenario's limit; the longest is the scenario's.
bool cli_fault_expect_soon(cli_fault_t *self, double took_ms, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
// This machine cannot: the scenario is not judged. What was not met before still makes it fail.
void cli_fault_skip(cli_fault_t *self, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
// A measured figure, for the record; the greatest of those by the same name.
void cli_fault_figure(cli_fault_t *self, const char *name, double value);

// Milliseconds of the boot clock, with fractions.
double cli_fault_now_ms(void);

// --- Running them (fault_run.c) ------------------------------------------------------------------

typedef struct {
    cli_stress_run_t *run;
    unsigned within_ms; // instead of each scenario's; 0: its own
    const char *unit;
} cli_fault_run_t;

// Runs one in a process of its own and waits for its end, at most CLI_FAULT_TOTAL_MS and what
// cleaning up takes. Returns 0 with *ret_result, or CLI_INTERRUPTED, or, having said why, CLI_IO.
// Either way nothing of the scenario is left.
BUS_CHECK int cli_fault_run(const cli_fault_run_t *how,
                            const cli_fault_scenario_t *scenario,
                            cli_fault_result_t *ret_result);

// --- Processes (fault_process.c) -----------------------------------------------------------------

// A private system for this scenario, whose processes end with it. NULL, having said so as a
// failure of the scenario, where it does not start.
cli_stress_instance_t *cli_fault_system(cli_fault_t *self,
                                        const cli_stress_instance_options_t *options);
// Whether a part of the system with this name lives now, and its process id.
pid_t cli_fault_pid(cli_stress_instance_t *system, const char *part);
// Waits until another process than `before` is this part. 0: it did not come.
pid_t cli_fault_pid_after(cli_stress_instance_t *system,
                          const char *part,
                          pid_t before,
                          unsigned timeout_ms);

typedef struct {
    pid_t pid; // 0: not running
    int out;   // its standard output; -1: closed
} cli_fault_process_t;
#define CLI_FAULT_PROCESS_NONE ((cli_fault_process_t){.pid = 0, .out = -1})

typedef struct {
    const char *const *argv;     // of this program; argv[0] is "bhiv"; ended by NULL
    const char *const *settings; // NAME=VALUE, ended by NULL; or NULL
    const char *program;         // another one, by PATH; NULL: this
    const char *in;              // a file for its standard input; NULL: nothing to read
    int err;                     // its standard error; -1: nowhere
    int net;                     // a network namespace that it enters; -1: ours
    size_t data_max;             // RLIMIT_DATA in bytes; 0: none
} cli_fault_command_t;

// Starts it. Returns false, errno saying why, where that failed.
bool cli_fault_process_start(const cli_fault_command_t *command, cli_fault_process_t *ret_process);
// Forks: a copy of this process that calls `body` and ends with what that returns.
bool cli_fault_process_fork(int (*body)(void *arg), void *arg, cli_fault_process_t *ret_process);
// Waits for its line `ready …`.
bool cli_fault_process_ready(cli_fault_process_t *self, unsigned timeout_ms);
// Waits for its end. Returns its exit status, 128 and more for a signal; -1: it still runs.
int cli_fault_process_wait(cli_fault_process_t *self, unsigned timeout_ms);
// SIGKILL where it still runs, and nothing of it left. Fits BUS_AUTO with a pointer to it.
void cli_fault_process_end(cli_fault_process_t *self);
// Waits until the process, which need not be a child, has ended.
bool cli_fault_gone(pid_t pid, unsigned timeout_ms);
// Bytes of its own memory, files that it maps left out; 0 where it has gone.
uint64_t cli_fault_memory(pid_t pid);
// Waits; for what nobody tells.
void cli_fault_pause(unsigned ms);

// --- Namespaces (fault_space.c) ------------------------------------------------------------------

// Gives this process a mount namespace of its own, and a file system of `bytes` in memory at
// `path`, which is made. False, the scenario skipped, where the machine does not let it.
bool cli_fault_space_disk(cli_fault_t *self, const char *path, uint64_t bytes);

typedef struct {
    int near; // the network namespace of this process, descriptors
    int far;  // of the broker
} cli_fault_link_t;
#define CLI_FAULT_NEAR "127.77.0.2" // the ends' addresses: of the block that is nobody else's, so
#define CLI_FAULT_FAR "127.77.0.1"  // that the broker, which is open, listens there at all

// Two network namespaces with a cable between them; this process is in the near one from then on.
// To be called before its first socket. False, the scenario skipped, where the machine does not
// let it.
bool cli_fault_space_link(cli_fault_t *self, cli_fault_link_t *ret_link);
// Pulls the cable out, or puts it back. False where `ip` said no.
bool cli_fault_space_set_link(const cli_fault_link_t *link, bool is_up);

// --- A relay (fault_relay.c) ---------------------------------------------------------------------

// A process that passes tcp connections on, until it is told to hold everything back.
typedef struct {
    cli_fault_process_t process;
    int control;       // how it is told
    unsigned ports[2]; // of loopback, where it listens
} cli_fault_relay_t;
#define CLI_FAULT_RELAY_NONE ((cli_fault_relay_t){.process = {.out = -1}, .control = -1})

// Starts it: its first port leads to `ports[0]` of loopback, the second to `ports[1]`.
bool cli_fault_relay_start(const unsigned ports[2], cli_fault_relay_t *ret_relay);
// Holds everything back from now on, connections staying as they are; or lets it go on. False where
// the relay has ended.
bool cli_fault_relay_hold(const cli_fault_relay_t *self, bool holds);
// Whether it still passes on: what did not come through is not to be blamed on it.
bool cli_fault_relay_lives(cli_fault_relay_t *self);
void cli_fault_relay_end(cli_fault_relay_t *self);

// --- The scenarios -------------------------------------------------------------------------------

void cli_fault_kill_process(cli_fault_t *fault);     // fault_kill.c
void cli_fault_pause_process(cli_fault_t *fault);    // fault_kill.c
void cli_fault_signals(cli_fault_t *fault);          // fault_signal.c
void cli_fault_multi(cli_fault_t *fault);            // fault_kill.c
void cli_fault_flood_topic(cli_fault_t *fault);      // fault_flood.c
void cli_fault_spam_refused(cli_fault_t *fault);     // fault_flood.c
void cli_fault_cpu_stress(cli_fault_t *fault);       // fault_strain.c
void cli_fault_memory_stress(cli_fault_t *fault);    // fault_strain.c
void cli_fault_corrupt_page(cli_fault_t *fault);     // fault_page.c
void cli_fault_fill_disk(cli_fault_t *fault);        // fault_disk.c
void cli_fault_flip_config(cli_fault_t *fault);      // fault_config.c
void cli_fault_cut_network(cli_fault_t *fault);      // fault_net.c
void cli_fault_block_heartbeats(cli_fault_t *fault); // fault_net.c
void cli_fault_skew_clock(cli_fault_t *fault);       // fault_clock.c
void cli_fault_systemd(cli_fault_t *fault);          // fault_systemd.c
