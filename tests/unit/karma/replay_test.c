// replay_test.c - replays that take longer than one turn of the loop, and those of simulated time.
#include "help.h"
#include "karma/replay.h"
#include "karma/user.h"
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

enum { LONG = 2500 }; // events: some portions

static void
live_long(help_t *h, const char *user_id)
{
    for (unsigned i = 0; i < LONG; i++) {
        h->at += 60000000;
        help_act(h, user_id, i % 7 == 0 ? "cheat" : "helping_peers");
    }
}

static void
kept_hash(help_t *h, const char *user_id, char ret_hash[80])
{
    strcpy(ret_hash, help_value(h, "profile", user_id, "state_hash"));
}

Test(replay, of_many_events_gives_way_and_comes_to_the_same)
{
    help_t *h = help_new();
    char hash[80];
    char at_noon[80] = "";
    live_long(h, "u");
    kept_hash(h, "u", hash);
    cr_assert_eq(help_begin(h, "replay", "{\"user_id\":\"u\"}"), BUS_BUSY);
    help_act(h, "u", "cheat"); // what comes after the question is left out
    help_act(h, "v", "cheat");
    cr_assert_eq(help_finish(h), BUS_OK);
    cr_assert_str_eq(help_at(h, "matches"), "true");
    cr_assert_str_eq(help_at(h, "state_hash"), hash);
    cr_assert_str_eq(help_at(h, "events"), "2500");
    // Two at once, of which one is cut, each go their way.
    h->late_err = BUS_INTERNAL;
    cr_assert_eq(help_begin(h, "replay", "{\"user_id\":\"u\"}"), BUS_BUSY);
    cr_assert_eq(help_begin(h, "replay", "{\"user_id\":\"u\",\"until\":\"2026-01-01T12:00:00Z\"}"),
                 BUS_BUSY);
    cr_assert_eq(help_finish(h), BUS_OK);
    cr_assert_str_eq(help_at(h, "events"), "2501"); // it was longer, and so the last
    strcpy(at_noon, help_at(h, "state_hash"));
    kept_hash(h, "u", hash);
    cr_assert_str_eq(at_noon, hash);
    help_destroy(&h);
}

Test(replay, of_many_events_has_a_limit_at_once)
{
    help_t *h = help_new();
    live_long(h, "u");
    for (unsigned i = 0; i < KARMA_REPLAYS_MAX; i++) {
        cr_assert_eq(help_begin(h, "replay", "{\"user_id\":\"u\"}"), BUS_BUSY);
    }
    cr_assert_eq(h->late, KARMA_REPLAYS_MAX);
    cr_assert_eq(help_begin(h, "replay", "{\"user_id\":\"u\"}"), BUS_BUSY);
    cr_assert_eq(h->late, KARMA_REPLAYS_MAX, "it was refused");
    help_act(h, "v", "cheat");
    cr_assert_str_eq(help_value(h, "replay", "v", "matches"), "true"); // a short one needs no place
    cr_assert_eq(help_finish(h), BUS_OK);
    cr_assert_str_eq(help_at(h, "matches"), "true");
    cr_assert_str_eq(help_value(h, "replay", "u", "matches"), "true");
    help_destroy(&h);
}

Test(replay, ends_where_the_user_is_removed_meanwhile)
{
    help_t *h = help_new();
    live_long(h, "u");
    cr_assert_eq(help_begin(h, "replay", "{\"user_id\":\"u\"}"), BUS_BUSY);
    cr_assert_eq(help_apply(h, "karma.test.delete_user", "{\"user_id\":\"u\"}"), BUS_OK);
    cr_assert_eq(help_finish(h), BUS_ABORTED);
    cr_assert_str_eq(help_at(h, "message"), "\"the user was removed while it was replayed\"");
    help_destroy(&h);
}

Test(replay, under_way_is_forgotten_with_the_service)
{
    help_t *h = help_new();
    live_long(h, "u");
    cr_assert_eq(help_begin(h, "replay", "{\"user_id\":\"u\"}"), BUS_BUSY);
    help_destroy(&h); // the sanitizer says whether something is left
}

// A user's clock never goes back: the state of a time is the last one whose clock was not past it,
// whatever was told late.
Test(replay, until_a_time_goes_by_the_users_clock)
{
    static const struct {
        const char *topic;
        const char *rest;
    } rows[] = {
        {"karma.life_event",
         "\"action\":\"selfless_service\",\"role\":\"r\",\"effective_at\":\"2026-02-01T00:00:"
         "00Z\""},
        {"karma.redeem",
         "\"token_type\":\"PunyaTokens\",\"amount\":3,\"effective_at\":\"2026-01-01T00:00:00Z\""},
        {"karma.life_event",
         "\"action\":\"selfless_service\",\"role\":\"r\",\"effective_at\":\"2026-03-01T00:00:"
         "00Z\""},
        {"karma.redeem",
         "\"token_type\":\"PunyaTokens\",\"amount\":40,\"effective_at\":\"2026-01-15T00:00:00Z\""},
        {"karma.death_event", "\"effective_at\":\"2026-01-16T00:00:00Z\""},
    };
    enum { ROWS = sizeof rows / sizeof rows[0] };
    char hashes[ROWS][80];
    help_t *h = help_new();
    for (unsigned i = 0; i < ROWS; i++) {
        char json[200];
        snprintf(json, sizeof json, "{\"user_id\":\"u\",%s}", rows[i].rest);
        cr_assert_eq(help_apply(h, rows[i].topic, json), BUS_OK, "%u", i);
        kept_hash(h, "u", hashes[i]);
    }
    static const struct {
        const char *until;
        int row; // the last that is in it
    } times[] = {
        {"2026-01-31T00:00:00Z", -1},
        {"2026-02-01T00:00:00Z", 1},
        {"2026-02-28T00:00:00Z", 1},
        {"2026-03-01T00:00:00Z", 4},
        {"9999-01-01T00:00:00Z", 4},
    };
    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
        char json[100];
        snprintf(json, sizeof json, "{\"user_id\":\"u\",\"until\":\"%s\"}", times[i].until);
        bus_err_t err = help_ask(h, "replay", json);
        cr_assert_eq(err, times[i].row < 0 ? BUS_USER_NOT_FOUND : BUS_OK, "%s", times[i].until);
        if (err == BUS_OK) {
            cr_assert_str_eq(help_at(h, "state_hash"), hashes[times[i].row], "%s", times[i].until);
        }
    }
    help_destroy(&h);
}
