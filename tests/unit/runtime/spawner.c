// spawner.c - see spawner.h. Orders and answers are structs over two pipes, one order at a time.
#include "spawner.h"
#include <assert.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

typedef enum { ORDER_START, ORDER_WAIT, ORDER_LOOK } order_kind_t;

typedef struct {
    order_kind_t kind;
    pid_t pid;
    spawner_start_t start;
} order_t;

static void
give(int fd, const void *data, size_t size)
{
    ssize_t sent = write(fd, data, size); // under PIPE_BUF: whole
    assert(sent == (ssize_t) size);
}

static int
fork_service(const spawner_start_t *start)
{
    pid_t parent = getpid();
    pid_t pid = fork();
    assert(pid >= 0);
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent) {
            _exit(1);
        }
        service_options_t options = {.dir = start->dir,
                                     .ingress = start->ingress,
                                     .egress = start->egress,
                                     .store_bytes = start->store_bytes,
                                     .rebuild = start->rebuild,
                                     .alone_ms = start->alone_ms};
        _exit(service_run(&start->definition, &options));
    }
    return pid;
}

static int
obey(const order_t *order)
{
    int status = 0;
    siginfo_t info = {.si_pid = 0};
    switch (order->kind) {
    case ORDER_START:
        return fork_service(&order->start);
    case ORDER_WAIT:
        if (waitpid(order->pid, &status, 0) != order->pid) {
            return -1000;
        }
        return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
    case ORDER_LOOK:
        waitid(P_PID, (id_t) order->pid, &info, WEXITED | WNOHANG | WNOWAIT);
        return info.si_pid != 0;
    }
    return -1000;
}

static void
serve(int orders, int words)
{
    order_t order;
    while (read(orders, &order, sizeof(order)) == (ssize_t) sizeof(order)) {
        int answer = obey(&order);
        give(words, &answer, sizeof(answer));
    }
    _exit(0);
}

void
spawner_init(spawner_t *self)
{
    int orders[2], words[2], out[2];
    int rc = pipe2(orders, O_CLOEXEC) + pipe2(words, O_CLOEXEC) + pipe2(out, O_CLOEXEC);
    assert(rc == 0 && sizeof(order_t) <= 4096);
    self->pid = fork();
    assert(self->pid >= 0);
    if (self->pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        close(orders[1]);
        close(words[0]);
        close(out[0]);
        dup2(out[1], STDOUT_FILENO);
        serve(orders[0], words[1]);
    }
    close(orders[0]);
    close(words[1]);
    close(out[1]);
    self->orders = orders[1];
    self->words = words[0];
    self->out = out[0];
    fcntl(self->out, F_SETFL, O_NONBLOCK);
}

void
spawner_clear(spawner_t *self)
{
    close(self->orders);
    close(self->words);
    close(self->out);
    pid_t ended = waitpid(self->pid, NULL, 0);
    assert(ended == self->pid);
}

static int
tell(spawner_t *self, const order_t *order)
{
    int answer = -1000;
    give(self->orders, order, sizeof(*order));
    ssize_t got = read(self->words, &answer, sizeof(answer));
    assert(got == (ssize_t) sizeof(answer));
    return answer;
}

pid_t
spawner_start(spawner_t *self, const spawner_start_t *start)
{
    return tell(self, &(order_t){.kind = ORDER_START, .start = *start});
}

int
spawner_wait(spawner_t *self, pid_t pid)
{
    return tell(self, &(order_t){.kind = ORDER_WAIT, .pid = pid});
}

bool
spawner_has_ended(spawner_t *self, pid_t pid)
{
    return tell(self, &(order_t){.kind = ORDER_LOOK, .pid = pid}) != 0;
}
