// topic_test.c - the catalogue of topics, what is legal, and patterns. docs/protocol.md sections 2
// and 3.
#include "help.h"
#include "proto/limits.h"
#include "proto/topic.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

Test(topic, legal_topics_are_tokens_joined_by_dots)
{
    static const char *const legal[] = {"a",
                                        "core.event.agent_result",
                                        "A-b_9.0",
                                        "$bus.hello",
                                        "_a.b",
                                        "_inbox.x.y",
                                        "a.-",
                                        "req.a.b.c",
                                        "x.y_z",
                                        "0"};
    for (size_t i = 0; i < COUNT(legal); i++) {
        cr_assert(topic_is_legal(view_from_text(legal[i]), NULL), "%s", legal[i]);
    }
}

Test(topic, illegal_topics_say_why)
{
    static const struct {
        const char *topic;
        const char *why;
    } rows[] = {
        {"", "the topic is empty"},
        {".", "the topic has an empty token"},
        {"a.", "the topic has an empty token"},
        {".a", "the topic has an empty token"},
        {"a..b", "the topic has an empty token"},
        {"a b", "the topic has a byte that is not of [A-Za-z0-9_-]"},
        {"a.$b", "the topic has a byte that is not of [A-Za-z0-9_-]"},
        {"a$", "the topic has a byte that is not of [A-Za-z0-9_-]"},
        {"a.*", "the topic has a byte that is not of [A-Za-z0-9_-]"},
        {"a.>", "the topic has a byte that is not of [A-Za-z0-9_-]"},
        {"a/b", "the topic has a byte that is not of [A-Za-z0-9_-]"},
        {"caf\xc3\xa9", "the topic has a byte that is not of [A-Za-z0-9_-]"},
        {"a\x01", "the topic has a byte that is not of [A-Za-z0-9_-]"},
        {"a@b", "the topic has a byte that is not of [A-Za-z0-9_-]"},
        {"a[b", "the topic has a byte that is not of [A-Za-z0-9_-]"},
        {"a`b", "the topic has a byte that is not of [A-Za-z0-9_-]"},
        {"a{b", "the topic has a byte that is not of [A-Za-z0-9_-]"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        const char *why = "none";
        cr_assert(!topic_is_legal(view_from_text(rows[i].topic), &why), "%s", rows[i].topic);
        cr_assert_str_eq(why, rows[i].why, "%s: %s", rows[i].topic, why);
    }
    cr_assert(!topic_is_legal(VIEW_LITERAL("a\0b"), NULL));
}

Test(topic, exactly_the_named_bytes_are_legal_in_a_token)
{
    for (int byte = 0; byte < 256; byte++) {
        const char topic[3] = {'a', (char) byte, 'b'};
        bool named = byte != 0 && strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                         "0123456789_-.",
                                         byte) != NULL;
        cr_assert_eq(topic_is_legal(view_from(topic, 3), NULL), named, "byte %d", byte);
    }
}

Test(topic, two_hundred_and_fifty_five_bytes_are_the_most)
{
    char topic[TOPIC_SIZE_MAX + 1];
    memset(topic, 'a', sizeof(topic));
    cr_assert(topic_is_legal(view_from(topic, TOPIC_SIZE_MAX), NULL));
    const char *why = "";
    cr_assert(!topic_is_legal(view_from(topic, TOPIC_SIZE_MAX + 1), &why));
    cr_assert_str_eq(why, "the topic is over 255 bytes");
    cr_assert(topic_is_legal_prefix(view_from(topic, TOPIC_SIZE_MAX)));
    cr_assert(!topic_is_legal_prefix(view_from(topic, TOPIC_SIZE_MAX + 1)));
}

Test(topic, a_prefix_may_be_empty_or_end_anywhere)
{
    cr_assert(topic_is_legal_prefix(VIEW_NONE));
    cr_assert(topic_is_legal_prefix(VIEW_LITERAL("core.")));
    cr_assert(topic_is_legal_prefix(VIEW_LITERAL("core.ev")));
    cr_assert(topic_is_legal_prefix(VIEW_LITERAL("$bus.peer.")));
    cr_assert(!topic_is_legal_prefix(VIEW_LITERAL(".")));
    cr_assert(!topic_is_legal_prefix(VIEW_LITERAL("core..")));
    cr_assert(!topic_is_legal_prefix(VIEW_LITERAL("core.*")));
}

Test(topic, an_inbox_is_three_tokens)
{
    static const struct {
        const char *topic;
        bool is;
    } rows[] = {
        {"_inbox.me.1", true},
        {"_inbox.bhiv_core.0192-a", true},
        {"_inbox.me", false},
        {"_inbox.me.", false},
        {"_inbox..1", false},
        {"_inbox.", false},
        {"_inbox", false},
        {"_inbox.a.b.c", false},
        {"inbox.a.b", false},
        {"_inboxx.a.b", false},
        {"_inbox.a.b.", false},
        {"", false},
        {"_inbox.a.*", false},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        cr_assert_eq(
            topic_is_inbox(view_from_text(rows[i].topic)), rows[i].is, "%s", rows[i].topic);
    }
    char topic[NAME_SIZE_MAX + 1] = "_inbox.a.";
    memset(topic + 9, 'x', sizeof(topic) - 9);
    cr_assert(topic_is_inbox(view_from(topic, NAME_SIZE_MAX)));
    cr_assert(!topic_is_inbox(view_from(topic, NAME_SIZE_MAX + 1)));
}

Test(topic, classes_are_those_of_the_protocol)
{
    static const struct {
        const char *topic;
        topic_class_t class_;
    } rows[] = {
        // Journaled prefixes, each of section 3.
        {"core.x", TOPIC_JOURNALED},
        {"core.event.agent_result", TOPIC_JOURNALED},
        {"bucket.artifact.write", TOPIC_JOURNALED},
        {"prana.packet", TOPIC_JOURNALED},
        {"karma.life_event", TOPIC_JOURNALED},
        {"workflow.run", TOPIC_JOURNALED},
        {"agent.x.y", TOPIC_JOURNALED},
        {"kb.put", TOPIC_JOURNALED},
        {"brain.drift", TOPIC_JOURNALED},
        {"layer3.intent.scale", TOPIC_JOURNALED},
        {"task.add", TOPIC_JOURNALED},
        {"governance.allowed", TOPIC_JOURNALED},
        {"crypto.key", TOPIC_JOURNALED},
        {"hunter.anomaly", TOPIC_JOURNALED},
        {"stress.drill", TOPIC_JOURNALED},
        // Live although under one of these.
        {"bucket.out.write_confirmation", TOPIC_LIVE},
        {"karma.out.changed", TOPIC_LIVE},
        {"core.out", TOPIC_LIVE},
        {"stress.out.x.y", TOPIC_LIVE},
        {"task.execute.job", TOPIC_LIVE},
        {"task.execute", TOPIC_JOURNALED}, // no token follows: not the prefix task.execute.
        {"bucket.outside", TOPIC_JOURNALED},
        {"bucket.x.out", TOPIC_JOURNALED},
        // Live.
        {"layer2.telemetry.cpu", TOPIC_LIVE},
        {"layer3.telemetry.sum", TOPIC_LIVE},
        {"layer3.other", TOPIC_LIVE},
        {"layer3.out.intent", TOPIC_LIVE},
        {"htm.depth", TOPIC_LIVE},
        {"anything.else", TOPIC_LIVE},
        {"core", TOPIC_LIVE},
        {"corex.event", TOPIC_LIVE},
        {"a", TOPIC_LIVE},
        // Requests.
        {"req.bucket.events", TOPIC_REQUEST},
        {"req.agent.translator.run", TOPIC_REQUEST},
        {"req", TOPIC_LIVE},
        // The bus's own: what is neither $bus. nor _inbox. is classed so that the broker refuses
        // it.
        {"$bus.hello", TOPIC_BUS},
        {"$bus.peer.up", TOPIC_BUS},
        {"$sys.x", TOPIC_BUS},
        {"$bus", TOPIC_BUS},
        {"_other.x", TOPIC_BUS},
        {"_inboxx.a.b", TOPIC_BUS},
        {"_inbox.me.1", TOPIC_INBOX},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        topic_class_t class_ = topic_class(view_from_text(rows[i].topic));
        cr_assert_eq(class_, rows[i].class_, "%s is %s", rows[i].topic, topic_class_text(class_));
    }
}

Test(topic, the_longest_row_that_fits_is_found)
{
    static const struct {
        const char *topic;
        const char *prefix;
    } rows[] = {
        {"core.event.x", "core.event."},
        {"core.other", "core."},
        {"core.eventual", "core."},
        {"bucket.context.read", "bucket.context.read"},
        {"bucket.context.read.more", "bucket.context.read"},
        {"bucket.context.reader", "bucket."},
        {"karma.test.create_user", "karma.test.create_user"},
        {"task.execute.x", "task.execute."},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        const topic_row_t *row = topic_find(view_from_text(rows[i].topic));
        cr_assert_not_null(row, "%s", rows[i].topic);
        cr_assert_str_eq(row->prefix, rows[i].prefix, "%s", rows[i].topic);
    }
    cr_assert_null(topic_find(VIEW_LITERAL("nobody.knows")));
    cr_assert_null(topic_find(VIEW_LITERAL("cor")));
    cr_assert_str_eq(topic_find(VIEW_LITERAL("core.event.x"))->owner, "bucket");
}

Test(topic, every_row_is_legal_and_fits_itself)
{
    for (size_t i = 0; i < topic_row_count; i++) {
        bus_view_t prefix = view_from_text(topic_rows[i].prefix);
        cr_assert(topic_is_legal_prefix(prefix), "%s", prefix.data);
        cr_assert_gt(strlen(topic_rows[i].meaning), 0);
        char topic[TOPIC_SIZE_MAX];
        snprintf(topic,
                 sizeof(topic),
                 "%s%s",
                 prefix.data,
                 prefix.data[prefix.size - 1] == '.' ? "x" : "");
        cr_assert_eq(topic_find(view_from_text(topic)), &topic_rows[i], "%s", topic);
    }
}

Test(topic, families_are_the_first_tokens_of_the_journaled_rows_in_their_order)
{
    uint32_t count = 0;
    for (size_t i = 0; i < topic_row_count; i++) {
        if (topic_rows[i].class_ != TOPIC_JOURNALED) {
            continue;
        }
        bus_view_t token = topic_first_token(view_from_text(topic_rows[i].prefix));
        uint32_t family = 0;
        while (family < count && !view_is(token, topic_family_text(family))) {
            family++;
        }
        if (family == count) {
            cr_assert_lt(count, topic_family_count(), "%s has no family", topic_rows[i].prefix);
            assert_text(token, topic_family_text(count));
            count++;
        }
        char topic[TOPIC_SIZE_MAX];
        snprintf(topic,
                 sizeof(topic),
                 "%s%s",
                 topic_rows[i].prefix,
                 strchr(topic_rows[i].prefix, '\0')[-1] == '.' ? "x" : "");
        cr_assert_eq(topic_family(view_from_text(topic)), family, "%s", topic);
    }
    cr_assert_eq(count, topic_family_count());
    cr_assert_eq(count, 15);
}

Test(topic, what_is_not_journaled_has_no_family)
{
    static const char *const topics[] = {"karma.out.changed",
                                         "task.execute.x",
                                         "layer3.telemetry.x",
                                         "req.bucket.events",
                                         "unknown.x",
                                         "$bus.hello",
                                         "_inbox.a.b",
                                         "core"};
    for (size_t i = 0; i < COUNT(topics); i++) {
        cr_assert_eq(topic_family(view_from_text(topics[i])), UINT32_MAX, "%s", topics[i]);
    }
}

Test(topic, the_first_token_ends_at_the_first_dot)
{
    assert_text(topic_first_token(VIEW_LITERAL("core.event.x")), "core");
    assert_text(topic_first_token(VIEW_LITERAL("core")), "core");
    assert_text(topic_first_token(VIEW_LITERAL("$bus.hello")), "$bus");
}

Test(topic, legal_patterns)
{
    static const struct {
        const char *pattern;
        bool legal;
    } rows[] = {
        {"core.event.x", true}, {"core.", true},    {"*", true},     {">", true},
        {"core.*", true},       {"core.>", true},   {"*.*.x", true}, {"core.*.>", true},
        {"$bus.peer.*", true},  {"", false},        {">.a", false},  {"core.>.x", false},
        {"core.*x", false},     {"core.*.", false}, {"a..>", false}, {".*", false},
        {"a.*..b", false},      {"a b.*", false},   {"*.$x", false}, {"a.**", false},
        {"core..", false},      {"*.a b", false},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        cr_assert_eq(topic_pattern_is_legal(view_from_text(rows[i].pattern)),
                     rows[i].legal,
                     "%s",
                     rows[i].pattern);
    }
    char pattern[TOPIC_SIZE_MAX + 2] = "*.";
    memset(pattern + 2, 'a', sizeof(pattern) - 2);
    cr_assert(topic_pattern_is_legal(view_from(pattern, TOPIC_SIZE_MAX)));
    cr_assert(!topic_pattern_is_legal(view_from(pattern, TOPIC_SIZE_MAX + 1)));
}

Test(topic, patterns_match_as_in_nats)
{
    static const struct {
        const char *pattern;
        const char *topic;
        bool matches;
    } rows[] = {
        {"core.event.x", "core.event.x", true},
        {"core.event.x", "core.event.xy", false},
        {"core.event.x", "core.event.x.y", false},
        {"core.", "core.event.x", true},
        {"core.", "core", false},
        {"core.", "corex.y", false},
        {"core.*", "core.a", true},
        {"core.*", "core.a.b", false},
        {"core.*", "core", false},
        {"*.event.*", "core.event.x", true},
        {"*.event.*", "core.events.x", false},
        {"*", "core", true},
        {"*", "core.a", false},
        {">", "core", true},
        {">", "core.a.b.c", true},
        {"core.>", "core.a", true},
        {"core.>", "core.a.b", true},
        {"core.>", "core", false},
        {"core.*.>", "core.a", false},
        {"core.*.>", "core.a.b", true},
        {"core.*.x", "core.a.x", true},
        {"core.*.x", "core.a.y", false},
        {"core.*.x", "core.a.x.z", false},
        {"*.*", "a.b", true},
        {"*.*", "a", false},
        {"$bus.*.up", "$bus.peer.up", true},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        cr_assert_eq(
            topic_pattern_matches(view_from_text(rows[i].pattern), view_from_text(rows[i].topic)),
            rows[i].matches,
            "%s on %s",
            rows[i].pattern,
            rows[i].topic);
    }
}

Test(topic, the_fixed_prefix_of_a_pattern_ends_before_its_first_wildcard)
{
    static const struct {
        const char *pattern;
        const char *prefix;
    } rows[] = {
        {"core.event.x", "core.event.x"},
        {"core.", "core."},
        {"core.*", "core."},
        {"core.event.*.x", "core.event."},
        {">", ""},
        {"*.x", ""},
        {"core.>", "core."},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        bus_view_t pattern = view_from_text(rows[i].pattern);
        bus_view_t prefix = topic_pattern_prefix(pattern);
        assert_text(prefix, rows[i].prefix);
        cr_assert_eq(prefix.data, pattern.data);
    }
}

Test(topic, classes_have_words)
{
    cr_assert_str_eq(topic_class_text(TOPIC_JOURNALED), "journaled");
    cr_assert_str_eq(topic_class_text(TOPIC_LIVE), "live");
    cr_assert_str_eq(topic_class_text(TOPIC_REQUEST), "request");
    cr_assert_str_eq(topic_class_text(TOPIC_BUS), "bus");
    cr_assert_str_eq(topic_class_text(TOPIC_INBOX), "inbox");
}
