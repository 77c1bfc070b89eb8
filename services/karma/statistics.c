// statistics.c - what all users did together: sums by week and hour, counts, and what was learned.
// Source: docs/originals.md 1.4 to 1.6.
//
// A question takes no wall clock: its window ends at the `now` that the asker gives, or at the time
// of the last event applied. The same journal and the same question give the same answer.
#include "intake.h"
#include "operations.h"
#include "proto/rfc3339.h"
#include "qtable.h"
#include "sum.h"
#include "totals.h"
#include "user.h"
#include <stdio.h>

enum {
    WEEKS_DEFAULT = 4,
    HOURS_BACK = 24,
    SAMPLE_USERS = 10 // whose average net karma is told; the original's number
};

bus_err_t
karma_statistics_policy(service_query_t *self, BUS_UNUSED const void *message)
{
    karma_qtable_t qtable;
    bus_err_t err = karma_qtable_load(self->txn, &qtable);
    if (err != BUS_OK) {
        return err;
    }
    pack_t *out = self->answer;
    pack_map(out, 3);
    pack_text(out, "best_policy");
    pack_map(out, KARMA_ROLE_COUNT);
    for (unsigned role = 0; role < KARMA_ROLE_COUNT; role++) {
        karma_column_t best = karma_qtable_best(&qtable, (karma_role_t) role);
        pack_pair_text(out, karma_rules.roles[role].word, karma_rules.columns[best]);
    }
    pack_text(out, "Q_shape");
    pack_array(out, 2);
    pack_int(out, KARMA_ROLE_COUNT);
    pack_int(out, KARMA_COLUMN_COUNT);
    pack_text(out, "q");
    pack_array(out, KARMA_ROLE_COUNT);
    for (unsigned role = 0; role < KARMA_ROLE_COUNT; role++) {
        pack_array(out, KARMA_COLUMN_COUNT);
        for (unsigned column = 0; column < KARMA_COLUMN_COUNT; column++) {
            pack_real(out, qtable.q[role][column]);
        }
    }
    return BUS_OK;
}

bus_err_t
karma_statistics_system(service_query_t *self, BUS_UNUSED const void *message)
{
    karma_totals_t totals;
    uint64_t users = 0;
    bus_err_t err = karma_totals_load(self->txn, &totals);
    if (err == BUS_OK) {
        err = store_count(self->txn, KARMA_USERS, &users);
    }
    if (err != BUS_OK) {
        return err;
    }
    char time[RFC3339_SIZE];
    rfc3339_format(totals.last_at, time);
    pack_t *out = self->answer;
    pack_map(out, 2);
    pack_pair_text(out, "status", "success");
    pack_text(out, "system_stats");
    pack_map(out, 10);
    pack_pair_uint(out, "total_users", users);
    pack_pair_uint(out, "total_actions", totals.actions);
    pack_pair_uint(out, "total_events", totals.events);
    pack_pair_uint(out, "total_appeals", totals.appeals);
    pack_pair_uint(out, "total_atonements", totals.appeals);
    pack_pair_uint(out, "pending_atonements", totals.appeals - totals.atoned);
    pack_pair_uint(out, "completed_atonements", totals.atoned);
    pack_pair_uint(out, "total_redemptions", totals.redemptions);
    pack_pair_uint(out, "total_deaths", totals.deaths);
    if (totals.last_at == 0) {
        pack_pair_nil(out, "last_event_at");
    } else {
        pack_pair_text(out, "last_event_at", time);
    }
    return BUS_OK;
}

// The end of the question's window.
static bus_err_t
find_now(service_query_t *self, bus_view_t now, uint64_t *ret_now)
{
    if (now.data != NULL) {
        if (rfc3339_parse(now, ret_now) == BUS_OK) {
            return BUS_OK;
        }
        return karma_intake_refuse_asked(self, "now", "is no RFC 3339 time");
    }
    karma_totals_t totals;
    bus_err_t err = karma_totals_load(self->txn, &totals);
    if (err == BUS_OK) {
        *ret_now = totals.last_at;
    }
    return err;
}

// --- Weeks ---------------------------------------------------------------------------------------

typedef struct {
    uint64_t first; // week
    uint64_t last;
    uint64_t now;
} window_t;

static void
pack_week_start(pack_t *out, uint64_t week)
{
    char time[RFC3339_SIZE];
    rfc3339_format(karma_sum_week_start(week), time);
    pack_pair_text(out, "week_start", time);
}

static void
pack_flow(pack_t *out, uint64_t week, const karma_sum_t *sum)
{
    pack_map(out, 6);
    pack_week_start(out, week);
    pack_pair_real(out, "dharma_points", sum->dharma);
    pack_pair_real(out, "seva_points", sum->seva);
    pack_pair_real(out, "paap_tokens", sum->paap);
    pack_pair_real(out, "punya_tokens", sum->punya);
    pack_pair_uint(out, "event_count", sum->count);
}

static void
pack_ratio(pack_t *out, uint64_t week, const karma_sum_t *sum)
{
    double both = sum->paap + sum->punya;
    pack_map(out, 7);
    pack_week_start(out, week);
    pack_pair_real(out, "paap_total", sum->paap);
    pack_pair_real(out, "punya_total", sum->punya);
    pack_pair_uint(out, "event_count", sum->count);
    pack_pair_real(out, "paap_ratio", both > 0.0 ? sum->paap / both : 0.0);
    pack_pair_real(out, "punya_ratio", both > 0.0 ? sum->punya / both : 0.0);
    pack_pair_real(out, "paap_punya_ratio", sum->punya > 0.0 ? sum->paap / sum->punya : 0.0);
}

typedef void(pack_week_fn)(pack_t *out, uint64_t week, const karma_sum_t *sum);

static bus_err_t
pack_trend(service_query_t *self, const char *name, const window_t *window, pack_week_fn *fn)
{
    pack_t *out = self->answer;
    uint64_t weeks = window->last - window->first + 1;
    char period[32];
    char start[RFC3339_SIZE];
    char end[RFC3339_SIZE];
    (void) snprintf(period, sizeof period, "%llu weeks", (unsigned long long) weeks);
    rfc3339_format(karma_sum_week_start(window->first), start);
    rfc3339_format(window->now, end);
    pack_text(out, name);
    pack_map(out, 4);
    pack_pair_text(out, "period", period);
    pack_pair_text(out, "start_date", start);
    pack_pair_text(out, "end_date", end);
    pack_text(out, "trends");
    size_t place = pack_array_begin(out);
    uint32_t count = 0;
    for (uint64_t week = window->first; week <= window->last; week++) {
        karma_sum_t sum;
        bus_err_t err = karma_sum_load(self->txn, KARMA_WEEKS, week, &sum);
        if (err != BUS_OK) {
            return err;
        }
        if (sum.count > 0) {
            fn(out, week, &sum);
            count++;
        }
    }
    pack_count(out, place, count);
    return BUS_OK;
}

bus_err_t
karma_statistics_trends(service_query_t *self, const void *message_)
{
    const schema_karma_trends_query_t *message = message_;
    window_t window;
    bus_err_t err = find_now(self, message->now, &window.now);
    if (err != BUS_OK) {
        return err;
    }
    uint64_t weeks = message->weeks.has ? (uint64_t) message->weeks.value : WEEKS_DEFAULT;
    window.last = karma_sum_week(window.now);
    window.first = window.last + 1 > weeks ? window.last + 1 - weeks : 0;
    pack_t *out = self->answer;
    pack_map(out, 2);
    pack_pair_text(out, "status", "success");
    pack_text(out, "data");
    pack_map(out, 2);
    err = pack_trend(self, "dharma_seva_trends", &window, pack_flow);
    return err == BUS_OK ? pack_trend(self, "paap_punya_trends", &window, pack_ratio) : err;
}

// --- The last hours ------------------------------------------------------------------------------

static bus_err_t
sum_hours(service_query_t *self, uint64_t now, karma_sum_t *ret_sum)
{
    uint64_t last = karma_sum_hour(now);
    karma_sum_t sum = {.count = 0};
    for (uint64_t hour = last > HOURS_BACK ? last - HOURS_BACK : 0; hour <= last; hour++) {
        karma_sum_t one;
        bus_err_t err = karma_sum_load(self->txn, KARMA_HOURS, hour, &one);
        if (err != BUS_OK) {
            return err;
        }
        karma_sum_add(&sum, &one);
    }
    *ret_sum = sum;
    return BUS_OK;
}

// Of the first users in the order of their ids.
static bus_err_t
average_net(service_query_t *self, double *ret_average)
{
    BUS_AUTO(store_cursor_destroy) store_cursor_t *cursor = NULL;
    bus_err_t err = store_cursor_open(self->txn, KARMA_USERS, &cursor);
    if (err != BUS_OK) {
        return err;
    }
    bus_view_t key;
    bus_view_t value;
    double sum = 0.0;
    unsigned count = 0;
    err = store_first(cursor, &key, &value);
    while (err == BUS_OK && count < SAMPLE_USERS) {
        karma_ledger_t ledger;
        err = karma_user_decode(value, &ledger);
        if (err != BUS_OK) {
            return err;
        }
        sum = sum + karma_ledger_net(&ledger);
        count++;
        err = store_next(cursor, &key, &value);
    }
    if (err != BUS_OK && err != BUS_NOT_FOUND) {
        return err;
    }
    *ret_average = count > 0 ? sum / (double) count : 0.0;
    return BUS_OK;
}

typedef struct {
    uint64_t now;
    uint64_t users;
    karma_sum_t sum;
    double average;
} live_t;

enum { LIVE_PAIRS = 9 };

static void
pack_live(pack_t *out, const live_t *live)
{
    char time[RFC3339_SIZE];
    rfc3339_format(live->now, time);
    pack_pair_text(out, "timestamp", time);
    pack_pair_uint(out, "total_users", live->users);
    pack_pair_uint(out, "events_last_24h", live->sum.count);
    pack_pair_real(out, "dharma_points_last_24h", live->sum.dharma);
    pack_pair_real(out, "seva_points_last_24h", live->sum.seva);
    pack_pair_real(out, "paap_tokens_last_24h", live->sum.paap);
    pack_pair_real(out, "punya_tokens_last_24h", live->sum.punya);
    pack_pair_real(out, "average_net_karma_sample", live->average);
    pack_pair_text(out, "health_status", "healthy"); // it answers
}

bus_err_t
karma_statistics_live(service_query_t *self, const void *message_)
{
    const schema_karma_metrics_query_t *message = message_;
    live_t live;
    bus_err_t err = find_now(self, message->now, &live.now);
    if (err == BUS_OK) {
        err = sum_hours(self, live.now, &live.sum);
    }
    if (err == BUS_OK) {
        err = average_net(self, &live.average);
    }
    if (err == BUS_OK) {
        err = store_count(self->txn, KARMA_USERS, &live.users);
    }
    if (err != BUS_OK) {
        return err;
    }
    pack_t *out = self->answer;
    pack_map(out, 2 + LIVE_PAIRS);
    pack_pair_text(out, "status", "success");
    pack_live(out, &live);
    pack_text(out, "data");
    pack_map(out, LIVE_PAIRS);
    pack_live(out, &live);
    return BUS_OK;
}
