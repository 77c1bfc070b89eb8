// loop_test.c - what is ready is called, what was removed is not, and no signal is lost.
#include "child.h"
#include "runtime/clock.h"
#include "runtime/loop.h"
#include <criterion/criterion.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <zmq.h>

enum { DEADLINE_MS = 10000 }; // a loop that hangs ends its test

typedef struct {
    loop_t *loop;
    unsigned calls;
    unsigned stop_after; // stops the loop at this call; 0: never
    int fd;              // of on_readable
    void *socket;        // of on_message
    int timer_id;        // that cancel_it cancels
    int signal_number;   // seen last
} seen_t;

static void
count_call(seen_t *seen)
{
    seen->calls++;
    if (seen->calls == seen->stop_after) {
        loop_stop(seen->loop);
    }
}

static void
on_call(void *arg)
{
    count_call(arg);
}

static void
on_deadline(void *arg)
{
    (void) arg;
    cr_assert_fail("the loop did not end by itself");
}

static loop_t *
new_loop(seen_t *seen)
{
    loop_t *loop = loop_new();
    *seen = (seen_t){.loop = loop};
    loop_add_timer(loop, DEADLINE_MS, 1, on_deadline, NULL);
    return loop;
}

// --- Timers -------------------------------------------------------------------------------------

Test(loop, a_timer_fires_as_often_as_asked_and_never_early)
{
    seen_t seen;
    loop_t *loop = new_loop(&seen);
    seen_t last = {.loop = loop, .stop_after = 1};
    uint64_t start_us = clock_boot_us();
    seen.stop_after = 3;
    loop_add_timer(loop, 5, 3, on_call, &seen);
    cr_expect_eq(loop_run(loop), 0);
    cr_expect_geq(clock_boot_us() - start_us, 15000);
    loop_add_timer(loop, 40, 1, on_call, &last);
    cr_expect_eq(loop_run(loop), 0); // a fourth would come meanwhile
    cr_expect_eq(seen.calls, 3);
    cr_expect_geq(clock_boot_us() - start_us, 55000);
    loop_destroy(&loop);
    cr_expect_null(loop);
}

Test(loop, a_timer_without_an_end_fires_until_cancelled)
{
    seen_t seen;
    loop_t *loop = new_loop(&seen);
    seen.stop_after = 50;
    int id = loop_add_timer(loop, 1, 0, on_call, &seen);
    cr_expect_gt(id, 0);
    cr_expect_eq(loop_run(loop), 0);
    loop_cancel_timer(loop, id);
    seen_t last = {.loop = loop, .stop_after = 1};
    loop_add_timer(loop, 20, 1, on_call, &last);
    cr_expect_eq(loop_run(loop), 0);
    cr_expect_eq(seen.calls, 50);
    loop_destroy(&loop);
}

static void
cancel_it(void *arg)
{
    seen_t *seen = arg;
    loop_cancel_timer(seen->loop, seen->timer_id);
    count_call(seen);
}

static void
wait_until(uint64_t boot_us)
{
    while (clock_boot_us() < boot_us) {
    }
}

Test(loop, a_timer_that_was_cancelled_in_its_own_round_does_not_fire)
{
    seen_t seen;
    loop_t *loop = new_loop(&seen);
    seen_t victim = {.loop = loop};
    loop_add_timer(loop, 1, 1, cancel_it, &seen);
    seen.timer_id = loop_add_timer(loop, 2, 1, on_call, &victim);
    wait_until(clock_boot_us() + 5000); // both are due in the first round
    seen_t last = {.loop = loop, .stop_after = 1};
    loop_add_timer(loop, 10, 1, on_call, &last);
    cr_expect_eq(loop_run(loop), 0);
    cr_expect_eq(seen.calls, 1);
    cr_expect_eq(victim.calls, 0);
    loop_destroy(&loop);
}

static void
cancel_itself(void *arg)
{
    seen_t *seen = arg;
    loop_cancel_timer(seen->loop, seen->timer_id);
    loop_add_timer(seen->loop, 0, 1, on_call, seen);
    count_call(seen);
}

Test(loop, a_timer_may_cancel_itself_and_start_another)
{
    seen_t seen;
    loop_t *loop = new_loop(&seen);
    seen.stop_after = 2;
    seen.timer_id = loop_add_timer(loop, 1, 0, cancel_itself, &seen);
    cr_expect_eq(loop_run(loop), 0);
    cr_expect_eq(seen.calls, 2);
    loop_destroy(&loop);
}

Test(loop, a_timer_of_no_delay_lets_others_have_their_turn)
{
    seen_t seen;
    loop_t *loop = new_loop(&seen);
    int fds[2];
    cr_assert_eq(pipe(fds), 0);
    cr_assert_eq(write(fds[1], "x", 1), 1);
    seen_t reader = {.loop = loop, .stop_after = 3};
    loop_add_timer(loop, 0, 0, on_call, &seen);
    loop_add_fd(loop, fds[0], POLLIN, on_call, &reader);
    cr_expect_eq(loop_run(loop), 0);
    cr_expect_leq(seen.calls, 4, "once a round");
    cr_expect_geq(seen.calls, 2);
    loop_destroy(&loop);
    close(fds[0]);
    close(fds[1]);
}

static void
take_long(void *arg)
{
    seen_t *seen = arg;
    count_call(seen);
    if (seen->calls == 1) {
        wait_until(clock_boot_us() + 50000);
    }
}

Test(loop, a_timer_does_not_make_up_for_what_it_missed)
{
    seen_t seen;
    loop_t *loop = new_loop(&seen);
    loop_add_timer(loop, 1, 0, take_long, &seen);
    seen_t last = {.loop = loop, .stop_after = 1};
    loop_add_timer(loop, 60, 1, on_call, &last);
    cr_expect_eq(loop_run(loop), 0);
    cr_expect_leq(seen.calls, 30, "%u", seen.calls);
    loop_destroy(&loop);
}

// --- Descriptors and sockets --------------------------------------------------------------------

static void
on_readable(void *arg)
{
    seen_t *seen = arg;
    char byte = 0;
    cr_assert_eq(read(seen->fd, &byte, 1), 1);
    count_call(seen);
}

Test(loop, a_descriptor_is_called_until_it_is_empty)
{
    seen_t seen;
    loop_t *loop = new_loop(&seen);
    int fds[2];
    cr_assert_eq(pipe(fds), 0);
    cr_assert_eq(write(fds[1], "abc", 3), 3);
    seen.fd = fds[0];
    seen.stop_after = 3;
    loop_add_fd(loop, fds[0], POLLIN, on_readable, &seen);
    cr_expect_eq(loop_run(loop), 0);
    seen_t last = {.loop = loop, .stop_after = 1};
    loop_add_timer(loop, 10, 1, on_call, &last);
    cr_expect_eq(loop_run(loop), 0);
    cr_expect_eq(seen.calls, 3);
    loop_destroy(&loop);
    close(fds[0]);
    close(fds[1]);
}

Test(loop, a_descriptor_is_called_for_room_to_write_and_for_its_other_end_gone)
{
    seen_t seen;
    loop_t *loop = new_loop(&seen);
    int fds[2];
    cr_assert_eq(pipe(fds), 0);
    seen.stop_after = 1;
    loop_add_fd(loop, fds[1], POLLOUT, on_call, &seen);
    cr_expect_eq(loop_run(loop), 0);
    cr_expect_eq(seen.calls, 1);
    loop_remove_fd(loop, fds[1]);
    close(fds[1]);
    seen.stop_after = 5; // an error does not make it drop the descriptor
    loop_add_fd(loop, fds[0], POLLIN, on_call, &seen);
    cr_expect_eq(loop_run(loop), 0);
    cr_expect_eq(seen.calls, 5);
    loop_destroy(&loop);
    close(fds[0]);
}

static void
remove_other(void *arg)
{
    seen_t *seen = arg;
    loop_remove_fd(seen->loop, seen->fd);
    count_call(seen);
}

Test(loop, a_descriptor_removed_in_its_own_round_is_not_called)
{
    seen_t seen;
    loop_t *loop = new_loop(&seen);
    int first[2];
    int second[2];
    cr_assert_eq(pipe(first), 0);
    cr_assert_eq(pipe(second), 0);
    cr_assert_eq(write(first[1], "x", 1), 1);
    cr_assert_eq(write(second[1], "x", 1), 1);
    seen_t victim = {.loop = loop};
    seen.fd = second[0];
    seen.stop_after = 3;
    loop_add_fd(loop, first[0], POLLIN, remove_other, &seen);
    loop_add_fd(loop, second[0], POLLIN, on_call, &victim);
    cr_expect_eq(loop_run(loop), 0);
    cr_expect_eq(victim.calls, 0);
    // By a timer that runs before the descriptors of its round, too.
    loop_remove_fd(loop, first[0]);
    loop_add_fd(loop, second[0], POLLIN, on_call, &victim);
    seen.stop_after = 4;
    loop_add_timer(loop, 0, 1, remove_other, &seen);
    cr_expect_eq(loop_run(loop), 0);
    cr_expect_eq(victim.calls, 0);
    loop_destroy(&loop);
    close(first[0]);
    close(first[1]);
    close(second[0]);
    close(second[1]);
}

static void
on_message(void *arg)
{
    seen_t *seen = arg;
    char byte = 0;
    cr_assert_eq(zmq_recv(seen->socket, &byte, 1, ZMQ_DONTWAIT), 1);
    count_call(seen);
}

Test(loop, a_socket_with_messages_left_is_called_again)
{
    seen_t seen;
    loop_t *loop = new_loop(&seen);
    void *context = zmq_ctx_new();
    void *pull = zmq_socket(context, ZMQ_PULL);
    void *push = zmq_socket(context, ZMQ_PUSH);
    cr_assert_eq(zmq_bind(pull, "inproc://loop"), 0);
    cr_assert_eq(zmq_connect(push, "inproc://loop"), 0);
    for (int i = 0; i < 100; i++) {
        cr_assert_eq(zmq_send(push, "m", 1, 0), 1);
    }
    seen.socket = pull;
    seen.stop_after = 100; // each call takes one message only
    loop_add_socket(loop, pull, on_message, &seen);
    cr_expect_eq(loop_run(loop), 0);
    cr_expect_eq(seen.calls, 100);
    loop_remove_socket(loop, pull);
    cr_assert_eq(zmq_send(push, "m", 1, 0), 1);
    seen_t last = {.loop = loop, .stop_after = 1};
    loop_add_timer(loop, 10, 1, on_call, &last);
    cr_expect_eq(loop_run(loop), 0);
    cr_expect_eq(seen.calls, 100, "a removed socket is not called");
    loop_destroy(&loop);
    zmq_close(pull);
    zmq_close(push);
    zmq_ctx_term(context);
}

// --- Ending and signals -------------------------------------------------------------------------

Test(loop, a_stop_before_it_runs_is_kept)
{
    seen_t seen;
    loop_t *loop = new_loop(&seen);
    loop_add_timer(loop, 0, 0, on_call, &seen);
    loop_stop(loop);
    cr_expect_eq(loop_run(loop), 0);
    cr_expect_eq(seen.calls, 0);
    seen.stop_after = 1;
    cr_expect_eq(loop_run(loop), 0, "and holds for one run");
    cr_expect_eq(seen.calls, 1);
    loop_destroy(&loop);
}

Test(loop, a_signal_before_the_poll_is_not_lost)
{
    static const int signals[] = {SIGTERM, SIGINT};
    for (int i = 0; i < 2; i++) {
        seen_t seen;
        loop_t *loop = new_loop(&seen);
        kill(getpid(), signals[i]);
        cr_expect_eq(loop_run(loop), signals[i]);
        loop_destroy(&loop);
    }
}

static void
on_signal(void *arg, int signal_number)
{
    seen_t *seen = arg;
    seen->signal_number = signal_number;
    count_call(seen);
}

Test(loop, who_asked_to_stop_by_themselves_are_told_instead)
{
    seen_t seen;
    loop_t *loop = new_loop(&seen);
    seen.stop_after = 2;
    loop_on_stop(loop, on_signal, &seen);
    kill(getpid(), SIGTERM);
    kill(getpid(), SIGINT);
    cr_expect_eq(loop_run(loop), 0);
    cr_expect_eq(seen.calls, 2);
    loop_destroy(&loop);
}

Test(loop, other_signals_are_told_and_do_not_end_it)
{
    seen_t seen;
    loop_t *loop = new_loop(&seen);
    loop_on_signal(loop, on_signal, &seen);
    seen.stop_after = 1;
    kill(getpid(), SIGHUP);
    cr_expect_eq(loop_run(loop), 0);
    cr_expect_eq(seen.signal_number, SIGHUP);
    seen.stop_after = 2;
    pid_t pid = fork();
    cr_assert_geq(pid, 0);
    if (pid == 0) {
        _exit(7);
    }
    cr_expect_eq(loop_run(loop), 0);
    cr_expect_eq(seen.signal_number, SIGCHLD);
    int status = 0;
    cr_expect_eq(waitpid(pid, &status, WNOHANG), pid);
    cr_expect_eq(WEXITSTATUS(status), 7);
    loop_destroy(&loop);
}

Test(loop, a_broken_pipe_is_an_error_to_its_writer_and_nothing_else)
{
    seen_t seen;
    loop_t *loop = new_loop(&seen);
    loop_on_signal(loop, on_signal, &seen);
    int fds[2];
    cr_assert_eq(pipe(fds), 0);
    close(fds[0]);
    cr_expect_eq(write(fds[1], "x", 1), -1);
    seen_t last = {.loop = loop, .stop_after = 1};
    loop_add_timer(loop, 10, 1, on_call, &last);
    cr_expect_eq(loop_run(loop), 0);
    cr_expect_eq(seen.calls, 0);
    loop_destroy(&loop);
    close(fds[1]);
}

static void *
run_thread(void *arg)
{
    sigset_t *mask = arg;
    pthread_sigmask(SIG_BLOCK, NULL, mask);
    return NULL;
}

Test(loop, threads_made_after_it_do_not_take_its_signals)
{
    seen_t seen;
    loop_t *loop = new_loop(&seen);
    sigset_t mask;
    pthread_t thread;
    cr_assert_eq(pthread_create(&thread, NULL, run_thread, &mask), 0);
    pthread_join(thread, NULL);
    static const int signals[] = {SIGTERM, SIGINT, SIGHUP, SIGCHLD, SIGPIPE};
    for (int i = 0; i < 5; i++) {
        cr_expect_eq(sigismember(&mask, signals[i]), 1);
    }
    loop_destroy(&loop);
}

static void
be_terminated(void)
{
    loop_t *loop = loop_new();
    loop_child_signals();
    raise(SIGTERM); // as in a program that was exec'ed: it ends it
    loop_destroy(&loop);
}

Test(loop, a_child_gets_its_signals_back)
{
    cr_expect_eq(child_run(be_terminated, STDERR_FILENO).exit_status, -1);
}

Test(loop, two_loops_live_side_by_side)
{
    seen_t seen;
    seen_t other_seen;
    loop_t *loop = new_loop(&seen);
    loop_t *other = new_loop(&other_seen);
    seen.stop_after = 1;
    other_seen.stop_after = 1;
    loop_add_timer(loop, 1, 1, on_call, &seen);
    loop_add_timer(other, 1, 1, on_call, &other_seen);
    cr_expect_eq(loop_run(other), 0);
    cr_expect_eq(loop_run(loop), 0);
    cr_expect_eq(seen.calls, 1);
    cr_expect_eq(other_seen.calls, 1);
    loop_destroy(&other);
    loop_destroy(&loop);
}
