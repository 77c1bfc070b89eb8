// rules_test.c - rows, names, patterns, and files that are right or wrong.
#include "broker/access.h"
#include "broker/rules.h"
#include "broker/rules_row.h"
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static rules_set_t *
set_of(const char *file, const char *name)
{
    char path[] = "/tmp/bhiv-rules-XXXXXX";
    char problem[RULES_PROBLEM_SIZE] = "";
    rules_t *rules = NULL;
    int fd = mkstemp(path);
    cr_assert_geq(fd, 0);
    cr_assert_eq(write(fd, file, strlen(file)), (ssize_t) strlen(file));
    close(fd);
    cr_assert_eq(rules_load(path, &rules, problem), BUS_OK, "%s", problem);
    unlink(path);
    rules_set_t *set = rules_of(rules, view_from_text(name));
    rules_destroy(&rules);
    return set;
}

static bool
may(const rules_set_t *set, rules_right_t right, const char *topic)
{
    return rules_allow(set, right, view_from_text(topic));
}

static bool
covers(const rules_set_t *set, const char *prefix)
{
    return rules_cover(set, RULES_SUBSCRIBE, view_from_text(prefix));
}

Test(rules, a_name_without_a_row_may_nothing)
{
    rules_set_t *set = set_of("", "nobody");
    for (int i = 0; i < RULES_RIGHTS; i++) {
        cr_assert_not(rules_has(set, (rules_right_t) i));
        cr_assert_not(may(set, (rules_right_t) i, "core.x"));
        cr_assert_not(rules_cover(set, (rules_right_t) i, VIEW_LITERAL("")));
    }
    rules_set_destroy(&set);
}

Test(rules, the_built_in_rows_are_legal_and_as_narrow_as_said)
{
    rules_set_t *workflow = set_of("", "workflow_executor");
    cr_assert(may(workflow, RULES_PUBLISH, "karma.life_event"));
    cr_assert_not(may(workflow, RULES_PUBLISH, "bucket.artifact_read"));
    cr_assert_not(rules_cover(workflow, RULES_FETCH, VIEW_LITERAL("bucket.")));
    cr_assert_not(rules_cover(workflow, RULES_FETCH, VIEW_LITERAL("")));
    rules_set_destroy(&workflow);
}

Test(rules, a_row_of_the_file_stands_in_place_of_the_built_in_one)
{
    rules_set_t *set =
        set_of("peer\n    name = \"bhiv_karma\"\n    publish = \"x.>\"\n", "bhiv_karma");
    cr_assert(may(set, RULES_PUBLISH, "x.y"));
    cr_assert_not(may(set, RULES_PUBLISH, "karma.config"));
    cr_assert_not(rules_has(set, RULES_SERVE));
    rules_set_destroy(&set);
}

Test(rules, an_exact_name_goes_before_the_longest_beginning)
{
    static const char file[] = "peer\n    name = \"*\"\n    publish = \"any\"\n"
                               "peer\n    name = \"ab*\"\n    publish = \"two\"\n"
                               "peer\n    name = \"a*\"\n    publish = \"one\"\n"
                               "peer\n    name = \"abc\"\n    publish = \"exact\"\n";
    static const struct {
        const char *name;
        const char *topic;
    } cases[] = {{"abc", "exact"}, {"abd", "two"}, {"ax", "one"}, {"zz", "any"}, {"ab", "two"}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        rules_set_t *set = set_of(file, cases[i].name);
        cr_assert(may(set, RULES_PUBLISH, cases[i].topic), "%s", cases[i].name);
        rules_set_destroy(&set);
    }
}

Test(rules, patterns_match_as_topics_do)
{
    rules_set_t *set = set_of("peer\n    name = \"p\"\n    publish = \"a.> b.*.c d e. {name}.>\"\n"
                              "    subscribe = \"a.> d e. $bus.peer.>\"\n",
                              "p");
    static const char *const yes[] = {"a.b", "a.b.c", "b.x.c", "d", "e.f", "p.q"};
    static const char *const no[] = {
        "a", "a.", "ab", "b.c", "b.x.y", "b.x.c.d", "dd", "e", "x.q", "pp.q"};
    for (size_t i = 0; i < sizeof(yes) / sizeof(yes[0]); i++) {
        cr_assert(may(set, RULES_PUBLISH, yes[i]), "%s", yes[i]);
    }
    for (size_t i = 0; i < sizeof(no) / sizeof(no[0]); i++) {
        cr_assert_not(may(set, RULES_PUBLISH, no[i]), "%s", no[i]);
    }
    static const char *const within[] = {
        "a.", "a.b", "a.b.", "d", "e.", "e.f", "$bus.peer.", "$bus.peer.up"};
    static const char *const beyond[] = {
        "", "a", "d.", "e", "dd", "$bus.", "$bus.peer", "_inbox.p.1"};
    for (size_t i = 0; i < sizeof(within) / sizeof(within[0]); i++) {
        cr_assert(covers(set, within[i]), "%s", within[i]);
    }
    for (size_t i = 0; i < sizeof(beyond) / sizeof(beyond[0]); i++) {
        cr_assert_not(covers(set, beyond[i]), "%s", beyond[i]);
    }
    rules_set_destroy(&set);
}

Test(rules, everything_is_every_application_topic_and_nothing_of_the_bus)
{
    rules_set_t *set =
        set_of("peer\n    name = \"p\"\n    publish = \">\"\n    subscribe = \">\"\n", "p");
    cr_assert(covers(set, "") && covers(set, "c") && covers(set, "core."));
    cr_assert_not(covers(set, "$bus.peer.") || covers(set, "_inbox.p.1"));
    cr_assert(may(set, RULES_PUBLISH, "core.x"));
    cr_assert_not(may(set, RULES_PUBLISH, "$bus.stats") || may(set, RULES_PUBLISH, "_inbox.a.b"));
    rules_set_destroy(&set);
}

static bus_err_t
parse(const char *text, size_t size)
{
    char problem[RULES_PROBLEM_SIZE] = "";
    bus_err_t err = rules_row_parse(view_from(text, size), NULL, NULL, problem);
    cr_assert_eq(err == BUS_OK, problem[0] == '\0', "%s", text);
    return err;
}

Test(rules, a_file_that_is_wrong_is_refused_and_says_why)
{
    static const char *const wrong[] = {
        "peer\n    name = \"a.b\"\n",
        "peer\n    name = \"_a\"\n",
        "peer\n    name = \"\"\n",
        "peer\n    publish = \"a.>\"\n",
        "peer\n    name = \"a\"\n    nothing = \"b\"\n",
        "peer\n    name = \"a\"\n    publish = \"a..b\"\n",
        "peer\n    name = \"a\"\n    publish = \"a.>.b\"\n",
        "peer\n    name = \"a\"\n    subscribe = \"a.*\"\n",
        "peer\n    name = \"a\"\n    fetch = \"*.a\"\n",
        "peer\n    name = \"a\"\n    request = \"bus.stats\"\n",
        "peer\n    name = \"a\"\n    request = \"req.a.> htm.status\"\n",
        "peer\n    name = \"a\"\n    publish = \"a b\xff\"\n",
        "peer\n    name = \"a\"\n    publish = \"a\"\n    publish = \"b\"\n",
        "peer\n    name = \"a\"\n    publish = \"a\"\n        deep = \"b\"\n",
        "peer\n    name = \"a\n",
        "other\n    name = \"a\"\n",
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        cr_assert_eq(parse(wrong[i], strlen(wrong[i])), BUS_INVALID_REQUEST, "%s", wrong[i]);
    }
    cr_assert_eq(parse("peer\0x", 6), BUS_INVALID_REQUEST);
    cr_assert_eq(parse("", 0), BUS_OK);
    static const char right[] = "# a word\npeer\n    name = \"a*\"\n";
    cr_assert_eq(parse(right, sizeof(right) - 1), BUS_OK);
}

Test(rules, a_pattern_is_no_longer_than_a_topic_and_a_list_no_longer_than_its_bound)
{
    char text[16384];
    int at = snprintf(text, sizeof(text), "peer\n    name = \"a\"\n    publish = \"");
    for (int i = 0; i < RULES_PATTERNS_MAX + 1; i++) {
        at += snprintf(text + at, sizeof(text) - (size_t) at, "t%d ", i);
    }
    at += snprintf(text + at, sizeof(text) - (size_t) at, "\"\n");
    cr_assert_eq(parse(text, (size_t) at), BUS_INVALID_REQUEST);
    at = snprintf(text, sizeof(text), "peer\n    name = \"a\"\n    publish = \"%0400d\"\n", 1);
    cr_assert_eq(parse(text, (size_t) at), BUS_INVALID_REQUEST);
}

// --- access.h over them -------------------------------------------------------------------------

Test(rules, an_inbox_is_ones_own_by_the_whole_name)
{
    who_peer_t peer = {.name = "karma"};
    cr_assert(access_is_own_inbox(&peer, VIEW_LITERAL("_inbox.karma.1")));
    static const char *const others[] = {"_inbox.karma",
                                         "_inbox.karma2.1",
                                         "_inbox.karm.a",
                                         "_inbox.",
                                         "inbox.karma.1",
                                         "",
                                         "_inbox.core.karma"};
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        cr_assert_not(access_is_own_inbox(&peer, view_from_text(others[i])), "%s", others[i]);
    }
    who_peer_t stranger = {.name = ""};
    cr_assert_not(access_is_own_inbox(&stranger, VIEW_LITERAL("_inbox..1")));
}

Test(rules, a_consumer_is_ones_own_or_cannot_be_guessed)
{
    who_peer_t peer = {.name = "bhiv_karma", .rules = set_of("", "bhiv_karma")};
    static const char *const own[] = {"karma",
                                      "karma.rebuild-17",
                                      "karma-2",
                                      "bhiv_karma",
                                      "bhiv_karma.x",
                                      "ears-01890000-0000-7000-8000-000000000000",
                                      "01890000-0000-7000-8000-00000000abcd"};
    static const char *const others[] = {
        "core", "karma2", "karm", "", "xkarma", "01890000-0000-7000-8000-00000000abcg"};
    for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++) {
        bool is_guessed = i < 5; // what is kept is shown: a UUID is no secret any more
        cr_assert(access_may_consume(&peer, view_from_text(own[i]), false), "%s", own[i]);
        cr_assert_eq(
            access_may_consume(&peer, view_from_text(own[i]), true), is_guessed, "%s", own[i]);
    }
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        cr_assert_not(access_may_consume(&peer, view_from_text(others[i]), false), "%s", others[i]);
    }
    rules_set_destroy(&peer.rules);
}
