// prana_query.c - attention packets listed, a person summed up, all of them counted.
#include "prana_self.h"

#include "index.h"
#include "proto/walk.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

enum {
    PACKETS_LIMIT = 100,              // where none is given
    PACKETS_LIMIT_MAX = 1000,         // most packets of a page
    PAGE_BYTES_MAX = 3 * 1024 * 1024, // docs/contract.md section 1
    USERS_LISTED_MAX = 1000,          // of the tracked users
    SEARCH_ROWS_MAX = 100000, // looked at for one page: six days of a person's, of another system
};

// --- Listing -------------------------------------------------------------------------------------

// Which packets: by person, or by system, or both, or all.
typedef struct {
    store_txn_t *txn;
    bus_view_t user_id;     // absent: anybody's
    bus_view_t system_type; // absent: any
    size_t limit;
} search_t;

typedef struct {
    size_t count;
    bus_view_t at[PACKETS_LIMIT_MAX]; // views into the store, newest first
} page_t;

// A damaged packet is left out of a list, not the list's end.
static bus_err_t
take(const search_t *search, bus_err_t err, bus_view_t packet, size_t *bytes, page_t *page)
{
    bus_view_t system;
    if (err != BUS_OK) {
        return err == BUS_CORRUPT || err == BUS_NOT_FOUND ? BUS_OK : err;
    }
    if (search->user_id.data != NULL && search->system_type.data != NULL) {
        bool is_it = walk_find(packet, "system_type", &system) == BUS_OK &&
                     walk_as_str(system, &system) == BUS_OK &&
                     view_equal(system, search->system_type);
        if (!is_it) {
            return BUS_OK;
        }
    }
    if (page->count > 0 && *bytes + packet.size > PAGE_BYTES_MAX) {
        return BUS_FULL;
    }
    *bytes += packet.size;
    page->at[page->count++] = packet;
    return BUS_OK;
}

static bus_err_t
search_index(const search_t *search, page_t *page)
{
    bool by_person = search->user_id.data != NULL;
    const bucket_index_range_t range = {
        .kind = by_person ? BUCKET_INDEX_PERSON : BUCKET_INDEX_SYSTEM,
        .value = by_person ? search->user_id : search->system_type,
        .down = true,
    };
    BUS_AUTO(bucket_index_walk_destroy) bucket_index_walk_t *walk = NULL;
    bus_err_t err = bucket_index_walk_open(search->txn, &range, &walk);
    size_t bytes = 0;
    uint64_t number;
    for (unsigned looked = 0;
         err == BUS_OK && page->count < search->limit && looked < SEARCH_ROWS_MAX;
         looked++) {
        err = bucket_index_walk_next(walk, &number);
        if (err == BUS_OK) {
            bus_view_t packet = VIEW_NONE;
            bus_err_t got = store_get(search->txn, BUCKET_PACKETS, STORE_U64(number), &packet);
            err = take(search, got, packet, &bytes, page);
        }
    }
    return err;
}

static bus_err_t
search_all(const search_t *search, page_t *page)
{
    BUS_AUTO(store_cursor_destroy) store_cursor_t *cursor = NULL;
    bus_err_t err = store_cursor_open(search->txn, BUCKET_PACKETS, &cursor);
    bus_view_t key;
    bus_view_t packet = VIEW_NONE;
    size_t bytes = 0;
    bus_err_t got = err == BUS_OK ? store_last(cursor, &key, &packet) : err;
    while (err == BUS_OK && got != BUS_NOT_FOUND && page->count < search->limit) {
        err = take(search, got, packet, &bytes, page);
        got = err == BUS_OK ? store_prev(cursor, &key, &packet) : got;
    }
    return err;
}

// Packs the last packets that match, oldest first, and how many they are.
static bus_err_t
pack_page(const search_t *search, pack_t *out, size_t *ret_showing)
{
    page_t *page = calloc(1, sizeof *page);
    assert(page != NULL);
    bool is_filtered = search->user_id.data != NULL || search->system_type.data != NULL;
    bus_err_t err = is_filtered ? search_index(search, page) : search_all(search, page);
    err = err == BUS_NOT_FOUND || err == BUS_FULL ? BUS_OK : err;
    if (err == BUS_OK) {
        pack_array(out, (uint32_t) page->count);
        for (size_t i = page->count; i-- > 0;) {
            pack_raw(out, page->at[i]);
        }
        *ret_showing = page->count;
    }
    free(page);
    return err;
}

// How many match in all: the sums know.
static bus_err_t
count_all(const search_t *search, uint64_t *ret_count)
{
    if (search->user_id.data == NULL && search->system_type.data == NULL) {
        return store_count(search->txn, BUCKET_PACKETS, ret_count);
    }
    if (search->user_id.data == NULL) {
        return bucket_index_count(search->txn, BUCKET_INDEX_SYSTEM, search->system_type, ret_count);
    }
    bucket_prana_person_t person;
    bus_err_t err = bucket_prana_person(search->txn, search->user_id, &person);
    prana_system_t system = prana_system(search->system_type);
    *ret_count = system == PRANA_SYSTEM_COUNT ? person.packets : person.systems[system];
    return err == BUS_NOT_FOUND ? BUS_OK : err;
}

static size_t
limit_of(schema_int_t limit)
{
    return limit.has ? (size_t) limit.value : PACKETS_LIMIT;
}

static bus_err_t
refuse_system(service_query_t *query)
{
    const schema_problems_t problems = {.count = 1,
                                        .at = {{"system_type", "must be gurukul or ems"}}};
    BUS_AUTO(pack_destroy) pack_t *details = pack_new();
    schema_pack_problems(&problems, details);
    return service_query_refuse(query, BUS_VALIDATION_FAILED, NULL, pack_view(details));
}

bus_err_t
bucket_prana_query_packets(service_query_t *query, const void *message)
{
    const schema_prana_packets_query_t *asked = message;
    const search_t search = {
        .txn = query->txn,
        .user_id = asked->user_id,
        .system_type = asked->system_type,
        .limit = limit_of(asked->limit),
    };
    if (asked->system_type.data != NULL && prana_system(asked->system_type) == PRANA_SYSTEM_COUNT) {
        return refuse_system(query);
    }
    uint64_t count = 0;
    size_t showing = 0;
    pack_map(query->answer, 3);
    pack_text(query->answer, "packets");
    bus_err_t err = pack_page(&search, query->answer, &showing);
    err = err == BUS_OK ? count_all(&search, &count) : err;
    if (err == BUS_OK) {
        pack_pair_uint(query->answer, "count", count);
        pack_pair_uint(query->answer, "showing", showing);
    }
    return err;
}

static void
pack_analytics(const bucket_prana_person_t *person, pack_t *out)
{
    unsigned most = 0;
    uint32_t seen = 0;
    for (unsigned state = 0; state < PRANA_STATE_COUNT; state++) {
        seen += person->states[state] > 0 ? 1 : 0;
        most = person->states[state] > person->states[most] ? state : most;
    }
    double average = person->packets == 0 ? 0.0 : (double) person->focus / (double) person->packets;
    pack_text(out, "analytics");
    pack_map(out, 3);
    pack_pair_real(out, "average_focus_score", round(average * 100.0) / 100.0);
    pack_text(out, "state_distribution");
    pack_map(out, seen);
    for (unsigned state = 0; state < PRANA_STATE_COUNT; state++) {
        if (person->states[state] > 0) {
            pack_pair_uint(out, prana_state_name((prana_state_t) state), person->states[state]);
        }
    }
    if (seen == 0) {
        pack_pair_nil(out, "most_common_state");
    } else {
        pack_pair_text(out, "most_common_state", prana_state_name((prana_state_t) most));
    }
}

bus_err_t
bucket_prana_query_user(service_query_t *query, const void *message)
{
    const schema_prana_user_query_t *asked = message;
    const search_t search = {
        .txn = query->txn, .user_id = asked->user_id, .limit = limit_of(asked->limit)};
    bucket_prana_person_t person;
    bus_err_t err = bucket_prana_person(query->txn, asked->user_id, &person);
    if (err != BUS_OK && err != BUS_NOT_FOUND) {
        return err;
    }
    size_t showing = 0;
    pack_map(query->answer, 4);
    pack_pair_str(query->answer, "user_id", asked->user_id);
    pack_text(query->answer, "packets");
    err = pack_page(&search, query->answer, &showing);
    if (err == BUS_OK) {
        pack_pair_uint(query->answer, "count", person.packets);
        pack_analytics(&person, query->answer);
    }
    return err;
}

// --- Counting ------------------------------------------------------------------------------------

static bus_err_t
pack_systems(store_txn_t *txn, pack_t *out)
{
    pack_text(out, "systems");
    pack_map(out, PRANA_SYSTEM_COUNT);
    for (unsigned system = 0; system < PRANA_SYSTEM_COUNT; system++) {
        const char *name = prana_system_name((prana_system_t) system);
        uint64_t count = 0;
        bus_err_t err = bucket_index_count(txn, BUCKET_INDEX_SYSTEM, view_from_text(name), &count);
        if (err != BUS_OK) {
            return err;
        }
        pack_pair_uint(out, name, count);
    }
    return BUS_OK;
}

typedef struct {
    pack_t *out;
    uint32_t count;
} listing_t;

static bool
list_user(void *arg, bus_view_t user_id, uint64_t count BUS_UNUSED)
{
    listing_t *self = arg;
    pack_str(self->out, user_id);
    self->count++;
    return self->count < USERS_LISTED_MAX;
}

bus_err_t
bucket_prana_query_stats(service_query_t *query, const void *message BUS_UNUSED)
{
    const bucket_state_t *state = query->state;
    pack_t *out = query->answer;
    uint64_t users = 0;
    bus_err_t err = store_count(query->txn, BUCKET_PEOPLE, &users);
    if (err != BUS_OK) {
        return err;
    }
    pack_map(out, 2);
    pack_text(out, "stats");
    pack_map(out, 4);
    pack_pair_uint(out, "total_packets", state->totals.packets);
    pack_pair_uint(out, "unique_users", users);
    err = pack_systems(query->txn, out);
    pack_text(out, "tracked_users");
    size_t place = pack_array_begin(out);
    listing_t listing = {.out = out};
    if (err == BUS_OK) {
        err = bucket_index_values(query->txn, BUCKET_INDEX_PERSON, list_user, &listing);
    }
    pack_count(out, place, listing.count);
    pack_pair_text(out, "telemetry_status", "active");
    return err;
}

unsigned
bucket_prana_health(const bucket_state_t *state, store_txn_t *txn, pack_t *out)
{
    uint64_t users = 0;
    size_t before = pack_view(out).size;
    bus_err_t err = store_count(txn, BUCKET_PEOPLE, &users);
    pack_text(out, "prana_telemetry");
    pack_map(out, 4);
    pack_pair_text(out, "status", "active");
    pack_pair_uint(out, "packets_received", state->totals.packets);
    pack_pair_uint(out, "users_tracked", users);
    err = err == BUS_OK ? pack_systems(txn, out) : err;
    if (err != BUS_OK) {
        pack_truncate(out, before);
        return 0;
    }
    return 1;
}
