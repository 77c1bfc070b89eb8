// heal_child.c - see heal_child.h. Its end is seen by a pidfd, its words come through a pipe.
#include "heal_child.h"

#include "runtime/log.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    PIECE_SIZE = 16384,
    KILL_MS = 10000,        // from SIGTERM to SIGKILL: a drill stops its own instance first
    FIRST_FD = 3,           // behind the standard streams
    NOT_STARTED_STATUS = 71 // of a child that could not become the program (EX_OSERR)
};

typedef struct order {
    struct order *next;
    char *argv[KERNEL_HEAL_CHILD_ARGS_MAX]; // owned; ends with NULL
    unsigned timeout_ms;
    kernel_heal_child_fn *fn; // NULL: forgotten
    void *arg;
} order_t;

struct kernel_heal_children {
    loop_t *loop; // borrowed
    pid_t own_pid;
    order_t *first; // the one that runs, where pid is set; then those that wait
    size_t count;
    pid_t pid; // 0: none runs
    int pidfd; // -1: none
    int out;   // its stdout; -1: closed
    int timer; // until it is told to stop, or killed; 0: none
    bool is_told;
    char *output;
    size_t output_size;
};

kernel_heal_children_t *
kernel_heal_children_new(loop_t *loop)
{
    kernel_heal_children_t *self = calloc(1, sizeof *self);
    assert(self);
    self->loop = loop;
    self->own_pid = getpid();
    self->pidfd = -1;
    self->out = -1;
    self->output = malloc(KERNEL_HEAL_CHILD_OUTPUT_MAX);
    assert(self->output);
    return self;
}

// --- A child is born -----------------------------------------------------------------------------

// Between fork and exec: only what is async-signal-safe, besides the loop's mask.
static void
become(pid_t parent, char *const *argv, int out)
{
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != parent) {
        _exit(NOT_STARTED_STATUS);
    }
    (void) setpgid(0, 0); // what ends us by our group ends it by its own way
    loop_child_signals();
    int nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (nothing < 0 || dup2(nothing, STDIN_FILENO) < 0 || dup2(out, STDOUT_FILENO) < 0) {
        _exit(NOT_STARTED_STATUS);
    }
    (void) close_range(FIRST_FD, ~0U, 0);
    execv("/proc/self/exe", argv);
    _exit(NOT_STARTED_STATUS);
}

static void start_next(kernel_heal_children_t *self);

static void
close_output(kernel_heal_children_t *self)
{
    if (self->out >= 0) {
        loop_remove_fd(self->loop, self->out);
        close(self->out);
        self->out = -1;
    }
}

static void
free_order(order_t *order)
{
    for (size_t i = 0; order->argv[i] != NULL; ++i) {
        free(order->argv[i]);
    }
    free(order);
}

// The first is over.
static void
finish(kernel_heal_children_t *self, int status)
{
    order_t *order = self->first;
    self->first = order->next;
    --self->count;
    if (self->timer != 0) {
        loop_cancel_timer(self->loop, self->timer);
        self->timer = 0;
    }
    kernel_heal_child_fn *fn = order->fn;
    void *arg = order->arg;
    log_info("child_ended", "command=%s %s status=%d", order->argv[0], order->argv[1], status);
    free_order(order);
    if (fn != NULL) {
        fn(arg, status, view_from(self->output, self->output_size));
    }
    start_next(self);
}

static void
on_output(void *arg)
{
    kernel_heal_children_t *self = arg;
    char piece[PIECE_SIZE];
    ssize_t size = read(self->out, piece, sizeof piece);
    if (size == 0 || (size < 0 && errno != EAGAIN && errno != EINTR)) {
        close_output(self);
        return;
    }
    size_t room = KERNEL_HEAL_CHILD_OUTPUT_MAX - self->output_size;
    size_t taken = size < 0 ? 0 : (size_t) size < room ? (size_t) size : room;
    memcpy(self->output + self->output_size, piece, taken);
    self->output_size += taken;
}

static void
on_end(void *arg)
{
    kernel_heal_children_t *self = arg;
    int wait_status = 0;
    if (waitpid(self->pid, &wait_status, WNOHANG) != self->pid) {
        return;
    }
    while (self->out >= 0 && self->output_size < KERNEL_HEAL_CHILD_OUTPUT_MAX) {
        size_t before = self->output_size; // its last words
        on_output(self);
        if (self->output_size == before) {
            break;
        }
    }
    close_output(self);
    loop_remove_fd(self->loop, self->pidfd);
    close(self->pidfd);
    self->pidfd = -1;
    self->pid = 0;
    finish(self,
           WIFEXITED(wait_status) ? WEXITSTATUS(wait_status)
                                  : KERNEL_HEAL_CHILD_SIGNALLED + WTERMSIG(wait_status));
}

static void
on_late(void *arg)
{
    kernel_heal_children_t *self = arg;
    self->timer = 0;
    if (self->pid == 0) {
        return;
    }
    log_warning("child_late", "pid=%d killed=%d", (int) self->pid, (int) self->is_told);
    (void) kill(self->pid, self->is_told ? SIGKILL : SIGTERM);
    if (!self->is_told) {
        self->is_told = true;
        self->timer = loop_add_timer(self->loop, KILL_MS, 1, on_late, self);
    }
}

static bool
start(kernel_heal_children_t *self, const order_t *order)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) {
        return false;
    }
    pid_t pid = fork();
    if (pid == 0) {
        become(self->own_pid, order->argv, ends[1]);
    }
    close(ends[1]);
    int pidfd = pid < 0 ? -1 : (int) syscall(SYS_pidfd_open, pid, 0);
    if (pidfd < 0) {
        close(ends[0]);
        if (pid > 0) { // as good as unstarted: we would not see its end
            (void) kill(pid, SIGKILL);
            (void) waitpid(pid, NULL, 0);
        }
        return false;
    }
    (void) fcntl(ends[0], F_SETFL, O_NONBLOCK);
    self->pid = pid;
    self->pidfd = pidfd;
    self->out = ends[0];
    self->is_told = false;
    self->output_size = 0;
    loop_add_fd(self->loop, self->out, POLLIN, on_output, self);
    loop_add_fd(self->loop, self->pidfd, POLLIN, on_end, self);
    self->timer = loop_add_timer(self->loop, order->timeout_ms, 1, on_late, self);
    return true;
}

static void
on_not_started(void *arg)
{
    kernel_heal_children_t *self = arg;
    self->timer = 0;
    self->output_size = 0;
    finish(self, -1);
}

static void
start_next(kernel_heal_children_t *self)
{
    if (self->pid != 0 || self->timer != 0 || self->first == NULL) {
        return;
    }
    if (!start(self, self->first)) {
        log_error("child_not_started", "errno=%d", errno);
        self->timer = loop_add_timer(self->loop, 0, 1, on_not_started, self);
    }
}

// --- Asking for one ------------------------------------------------------------------------------

bus_err_t
kernel_heal_children_run(kernel_heal_children_t *self,
                         const char *const *argv,
                         unsigned timeout_ms,
                         kernel_heal_child_fn *fn,
                         void *arg)
{
    if (self->count >= KERNEL_HEAL_CHILD_WAITING_MAX) {
        return BUS_BUSY;
    }
    order_t *order = calloc(1, sizeof *order);
    assert(order);
    for (size_t i = 0; argv[i] != NULL; ++i) {
        assert(i + 1 < KERNEL_HEAL_CHILD_ARGS_MAX);
        order->argv[i] = strdup(argv[i]);
        assert(order->argv[i]);
    }
    order->timeout_ms = timeout_ms;
    order->fn = fn;
    order->arg = arg;
    order_t **end = &self->first;
    while (*end != NULL) {
        end = &(*end)->next;
    }
    *end = order;
    ++self->count;
    start_next(self);
    return BUS_OK;
}

static void
tell_to_stop(kernel_heal_children_t *self)
{
    if (self->pid != 0 && !self->is_told) {
        self->is_told = true;
        (void) kill(self->pid, SIGTERM);
        loop_cancel_timer(self->loop, self->timer);
        self->timer = loop_add_timer(self->loop, KILL_MS, 1, on_late, self);
    }
}

void
kernel_heal_children_forget(kernel_heal_children_t *self, const void *arg)
{
    for (order_t **at = &self->first; *at != NULL;) {
        order_t *order = *at;
        bool is_first = order == self->first;
        if (order->arg != arg) {
            at = &order->next;
        } else if (is_first) {
            order->fn = NULL; // its end is still to be seen
            tell_to_stop(self);
            at = &order->next;
        } else {
            *at = order->next;
            --self->count;
            free_order(order);
        }
    }
}

bool
kernel_heal_children_drain(kernel_heal_children_t *self)
{
    while (self->first != NULL && self->first->next != NULL) {
        order_t *waiting = self->first->next;
        self->first->next = waiting->next;
        --self->count;
        free_order(waiting);
    }
    if (self->first != NULL) {
        self->first->fn = NULL; // what was cut short tells nothing
    }
    tell_to_stop(self);
    return self->pid != 0;
}

void
kernel_heal_children_destroy(kernel_heal_children_t **self_p)
{
    kernel_heal_children_t *self = *self_p;
    if (self == NULL) {
        return;
    }
    if (self->timer != 0) {
        loop_cancel_timer(self->loop, self->timer);
    }
    if (self->pid != 0) {
        close_output(self);
        loop_remove_fd(self->loop, self->pidfd);
        close(self->pidfd);
        (void) kill(self->pid, SIGKILL);
        (void) waitpid(self->pid, NULL, 0);
    }
    while (self->first != NULL) {
        order_t *order = self->first;
        self->first = order->next;
        free_order(order);
    }
    free(self->output);
    free(self);
    *self_p = NULL;
}
