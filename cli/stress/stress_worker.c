// stress_worker.c - see stress_worker.h; and `bhiv stress-worker`, what such a process runs.
//
// A worker notes when it was handed a task, by the clock that the broker stamps records with (the
// same machine), so that the drill can tell how long a task really took from its record to a hand.
#include "stress_worker.h"

#include "kernel/worker.h"
#include "runtime/clock.h"
#include "runtime/log.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    NAME_SIZE = 64,
    WORD_SIZE = CLI_ENDPOINT_SIZE + 32,
    WORDS_MAX = 8,
    END_MS = 3000, // from SIGTERM to SIGKILL
    LOOK_MS = 5
};

const char *const cli_stress_worker_handlers[] = {"librarian", "self_healing", "hunter", "memory"};

// --- In the drill ------------------------------------------------------------------------------

typedef struct {
    pid_t pid; // 0: none
    char name[NAME_SIZE];
} process_t;

struct cli_stress_workers {
    cli_stress_workers_options_t options;
    unsigned spawned;
    process_t processes[CLI_STRESS_WORKERS_MAX];
};

static void
become(char *const *argv, int log, pid_t parent)
{
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != parent ||
        dup2(log, STDERR_FILENO) < 0 || dup2(log, STDOUT_FILENO) < 0) {
        _exit(CLI_IO);
    }
    (void) setpgid(0, 0); // Ctrl-C reaches the drill alone
    loop_child_signals();
    (void) close_range(STDERR_FILENO + 1, ~0U, CLOSE_RANGE_CLOEXEC);
    execv("/proc/self/exe", argv);
    _exit(CLI_CONFIG);
}

static int
spawn(cli_stress_workers_t *self, process_t *process)
{
    const cli_stress_workers_options_t *options = &self->options;
    char words[WORDS_MAX][WORD_SIZE];
    char *argv[WORDS_MAX + 1] = {NULL};
    size_t count = 0;
    snprintf(words[count++], WORD_SIZE, "bhiv");
    snprintf(words[count++], WORD_SIZE, "stress-worker");
    snprintf(
        words[count++], WORD_SIZE, "--ingress=%s", cli_stress_instance_ingress(options->instance));
    snprintf(
        words[count++], WORD_SIZE, "--egress=%s", cli_stress_instance_egress(options->instance));
    snprintf(words[count++], WORD_SIZE, "--name=%s", process->name);
    snprintf(words[count++], WORD_SIZE, "--slots=%u", options->slots);
    snprintf(words[count++], WORD_SIZE, "--work=%u", options->work_ms);
    for (size_t i = 0; i < count; ++i) {
        argv[i] = words[i];
    }
    int log = open(cli_stress_instance_log(options->instance), O_WRONLY | O_APPEND | O_CLOEXEC);
    (void) fflush(NULL); // or the child prints it a second time
    pid_t parent = getpid();
    pid_t pid = log < 0 ? -1 : fork();
    if (pid == 0) {
        become(argv, log, parent);
    }
    if (log >= 0) {
        close(log);
    }
    if (pid < 0) {
        return cli_fail(CLI_IO, "cannot start a worker: %s", strerror(errno));
    }
    process->pid = pid;
    ++self->spawned;
    return CLI_DONE;
}

cli_stress_workers_t *
cli_stress_workers_new(const cli_stress_workers_options_t *options)
{
    assert(options->count > 0 && options->count <= CLI_STRESS_WORKERS_MAX);
    BUS_AUTO(cli_stress_workers_destroy) cli_stress_workers_t *self = calloc(1, sizeof *self);
    assert(self);
    self->options = *options;
    for (unsigned i = 0; i < options->count; ++i) {
        process_t *process = &self->processes[i];
        snprintf(process->name, NAME_SIZE, "drill_%u", i + 1);
        if (spawn(self, process) != CLI_DONE) {
            return NULL;
        }
    }
    cli_stress_workers_t *made = self;
    self = NULL;
    return made;
}

static void
reap(process_t *process)
{
    while (process->pid > 0 && waitpid(process->pid, NULL, 0) < 0 && errno == EINTR) {
    }
    process->pid = 0;
}

int
cli_stress_workers_kill(cli_stress_workers_t *self, unsigned which, bool same_name)
{
    assert(which < self->options.count);
    process_t *process = &self->processes[which];
    (void) kill(process->pid, SIGKILL);
    reap(process);
    if (!same_name) {
        snprintf(process->name, NAME_SIZE, "drill_%u", self->spawned + 1);
    }
    return spawn(self, process);
}

unsigned
cli_stress_workers_spawned(const cli_stress_workers_t *self)
{
    return self->spawned;
}

void
cli_stress_workers_destroy(cli_stress_workers_t **self_p)
{
    cli_stress_workers_t *self = *self_p;
    if (self == NULL) {
        return;
    }
    for (unsigned i = 0; i < self->options.count; ++i) {
        if (self->processes[i].pid > 0) {
            (void) kill(self->processes[i].pid, SIGTERM);
        }
    }
    uint64_t deadline_ms = clock_boot_ms() + END_MS;
    for (unsigned i = 0; i < self->options.count; ++i) {
        process_t *process = &self->processes[i];
        while (process->pid > 0 && waitpid(process->pid, NULL, WNOHANG) == 0 &&
               clock_boot_ms() < deadline_ms) {
            (void) poll(NULL, 0, LOOK_MS);
        }
        if (process->pid > 0) {
            (void) kill(process->pid, SIGKILL); // of one that was reaped: nobody's, and not ours
            reap(process);
        }
    }
    free(self);
    *self_p = NULL;
}

// --- The process -------------------------------------------------------------------------------

typedef struct {
    cli_place_t place;
    const char *name;
    uint64_t slots;
    uint64_t work_ms;
} flags_t;

// clang-format off
static const option_row_t rows[] = {
    CLI_PLACE_ROWS(flags_t, place),
    {"name", 0, OPTION_TEXT, "NAME", NULL, offsetof(flags_t, name), 0, 0, "its own"},
    {"slots", 0, OPTION_COUNT, "N", "1", offsetof(flags_t, slots), 1, KERNEL_WORKER_SLOTS_MAX,
     "tasks at once"},
    {"work", 0, OPTION_MS, "TIME", "0", offsetof(flags_t, work_ms), 0, 3600000,
     "that a task takes"},
};
// clang-format on

static const option_table_t options = {
    .program = "bhiv stress-worker",
    .arguments = "",
    .help = "Takes tasks from the queue and does nothing for a while: what `bhiv stress htm` "
            "starts and kills.",
    .rows = rows,
    .row_count = sizeof rows / sizeof rows[0],
};

typedef struct serving serving_t;

// A task in hand, while it takes its time.
typedef struct {
    serving_t *owner;
    kernel_worker_job_t *job; // NULL: a free place
    uint64_t received_us;     // wall clock
} working_t;

struct serving {
    loop_t *loop;
    kernel_worker_t *worker;
    unsigned work_ms;
    pack_t *result;
    working_t working[KERNEL_WORKER_SLOTS_MAX];
};

static void
complete(serving_t *self, kernel_worker_job_t *job, uint64_t received_us)
{
    pack_clear(self->result);
    pack_map(self->result, 2);
    pack_pair_text(self->result, "status", "success");
    pack_pair_uint(self->result, "received_us", received_us);
    kernel_worker_complete(self->worker, &job, pack_view(self->result));
}

static void
on_worked(void *arg)
{
    working_t *working = arg;
    kernel_worker_job_t *job = working->job;
    working->job = NULL;
    complete(working->owner, job, working->received_us);
}

static void
on_task(void *arg, kernel_worker_job_t *job)
{
    serving_t *self = arg;
    uint64_t now_us = clock_wall_us();
    if (self->work_ms == 0) {
        complete(self, job, now_us);
        return;
    }
    working_t *place = self->working;
    while (place->job != NULL) {
        ++place;
        assert(place < self->working + KERNEL_WORKER_SLOTS_MAX); // as many as slots
    }
    *place = (working_t){.owner = self, .job = job, .received_us = now_us};
    loop_add_timer(self->loop, self->work_ms, 1, on_worked, place);
}

static int
serve(const flags_t *flags, const cli_endpoints_t *bus)
{
    char service[NAME_SIZE + 8];
    snprintf(service, sizeof service, "worker.%s", flags->name);
    BUS_AUTO(loop_destroy) loop_t *loop = loop_new();
    const client_options_t speaking = {
        .source = flags->name,
        .ingress = bus->ingress,
        .egress = bus->egress,
        .service = service,
        .cert = cli_connect_cert(bus),
    };
    BUS_AUTO(client_destroy) client_t *client = client_new(loop, &speaking);
    if (client == NULL) {
        return cli_fail(CLI_CONFIG, "cannot connect to %s and %s", bus->ingress, bus->egress);
    }
    BUS_AUTO(pack_destroy) pack_t *result = pack_new();
    serving_t self = {.loop = loop, .work_ms = (unsigned) flags->work_ms, .result = result};
    const kernel_worker_options_t serving = {
        .name = flags->name,
        .handlers = cli_stress_worker_handlers,
        .handler_count = CLI_STRESS_WORKER_HANDLERS,
        .slots = (unsigned) flags->slots,
        .fn = on_task,
        .arg = &self,
    };
    self.worker = kernel_worker_new(loop, client, &serving);
    (void) loop_run(loop);
    kernel_worker_destroy(&self.worker);
    return CLI_DONE;
}

static int
run(int argc, char **argv)
{
    flags_t flags = {.name = NULL};
    option_parse(&options, argc, argv, &flags, NULL, NULL);
    if (flags.name == NULL || strlen(flags.name) >= NAME_SIZE) {
        return cli_fail(CLI_USAGE, "stress-worker: --name");
    }
    cli_endpoints_t bus;
    int status = cli_connect_tool(&flags.place, &bus);
    if (status != CLI_DONE) {
        return status;
    }
    log_start("stress_worker");
    log_set_level(LOG_WARNING);
    return serve(&flags, &bus);
}

const cli_command_t cli_stress_worker = {
    .name = "stress-worker",
    .summary = "a worker of the HTM drill",
    .group = CLI_GROUP_HIDDEN,
    .options = &options,
    .run = run,
};
