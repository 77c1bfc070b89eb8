// stream_test.c - how many publishers are remembered, for how long, and who goes first.
#include "broker/stream.h"
#include "journal_fixture.h"
#include <criterion/criterion.h>
#include <stdio.h>

enum { COUNT_MAX = 8 };

static const store_table_t tables[] = {
    {"log", STORE_KEYS_UINT64, false, "records"},
    {"streams", STORE_KEYS_BYTES, false, "where each stream stands"},
};

// A store of its own, beside the fixture's journal, whose folder it uses.
typedef struct {
    fixture_t *fixture;
    store_t *store;
    store_txn_t *txn;
    stream_map_t *map;
} bed_t;

static bed_t
bed_make(void)
{
    bed_t bed = {.fixture = fixture_new(NULL), .map = stream_map_new(1, COUNT_MAX)};
    journal_destroy(&bed.fixture->journal);
    char command[FIXTURE_PATH_SIZE + 16];
    snprintf(command, sizeof(command), "%s/data.mdb", bed.fixture->path);
    cr_assert_eq(remove(command), 0);
    const store_options_t options = {
        .path = bed.fixture->path, .tables = tables, .table_count = 2, .size_max = 1 << 24};
    cr_assert_eq(store_open(&options, &bed.store), BUS_OK);
    cr_assert_eq(store_begin(bed.store, STORE_WRITE, &bed.txn), BUS_OK);
    stream_map_begin(bed.map);
    return bed;
}

static void
bed_clear(bed_t *self)
{
    store_rollback(&self->txn);
    stream_map_destroy(&self->map);
    store_destroy(&self->store);
    fixture_destroy(&self->fixture);
}

// Makes the commit durable and begins the next.
static void
bed_turn(bed_t *self, uint64_t at)
{
    cr_assert_eq(stream_map_flush(self->map, self->txn, at), BUS_OK);
    cr_assert_eq(store_commit(&self->txn), BUS_OK);
    cr_assert_eq(store_begin(self->store, STORE_WRITE, &self->txn), BUS_OK);
    stream_map_begin(self->map);
}

static stream_t *
find(bed_t *bed, const char *pstream)
{
    return stream_map_find(bed->map, VIEW_LITERAL("me"), view_from_text(pstream));
}

static bus_err_t
use(bed_t *bed, const char *pstream, uint64_t at)
{
    stream_t *stream = find(bed, pstream);
    if (stream == NULL) {
        bus_err_t err = stream_map_add(
            bed->map, bed->txn, VIEW_LITERAL("me"), view_from_text(pstream), at, &stream);
        if (err != BUS_OK) {
            return err;
        }
    }
    const stream_state_t state = {.pseq = stream->state.pseq + 1, .seq = 1, .at = at};
    stream_map_advance(bed->map, stream, &state);
    return BUS_OK;
}

static const char *
name_of(int i)
{
    static const char *const names[] = {"s0", "s1", "s2", "s3", "s4", "s5", "s6", "s7", "s8"};
    return names[i];
}

Test(stream, comes_back_from_the_store_as_it_was)
{
    bed_t bed = bed_make();
    cr_assert_eq(use(&bed, "a", 5), BUS_OK);
    cr_assert_eq(use(&bed, "a", 6), BUS_OK);
    cr_assert_eq(use(&bed, "", 7), BUS_OK);
    bed_turn(&bed, 7);
    cr_assert_eq(use(&bed, "lost", 8), BUS_OK); // undone: loading is all it takes
    cr_assert_eq(use(&bed, "a", 8), BUS_OK);
    store_rollback(&bed.txn);
    cr_assert_eq(store_begin(bed.store, STORE_WRITE, &bed.txn), BUS_OK);
    cr_assert_eq(stream_map_load(bed.map, bed.txn), BUS_OK);
    cr_assert_eq(stream_map_count(bed.map), 2);
    cr_assert_eq(find(&bed, "a")->state.pseq, 2);
    cr_assert_eq(find(&bed, "a")->state.at, 6);
    cr_assert_eq(find(&bed, "")->state.pseq, 1);
    cr_assert_null(find(&bed, "lost"));
    bed_clear(&bed);
}

Test(stream, goes_after_a_day_unless_it_is_the_empty_one)
{
    bed_t bed = bed_make();
    cr_assert_eq(use(&bed, "old", 1000), BUS_OK);
    cr_assert_eq(use(&bed, "", 1000), BUS_OK);
    cr_assert_eq(use(&bed, "young", 1001), BUS_OK);
    bed_turn(&bed, 1001);
    bed_turn(&bed, 1000 + STREAM_KEPT_US - 1);
    cr_assert_eq(stream_map_count(bed.map), 3);
    bed_turn(&bed, 1000 + STREAM_KEPT_US);
    cr_assert_eq(stream_map_count(bed.map), 2);
    cr_assert_null(find(&bed, "old"));
    cr_assert_eq(stream_map_load(bed.map, bed.txn), BUS_OK);
    cr_assert_eq(stream_map_count(bed.map), 2);
    cr_assert_not_null(find(&bed, ""));
    cr_assert_not_null(find(&bed, "young"));
    bed_clear(&bed);
}

Test(stream, is_not_forgotten_for_time_that_went_by_before_the_start)
{
    bed_t bed = bed_make();
    cr_assert_eq(use(&bed, "old", 1000), BUS_OK);
    bed_turn(&bed, 1000);
    const uint64_t start = 1000 + 365 * STREAM_KEPT_US; // a year away, or a clock that jumped
    stream_map_start(bed.map, start);
    bed_turn(&bed, start + STREAM_KEPT_US - 1);
    cr_assert_not_null(find(&bed, "old"));
    bed_turn(&bed, start + STREAM_KEPT_US);
    cr_assert_null(find(&bed, "old"));
    bed_clear(&bed);
}

Test(stream, that_is_new_is_refused_while_all_are_in_use)
{
    bed_t bed = bed_make();
    for (int i = 0; i < COUNT_MAX; i++) {
        cr_assert_eq(use(&bed, name_of(i), 1000 + (uint64_t) i), BUS_OK);
    }
    bed_turn(&bed, 2000);
    cr_assert_eq(use(&bed, "one more", 1000 + STREAM_IDLE_US - 1), BUS_BUSY);
    cr_assert_eq(stream_map_count(bed.map), COUNT_MAX);
    cr_assert_eq(use(&bed, name_of(0), 1000 + STREAM_IDLE_US - 1), BUS_OK);
    bed_turn(&bed, 2000);
    // The one used longest ago makes room: no longer s0, but s1.
    cr_assert_eq(use(&bed, "one more", 1001 + STREAM_IDLE_US), BUS_OK);
    cr_assert_eq(stream_map_count(bed.map), COUNT_MAX);
    cr_assert_null(find(&bed, name_of(1)));
    cr_assert_not_null(find(&bed, name_of(0)));
    bed_turn(&bed, 2000);
    cr_assert_eq(stream_map_load(bed.map, bed.txn), BUS_OK);
    cr_assert_eq(stream_map_count(bed.map), COUNT_MAX);
    cr_assert_null(find(&bed, name_of(1)));
    bed_clear(&bed);
}

Test(stream, order_of_use_survives_loading)
{
    bed_t bed = bed_make();
    static const uint64_t ats[COUNT_MAX] = {5, 3, 8, 1, 7, 2, 6, 4};
    for (int i = 0; i < COUNT_MAX; i++) {
        cr_assert_eq(use(&bed, name_of(i), ats[i]), BUS_OK);
    }
    bed_turn(&bed, 10);
    cr_assert_eq(stream_map_load(bed.map, bed.txn), BUS_OK);
    for (uint64_t at = 1; at <= 3; at++) { // three go: those of 1, 2 and 3
        char name[16];
        snprintf(name, sizeof(name), "new%d", (int) at);
        cr_assert_eq(use(&bed, name, STREAM_IDLE_US + at), BUS_OK);
    }
    for (int i = 0; i < COUNT_MAX; i++) {
        cr_assert_eq(find(&bed, name_of(i)) == NULL, ats[i] <= 3, "s%d", i);
    }
    bed_clear(&bed);
}

Test(stream, named_empty_takes_half_of_the_places_at_most)
{
    bed_t bed = bed_make();
    stream_t *stream;
    for (int i = 0; i <= COUNT_MAX / 2; i++) {
        bus_view_t source = view_from_text(name_of(i));
        bus_err_t err = stream_map_add(bed.map, bed.txn, source, VIEW_LITERAL(""), 1, &stream);
        cr_assert_eq(err, i == COUNT_MAX / 2 ? BUS_BUSY : BUS_OK);
    }
    cr_assert_eq(use(&bed, "named", 1), BUS_OK);
    bed_clear(&bed);
}

Test(stream, duplicates_cannot_make_a_commit_walk_for_ever)
{
    // A chain of records, each of which is the one after the last of its stream.
    bed_t bed = bed_make();
    enum { CHAIN = PSEQ_MEMORY };
    for (uint64_t seq = 1; seq <= CHAIN; seq++) {
        const struct {
            char record[8];
            uint64_t prev;
            uint64_t zero;
        } value = {.prev = seq - 1};
        bus_view_t bytes = view_from(&value, sizeof(value));
        cr_assert_eq(store_append(bed.txn, 0, STORE_U64(seq), bytes), BUS_OK);
    }
    int walks = 0;
    bus_err_t err = BUS_OK;
    while (err == BUS_OK && walks < 1000) {
        // A stream whose last record is the chain's: each first question walks all of it.
        char name[16];
        snprintf(name, sizeof(name), "s%d", walks % COUNT_MAX);
        stream_t *stream = find(&bed, name);
        if (stream == NULL) {
            cr_assert_eq(use(&bed, name, 1), BUS_OK);
            stream = find(&bed, name);
        }
        origin_destroy(&stream->origin);
        stream->origin = origin_new(CHAIN, CHAIN);
        stream->state.pseq = CHAIN;
        uint64_t seq;
        err = stream_map_origin(bed.map, stream, bed.txn, 0, 1, &seq);
        if (err == BUS_OK) {
            cr_assert_eq(seq, 1);
            walks++;
        }
    }
    cr_assert_eq(err, BUS_BUSY);
    cr_assert_eq(walks, STREAM_STEPS_MAX / (CHAIN - 1));
    bed_clear(&bed);
}
