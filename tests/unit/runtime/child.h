// child.h - runs a function in a process of its own and catches what it writes and how it ends.
#pragma once
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CHILD_OUTPUT_SIZE = 16384 };

typedef struct {
    int exit_status;                // -1: ended by a signal
    char output[CHILD_OUTPUT_SIZE]; // of the descriptor that was caught, NUL-terminated, cut
} child_t;

// The child is a fork of a test: what its test registered for the process's end, a sanitizer's
// search for leaks among it, is not the child's to run.
static inline void
child_leave(int exit_status, void *arg)
{
    (void) arg;
    fflush(NULL);
    _exit(exit_status);
}

// `fd`: STDOUT_FILENO or STDERR_FILENO. `run` may return, which is exit status 0.
static inline child_t
child_run(void (*run)(void), int fd)
{
    child_t self = {0};
    int fds[2];
    int rc = pipe(fds);
    assert(rc == 0);
    pid_t pid = fork();
    assert(pid >= 0);
    if (pid == 0) {
        dup2(fds[1], fd);
        close(fds[0]);
        close(fds[1]);
        on_exit(child_leave, NULL);
        run();
        child_leave(0, NULL);
    }
    close(fds[1]);
    size_t size = 0;
    ssize_t got = 0;
    while (size < sizeof(self.output) - 1 &&
           (got = read(fds[0], self.output + size, sizeof(self.output) - 1 - size)) > 0) {
        size += (size_t) got;
    }
    close(fds[0]);
    int status = 0;
    pid_t ended = waitpid(pid, &status, 0);
    assert(ended == pid);
    self.exit_status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    return self;
}
