// show.c - what the brain knows, packed. See show.h.
#include "show.h"

#include "drift.h"
#include "drill.h"
#include "live.h"
#include "score.h"
#include "window.h"

#define S(us) ((double) (us) / 1e6)

// Walks a table in key order and packs what `fn` makes of each row into an array, until `limit`.
typedef bool(row_fn)(bus_view_t key, bus_view_t value, pack_t *out);

static bus_err_t
pack_rows(store_txn_t *txn, brain_table_t table, uint32_t limit, row_fn *fn, pack_t *out)
{
    BUS_AUTO(store_cursor_destroy) store_cursor_t *cursor = NULL;
    bus_view_t key = VIEW_NONE;
    bus_view_t value = VIEW_NONE;
    uint32_t count = 0;
    size_t place = pack_array_begin(out);
    bus_err_t err = store_cursor_open(txn, table, &cursor);
    err = err == BUS_OK ? store_first(cursor, &key, &value) : err;
    while ((err == BUS_OK || err == BUS_CORRUPT) && count < limit) {
        count += err == BUS_OK && fn(key, value, out) ? 1 : 0;
        err = store_next(cursor, &key, &value);
    }
    pack_count(out, place, count);
    return store_forgive(err);
}

static void
pack_at(pack_t *out, const char *key, uint64_t at)
{
    if (at == 0) {
        pack_pair_nil(out, key);
    } else {
        pack_pair_rfc3339(out, key, at);
    }
}

static bus_view_t
padded(const char *text, size_t size)
{
    return view_from(text, strnlen(text, size));
}

// --- Drifts and scores ---------------------------------------------------------------------------

bus_err_t
brain_show_drifts(store_txn_t *txn, uint32_t limit, pack_t *out, uint32_t *ret_count)
{
    BUS_AUTO(store_cursor_destroy) store_cursor_t *cursor = NULL;
    bus_view_t key = VIEW_NONE;
    bus_view_t value = VIEW_NONE;
    size_t place = pack_array_begin(out);
    *ret_count = 0;
    bus_err_t err = store_cursor_open(txn, BRAIN_DRIFTS, &cursor);
    err = err == BUS_OK ? store_last(cursor, &key, &value) : err;
    while ((err == BUS_OK || err == BUS_CORRUPT) && *ret_count < limit) {
        if (err == BUS_OK) {
            pack_raw(out, value);
            ++*ret_count;
        }
        err = store_prev(cursor, &key, &value);
    }
    pack_count(out, place, *ret_count);
    return store_forgive(err);
}

static bool
read_score(bus_view_t value, brain_score_t *ret_score)
{
    if (value.size != sizeof *ret_score) {
        return false;
    }
    memcpy(ret_score, value.data, sizeof *ret_score);
    return ret_score->samples > 0;
}

// Seven pairs.
static void
pack_score(const brain_score_t *score, pack_t *out)
{
    double samples = (double) score->samples;
    double value = brain_score_of(score);
    pack_pair_real(out, "score", value);
    pack_pair_uint(out, "samples", score->samples);
    pack_pair_real(out, "success_rate", (double) score->successes / samples);
    pack_pair_real(out, "avg_quality", score->quality / samples);
    pack_pair_real(out, "avg_minutes", score->minutes / samples);
    pack_pair_text(out, "advice", brain_score_advice(value));
    pack_pair_bool(out, "recommended", value > BRAIN_SCORE_RECOMMEND);
}

static bool
score_row(bus_view_t key, bus_view_t value, pack_t *out)
{
    brain_score_t score;
    if (!read_score(value, &score)) {
        return false;
    }
    pack_map(out, 8);
    pack_pair_str(out, "key", key);
    pack_score(&score, out);
    return true;
}

bus_err_t
brain_show_scores(store_txn_t *txn, uint32_t limit, pack_t *out)
{
    return pack_rows(txn, BRAIN_SCORES, limit, score_row, out);
}

static bool
outcome_row(bus_view_t key, bus_view_t value, pack_t *out)
{
    brain_score_t score;
    const char *nul = memchr(key.data, '\0', key.size);
    if (nul == NULL || !read_score(value, &score)) {
        return false;
    }
    size_t size = (size_t) (nul - key.data);
    pack_map(out, 9);
    pack_pair_str(out, "issue_type", view_from(key.data, size));
    pack_pair_str(out, "action", view_from(nul + 1, key.size - size - 1));
    pack_score(&score, out);
    return true;
}

bus_err_t
brain_show_outcomes(store_txn_t *txn, uint32_t limit, pack_t *out)
{
    return pack_rows(txn, BRAIN_OUTCOMES, limit, outcome_row, out);
}

static bool
recommendation_row(bus_view_t key, bus_view_t value, pack_t *out)
{
    brain_score_t score;
    if (!read_score(value, &score) || brain_score_of(&score) <= BRAIN_SCORE_RECOMMEND) {
        return false;
    }
    pack_str(out, key);
    return true;
}

bus_err_t
brain_show_recommendations(store_txn_t *txn, uint32_t limit, pack_t *out)
{
    return pack_rows(txn, BRAIN_SCORES, limit, recommendation_row, out);
}

// --- Metrics -------------------------------------------------------------------------------------

bus_err_t
brain_show_config(store_txn_t *txn, pack_t *out)
{
    brain_config_t config;
    bus_err_t err = brain_config_get(txn, &config);
    if (err == BUS_OK) {
        pack_text(out, "config");
        pack_map(out, 4);
        pack_pair_real(out, "drill_seconds", S(config.drill_us));
        pack_pair_real(out, "cooldown_seconds", S(config.cooldown_us));
        pack_pair_uint(out, "depth_max", config.depth_max);
        pack_pair_bool(out, "drills", config.drills);
    }
    return err;
}

void
brain_show_baselines(pack_t *out)
{
    uint32_t count = 0;
    pack_text(out, "baselines");
    size_t place = pack_array_begin(out);
    for (unsigned i = 0; i < BRAIN_METRIC_COUNT; i++) {
        const brain_metric_row_t *row = &brain_metric_rows[i];
        if (!row->has_rule) {
            continue;
        }
        count++;
        pack_map(out, 7);
        pack_pair_text(out, "metric", row->name);
        pack_pair_text(out, "source", row->drill != NULL ? "drill" : "queue");
        pack_pair_text(out, "issue_type", row->issue_type);
        pack_pair_text(out, "worse", row->is_high ? "above" : "below");
        pack_pair_real(out, "baseline", row->baseline);
        pack_pair_real(out, "threshold", row->threshold);
        pack_pair_real(out, "well", row->well);
    }
    pack_count(out, place, count);
}

static void
pack_watch(const brain_metric_row_t *row, const brain_watch_t *watch, pack_t *out)
{
    const brain_detector_t *detector = &watch->detector;
    bool has_learned = detector->count >= BRAIN_DETECTOR_FIRST;
    pack_map(out, has_learned ? 13 : 9);
    pack_pair_text(out, "metric", row->name);
    pack_pair_text(out,
                   "source",
                   row->drill != NULL       ? "drill"
                   : row->telemetry != NULL ? "telemetry"
                                            : "queue");
    pack_pair_text(out, "issue_type", row->issue_type);
    pack_pair_text(out, "detector", BRAIN_DETECTOR_NAME);
    pack_pair_uint(out, "observed", watch->seen);
    pack_pair_uint(out, "samples", detector->count);
    pack_pair_real(out, "last", watch->last);
    pack_at(out, "last_at", watch->last_at);
    pack_pair_uint(out, "drifts", watch->drifts);
    if (has_learned) {
        pack_pair_real(out, "mean", detector->mean);
        pack_pair_real(out, "deviation", brain_detector_deviation(detector, row->floor));
        pack_pair_real(out, "sum", detector->sum);
        pack_pair_real(out, "sum_max", BRAIN_DETECTOR_LAMBDA);
    }
}

bus_err_t
brain_show_learned(store_txn_t *txn, pack_t *out)
{
    bus_err_t err = BUS_OK;
    uint32_t count = 0;
    pack_text(out, "learned");
    size_t place = pack_array_begin(out);
    for (unsigned i = 0; i < BRAIN_METRIC_COUNT && err == BUS_OK; i++) {
        brain_watch_t watch;
        err = brain_drift_watch(txn, &brain_metric_rows[i], &watch);
        if (err == BUS_OK && watch.seen > 0) {
            pack_watch(&brain_metric_rows[i], &watch, out);
            count++;
        }
    }
    pack_count(out, place, count);
    return err;
}

// --- Issues --------------------------------------------------------------------------------------

// The key's first word is the intent, the rest the issue_type.
static bool
issue_row(bus_view_t key, bus_view_t value, pack_t *out)
{
    brain_issue_t issue;
    if (value.size != sizeof issue) {
        return false;
    }
    memcpy(&issue, value.data, sizeof issue);
    const char *space = memchr(key.data, ' ', key.size);
    size_t size = space == NULL ? key.size : (size_t) (space - key.data);
    pack_map(out, 11);
    pack_pair_str(out, "intent", view_from(key.data, size));
    pack_pair_str(
        out, "issue_type", space == NULL ? VIEW_NONE : view_from(space + 1, key.size - size - 1));
    pack_pair_text(out, "state", issue.open_at != 0 ? "open" : "over");
    pack_at(out, "seen_at", issue.seen_at);
    pack_at(out, "acted_at", issue.acted_at);
    pack_at(out, "ended_at", issue.ended_at);
    pack_pair_uint(out, "seen", issue.seen);
    pack_pair_uint(out, "acted", issue.acted);
    pack_pair_uint(out, "in_a_row", issue.row);
    pack_pair_str(out, "action", padded(issue.action, sizeof issue.action));
    pack_pair_str(out, "trace_id", padded(issue.trace, sizeof issue.trace));
    return true;
}

static bool
open_row(bus_view_t key, bus_view_t value, pack_t *out)
{
    brain_issue_t issue;
    if (value.size != sizeof issue) {
        return false;
    }
    memcpy(&issue, value.data, sizeof issue);
    return issue.open_at != 0 && issue_row(key, value, out);
}

bus_err_t
brain_show_issues(store_txn_t *txn, pack_t *out)
{
    pack_text(out, "open");
    bus_err_t err = pack_rows(txn, BRAIN_ISSUES, BRAIN_ISSUE_MAX, open_row, out);
    pack_text(out, "issues");
    return err == BUS_OK ? pack_rows(txn, BRAIN_ISSUES, BRAIN_ISSUE_MAX, issue_row, out) : err;
}

// --- The queue, drills ---------------------------------------------------------------------------

bus_err_t
brain_show_queue(store_txn_t *txn, const brain_live_t *live, pack_t *out)
{
    brain_issue_t last;
    brain_window_t window;
    bus_err_t err = brain_drill_last(txn, &last);
    err = err == BUS_OK ? brain_window_load(txn, &window) : err;
    if (err != BUS_OK) {
        return err;
    }
    pack_text(out, "drills");
    pack_map(out, 4);
    pack_pair_uint(out, "asked", last.acted);
    pack_pair_bool(out, "open", last.open_at != 0);
    pack_at(out, "last_at", last.acted_at);
    pack_at(out, "ended_at", last.ended_at);
    pack_text(out, "queue");
    brain_live_pack(live, out);
    pack_text(out, "sla");
    pack_map(out, 2);
    pack_pair_uint(out, "tasks", window.count);
    pack_pair_real(out, "compliance", brain_window_share(&window));
    return BUS_OK;
}

void
brain_show_intents(pack_t *out)
{
    pack_text(out, "intents");
    pack_array(out, BRAIN_INTENT_COUNT);
    for (unsigned i = 0; i < BRAIN_INTENT_COUNT; i++) {
        const brain_intent_row_t *row = &brain_intent_rows[i];
        pack_map(out, 6);
        pack_pair_text(out, "intent", row->name);
        pack_pair_text(out, "priority", row->priority);
        pack_pair_real(out, "sla_seconds", row->sla_seconds);
        pack_pair_text(out, "handler", row->handler);
        pack_pair_str(out, "task_type", view_from_text(row->task_type));
        pack_pair_text(out, "trigger", row->trigger);
    }
}
