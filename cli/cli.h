// cli.h - what the verbs of `bhiv` share: the shape of a command, exit codes, the system's folder.
//
// Every verb is one file with one cli_command_t; main.c lists them. Main thread only.
#pragma once
#include "proto/auto.h"
#include "proto/error.h"
#include "proto/view.h"
#include "runtime/option.h"
#include <stdbool.h>
#include <stddef.h>

// Exit codes: docs/contract.md section 10.
typedef enum {
    CLI_DONE = 0,
    CLI_NEGATIVE = 1,     // the answer is no: an error from a service, a check that found damage
    CLI_USAGE = 64,       // the command line
    CLI_BAD_DATA = 65,    // what was to be said, or read
    CLI_NOT_FOUND = 66,   // no such record, file or place in the journal
    CLI_NO_ANSWER = 69,   // nobody there
    CLI_IO = 74,          // disk, pipe
    CLI_TRY_AGAIN = 75,   // held by another process, or too much pending
    CLI_REFUSED = 77,     // not allowed
    CLI_CONFIG = 78,      // configuration
    CLI_TIMED_OUT = 124,  // no answer in time
    CLI_INTERRUPTED = 130 // by a signal
} cli_exit_t;

typedef enum {
    CLI_GROUP_RUN,   // starts parts
    CLI_GROUP_TALK,  // says and hears
    CLI_GROUP_LOOK,  // asks how things are
    CLI_GROUP_KEEP,  // cares for what is stored
    CLI_GROUP_OTHER, // about the program
    CLI_GROUP_HIDDEN // for our own scripts; in no help
} cli_group_t;

typedef struct cli_command {
    const char *name;              // the word behind `bhiv`
    const char *summary;           // one line of `bhiv --help`
    cli_group_t group;             // under which heading
    const option_table_t *options; // flags, help and arguments
    // argv[0] is the verb. Returns the process's exit status.
    int (*run)(int argc, char **argv);
    // What a word behind it may be, ended by NULL: `bhiv karma show`. NULL: it has none.
    const struct cli_command *const *verbs;
} cli_command_t;

extern const cli_command_t *const cli_commands[];
extern const size_t cli_command_count;

// Writes `bhiv: <text>` on stderr, and returns `exit_status`: `return cli_fail (CLI_DATA, "…")`.
int cli_fail(int exit_status, const char *format, ...) __attribute__((format(printf, 2, 3)));
// The exit status that says the same as `err`.
int cli_exit_of(bus_err_t err);

// Runs `command`, or that of its verbs which argv names, wherever among the flags: `bhiv karma
// --dir D show ann`. A word that is no verb of a command that has some is said, and CLI_USAGE.
int cli_verb_run(const cli_command_t *command, int argc, char **argv);

// --- The system's folder -----------------------------------------------------------------------

enum {
    CLI_PATH_SIZE = 4096,    // bytes of a path with its NUL, as the kernel has it
    CLI_ENDPOINT_SIZE = 128, // an ipc path has at most 107 bytes, a tcp address fewer
    CLI_IPC_PATH_MAX = 107   // sockaddr_un's 108 with the NUL
};

typedef struct {
    char path[CLI_PATH_SIZE];
} cli_dir_t;

// Where the system lives: `given`, else $XDG_STATE_HOME/bhiv, else ~/.local/state/bhiv; absolute
// where it exists. Returns 0, or says what is wrong and returns the exit status.
BUS_CHECK int cli_dir_find(const char *given, cli_dir_t *ret_dir);
// The same, and makes it (0700, parents too) where it is missing.
BUS_CHECK int cli_dir_make(const char *given, cli_dir_t *ret_dir);
// `<dir>/<leaf>`. Returns 0, or says that the path is too long and returns CLI_CONFIG.
BUS_CHECK int cli_dir_join(const cli_dir_t *self, const char *leaf, char ret_path[CLI_PATH_SIZE]);
// `ipc://<dir>/<leaf>`. A path over CLI_IPC_PATH_MAX bytes is said, and CLI_CONFIG.
BUS_CHECK int
cli_dir_endpoint(const cli_dir_t *self, const char *leaf, char ret_endpoint[CLI_ENDPOINT_SIZE]);

// --- The verbs ---------------------------------------------------------------------------------

extern const cli_command_t cli_up;
extern const cli_command_t cli_part_broker;
extern const cli_command_t cli_part_bucket;
extern const cli_command_t cli_part_karma;
extern const cli_command_t cli_part_core;
extern const cli_command_t cli_part_workflow;
extern const cli_command_t cli_part_htm;
extern const cli_command_t cli_part_brain;
extern const cli_command_t cli_part_kernel;
extern const cli_command_t cli_part_bridge;
extern const cli_command_t *const cli_karma_verbs[];    // show, top, replay, policy
extern const cli_command_t *const cli_workflow_verbs[]; // run, list, show, tasks, complete
extern const cli_command_t *const cli_htm_verbs[];      // status, list, show, enqueue, …
extern const cli_command_t *const cli_brain_verbs[];    // status, drifts, why, scores
extern const cli_command_t cli_pub;
extern const cli_command_t cli_sub;
extern const cli_command_t cli_req;
extern const cli_command_t cli_tail;
extern const cli_command_t cli_stats;
extern const cli_command_t cli_peers;
extern const cli_command_t cli_topics;
extern const cli_command_t cli_trace;
extern const cli_command_t cli_backup;
extern const cli_command_t cli_restore;
extern const cli_command_t cli_check;
extern const cli_command_t cli_audit;
extern const cli_command_t cli_keys;
extern const cli_command_t cli_token;
extern const cli_command_t cli_kb;
extern const cli_command_t cli_stress;
extern const cli_command_t cli_stress_worker;
extern const cli_command_t cli_stress_check;
extern const cli_command_t cli_bench;
extern const cli_command_t cli_bench_bare;
extern const cli_command_t cli_completion;
extern const cli_command_t cli_docs;
extern const cli_command_t cli_version;
