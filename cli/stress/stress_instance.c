// stress_instance.c - see stress_instance.h.
//
// Ctrl-C reaches us alone: the instance has a process group of its own, and gets SIGKILL from the
// kernel should we die without a word. Signals stay blocked and are looked for wherever we wait, so
// that an interrupted drill still stops its instance and removes its folder.
#include "stress_instance.h"

#include "runtime/clock.h"
#include "runtime/loop.h"
#include "scratch.h"
#include "stress_env.h"
#include "stress_place.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    BASES_MAX = 5,     // of ports, tried where another took one in the meantime
    WORDS_MAX = 8,     // of the command, with its NULL
    LINE_SIZE = 1024,  // of the log; the rest of a longer one is dropped
    LOG_PIECE = 16384, // bytes read at once
    LAST_WORDS = 1500, // bytes of the log that are shown where it did not start
    LOOK_MS = 100,     // where the log's growth cannot be watched
    GONE_MS = 2000     // for the kernel to end what lost its parent
};

struct cli_stress_instance {
    char dir[CLI_PATH_SIZE];
    char log[CLI_PATH_SIZE + 16];
    bool owns_dir; // removed at the end
    int lock;      // of its own folder; -1: it was given
    cli_endpoints_t bus;
    unsigned port_base;
    pid_t pid; // of `bhiv up`; 0: it has ended
    int out;   // its stdout
    double ready_ms;
    int log_fd;       // for reading, from where we stopped
    int watch;        // inotify of the log; -1: none
    size_t line_size; // of the line in hand
    char line[LINE_SIZE];
    size_t part_count;
    cli_stress_part_t parts[CLI_STRESS_PARTS_MAX];
    unsigned restarts[CLI_STRESS_PARTS_MAX]; // of each
};

// --- Signals -----------------------------------------------------------------------------------

static sigset_t
stop_signals(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGHUP);
    return set;
}

// As every loop does; also what was started under nohup stays deaf to SIGHUP.
static void
block_signals(void)
{
    sigset_t set = stop_signals();
    sigaddset(&set, SIGCHLD);
    sigaddset(&set, SIGPIPE);
    int rc = pthread_sigmask(SIG_BLOCK, &set, NULL);
    assert(rc == 0);
}

bool
cli_stress_instance_interrupted(void)
{
    sigset_t waiting;
    return sigpending(&waiting) == 0 &&
           (sigismember(&waiting, SIGINT) == 1 || sigismember(&waiting, SIGTERM) == 1 ||
            sigismember(&waiting, SIGHUP) == 1);
}

int
cli_stress_instance_wait(int fd, unsigned timeout_ms)
{
    block_signals();
    sigset_t set = stop_signals();
    int stopping = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    struct pollfd items[] = {{.fd = fd, .events = POLLIN}, {.fd = stopping, .events = POLLIN}};
    uint64_t deadline_ms = clock_boot_ms() + timeout_ms;
    int status = CLI_TIMED_OUT;
    bool waiting = true;
    while (waiting) {
        uint64_t now_ms = clock_boot_ms();
        int left_ms = now_ms < deadline_ms ? (int) (deadline_ms - now_ms) : 0;
        int count = poll(items, sizeof items / sizeof items[0], left_ms);
        if (count > 0) {
            // Not read: it goes on waiting, for whoever asks next.
            status = items[1].revents != 0 ? CLI_INTERRUPTED : CLI_DONE;
        }
        waiting = count < 0 && errno == EINTR;
    }
    if (stopping >= 0) {
        close(stopping);
    }
    return status;
}

// --- The folder --------------------------------------------------------------------------------

static int
make_folder(cli_stress_instance_t *self, const char *given)
{
    self->owns_dir = given == NULL;
    if (given == NULL) {
        int status = cli_stress_place_make(self->dir, &self->lock);
        self->owns_dir = status == CLI_DONE;
        return status;
    }
    snprintf(self->dir, sizeof self->dir, "%s", given);
    return mkdir(given, 0700) == 0 || errno == EEXIST
               ? CLI_DONE
               : cli_fail(CLI_IO, "cannot make %s: %s", given, strerror(errno));
}

static int
open_log(cli_stress_instance_t *self)
{
    snprintf(self->log, sizeof self->log, "%s/up.log", self->dir);
    self->log_fd = open(self->log, O_RDONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (self->log_fd < 0) {
        return cli_fail(CLI_IO, "cannot write %s: %s", self->log, strerror(errno));
    }
    self->watch = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (self->watch >= 0 && inotify_add_watch(self->watch, self->log, IN_MODIFY) < 0) {
        close(self->watch);
        self->watch = -1;
    }
    return CLI_DONE;
}

// --- Its log -----------------------------------------------------------------------------------

// The part's place; it is made where there is none. CLI_STRESS_PARTS_MAX: no room.
static size_t
require_part(cli_stress_instance_t *self, const char *name)
{
    for (size_t i = 0; i < self->part_count; ++i) {
        if (strcmp(self->parts[i].name, name) == 0) {
            return i;
        }
    }
    if (self->part_count < CLI_STRESS_PARTS_MAX) {
        cli_stress_part_t *part = &self->parts[self->part_count];
        *part = (cli_stress_part_t){.pid = 0};
        snprintf(part->name, sizeof part->name, "%s", name);
        ++self->part_count;
        return self->part_count - 1;
    }
    return CLI_STRESS_PARTS_MAX;
}

// The number behind `key` in the line, or -1.
static long
number_behind(const char *line, const char *key)
{
    const char *at = strstr(line, key);
    return at == NULL ? -1 : strtol(at + strlen(key), NULL, 10);
}

// `<time> <level> up <id> part=<name> …`: what `bhiv up` says of its parts.
static void
take_line(cli_stress_instance_t *self, const char *line)
{
    char id[32];
    char name[64];
    if (sscanf(line, "%*39s %*9s up %31s part=%63s", id, name) != 2) {
        return;
    }
    size_t at = require_part(self, name);
    if (at == CLI_STRESS_PARTS_MAX) {
        return;
    }
    if (strcmp(id, "part_ready") == 0) {
        self->parts[at].pid = (pid_t) number_behind(line, " pid=");
        self->parts[at].boot_ms = (double) number_behind(line, " ms=");
    } else if (strcmp(id, "part_died") == 0) {
        self->parts[at].pid = 0;
    } else if (strcmp(id, "part_restart") == 0) {
        ++self->restarts[at];
    }
}

// Takes what was written since the last time.
static void
read_log(cli_stress_instance_t *self)
{
    char piece[LOG_PIECE];
    ssize_t size = 0;
    while ((size = read(self->log_fd, piece, sizeof piece)) > 0) {
        for (ssize_t i = 0; i < size; ++i) {
            if (piece[i] != '\n') {
                self->line[self->line_size] = piece[i];
                self->line_size += self->line_size == LINE_SIZE - 1 ? 0 : 1;
                continue;
            }
            self->line[self->line_size] = '\0';
            self->line_size = 0;
            take_line(self, self->line);
        }
    }
}

// Waits until there is more of it, or `timeout_ms` went by.
static int
wait_for_log(const cli_stress_instance_t *self, unsigned timeout_ms)
{
    int status = cli_stress_instance_wait(self->watch, timeout_ms < LOOK_MS ? timeout_ms : LOOK_MS);
    char events[4096];
    while (self->watch >= 0 && read(self->watch, events, sizeof events) > 0) {
    }
    return status;
}

// What `bhiv up` said last, for a person who wants to know why it did not start.
static void
show_last_words(const cli_stress_instance_t *self)
{
    char bytes[LAST_WORDS + 1];
    off_t end = lseek(self->log_fd, 0, SEEK_END);
    off_t from = end > LAST_WORDS ? end - LAST_WORDS : 0;
    ssize_t size = pread(self->log_fd, bytes, LAST_WORDS, from);
    if (size > 0) {
        bytes[size] = '\0';
        const char *newline = from > 0 ? strchr(bytes, '\n') : NULL;
        fputs(newline == NULL ? bytes : newline + 1, stderr);
    }
}

// --- The process -------------------------------------------------------------------------------

typedef struct {
    char words[WORDS_MAX][CLI_PATH_SIZE + 32];
    char *argv[WORDS_MAX];
    char **environment;
} launch_t;

static void
launch_destroy(launch_t **self_p)
{
    if (*self_p != NULL) {
        cli_stress_env_free(&(*self_p)->environment);
        free(*self_p);
        *self_p = NULL;
    }
}

static launch_t *
launch_new(const cli_stress_instance_t *self, const cli_stress_instance_options_t *options)
{
    launch_t *launch = calloc(1, sizeof *launch);
    assert(launch);
    const size_t room = sizeof launch->words[0];
    size_t count = 0;
    snprintf(launch->words[count++], room, "bhiv");
    snprintf(launch->words[count++], room, "up");
    snprintf(launch->words[count++], room, "--dir=%s", self->dir);
    snprintf(launch->words[count++], room, "--port-base=%u", self->port_base);
    if (options->only != NULL) {
        snprintf(launch->words[count++], room, "--only=%s", options->only);
    }
    if (options->without != NULL) {
        snprintf(launch->words[count++], room, "--without=%s", options->without);
    }
    for (size_t i = 0; i < count; ++i) {
        launch->argv[i] = launch->words[i];
    }
    return launch;
}

// Between fork and exec: only what is async-signal-safe.
static void
become(const launch_t *launch, const cli_stress_instance_options_t *options, int out, int log)
{
    (void) setpgid(0, 0);
    int nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (nothing < 0 || dup2(nothing, STDIN_FILENO) < 0 || dup2(out, STDOUT_FILENO) < 0 ||
        dup2(log, STDERR_FILENO) < 0) {
        _exit(CLI_IO);
    }
    int status = options->prepare == NULL ? 0 : options->prepare(options->prepare_arg);
    if (status != 0) {
        _exit(status);
    }
    (void) close_range(STDERR_FILENO + 1, ~0U, CLOSE_RANGE_CLOEXEC);
    loop_child_signals();
    execve("/proc/self/exe", launch->argv, launch->environment);
    _exit(CLI_CONFIG);
}

static int
launch(cli_stress_instance_t *self, const cli_stress_instance_options_t *options)
{
    BUS_AUTO(launch_destroy) launch_t *launching = launch_new(self, options);
    int status = cli_stress_env_make(options->conf, options->settings, &launching->environment);
    if (status != CLI_DONE) {
        return status;
    }
    int ends[2];
    int log = open(self->log, O_WRONLY | O_APPEND | O_CLOEXEC);
    if (log < 0 || pipe2(ends, O_CLOEXEC) != 0) {
        if (log >= 0) {
            close(log);
        }
        return cli_fail(CLI_IO, "cannot start an instance: %s", strerror(errno));
    }
    (void) fflush(NULL); // or the child prints it a second time
    pid_t parent = getpid();
    pid_t pid = fork();
    if (pid == 0) {
        if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != parent) {
            _exit(CLI_IO);
        }
        become(launching, options, ends[1], log);
    }
    close(ends[1]);
    close(log);
    self->out = ends[0];
    self->pid = pid < 0 ? 0 : pid;
    return pid < 0 ? cli_fail(CLI_IO, "cannot start an instance: %s", strerror(errno)) : CLI_DONE;
}

// Waits until it has ended, and reaps it. False: it lives.
static bool
reap(cli_stress_instance_t *self, unsigned timeout_ms, int *ret_status)
{
    if (self->pid == 0) {
        return true;
    }
    int end = (int) syscall(SYS_pidfd_open, self->pid, 0);
    struct pollfd item = {.fd = end, .events = POLLIN};
    uint64_t deadline_ms = clock_boot_ms() + timeout_ms;
    int left_ms = (int) timeout_ms;
    while (left_ms > 0 && poll(&item, 1, left_ms) < 0 && errno == EINTR) {
        uint64_t now_ms = clock_boot_ms();
        left_ms = now_ms < deadline_ms ? (int) (deadline_ms - now_ms) : 0;
    }
    if (end >= 0) {
        close(end);
    }
    int wait_status = 0;
    if (waitpid(self->pid, &wait_status, WNOHANG) != self->pid) {
        return false;
    }
    self->pid = 0;
    *ret_status = WIFEXITED(wait_status) ? WEXITSTATUS(wait_status) : CLI_NO_ANSWER;
    return true;
}

// Until its ready line: 0, or why not.
static int
wait_for_ready(cli_stress_instance_t *self)
{
    char line[256];
    int status = cli_stress_instance_wait(self->out, CLI_STRESS_START_MS);
    if (status != CLI_DONE) {
        return status;
    }
    ssize_t size = read(self->out, line, sizeof line);
    if (size > 5 && memcmp(line, "ready", 5) == 0) {
        return CLI_DONE;
    }
    int ended = CLI_NO_ANSWER;
    (void) reap(self, CLI_STRESS_STOP_MS, &ended);
    return ended == CLI_DONE ? CLI_NO_ANSWER : ended;
}

static int
try_start(const cli_stress_instance_options_t *options, cli_stress_instance_t **ret_self)
{
    unsigned port_base = cli_stress_place_ports();
    if (port_base == 0) {
        return cli_fail(CLI_TRY_AGAIN, "no free ports for a private instance");
    }
    BUS_AUTO(cli_stress_instance_destroy)
    cli_stress_instance_t *self = calloc(1, sizeof *self);
    assert(self);
    self->out = self->log_fd = self->watch = self->lock = -1;
    self->port_base = port_base;
    int status = make_folder(self, options->dir);
    cli_dir_t dir;
    if (status == CLI_DONE) {
        status = cli_dir_find(self->dir, &dir);
    }
    const cli_place_t nowhere = {0};
    if (status == CLI_DONE) {
        status = cli_connect_part(&nowhere, &dir, &self->bus);
    }
    if (status == CLI_DONE) {
        status = open_log(self);
    }
    uint64_t began_us = clock_boot_us();
    if (status == CLI_DONE) {
        status = launch(self, options);
    }
    if (status != CLI_DONE) {
        return status;
    }
    status = wait_for_ready(self);
    self->ready_ms = (double) (clock_boot_us() - began_us) / 1e3;
    if (status != CLI_DONE && status != CLI_INTERRUPTED && status != CLI_TRY_AGAIN) {
        show_last_words(self);
        return cli_fail(status, "the private instance did not start (status %d)", status);
    }
    if (status == CLI_DONE) {
        *ret_self = self;
        self = NULL;
    }
    return status;
}

int
cli_stress_instance_start(const cli_stress_instance_options_t *options,
                          cli_stress_instance_t **ret_self)
{
    block_signals();
    int status = CLI_TRY_AGAIN;
    for (int i = 0; i < BASES_MAX && status == CLI_TRY_AGAIN; ++i) {
        if (cli_stress_instance_interrupted()) {
            return CLI_INTERRUPTED;
        }
        status = try_start(options, ret_self);
    }
    return status == CLI_TRY_AGAIN
               ? cli_fail(status, "no private instance could be started: ports or folder are taken")
               : status;
}

// After a SIGKILL of `bhiv up` the kernel ends its parts, not all in the same instant: their lock
// says when the last is gone.
static void
wait_for_parts(const cli_stress_instance_t *self)
{
    char path[CLI_PATH_SIZE + 32];
    snprintf(path, sizeof path, "%s/run/parts.lock", self->dir);
    int lock = open(path, O_RDWR | O_CLOEXEC);
    uint64_t deadline_ms = clock_boot_ms() + GONE_MS;
    while (lock >= 0 && flock(lock, LOCK_EX | LOCK_NB) != 0 && clock_boot_ms() < deadline_ms) {
        (void) poll(NULL, 0, 5);
    }
    if (lock >= 0) {
        close(lock);
    }
}

void
cli_stress_instance_destroy(cli_stress_instance_t **self_p)
{
    cli_stress_instance_t *self = *self_p;
    if (self == NULL) {
        return;
    }
    *self_p = NULL;
    int status = 0;
    if (self->pid > 0) {
        (void) kill(self->pid, SIGCONT); // a drill may have stopped it
        (void) kill(self->pid, SIGTERM);
        if (!reap(self, CLI_STRESS_STOP_MS, &status)) {
            (void) kill(self->pid, SIGKILL);
            (void) reap(self, GONE_MS, &status);
        }
    }
    if (self->dir[0] != '\0') {
        wait_for_parts(self);
    }
    if (self->owns_dir) {
        (void) cli_scratch_remove(self->dir);
    }
    const int held[] = {self->out, self->log_fd, self->watch, self->lock};
    for (size_t i = 0; i < sizeof held / sizeof held[0]; ++i) {
        if (held[i] >= 0) {
            close(held[i]);
        }
    }
    free(self);
}

// --- Looking at it -----------------------------------------------------------------------------

const char *
cli_stress_instance_dir(const cli_stress_instance_t *self)
{
    return self->dir;
}

const char *
cli_stress_instance_ingress(const cli_stress_instance_t *self)
{
    return self->bus.ingress;
}

const char *
cli_stress_instance_egress(const cli_stress_instance_t *self)
{
    return self->bus.egress;
}

unsigned
cli_stress_instance_port_base(const cli_stress_instance_t *self)
{
    return self->port_base;
}

pid_t
cli_stress_instance_pid(const cli_stress_instance_t *self)
{
    return self->pid;
}

double
cli_stress_instance_ready_ms(const cli_stress_instance_t *self)
{
    return self->ready_ms;
}

const char *
cli_stress_instance_log(const cli_stress_instance_t *self)
{
    return self->log;
}

size_t
cli_stress_instance_parts(cli_stress_instance_t *self,
                          cli_stress_part_t ret_parts[CLI_STRESS_PARTS_MAX])
{
    read_log(self);
    memcpy(ret_parts, self->parts, self->part_count * sizeof *ret_parts);
    return self->part_count;
}

unsigned
cli_stress_instance_restarts(cli_stress_instance_t *self, const char *name)
{
    read_log(self);
    unsigned restarts = 0;
    for (size_t i = 0; i < self->part_count; ++i) {
        if (name == NULL || strcmp(self->parts[i].name, name) == 0) {
            restarts += self->restarts[i];
        }
    }
    return restarts;
}

int
cli_stress_instance_await(cli_stress_instance_t *self,
                          const char *name,
                          pid_t pid,
                          unsigned timeout_ms,
                          cli_stress_part_t *ret_part)
{
    uint64_t deadline_ms = clock_boot_ms() + timeout_ms;
    int status = CLI_DONE;
    while (status != CLI_INTERRUPTED) {
        read_log(self);
        for (size_t i = 0; i < self->part_count; ++i) {
            const cli_stress_part_t *part = &self->parts[i];
            if (part->pid != 0 && part->pid != pid && strcmp(part->name, name) == 0) {
                *ret_part = *part;
                return CLI_DONE;
            }
        }
        uint64_t now_ms = clock_boot_ms();
        if (now_ms >= deadline_ms) {
            return CLI_TIMED_OUT;
        }
        status = wait_for_log(self, (unsigned) (deadline_ms - now_ms));
    }
    return status;
}
