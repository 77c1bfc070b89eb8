// supervise.c - see supervise.h.
//
// What dies is started again, the first time at once: a crash must cost milliseconds. Only one that
// dies again within a second of its ready (or before it) has to wait, 100 ms and then twice as long
// each time to 5 s, so that a part that cannot live does not eat the machine.
//
// One that says by its exit status that it cannot run (64 to 78: port taken, store held, bad
// configuration) before it was ever ready ends everything: trying again would hide a mistake from
// the person who just typed it.
#include "supervise.h"

#include "notify.h"
#include "runtime/clock.h"
#include "runtime/log.h"
#include "runtime/loop.h"
#include "supervise_bus.h"

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
    LINE_SIZE = 256,   // a ready line is shorter; the rest of a longer one is dropped
    HELD_FD = 3,       // where a child finds the lock that it holds
    STATUS_FIRST = 64, // EX_USAGE …
    STATUS_LAST = 78   // … EX_CONFIG
};

typedef struct supervisor supervisor_t;

typedef struct {
    supervisor_t *owner;
    const cli_supervise_child_t *plan;
    pid_t pid;            // 0: not running
    int out;              // its stdout, -1: closed
    int timer;            // until its next start, 0: none
    bool told;            // to stop, in this life
    bool asked;           // to be stopped and started again, by somebody on the bus
    int kill_timer;       // from being asked to SIGKILL, 0: none
    unsigned restarts;    // lives but the first
    unsigned quick;       // deaths in a row that came within STEADY_MS of ready
    uint64_t started_ms;  // boot clock
    uint64_t ready_ms;    // boot clock; 0: not ready in this life
    bool was_ready;       // in any life
    size_t line_size;     // of the unfinished line
    char line[LINE_SIZE]; // of its stdout
} child_t;

struct supervisor {
    const cli_supervise_t *plan;
    loop_t *loop;
    cli_supervise_bus_t *bus; // NULL: not on one
    pid_t pid;                // ours, by which a child sees whether it was orphaned at birth
    bool announced;           // the ready line was printed
    bool stopping;
    uint64_t stopping_ms; // boot clock
    bool ignores_hangup;  // started under nohup
    int status;           // what to return
    const char *culprit;  // the part for whose sake nothing runs; NULL: none
    child_t children[CLI_SUPERVISE_CHILDREN_MAX];
};

static void
pid_path(const child_t *child, const char *suffix, char ret_path[CLI_PATH_SIZE])
{
    snprintf(ret_path,
             CLI_PATH_SIZE,
             "%s/%s.pid%s",
             child->owner->plan->run_dir,
             child->plan->name,
             suffix);
}

// Atomic, so that a reader finds a whole number or none.
static void
write_pid(const child_t *child)
{
    char path[CLI_PATH_SIZE];
    char fresh[CLI_PATH_SIZE];
    pid_path(child, "", path);
    pid_path(child, ".new", fresh);
    FILE *file = fopen(fresh, "we");
    if (file == NULL) {
        log_warning("pid_file", "part=%s errno=%d", child->plan->name, errno);
        return;
    }
    bool written = fprintf(file, "%d\n", (int) child->pid) > 0;
    if (fclose(file) != 0 || !written || rename(fresh, path) != 0) {
        log_warning("pid_file", "part=%s errno=%d", child->plan->name, errno);
    }
}

static void
remove_pid(const child_t *child)
{
    char path[CLI_PATH_SIZE];
    pid_path(child, "", path);
    (void) unlink(path);
}

// --- A child is born ---------------------------------------------------------------------------

// Between fork and exec: only what is async-signal-safe, besides the loop's mask.
static void
become(const child_t *child, int out)
{
    const supervisor_t *owner = child->owner;
    // The kernel kills it when we die. If that happened already, nobody would tell it.
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != owner->pid) {
        _exit(CLI_IO);
    }
    // A group of its own: Ctrl-C reaches us alone, and we stop them in order.
    (void) setpgid(0, 0);
    loop_child_signals();
    int nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);
    // The lock may lie where another goes, so it moves out of the way first.
    int held = fcntl(owner->plan->held_fd, F_DUPFD, HELD_FD + 1);
    int stdout_copy = fcntl(out, F_DUPFD, HELD_FD + 1);
    if (nothing < 0 || held < 0 || stdout_copy < 0 || dup2(nothing, STDIN_FILENO) < 0 ||
        dup2(stdout_copy, STDOUT_FILENO) < 0 || dup2(held, HELD_FD) < 0) {
        _exit(CLI_IO);
    }
    (void) close_range(HELD_FD + 1, ~0U, 0);
    execv("/proc/self/exe", child->plan->argv);
    _exit(CLI_CONFIG);
}

static void on_output(void *arg);
static void plan_start(child_t *child);

static void
start(void *arg)
{
    child_t *child = arg;
    supervisor_t *owner = child->owner;
    assert(child->pid == 0);
    child->timer = 0;
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) {
        log_error("part_start", "part=%s errno=%d", child->plan->name, errno);
        plan_start(child);
        return;
    }
    pid_t pid = fork();
    if (pid == 0) {
        become(child, ends[1]);
    }
    close(ends[1]);
    if (pid < 0) {
        log_error("part_start", "part=%s errno=%d", child->plan->name, errno);
        close(ends[0]);
        plan_start(child);
        return;
    }
    (void) fcntl(ends[0], F_SETFL, O_NONBLOCK);
    child->pid = pid;
    child->out = ends[0];
    child->line_size = 0;
    child->started_ms = clock_boot_ms();
    child->told = false;
    write_pid(child);
    loop_add_fd(owner->loop, child->out, POLLIN, on_output, child);
    log_debug("part_started", "part=%s pid=%d", child->plan->name, (int) pid);
}

// Starts it again: at once, or after its wait.
static void
plan_start(child_t *child)
{
    supervisor_t *owner = child->owner;
    if (owner->stopping) {
        return;
    }
    ++child->restarts;
    if (child->asked) {
        child->asked = false;
        child->ready_ms = 0;
        child->quick = 0;
        child->timer = loop_add_timer(owner->loop, 0, 1, start, child);
        return;
    }
    bool steady =
        child->ready_ms != 0 && clock_boot_ms() - child->ready_ms >= CLI_SUPERVISE_STEADY_MS;
    child->ready_ms = 0;
    child->quick = steady ? 0 : child->quick + 1;
    unsigned wait_ms = 0;
    if (child->quick > 1) {
        unsigned doublings = child->quick - 2;
        wait_ms = doublings > 5 ? CLI_SUPERVISE_BACKOFF_MAX_MS
                                : (unsigned) CLI_SUPERVISE_BACKOFF_MIN_MS << doublings;
    }
    log_warning("part_restart", "part=%s wait_ms=%u", child->plan->name, wait_ms);
    if (wait_ms > 0) {
        remove_pid(child); // the number may soon be another's
    }
    child->timer = loop_add_timer(owner->loop, wait_ms, 1, start, child);
}

// --- A child speaks ----------------------------------------------------------------------------

static void
announce_if_all_ready(supervisor_t *self)
{
    if (self->announced || self->stopping) {
        return;
    }
    for (size_t i = 0; i < self->plan->count; ++i) {
        if (self->children[i].ready_ms == 0) {
            return;
        }
    }
    self->announced = true;
    printf("%s\n", self->plan->ready);
    (void) fflush(stdout); // a closed stdout is no reason to stop serving
    cli_notify("READY=1");
    log_info("ready",
             "parts=%zu ms=%llu",
             self->plan->count,
             (unsigned long long) (clock_boot_ms() - self->plan->started_ms));
    if (self->plan->hints != NULL) {
        fputs(self->plan->hints, stderr);
    }
}

static void
take_line(child_t *child)
{
    bus_view_t line = view_from(child->line, child->line_size);
    child->line_size = 0;
    if (child->ready_ms != 0 || !view_starts(line, VIEW_LITERAL("ready"))) {
        return;
    }
    child->ready_ms = clock_boot_ms();
    child->was_ready = true;
    log_info("part_ready",
             "part=%s pid=%d ms=%llu",
             child->plan->name,
             (int) child->pid,
             (unsigned long long) (child->ready_ms - child->started_ms));
    announce_if_all_ready(child->owner);
    if (child->owner->bus != NULL) {
        cli_supervise_bus_ready(child->owner->bus, (size_t) (child - child->owner->children));
    }
}

static void
close_output(child_t *child)
{
    if (child->out >= 0) {
        loop_remove_fd(child->owner->loop, child->out);
        close(child->out);
        child->out = -1;
    }
}

static void
on_output(void *arg)
{
    child_t *child = arg;
    char bytes[LINE_SIZE];
    ssize_t size = read(child->out, bytes, sizeof bytes);
    if (size == 0 || (size < 0 && errno != EAGAIN && errno != EINTR)) {
        close_output(child);
        return;
    }
    for (ssize_t i = 0; i < size; ++i) {
        if (bytes[i] == '\n') {
            take_line(child);
        } else if (child->line_size < LINE_SIZE) {
            child->line[child->line_size++] = bytes[i];
        }
    }
}

// --- On the bus --------------------------------------------------------------------------------

static bool
tell_part(void *arg, size_t index, cli_supervise_part_t *ret_part)
{
    const supervisor_t *self = arg;
    if (index >= self->plan->count) {
        return false;
    }
    const child_t *child = &self->children[index];
    bool is_ready = child->pid != 0 && child->ready_ms != 0;
    *ret_part = (cli_supervise_part_t){
        .name = child->plan->name,
        .pid = child->pid,
        .is_ready = is_ready,
        .boot_ms = is_ready ? child->ready_ms - child->started_ms : 0,
        .uptime_ms = child->pid != 0 ? clock_boot_ms() - child->started_ms : 0,
        .restarts = child->restarts,
    };
    return true;
}

static void
on_restart_late(void *arg)
{
    child_t *child = arg;
    child->kill_timer = 0;
    if (child->pid != 0) {
        log_warning("part_kill", "part=%s", child->plan->name);
        (void) kill(child->pid, SIGKILL);
    }
}

static void
restart_part(void *arg, size_t index)
{
    supervisor_t *self = arg;
    child_t *child = &self->children[index];
    if (child->pid == 0) { // it waits for its next start
        if (child->timer != 0) {
            loop_cancel_timer(self->loop, child->timer);
        }
        child->quick = 0;
        child->timer = loop_add_timer(self->loop, 0, 1, start, child);
        return;
    }
    child->asked = true;
    if (child->kill_timer == 0) {
        child->kill_timer =
            loop_add_timer(self->loop, CLI_SUPERVISE_STOP_MS, 1, on_restart_late, child);
    }
    (void) kill(child->pid, SIGTERM);
}

// Once the children are on their way: what they do does not wait for it.
static void
join_bus(supervisor_t *self)
{
    if (self->plan->ingress != NULL) {
        const cli_supervise_acts_t acts = {.arg = self, .part = tell_part, .restart = restart_part};
        self->bus =
            cli_supervise_bus_new(self->loop, self->plan->ingress, self->plan->egress, &acts);
    }
}

// --- Stopping ----------------------------------------------------------------------------------

// The lowest stage that still has a living child, or UINT_MAX.
static unsigned
living_stage(const supervisor_t *self)
{
    unsigned stage = ~0U;
    for (size_t i = 0; i < self->plan->count; ++i) {
        const child_t *child = &self->children[i];
        if (child->pid != 0 && child->plan->stage < stage) {
            stage = child->plan->stage;
        }
    }
    return stage;
}

// Tells the living children of the lowest stage; called again after each death.
static void
stop_next(supervisor_t *self)
{
    unsigned stage = living_stage(self);
    if (stage == ~0U) {
        loop_stop(self->loop);
        return;
    }
    for (size_t i = 0; i < self->plan->count; ++i) {
        child_t *child = &self->children[i];
        if (child->pid != 0 && child->plan->stage == stage && !child->told) {
            child->told = true;
            (void) kill(child->pid, SIGTERM);
        }
    }
}

static void
on_stop_late(void *arg)
{
    supervisor_t *self = arg;
    for (size_t i = 0; i < self->plan->count; ++i) {
        const child_t *child = &self->children[i];
        if (child->pid != 0) {
            log_warning("part_kill", "part=%s", child->plan->name);
            (void) kill(child->pid, SIGKILL);
        }
    }
}

static void
stop(supervisor_t *self, int status)
{
    self->stopping = true;
    self->stopping_ms = clock_boot_ms();
    self->status = status;
    for (size_t i = 0; i < self->plan->count; ++i) {
        child_t *child = &self->children[i];
        if (child->timer != 0) {
            loop_cancel_timer(self->loop, child->timer);
            child->timer = 0;
        }
    }
    cli_notify("STOPPING=1");
    loop_add_timer(self->loop, CLI_SUPERVISE_STOP_MS, 1, on_stop_late, self);
    stop_next(self);
    cli_supervise_bus_destroy(&self->bus); // while the broker, the last to go, may still be there
}

static void
on_stop(void *arg, int number)
{
    supervisor_t *self = arg;
    if (self->stopping) {
        // A Ctrl-C that is passed on by a shell and a script comes twice: only a later one is
        // meant.
        if (clock_boot_ms() - self->stopping_ms >= CLI_SUPERVISE_REPEAT_MS) {
            on_stop_late(self);
        }
        return;
    }
    log_info("stopping", "signal=%d", number);
    stop(self, CLI_DONE);
}

// --- A child dies ------------------------------------------------------------------------------

static void
take_death(child_t *child, int wait_status)
{
    supervisor_t *self = child->owner;
    if (child->out >= 0) {
        on_output(child); // its last words may be its ready line
    }
    close_output(child);
    child->pid = 0;
    if (child->kill_timer != 0) {
        loop_cancel_timer(self->loop, child->kill_timer);
        child->kill_timer = 0;
    }
    if (self->stopping) {
        remove_pid(child);
        return; // on_children_signal goes on with the stopping
    }
    bool exited = WIFEXITED(wait_status);
    int code = exited ? WEXITSTATUS(wait_status) : WTERMSIG(wait_status);
    log_warning(
        "part_died", "part=%s %s=%d", child->plan->name, exited ? "status" : "signal", code);
    if (exited && !child->was_ready && code >= STATUS_FIRST && code <= STATUS_LAST) {
        remove_pid(child);
        self->culprit = child->plan->name;
        stop(self, code);
        return;
    }
    plan_start(child);
}

static void
on_signal(void *arg, int number)
{
    supervisor_t *self = arg;
    if (number == SIGHUP) {
        if (!self->ignores_hangup && !self->stopping) {
            on_stop(self, number);
        }
        return;
    }
    if (number != SIGCHLD) {
        return;
    }
    // One signal may stand for several deaths: each child is asked.
    for (size_t i = 0; i < self->plan->count; ++i) {
        child_t *child = &self->children[i];
        int wait_status = 0;
        if (child->pid != 0 && waitpid(child->pid, &wait_status, WNOHANG) == child->pid) {
            take_death(child, wait_status);
        }
    }
    if (self->stopping) {
        stop_next(self);
    }
}

int
cli_supervise_run(const cli_supervise_t *plan)
{
    assert(plan->count > 0 && plan->count <= CLI_SUPERVISE_CHILDREN_MAX);
    struct sigaction hangup;
    bool ignored = sigaction(SIGHUP, NULL, &hangup) == 0 && hangup.sa_handler == SIG_IGN;

    BUS_AUTO(loop_destroy) loop_t *loop = loop_new();
    supervisor_t *self = calloc(1, sizeof *self);
    assert(self);
    self->plan = plan;
    self->loop = loop;
    self->pid = getpid();
    self->ignores_hangup = ignored;
    loop_on_signal(loop, on_signal, self);
    loop_on_stop(loop, on_stop, self);
    for (size_t i = 0; i < plan->count; ++i) {
        child_t *child = &self->children[i];
        child->owner = self;
        child->plan = &plan->children[i];
        child->out = -1;
        start(child);
    }
    join_bus(self);
    (void) loop_run(loop);
    cli_supervise_bus_destroy(&self->bus);
    for (size_t i = 0; i < plan->count; ++i) {
        close_output(&self->children[i]);
    }
    int status = self->status;
    if (self->culprit != NULL) { // among what all the others said, its own reason is hard to find
        status = cli_fail(status, "%s did not start; why stands in its line above", self->culprit);
    }
    free(self);
    return status;
}
