// option_test.c - presets, environment and flags, in that order; help, exit statuses, the page.
#include "child.h"
#include "runtime/option.h"
#include <criterion/criterion.h>
#include <stddef.h>
#include <stdlib.h>

typedef struct {
    bool dev;
    const char *dir;
    uint64_t count;
    uint64_t size;
    uint64_t wait_ms;
    const char *no_preset;
} options_t;

static const option_row_t rows[] = {
    {"dev", 0, OPTION_FLAG, NULL, NULL, offsetof(options_t, dev), 0, 0, "be lenient"},
    {"dir", 'd', OPTION_TEXT, "DIR", "data", offsetof(options_t, dir), 0, 0, "where all is kept"},
    {"count", 'n', OPTION_COUNT, "N", "3", offsetof(options_t, count), 1, 10, "how many"},
    {"size-max", 0, OPTION_BYTES, "SIZE", "64k", offsetof(options_t, size), 0, 0, "a|b"},
    {"wait", 'w', OPTION_MS, "TIME", "2s", offsetof(options_t, wait_ms), 0, 3600000, "how long"},
    {"no-preset", 0, OPTION_TEXT, "X", NULL, offsetof(options_t, no_preset), 0, 0, "a text"},
};

static const option_table_t table = {.program = "bhiv thing",
                                     .arguments = "TOPIC [JSON]",
                                     .help = "Does a thing.\vAnd this stands behind.",
                                     .rows = rows,
                                     .row_count = sizeof(rows) / sizeof(rows[0]),
                                     .arguments_min = 1,
                                     .arguments_max = 2};

enum { ARGUMENTS_MAX = 16 };

// The next child's command line; the child is a fork, so it sees what its test set.
static char *arguments[ARGUMENTS_MAX];
static int argument_count;

static void
set_arguments(const char *const *words)
{
    argument_count = 0;
    arguments[argument_count++] = (char *) "thing";
    for (; *words != NULL; words++) {
        arguments[argument_count++] = (char *) (uintptr_t) *words;
    }
    arguments[argument_count] = NULL;
}
#define ARGUMENTS(...) set_arguments((const char *const[]){__VA_ARGS__, NULL})

static void
parse_and_print(void)
{
    options_t options = {0};
    const char *words[2] = {0};
    unsigned word_count = 0;
    option_parse(&table, argument_count, arguments, &options, words, &word_count);
    printf("dev=%d dir=%s count=%lu size=%lu wait=%lu none=%s words=%u:%s:%s",
           options.dev,
           options.dir,
           (unsigned long) options.count,
           (unsigned long) options.size,
           (unsigned long) options.wait_ms,
           options.no_preset != NULL ? options.no_preset : "-",
           word_count,
           words[0] != NULL ? words[0] : "-",
           words[1] != NULL ? words[1] : "-");
}

static void
expect_parsed(const char *expected)
{
    child_t child = child_run(parse_and_print, STDOUT_FILENO);
    cr_expect_eq(child.exit_status, 0);
    cr_expect_str_eq(child.output, expected);
}

static void
expect_refused(int exit_status, const char *expected)
{
    child_t child = child_run(parse_and_print, STDERR_FILENO);
    cr_expect_eq(child.exit_status, exit_status, "%d: %s", child.exit_status, child.output);
    cr_expect_not_null(strstr(child.output, expected), "%s", child.output);
}

static void
forget_environment(void)
{
    unsetenv("BHIV_DEV");
    unsetenv("BHIV_DIR");
    unsetenv("BHIV_COUNT");
    unsetenv("BHIV_SIZE_MAX");
    unsetenv("BHIV_WAIT");
    unsetenv("BHIV_NO_PRESET");
}

TestSuite(option, .init = forget_environment);

Test(option, presets_stand_where_nothing_else_is_said)
{
    ARGUMENTS("t");
    expect_parsed("dev=0 dir=data count=3 size=65536 wait=2000 none=- words=1:t:-");
}

Test(option, the_environment_comes_before_presets)
{
    setenv("BHIV_DEV", "Yes", 1);
    setenv("BHIV_DIR", "other", 1);
    setenv("BHIV_COUNT", "10", 1);
    setenv("BHIV_SIZE_MAX", "2G", 1);
    setenv("BHIV_WAIT", "1h", 1);
    ARGUMENTS("t");
    expect_parsed("dev=1 dir=other count=10 size=2147483648 wait=3600000 none=- words=1:t:-");
}

Test(option, an_empty_variable_counts_as_unset)
{
    setenv("BHIV_COUNT", "", 1);
    setenv("BHIV_DIR", "", 1);
    ARGUMENTS("t");
    expect_parsed("dev=0 dir=data count=3 size=65536 wait=2000 none=- words=1:t:-");
}

Test(option, a_flag_wins_over_all)
{
    setenv("BHIV_DIR", "other", 1);
    setenv("BHIV_COUNT", "10", 1);
    ARGUMENTS("--dir=third", "-n", "4", "--dev", "--size-max", "1m", "-w250ms", "t", "{}");
    expect_parsed("dev=1 dir=third count=4 size=1048576 wait=250 none=- words=2:t:{}");
}

Test(option, flags_and_words_mix_until_two_dashes)
{
    ARGUMENTS("t", "--no-preset=x", "--", "--dev");
    expect_parsed("dev=0 dir=data count=3 size=65536 wait=2000 none=x words=2:t:--dev");
}

Test(option, a_bad_flag_exits_64_and_says_why)
{
    ARGUMENTS("t", "--nonsense");
    expect_refused(64, "bhiv thing: unrecognized option '--nonsense'");
    ARGUMENTS("t", "-n");
    expect_refused(64, "bhiv thing: option requires an argument -- 'n'");
    ARGUMENTS("t", "--count=three");
    expect_refused(64, "bhiv thing: --count three: expected a whole number; see --help\n");
    ARGUMENTS("t", "--count=0");
    expect_refused(64, "bhiv thing: --count 0: at least 1; see --help\n");
    ARGUMENTS("t", "--count=11");
    expect_refused(64, "bhiv thing: --count 11: at most 10; see --help\n");
    ARGUMENTS("t", "--count=-1");
    expect_refused(64, "--count -1: expected");
    ARGUMENTS("t", "--wait=2w");
    expect_refused(64, "--wait 2w: expected a time");
}

Test(option, too_few_and_too_many_words_exit_64)
{
    ARGUMENTS("--dev");
    expect_refused(64, "bhiv thing: an argument is missing: TOPIC [JSON]; see --help\n");
    ARGUMENTS("a", "b", "c");
    expect_refused(64, "bhiv thing: one argument too many: c; see --help\n");
}

Test(option, a_bad_variable_exits_78_and_is_named)
{
    setenv("BHIV_COUNT", "many", 1);
    ARGUMENTS("t");
    expect_refused(78, "bhiv thing: BHIV_COUNT=many: expected a whole number\n");
    setenv("BHIV_COUNT", "2", 1);
    setenv("BHIV_DEV", "maybe", 1);
    expect_refused(78, "bhiv thing: BHIV_DEV=maybe: expected 1, true");
}

Test(option, help_shows_each_option_with_its_twin_and_default_whatever_the_environment)
{
    setenv("BHIV_COUNT", "many", 1);
    ARGUMENTS("--help");
    child_t child = child_run(parse_and_print, STDOUT_FILENO);
    cr_expect_eq(child.exit_status, 0);
    cr_expect_not_null(strstr(child.output, "Usage: bhiv thing [OPTION...] TOPIC [JSON]"));
    cr_expect_not_null(strstr(child.output, "Does a thing."));
    cr_expect_not_null(strstr(child.output, "-n, --count=N"));
    cr_expect_not_null(strstr(child.output, "how many (default 3; BHIV_COUNT)"));
    cr_expect_not_null(strstr(child.output, "be lenient (BHIV_DEV)"));
    cr_expect_not_null(strstr(child.output, "BHIV_SIZE_MAX"));
    cr_expect_not_null(strstr(child.output, "And this stands behind."));
}

Test(option, values_have_units)
{
    static const struct {
        option_type_t type;
        const char *text;
        uint64_t value;
    } good[] = {
        {OPTION_FLAG, "1", 1},
        {OPTION_FLAG, "TRUE", 1},
        {OPTION_FLAG, "on", 1},
        {OPTION_FLAG, "0", 0},
        {OPTION_FLAG, "no", 0},
        {OPTION_FLAG, "off", 0},
        {OPTION_FLAG, "false", 0},
        {OPTION_COUNT, "0", 0},
        {OPTION_COUNT, "007", 7},
        {OPTION_COUNT, "18446744073709551615", UINT64_MAX},
        {OPTION_BYTES, "512", 512},
        {OPTION_BYTES, "1k", 1024},
        {OPTION_BYTES, "3M", 3 << 20},
        {OPTION_BYTES, "1g", 1 << 30},
        {OPTION_BYTES, "2t", 2ULL << 40},
        {OPTION_MS, "7", 7},
        {OPTION_MS, "250ms", 250},
        {OPTION_MS, "5s", 5000},
        {OPTION_MS, "2m", 120000},
        {OPTION_MS, "1h", 3600000},
        {OPTION_MS, "7d", 604800000},
    };
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        uint64_t value = 99;
        cr_expect_eq(option_value(good[i].type, good[i].text, &value), BUS_OK, "%s", good[i].text);
        cr_expect_eq(value, good[i].value, "%s", good[i].text);
    }
}

Test(option, values_that_are_none_are_refused)
{
    static const struct {
        option_type_t type;
        const char *text;
    } bad[] = {
        {OPTION_FLAG, ""},     {OPTION_FLAG, "2"},          {OPTION_FLAG, "maybe"},
        {OPTION_TEXT, "1"},    {OPTION_COUNT, ""},          {OPTION_COUNT, "-1"},
        {OPTION_COUNT, "+1"},  {OPTION_COUNT, " 1"},        {OPTION_COUNT, "1 "},
        {OPTION_COUNT, "1k"},  {OPTION_COUNT, "0x10"},      {OPTION_COUNT, "18446744073709551616"},
        {OPTION_BYTES, "k"},   {OPTION_BYTES, "1.5g"},      {OPTION_BYTES, "1kb"},
        {OPTION_BYTES, "1 k"}, {OPTION_BYTES, "16777216t"}, {OPTION_MS, "s"},
        {OPTION_MS, "1w"},     {OPTION_MS, "1.5s"},         {OPTION_MS, "213503982335d"},
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        uint64_t value = 99;
        cr_expect_eq(option_value(bad[i].type, bad[i].text, &value),
                     BUS_VALIDATION_FAILED,
                     "%s",
                     bad[i].text);
        cr_expect_eq(value, 99, "nothing is written of %s", bad[i].text);
    }
}

Test(option, becomes_a_page_of_markdown)
{
    BUS_AUTO(text_destroy) text_t *page = text_new();
    option_document(&table, page);
    cr_expect_str_eq(
        text_view(page).data,
        "## `bhiv thing`\n\nDoes a thing.\n\n    bhiv thing [OPTION...] TOPIC [JSON]\n\n"
        "| Option | Environment | Default | Meaning |\n|---|---|---|---|\n"
        "| `--dev` | `BHIV_DEV` |  | be lenient |\n"
        "| `-d`, `--dir=DIR` | `BHIV_DIR` | `data` | where all is kept |\n"
        "| `-n`, `--count=N` | `BHIV_COUNT` | `3` | how many |\n"
        "| `--size-max=SIZE` | `BHIV_SIZE_MAX` | `64k` | a\\|b |\n"
        "| `-w`, `--wait=TIME` | `BHIV_WAIT` | `2s` | how long |\n"
        "| `--no-preset=X` | `BHIV_NO_PRESET` |  | a text |\n"
        "\nAnd this stands behind.\n");
}
