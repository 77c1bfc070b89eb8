// fault_process.c - the processes of a scenario: systems, single parts, helpers. See fault.h.
//
// Every one of them has the kernel's promise (PR_SET_PDEATHSIG) to be killed when the scenario's
// own process ends, before it does anything else.
#include "fault.h"

#include "runtime/clock.h"
#include "runtime/loop.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    LOOK_MS = 2,          // between two looks at what nobody tells
    LINE_SIZE = 256,      // of a ready line
    SIGNALLED = 128,      // as a shell says it
    WAIT_AT_END_MS = 5000 // for a process that got SIGKILL
};

double
cli_fault_now_ms(void)
{
    return (double) clock_boot_us() / 1e3;
}

void
cli_fault_pause(unsigned ms)
{
    double until_ms = cli_fault_now_ms() + ms;
    while (cli_fault_now_ms() < until_ms) {
        (void) poll(NULL, 0, (int) (until_ms - cli_fault_now_ms()) + 1);
    }
}

// --- Between fork and exec -----------------------------------------------------------------------

// Only what is async-signal-safe. False where its parent is gone already.
static bool
bind_to_parent(pid_t parent)
{
    const struct rlimit no_core = {0};
    return prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && getppid() == parent &&
           setrlimit(RLIMIT_CORE, &no_core) == 0; // what we kill leaves no dump behind
}

typedef struct {
    pid_t parent;
    const cli_stress_instance_options_t *options;
} system_t;

static int
prepare_system(void *arg)
{
    const system_t *self = arg;
    if (!bind_to_parent(self->parent)) {
        return CLI_IO;
    }
    return self->options->prepare == NULL ? 0 : self->options->prepare(self->options->prepare_arg);
}

cli_stress_instance_t *
cli_fault_system(cli_fault_t *self, const cli_stress_instance_options_t *options)
{
    char folder[CLI_PATH_SIZE + 8];
    snprintf(folder, sizeof folder, "%s/d", self->dir);
    system_t system = {.parent = getpid(), .options = options};
    cli_stress_instance_options_t bound = *options;
    bound.prepare = prepare_system;
    bound.prepare_arg = &system;
    if (bound.dir == NULL) {
        bound.dir = folder;
    }
    cli_stress_instance_t *instance = NULL;
    int status = cli_stress_instance_start(&bound, &instance);
    if (status != CLI_DONE) {
        cli_fault_expect(self, false, "the private system does not start: status %d", status);
        return NULL;
    }
    cli_fault_figure(self, "system_ready_ms", cli_stress_instance_ready_ms(instance));
    return instance;
}

// --- A part of a system --------------------------------------------------------------------------

pid_t
cli_fault_pid(cli_stress_instance_t *system, const char *part)
{
    char path[CLI_PATH_SIZE + 64];
    snprintf(path, sizeof path, "%s/run/%.48s.pid", cli_stress_instance_dir(system), part);
    FILE *file = fopen(path, "re");
    char line[32] = "";
    if (file != NULL) {
        if (fgets(line, sizeof line, file) == NULL) {
            line[0] = '\0';
        }
        (void) fclose(file);
    }
    return (pid_t) strtol(line, NULL, 10);
}

pid_t
cli_fault_pid_after(cli_stress_instance_t *system,
                    const char *part,
                    pid_t before,
                    unsigned timeout_ms)
{
    double until_ms = cli_fault_now_ms() + timeout_ms;
    do {
        pid_t now = cli_fault_pid(system, part);
        if (now != 0 && now != before) {
            return now;
        }
        cli_fault_pause(LOOK_MS);
    } while (cli_fault_now_ms() < until_ms);
    return 0;
}

bool
cli_fault_gone(pid_t pid, unsigned timeout_ms)
{
    int fd = (int) syscall(SYS_pidfd_open, pid, 0);
    if (fd < 0) {
        return errno == ESRCH;
    }
    struct pollfd ended = {.fd = fd, .events = POLLIN};
    bool is_gone = poll(&ended, 1, (int) timeout_ms) == 1;
    close(fd);
    return is_gone;
}

uint64_t
cli_fault_memory(pid_t pid)
{
    char path[64];
    char line[256];
    snprintf(path, sizeof path, "/proc/%d/status", (int) pid);
    FILE *file = fopen(path, "re");
    uint64_t kib = 0;
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        if (strncmp(line, "RssAnon:", 8) == 0) {
            kib = strtoull(line + 8, NULL, 10);
        }
    }
    if (file != NULL) {
        (void) fclose(file);
    }
    return kib * 1024;
}

// --- Processes of our own ------------------------------------------------------------------------

// Standard streams of the child. Descriptors of `command` may be any.
static bool
set_streams(const cli_fault_command_t *command, int out)
{
    int in = open(command->in != NULL ? command->in : "/dev/null", O_RDONLY | O_CLOEXEC);
    int err = command->err >= 0 ? command->err : open("/dev/null", O_WRONLY | O_CLOEXEC);
    return in >= 0 && err >= 0 && dup2(in, STDIN_FILENO) >= 0 && dup2(out, STDOUT_FILENO) >= 0 &&
           dup2(err, STDERR_FILENO) >= 0;
}

static bool
set_environment(const char *const *settings)
{
    for (size_t i = 0; settings != NULL && settings[i] != NULL; ++i) {
        if (putenv((char *) (uintptr_t) settings[i]) != 0) {
            return false;
        }
    }
    return true;
}

// In the child: this process has one thread that matters, so that putenv and execvp do no harm.
static void
become(const cli_fault_command_t *command, int out, pid_t parent)
{
    const struct rlimit data = {.rlim_cur = command->data_max, .rlim_max = command->data_max};
    loop_child_signals();
    if (!bind_to_parent(parent) || !set_streams(command, out) ||
        !set_environment(command->settings) ||
        (command->net >= 0 && setns(command->net, CLONE_NEWNET) != 0) ||
        (command->data_max != 0 && setrlimit(RLIMIT_DATA, &data) != 0)) {
        _exit(CLI_IO);
    }
    char *const *argv = (char *const *) (uintptr_t) command->argv;
    if (command->program != NULL) {
        (void) execvp(command->program, argv);
    } else {
        (void) execv("/proc/self/exe", argv);
    }
    _exit(CLI_CONFIG);
}

bool
cli_fault_process_start(const cli_fault_command_t *command, cli_fault_process_t *ret_process)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) {
        return false;
    }
    pid_t parent = getpid();
    pid_t pid = fork();
    if (pid == 0) {
        become(command, ends[1], parent);
    }
    close(ends[1]);
    if (pid < 0) {
        close(ends[0]);
        return false;
    }
    *ret_process = (cli_fault_process_t){.pid = pid, .out = ends[0]};
    return true;
}

bool
cli_fault_process_fork(int (*body)(void *arg), void *arg, cli_fault_process_t *ret_process)
{
    pid_t parent = getpid();
    pid_t pid = fork();
    if (pid == 0) {
        loop_child_signals();
        _exit(bind_to_parent(parent) ? body(arg) : CLI_IO);
    }
    *ret_process = (cli_fault_process_t){.pid = pid < 0 ? 0 : pid, .out = -1};
    return pid > 0;
}

bool
cli_fault_process_ready(cli_fault_process_t *self, unsigned timeout_ms)
{
    struct pollfd readable = {.fd = self->out, .events = POLLIN};
    char line[LINE_SIZE];
    return poll(&readable, 1, (int) timeout_ms) == 1 && read(self->out, line, sizeof line) > 5 &&
           memcmp(line, "ready", 5) == 0;
}

int
cli_fault_process_wait(cli_fault_process_t *self, unsigned timeout_ms)
{
    if (self->pid == 0 || !cli_fault_gone(self->pid, timeout_ms)) {
        return -1;
    }
    int status = 0;
    while (waitpid(self->pid, &status, 0) < 0 && errno == EINTR) {
    }
    self->pid = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : SIGNALLED + WTERMSIG(status);
}

void
cli_fault_process_end(cli_fault_process_t *self)
{
    if (self->pid != 0) {
        (void) kill(self->pid, SIGKILL);
        (void) cli_fault_process_wait(self, WAIT_AT_END_MS);
    }
    if (self->out >= 0) {
        close(self->out);
        self->out = -1;
    }
}
