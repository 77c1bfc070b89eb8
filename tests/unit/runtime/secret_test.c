// secret_test.c - which settings are secrets, and what a process that holds some is kept from.
#include "runtime/secret.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static bool
is_secret_with(const char *name, const char *value)
{
    clearenv();
    setenv(name, value, 1);
    return secret_is_in_environment();
}

Test(secret, settings_that_end_like_a_secret_are_one)
{
    static const char *const names[] = {"BHIV_AI_KEY",
                                        "BHIV_KEY_PASSPHRASE",
                                        "BHIV_SMTP_PASSWORD",
                                        "BHIV_WHATSAPP_TOKEN",
                                        "BHIV_ANY_SECRET"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        cr_expect(is_secret_with(names[i], "x"), "%s", names[i]);
        cr_expect_not(is_secret_with(names[i], ""), "%s is empty", names[i]);
    }
}

Test(secret, other_settings_and_other_peoples_are_none)
{
    static const char *const names[] = {
        "BHIV_DIR", "BHIV_TOKENS", "BHIV_KEY_ID", "BHIV_KEY_", "AWS_SECRET", "KEY", "XBHIV_AI_KEY"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        cr_expect_not(is_secret_with(names[i], "x"), "%s", names[i]);
    }
    cr_expect_not(is_secret_with("BHIV_NAME", "BHIV_AI_KEY=x"));
    clearenv();
    cr_expect_not(secret_is_in_environment());
}

// Whether this process may dump core: 1 by the limit, 2 by the kernel's own flag.
static int
ways_to_dump(void)
{
    struct rlimit limit = {0};
    int ways = getrlimit(RLIMIT_CORE, &limit) == 0 && limit.rlim_max == 0 ? 0 : 1;
    return ways | (prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0 ? 0 : 2);
}

Test(secret, a_guarded_process_dumps_no_core)
{
    cr_assert(ways_to_dump() & 2, "or this test shows nothing");
    pid_t child = fork();
    if (child == 0) {
        secret_guard();
        _exit(ways_to_dump());
    }
    int status = -1;
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status %d", status);
}
