// fault_run.c - runs one scenario in a process of its own. See fault.h.
//
// We are the reaper of everything that it leaves (PR_SET_CHILD_SUBREAPER): processes whose parent
// is gone become our children, get SIGKILL and are waited for, before their folder goes. That holds
// for a scenario that came to its end, for one that took too long, and for Ctrl-C.
#include "fault.h"

#include "runtime/clock.h"
#include "scratch.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    CLEAN_MS = 5000, // for what got SIGKILL to be gone
    CLEAN_LOOK_MS = 5,
    REMOVE_TRIES = 20,
    CHILDREN_SIZE = 4096 // of the list of our children
};

typedef struct {
    int signals;  // a signalfd of those that end us
    sigset_t old; // the mask before
} watch_t;

static bool
watch_start(watch_t *self)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGHUP);
    if (sigprocmask(SIG_BLOCK, &set, &self->old) != 0) {
        return false;
    }
    self->signals = signalfd(-1, &set, SFD_CLOEXEC);
    return self->signals >= 0;
}

static void
watch_end(watch_t *self)
{
    if (self->signals >= 0) {
        close(self->signals);
    }
    (void) sigprocmask(SIG_SETMASK, &self->old, NULL);
}

// --- The folder --------------------------------------------------------------------------------

static void
remove_folder(const char *path)
{
    for (int i = 0; i < REMOVE_TRIES && !cli_scratch_remove(path); ++i) {
    }
}

static bool
make_folder(char ret_path[CLI_PATH_SIZE])
{
    const char *parent = getenv("TMPDIR");
    if (parent == NULL || parent[0] != '/' || strlen(parent) > CLI_IPC_PATH_MAX / 2) {
        parent = "/tmp"; // a socket's path has to be short
    }
    snprintf(ret_path, CLI_PATH_SIZE, "%s/bhiv-fault-XXXXXX", parent);
    return mkdtemp(ret_path) != NULL;
}

// --- What is left ------------------------------------------------------------------------------

// SIGKILL for every process that is our child now.
static void
kill_children(void)
{
    char path[64];
    char list[CHILDREN_SIZE];
    snprintf(path, sizeof path, "/proc/self/task/%d/children", (int) getpid());
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t size = fd < 0 ? 0 : read(fd, list, sizeof list - 1);
    if (fd >= 0) {
        close(fd);
    }
    list[size > 0 ? size : 0] = '\0';
    char *at = list;
    for (long pid = strtol(at, &at, 10); pid > 0; pid = strtol(at, &at, 10)) {
        (void) kill((pid_t) pid, SIGKILL);
    }
}

// Reaps until there is no child. False where one does not go.
static bool
clear_children(void)
{
    uint64_t deadline_ms = clock_boot_ms() + CLEAN_MS;
    for (;;) {
        pid_t pid = waitpid(-1, NULL, WNOHANG);
        if (pid < 0 && errno == ECHILD) {
            return true;
        }
        if (pid == 0) {
            if (clock_boot_ms() > deadline_ms) {
                return false;
            }
            kill_children();
            (void) poll(NULL, 0, CLEAN_LOOK_MS);
        }
    }
}

// --- One scenario ------------------------------------------------------------------------------

static void
become(cli_fault_t *fault, const watch_t *watch, pid_t parent)
{
    // A group of its own: Ctrl-C reaches us alone, and we end it.
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != parent || setpgid(0, 0) != 0 ||
        sigprocmask(SIG_SETMASK, &watch->old, NULL) != 0) {
        _exit(CLI_IO);
    }
    close(watch->signals);
    fault->scenario->run(fault);
    fault->result->is_done = true;
    exit(CLI_DONE);
}

// Waits for its end. Returns 0, or CLI_INTERRUPTED.
static int
attend(cli_fault_t *fault, const watch_t *watch, pid_t pid)
{
    int pidfd = (int) syscall(SYS_pidfd_open, pid, 0);
    assert(pidfd >= 0); // our child, not waited for yet
    struct pollfd ends[] = {{.fd = pidfd, .events = POLLIN},
                            {.fd = watch->signals, .events = POLLIN}};
    int rc = poll(ends, 2, CLI_FAULT_TOTAL_MS);
    close(pidfd);
    if (rc == 0) {
        cli_fault_expect(fault, false, "not over after %d s", CLI_FAULT_TOTAL_MS / 1000);
    }
    bool is_interrupted = rc > 0 && ends[1].revents != 0;
    struct signalfd_siginfo taken; // or it would end us when signals are let in again
    if (is_interrupted && read(watch->signals, &taken, sizeof taken) < 0) {
        (void) cli_fail(CLI_INTERRUPTED, "faults: %s", strerror(errno));
    }
    int status = 0;
    if (rc <= 0 || is_interrupted) {
        (void) kill(pid, SIGKILL);
    }
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    bool is_well = WIFEXITED(status) && WEXITSTATUS(status) == 0 && fault->result->is_done;
    if (!is_well && rc > 0 && !is_interrupted) {
        bool is_exit = WIFEXITED(status);
        cli_fault_expect(fault,
                         false,
                         "the scenario's own process ended with %s %d",
                         is_exit ? "status" : "signal",
                         is_exit ? WEXITSTATUS(status) : WTERMSIG(status));
    }
    return is_interrupted ? CLI_INTERRUPTED : CLI_DONE;
}

static int
run_in(cli_fault_t *fault, const watch_t *watch)
{
    (void) fflush(NULL); // or the child says it a second time
    pid_t parent = getpid();
    pid_t pid = fork();
    if (pid == 0) {
        become(fault, watch, parent);
    }
    if (pid < 0) {
        return cli_fail(CLI_IO, "faults: %s", strerror(errno));
    }
    int status = attend(fault, watch, pid);
    if (!clear_children() && status == CLI_DONE) {
        cli_fault_expect(fault, false, "a process of it does not end");
    }
    return status;
}

int
cli_fault_run(const cli_fault_run_t *how,
              const cli_fault_scenario_t *scenario,
              cli_fault_result_t *ret_result)
{
    cli_fault_result_t *shared =
        mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED) {
        return cli_fail(CLI_IO, "faults: %s", strerror(errno));
    }
    cli_fault_t fault = {
        .scenario = scenario,
        .within_ms = how->within_ms != 0 ? how->within_ms : scenario->within_ms,
        .result = shared,
        .run = how->run,
        .unit = how->unit,
    };
    watch_t watch = {.signals = -1};
    int status = CLI_IO;
    if (prctl(PR_SET_CHILD_SUBREAPER, 1) != 0 || !watch_start(&watch) || !make_folder(fault.dir)) {
        (void) cli_fail(CLI_IO, "faults: cannot prepare a scenario: %s", strerror(errno));
    } else {
        status = run_in(&fault, &watch);
        remove_folder(fault.dir);
    }
    watch_end(&watch);
    *ret_result = *shared;
    (void) munmap(shared, sizeof *shared);
    return status;
}
