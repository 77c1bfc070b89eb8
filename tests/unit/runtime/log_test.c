// log_test.c - a line has the shape that the header shows, whatever its values are.
#include "child.h"
#include "proto/rfc3339.h"
#include "runtime/log.h"
#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>

// What comes behind the time, if the line begins with one and ends in a newline.
static const char *
behind_time(const child_t *child)
{
    uint64_t time_us = 0;
    size_t size = strlen(child->output);
    cr_assert_gt(size, 29);
    cr_assert_eq(rfc3339_parse(view_from(child->output, 27), &time_us), BUS_OK);
    cr_assert_eq(child->output[27], ' ');
    cr_assert_eq(child->output[size - 1], '\n');
    return child->output + 28;
}

static void
say_ready(void)
{
    log_start("broker");
    log_info("ready", "in=%s head=%d", "tcp://127.0.0.1:5550", 17);
}

Test(log, writes_a_line_as_the_header_shows)
{
    child_t child = child_run(say_ready, STDERR_FILENO);
    cr_expect_str_eq(behind_time(&child), "info broker ready in=tcp://127.0.0.1:5550 head=17\n");
}

static void
say_id_alone(void)
{
    log_start("core");
    log_error("stopped", "%s", "");
}

Test(log, a_line_without_values_ends_behind_its_id)
{
    child_t child = child_run(say_id_alone, STDERR_FILENO);
    cr_expect_str_eq(behind_time(&child), "error core stopped\n");
}

static void
say_all_levels(void)
{
    log_start("x");
    log_error("a", "n=%d", 1);
    log_warning("b", "n=%d", 2);
    log_info("c", "n=%d", 3);
    log_debug("d", "n=%d", 4);
}

// The ids of the lines that came through, in one text.
static void
ids_at(const char *level, char ret_ids[8])
{
    if (level == NULL) {
        unsetenv("BHIV_LOG_LEVEL");
    } else {
        setenv("BHIV_LOG_LEVEL", level, 1);
    }
    child_t child = child_run(say_all_levels, STDERR_FILENO);
    size_t count = 0;
    for (const char *at = strstr(child.output, " x "); at != NULL; at = strstr(at + 1, " x ")) {
        ret_ids[count++] = at[3];
    }
    ret_ids[count] = '\0';
}

Test(log, shows_what_the_level_allows)
{
    char ids[8];
    ids_at(NULL, ids);
    cr_expect_str_eq(ids, "abc");
    ids_at("", ids);
    cr_expect_str_eq(ids, "abc");
    ids_at("error", ids);
    cr_expect_str_eq(ids, "a");
    ids_at("warning", ids);
    cr_expect_str_eq(ids, "ab");
    ids_at("info", ids);
    cr_expect_str_eq(ids, "abc");
    ids_at("debug", ids);
    cr_expect_str_eq(ids, "abcd");
}

Test(log, an_unknown_level_is_told_and_means_info)
{
    char ids[8];
    ids_at("loud", ids);
    cr_expect_str_eq(ids, "labc");
    log_level_t level = LOG_DEBUG;
    cr_expect_not(log_level_from_text("Info", &level));
    cr_expect_not(log_level_from_text("", &level));
    cr_expect_eq(level, LOG_DEBUG);
    cr_expect(log_level_from_text("error", &level));
    cr_expect_eq(level, LOG_ERROR);
}

static void
say_lines_in_a_value(void)
{
    log_start("x");
    log_warning("odd", "value=%s", "one\ntwo\r\x1b[31m\x7f");
}

Test(log, stays_one_line_even_for_a_value_that_nobody_escaped)
{
    child_t child = child_run(say_lines_in_a_value, STDERR_FILENO);
    cr_expect_str_eq(behind_time(&child), "warning x odd value=one\\ntwo\\x0d\\x1b[31m\\x7f\n");
}

static void
say_too_much(void)
{
    static char large[20000];
    memset(large, 'v', sizeof(large) - 1);
    log_start("x");
    log_warning("large", "value=%s", large);
    memset(large, '\n', sizeof(large) - 1);
    log_warning("large", "value=%s", large);
}

Test(log, cuts_a_line_that_is_too_long_and_shows_it)
{
    child_t child = child_run(say_too_much, STDERR_FILENO);
    const char *end = strchr(child.output, '\n');
    cr_assert_not_null(end);
    cr_expect_lt(end - child.output, 4096, "one write to a pipe stays whole up to PIPE_BUF");
    cr_expect_gt(end - child.output, 3000);
    cr_expect_eq(memcmp(end - 3, "...", 3), 0);
    const char *last = strchr(end + 1, '\n');
    cr_assert_not_null(last);
    cr_expect_eq(memcmp(last - 3, "...", 3), 0);
    cr_expect_str_eq(last, "\n");
}

static void
say_and_keep_errno(void)
{
    log_start("x");
    errno = ENOTTY;
    log_info("a", "%s", "");
    if (errno != ENOTTY) {
        _exit(1);
    }
}

Test(log, leaves_errno_alone)
{
    cr_expect_eq(child_run(say_and_keep_errno, STDERR_FILENO).exit_status, 0);
}

static void
expect_escaped(bus_view_t value, const char *expected)
{
    char text[1100];
    cr_expect_eq(log_escape(value, text, sizeof(text)), text);
    cr_expect_str_eq(text, expected);
}

Test(log, escapes_what_is_not_plain)
{
    expect_escaped(VIEW_LITERAL("bucket.events-1_x/y:z"), "bucket.events-1_x/y:z");
    expect_escaped(VIEW_LITERAL(""), "\"\"");
    expect_escaped(VIEW_NONE, "\"\"");
    expect_escaped(VIEW_LITERAL("two words"), "\"two words\"");
    expect_escaped(VIEW_LITERAL("a=b"), "\"a=b\"");
    expect_escaped(VIEW_LITERAL("say \"x\""), "\"say \\\"x\\\"\"");
    expect_escaped(VIEW_LITERAL("back\\slash"), "\"back\\\\slash\"");
    expect_escaped(VIEW_LITERAL("a\nb\tc\0d"), "\"a\\nb\\tc\\x00d\"");
    expect_escaped(VIEW_LITERAL("\xc3\xa9"), "\"\\xc3\\xa9\"");
}

Test(log, cuts_a_value_at_256_bytes)
{
    char value[300];
    char text[1100];
    memset(value, 'v', sizeof(value));
    cr_expect_eq(strlen(log_escape(view_from(value, 256), text, sizeof(text))), 256);
    log_escape(view_from(value, 257), text, sizeof(text));
    cr_expect_eq(strlen(text), 256 + strlen("\"...\""));
    cr_expect_str_eq(text + 250, "vvvvvvv...\"");
}

Test(log, never_writes_beyond_the_buffer)
{
    static const char value[] = "ab \n\x01 cd ef \" \\ gh";
    for (size_t size = 0; size <= 64; size++) {
        char *text = malloc(size + (size == 0)); // exactly: the sanitizer watches its end
        log_escape(view_from(value, sizeof(value) - 1), text, size);
        if (size > 0) {
            cr_expect_lt(strlen(text), size);
        }
        free(text);
    }
}
