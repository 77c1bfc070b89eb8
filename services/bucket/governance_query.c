// governance_query.c - what is asked of governance: who was refused lately, and which threats were
// met.
#include "governance.h"
#include "proto/rfc3339.h"
#include "proto/walk.h"
#include "threats.h"

#include <stdio.h>

#define HOUR_US 3600000000ULL

enum {
    HOURS = 24,             // where none are given
    SCAN_MAX = 10000,       // violations looked at for one answer, the newest first
    LISTED_MAX = 1000,      // of them in the answer
    LISTED_BYTES = 2000000, // and so many bytes
    NAMES_MAX = 256,        // requesters, or types, that are counted one by one
};

// --- Counting by name ----------------------------------------------------------------------------

// Views live as long as the read transaction.
typedef struct {
    bus_view_t names[NAMES_MAX];
    uint64_t counts[NAMES_MAX];
    uint32_t count;
    uint64_t others; // of the names that found no place
} tally_t;

static void
tally_add(tally_t *self, bus_view_t name)
{
    uint32_t i = 0;
    while (i < self->count && !view_equal(self->names[i], name)) {
        i++;
    }
    if (i == NAMES_MAX) {
        self->others++;
        return;
    }
    self->names[i] = name;
    self->counts[i]++;
    self->count = i == self->count ? i + 1 : self->count;
}

static void
tally_pack(const tally_t *self, const char *key, pack_t *out)
{
    pack_text(out, key);
    pack_map(out, self->count);
    for (uint32_t i = 0; i < self->count; i++) {
        pack_str(out, self->names[i]);
        pack_uint(out, self->counts[i]);
    }
}

// --- Violations ----------------------------------------------------------------------------------

typedef struct {
    uint64_t since; // later than this
    uint64_t until; // 0: not known yet, the newest violation's
    uint64_t hours;
    uint64_t total;
    uint64_t damaged; // records that failed their check
    bool is_cut;      // there may be more than were looked at
    tally_t types;
    tally_t requesters;
    pack_t *list; // an array, open
    size_t place;
    uint32_t listed;
} report_t;

// Takes one record, newest first. False: it, and all before it, are too old.
static bool
report_take(report_t *self, bus_view_t violation)
{
    bus_view_t value;
    uint64_t at = 0;
    if (walk_find(violation, "at", &value) != BUS_OK || walk_as_uint(value, &at) != BUS_OK) {
        self->damaged++;
        return true;
    }
    if (self->until == 0) {
        self->until = at;
        self->since = at > self->hours * HOUR_US ? at - self->hours * HOUR_US : 0;
    }
    if (at <= self->since) {
        return false;
    }
    self->total++;
    tally_add(&self->types, walk_text_at(violation, "violation_type"));
    tally_add(&self->requesters, walk_text_at(violation, "requester_id"));
    if (self->listed < LISTED_MAX && pack_view(self->list).size < LISTED_BYTES) {
        pack_raw(self->list, violation);
        self->listed++;
    }
    return true;
}

static bus_err_t
report_walk(report_t *self, store_txn_t *txn)
{
    BUS_AUTO(store_cursor_destroy) store_cursor_t *cursor = NULL;
    bus_err_t err = store_cursor_open(txn, BUCKET_VIOLATIONS, &cursor);
    bus_view_t key;
    bus_view_t value;
    unsigned seen = 0;
    if (err != BUS_OK) {
        return err;
    }
    for (err = store_last(cursor, &key, &value); err == BUS_OK || err == BUS_CORRUPT;
         err = store_prev(cursor, &key, &value)) {
        self->is_cut = ++seen > SCAN_MAX;
        if (self->is_cut) {
            return BUS_OK;
        }
        if (err == BUS_CORRUPT) {
            self->damaged++;
        } else if (!report_take(self, value)) {
            return BUS_OK;
        }
    }
    return err == BUS_NOT_FOUND ? BUS_OK : err;
}

static void
report_pack(const report_t *self, pack_t *out)
{
    size_t map = pack_map_begin(out);
    uint32_t count = 5;
    pack_pair_uint(out, "hours", self->hours);
    pack_pair_uint(out, "total", self->total);
    tally_pack(&self->types, "by_type", out);
    tally_pack(&self->requesters, "by_requester", out);
    pack_pair_raw(out, "violations", pack_view(self->list));
    if (self->is_cut) {
        pack_pair_bool(out, "total_is_lower_bound", true);
        count++;
    }
    if (self->requesters.others + self->types.others > 0) {
        pack_pair_uint(out, "others", self->requesters.others + self->types.others);
        count++;
    }
    if (self->damaged > 0) {
        pack_pair_uint(out, "damaged", self->damaged);
        count++;
    }
    pack_count(out, map, count);
}

bus_err_t
bucket_governance_query_violations(service_query_t *query, const void *message)
{
    const schema_hours_query_t *asked = message;
    report_t report = {.hours = asked->hours.has ? (uint64_t) asked->hours.value : HOURS};
    if (asked->now.data != NULL) {
        if (rfc3339_parse(asked->now, &report.until) != BUS_OK) {
            return service_query_refuse(
                query, BUS_VALIDATION_FAILED, "now must be a time as RFC 3339 has it", VIEW_NONE);
        }
        uint64_t span = report.hours * HOUR_US;
        report.since = report.until > span ? report.until - span : 0;
    }
    BUS_AUTO(pack_destroy) pack_t *list = pack_new();
    report.list = list;
    report.place = pack_array_begin(list);
    bus_err_t err = report_walk(&report, query->txn);
    if (err == BUS_OK) {
        pack_count(list, report.place, report.listed);
        report_pack(&report, query->answer);
    }
    return err;
}

// --- Threats -------------------------------------------------------------------------------------

static void
pack_threat(const bucket_threats_row_t *row, const bucket_threats_count_t *met, pack_t *out)
{
    char code[8];
    (void) snprintf(code, sizeof code, "T%u", row->number);
    pack_map(out, row->also == NULL ? 6 : 7);
    pack_pair_text(out, "id", row->id);
    pack_pair_text(out, "threat", code);
    pack_pair_text(out, "name", row->name);
    pack_pair_text(out, "severity", row->severity);
    pack_pair_uint(out, "blocked", met->blocked);
    if (met->last != 0) {
        pack_pair_rfc3339(out, "last", met->last);
    } else {
        pack_pair_nil(out, "last");
    }
    if (row->also != NULL) {
        pack_pair_text(out, "also", row->also);
    }
}

bus_err_t
bucket_governance_query_threats(service_query_t *query, const void *message BUS_UNUSED)
{
    uint64_t total = 0;
    pack_t *out = query->answer;
    pack_map(out, 2);
    pack_text(out, "threats");
    pack_array(out, BUCKET_THREATS_COUNT);
    for (unsigned threat = 1; threat <= BUCKET_THREATS_COUNT; threat++) {
        bucket_threats_count_t met;
        bus_err_t err = bucket_threats_get(query->txn, threat, &met);
        if (err != BUS_OK) {
            pack_clear(out);
            return err;
        }
        total += met.blocked;
        pack_threat(bucket_threats_row(threat), &met, out);
    }
    pack_pair_uint(out, "blocked", total);
    return BUS_OK;
}
