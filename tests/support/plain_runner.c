// plain_runner.c - runs Criterion's tests without Criterion's runner, each in a plain fork.
//
// For valgrind: Criterion starts the program afresh for each test, which costs a second there, and
// lets go of its exit status. Linked in front of libcriterion this takes the place of its `main`
// and of the functions that its macros call. Prints the tests that fail and a last line like
// Criterion's; exits 1 where one failed.
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SKIPPED_STATUS = 77 };

// The linker's names for the ends of the sections into which Test and TestSuite put theirs.
extern struct criterion_test *__start_cr_tst[];
extern struct criterion_test *__stop_cr_tst[];
extern struct criterion_suite *__start_cr_sts[] __attribute__((weak));
extern struct criterion_suite *__stop_cr_sts[] __attribute__((weak));

// Of the test that this process runs: a child has one.
static const struct criterion_test *current;
static bool has_failed;

static void
call(void (*fixture)(void))
{
    if (fixture != NULL) {
        fixture();
    }
}

static const struct criterion_test_extra_data *
suite_of(const struct criterion_test *test)
{
    static const struct criterion_test_extra_data none;
    for (struct criterion_suite **suite = __start_cr_sts; suite < __stop_cr_sts; suite++) {
        if (strcmp((*suite)->name, test->category) == 0) {
            return (*suite)->data;
        }
    }
    return &none;
}

// --- What Criterion's macros call ---------------------------------------------------------------

void
criterion_internal_test_setup(void)
{
    call(suite_of(current)->init);
    call(current->data->init);
}

void
criterion_internal_test_main(void (*run)(void))
{
    run();
}

void
criterion_internal_test_teardown(void)
{
    call(current->data->fini);
    call(suite_of(current)->fini);
}

void
criterion_send_assert(struct criterion_assert_stats *stats)
{
    if (!stats->passed) {
        printf("%s:%u: %s\n", stats->file, stats->line, stats->message);
    }
}

void
criterion_abort_test(void)
{
    exit(EXIT_FAILURE);
}

void
criterion_continue_test(void)
{
    has_failed = true;
}

void
criterion_skip_test(const char *format, ...)
{
    (void) format;
    exit(SKIPPED_STATUS);
}

// --- The runner ---------------------------------------------------------------------------------

static int
run_child(const struct criterion_test *test)
{
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        current = test;
        test->test();
        exit(has_failed ? EXIT_FAILURE : EXIT_SUCCESS);
    }
    int status = 0;
    if (pid < 0 || waitpid(pid, &status, 0) != pid) {
        perror("plain_runner");
        exit(EXIT_FAILURE);
    }
    return status;
}

static bool
is_as_expected(const struct criterion_test *test, int status)
{
    if (test->data->signal != 0) {
        return WIFSIGNALED(status) && WTERMSIG(status) == test->data->signal;
    }
    return WIFEXITED(status) &&
           (WEXITSTATUS(status) == test->data->exit_code || WEXITSTATUS(status) == SKIPPED_STATUS);
}

int
main(void)
{
    int tested = 0;
    int failing = 0;
    for (struct criterion_test **test = __start_cr_tst; test < __stop_cr_tst; test++) {
        int status = run_child(*test);
        tested++;
        if (!is_as_expected(*test, status)) {
            printf("FAIL %s/%s: wait status %#x\n", (*test)->category, (*test)->name, status);
            failing++;
        }
    }
    printf("[====] Synthesis: Tested: %d | Passing: %d | Failing: %d | Crashing: 0\n",
           tested,
           tested - failing,
           failing);
    return failing == 0 && tested > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
