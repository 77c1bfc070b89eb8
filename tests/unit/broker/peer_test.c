// peer_test.c - who is there, whose turn it is, and who is gone.
#include "broker/peer.h"
#include <criterion/criterion.h>
#include <stdio.h>

static peer_t
peer_of(const char *service, const char *instance)
{
    return (peer_t){.service = view_from_text(service),
                    .instance = view_from_text(instance),
                    .inbox = VIEW_LITERAL("_inbox.a.1"),
                    .source = VIEW_LITERAL("me")};
}

static bool
hello(peer_table_t *peers, const char *service, const char *instance, uint64_t now_ms)
{
    peer_t peer = peer_of(service, instance);
    bool is_new = false;
    cr_assert_eq(peer_register(peers, &peer, now_ms, &is_new), BUS_OK);
    return is_new;
}

static bool
any(void *arg BUS_UNUSED, const peer_t *peer BUS_UNUSED)
{
    return true;
}

static bool
all_but(void *arg, const peer_t *peer)
{
    return !view_is(peer->instance, arg);
}

// The instance that is chosen, as text that lives until the next call.
static const char *
chosen(peer_table_t *peers, const char *asked)
{
    static char text[65];
    const peer_t *peer = peer_choose(peers, view_from_text(asked), any, NULL);
    if (peer == NULL) {
        return "nobody";
    }
    snprintf(text, sizeof(text), "%.*s", (int) peer->instance.size, peer->instance.data);
    return text;
}

typedef struct {
    unsigned count;
    char instance[65];
    char why[16];
} gone_t;

static void
on_down(void *arg, const peer_t *peer, const char *why)
{
    gone_t *gone = arg;
    gone->count++;
    snprintf(gone->instance,
             sizeof(gone->instance),
             "%.*s",
             (int) peer->instance.size,
             peer->instance.data);
    snprintf(gone->why, sizeof(gone->why), "%s", why);
}

Test(peer, is_new_once)
{
    BUS_AUTO(peer_table_destroy) peer_table_t *peers = peer_table_new();
    cr_assert(hello(peers, "bucket", "i1", 1000));
    cr_assert_not(hello(peers, "bucket", "i1", 2000));
    cr_assert_not(hello(peers, "karma", "i1", 3000)); // it may change what it answers for
    cr_assert_eq(peer_count(peers), 1);
    cr_assert_str_eq(chosen(peers, "karma.get"), "i1");
    cr_assert_str_eq(chosen(peers, "bucket.get"), "nobody");
}

Test(peer, instances_take_turns)
{
    BUS_AUTO(peer_table_destroy) peer_table_t *peers = peer_table_new();
    hello(peers, "bucket", "i1", 0);
    hello(peers, "bucket", "i2", 0);
    hello(peers, "bucket", "i3", 0);
    unsigned counts[4] = {0};
    for (int i = 0; i < 30; i++) {
        counts[chosen(peers, "bucket.get")[1] - '0']++;
        hello(peers, "bucket", "i2", 1); // a beat in between does not disturb
    }
    cr_assert_eq(counts[1], 10);
    cr_assert_eq(counts[2], 10);
    cr_assert_eq(counts[3], 10);
}

Test(peer, the_longest_registered_name_wins)
{
    BUS_AUTO(peer_table_destroy) peer_table_t *peers = peer_table_new();
    hello(peers, "agent", "short", 0);
    hello(peers, "agent.translator", "long", 0);
    cr_assert_str_eq(chosen(peers, "agent.translator.run"), "long");
    cr_assert_str_eq(chosen(peers, "agent.translator"), "long");
    cr_assert_str_eq(chosen(peers, "agent.other.run"), "short");
    cr_assert_str_eq(chosen(peers, "agent.translators.run"), "short"); // whole tokens only
    cr_assert_str_eq(chosen(peers, "agents.run"), "nobody");
    cr_assert_null(peer_choose(peers, VIEW_LITERAL("agent.translator.run"), all_but, "long"));
}

Test(peer, an_unreachable_instance_loses_its_turn)
{
    BUS_AUTO(peer_table_destroy) peer_table_t *peers = peer_table_new();
    hello(peers, "bucket", "i1", 0);
    hello(peers, "bucket", "i2", 0);
    for (int i = 0; i < 4; i++) {
        const peer_t *peer = peer_choose(peers, VIEW_LITERAL("bucket.get"), all_but, "i1");
        cr_assert(view_is(peer->instance, "i2"));
    }
}

Test(peer, that_says_bye_is_gone)
{
    BUS_AUTO(peer_table_destroy) peer_table_t *peers = peer_table_new();
    gone_t gone = {0};
    hello(peers, "bucket", "i1", 0);
    hello(peers, "bucket", "i2", 0);
    peer_leave(peers, VIEW_LITERAL("i1"), "bye", on_down, &gone);
    peer_leave(peers, VIEW_LITERAL("i1"), "bye", on_down, &gone);
    cr_assert_eq(gone.count, 1);
    cr_assert_str_eq(gone.instance, "i1");
    cr_assert_str_eq(gone.why, "bye");
    cr_assert_str_eq(chosen(peers, "bucket.get"), "i2");
    cr_assert(hello(peers, "bucket", "i1", 1));
}

Test(peer, that_misses_three_beats_is_gone)
{
    BUS_AUTO(peer_table_destroy) peer_table_t *peers = peer_table_new();
    gone_t gone = {0};
    hello(peers, "bucket", "i1", 1000);
    hello(peers, "", "i2", 1000);
    for (uint64_t now = 2000; now <= 3000; now += 1000) {
        hello(peers, "", "i2", now);
        peer_expire(peers, now, on_down, &gone);
        cr_assert_eq(gone.count, 0);
    }
    peer_expire(peers, 4000, on_down, &gone);
    cr_assert_eq(gone.count, 1);
    cr_assert_str_eq(gone.instance, "i1");
    cr_assert_str_eq(gone.why, "silent");
    cr_assert_eq(peer_count(peers), 1);
}

Test(peer, is_not_judged_by_a_time_in_which_the_broker_itself_stood_still)
{
    BUS_AUTO(peer_table_destroy) peer_table_t *peers = peer_table_new();
    gone_t gone = {0};
    hello(peers, "bucket", "i1", 1000);
    peer_expire(peers, 2000, on_down, &gone);
    peer_expire(peers, 60000, on_down, &gone); // stopped for 58 s: its beats wait unread
    cr_assert_eq(gone.count, 0);
    peer_expire(peers, 61000, on_down, &gone);
    peer_expire(peers, 62000, on_down, &gone);
    cr_assert_eq(gone.count, 0);
    peer_expire(peers, 63000, on_down, &gone);
    cr_assert_eq(gone.count, 1);
}

Test(peer, one_over_the_limit_is_refused)
{
    BUS_AUTO(peer_table_destroy) peer_table_t *peers = peer_table_new();
    char name[32];
    for (int i = 0; i < PEERS_MAX; i++) {
        snprintf(name, sizeof(name), "i%d", i);
        hello(peers, "", name, 0);
    }
    peer_t peer = peer_of("", "more");
    bool is_new;
    cr_assert_eq(peer_register(peers, &peer, 0, &is_new), BUS_BUSY);
    cr_assert_not(hello(peers, "", "i5", 0)); // a known one still beats
    gone_t gone = {0};
    peer_leave(peers, VIEW_LITERAL("i7"), "bye", on_down, &gone);
    cr_assert(hello(peers, "", "more", 0));
}

// A bucket i1 that was asked `a` and `b`. By chance two push each other out: then another table.
static peer_table_t *
peers_asked(bus_view_t inbox)
{
    for (int tries = 0; tries < 4; tries++) {
        peer_table_t *peers = peer_table_new();
        hello(peers, "bucket", "i1", 0);
        const peer_t *peer = peer_choose(peers, VIEW_LITERAL("bucket.get"), any, NULL);
        peer_asked(peers, peer, inbox, VIEW_LITERAL("a"), 0);
        peer_asked(peers, peer, inbox, VIEW_LITERAL("b"), 0);
        if (peer_waiting(peers, peer) == 2) {
            return peers;
        }
        peer_table_destroy(&peers);
    }
    cr_assert_fail("two are never waited for");
    return NULL;
}

Test(peer, that_was_asked_and_does_not_answer_is_waited_for)
{
    const bus_view_t inbox = VIEW_LITERAL("_inbox.b.1");
    BUS_AUTO(peer_table_destroy) peer_table_t *peers = peers_asked(inbox);
    gone_t gone = {0};
    hello(peers, "bucket", "i1", 500); // a beat changes nothing of it
    const peer_t *peer = peer_choose(peers, VIEW_LITERAL("bucket.get"), any, NULL);
    cr_assert_eq(peer_waiting(peers, peer), 2);
    peer_answered(peers, inbox, VIEW_LITERAL("a"));
    cr_assert_eq(peer_waiting(peers, peer), 1);
    peer_began(peers, VIEW_LITERAL("i1"));
    cr_assert_eq(peer_waiting(peers, peer), 0);
    peer_asked(peers, peer, inbox, VIEW_LITERAL("c"), 0);
    peer_leave(peers, VIEW_LITERAL("i1"), "bye", on_down, &gone);
    hello(peers, "bucket", "i2", 0); // may get the place of the one that left
    peer = peer_choose(peers, VIEW_LITERAL("bucket.get"), any, NULL);
    cr_assert_eq(peer_waiting(peers, peer), 0);
}
