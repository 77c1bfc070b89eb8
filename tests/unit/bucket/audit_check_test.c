// audit_check_test.c - verification names every byte that was changed, with and without a repaired
// checksum, and every record that is missing; and nothing else.
#include "bucket/artifact.h"
#include "bucket/artifact_store.h"
#include "bucket/audit.h"
#include "bucket/audit_check.h"
#include "bucket/event.h"
#include "bucket/retention_decision.h"
#include "help.h"
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    ROUNDS = 12,         // of writes in the fixture
    PLACES_OF_VALUE = 9, // bytes changed in one record
    PLACES_OF_FILE = 3,  // of it in the file
};

typedef struct {
    unsigned count;
    bucket_audit_problem_t first;
    uint64_t leaves[64]; // of the first problems
} found_t;

static help_t *help;

// As the owner's hold and the sweep do it, without their proofs and their rows.
static void
decide(service_apply_t *apply, const char *id, bucket_artifact_t *ret, pack_t *buffer)
{
    channel_product_t product = CHANNEL_PRODUCT_COUNT;
    bus_err_t err = BUS_ARTIFACT_NOT_FOUND;
    for (product = 0; product < CHANNEL_PRODUCT_COUNT && err != BUS_OK; product++) {
        err = bucket_artifact_find(apply->txn, product, view_from_text(id), ret);
    }
    cr_assert_eq(err, BUS_OK);
    bucket_artifact_store_own(ret, buffer);
}

static void
hold(const char *id, bool is_held)
{
    help_begin(help);
    BUS_AUTO(pack_destroy) pack_t *buffer = pack_new();
    service_apply_t apply = help_record(help, "bucket.legal_hold", NULL);
    bucket_artifact_t artifact;
    decide(&apply, id, &artifact, buffer);
    artifact.row.is_held = is_held;
    cr_assert_eq(bucket_artifact_put(apply.txn, &artifact), BUS_OK);
    const bucket_retention_decision_t decision = {
        .event_type = "owner", .operation = "legal_hold", .rule = "hold_set"};
    bucket_audit_t entry;
    bucket_audit_place_t place;
    cr_assert_eq(bucket_retention_decision_audit(&apply, &decision, &artifact, &entry, &place),
                 BUS_OK);
    help_commit(help);
}

static bus_err_t
remove_one(service_apply_t *apply, const void *message)
{
    (void) message;
    BUS_AUTO(pack_destroy) pack_t *buffer = pack_new();
    bucket_artifact_t artifact;
    decide(apply, "a-7", &artifact, buffer);
    bus_err_t err = bucket_artifact_store_drop(apply, &artifact);
    const bucket_retention_decision_t decision = {
        .event_type = "retention", .operation = "sweep", .rule = "x", .is_removed = true};
    bucket_audit_t entry;
    bucket_audit_place_t place;
    return err == BUS_OK
               ? bucket_retention_decision_audit(apply, &decision, &artifact, &entry, &place)
               : err;
}

// Every kind of entry that verification looks behind, among others.
static void
write_things(void)
{
    static const char *const products[] = {"gurukul", "ai_avatar", "enforcement"};
    char json[400];
    for (unsigned i = 0; i < ROUNDS; i++) {
        snprintf(json,
                 sizeof json,
                 "{\"artifact_id\":\"a-%u\",\"content\":{\"text\":\"the content of %u\"},"
                 "\"metadata\":{\"product\":\"%s\",\"created_by\":\"core\",\"tags\":[\"t%u\"]}}",
                 i,
                 i,
                 products[i % 3],
                 i);
        cr_assert_eq(help_apply(help, bucket_artifact_write, NULL, "bucket.artifact_write", json),
                     BUS_OK,
                     "%s",
                     help_text(help->answer));
        snprintf(json,
                 sizeof json,
                 "{\"requester_id\":\"bhiv_core\",\"event_type\":\"note\",\"text\":\"event %u\"}",
                 i);
        cr_assert_eq(
            help_apply(help, bucket_event_apply, &SCHEMA_core_event, "core.event.note", json),
            BUS_OK);
        help->at += 1000;
    }
    hold("a-3", true);
    hold("a-4", true);
    hold("a-4", false);
    hold("a-5", true);
    hold("a-5", false);
    hold("a-5", true);
    help->at += 1000;
    cr_assert_eq(help_apply(help, remove_one, NULL, "bucket.sweep", NULL), BUS_OK);
    cr_assert_eq(help_apply(help,
                            bucket_audit_append,
                            NULL,
                            "bucket.audit_append",
                            "{\"event_type\":\"read\",\"product\":\"gurukul\",\"details\":{}}"),
                 BUS_OK);
}

static void
setup(void)
{
    help = help_new();
    write_things();
}

static void
teardown(void)
{
    help_destroy(&help);
}

TestSuite(audit_check, .init = setup, .fini = teardown);

static void
on_problem(void *arg, const bucket_audit_problem_t *problem)
{
    found_t *self = arg;
    if (self->count == 0) {
        self->first = *problem;
    }
    if (self->count < sizeof self->leaves / sizeof self->leaves[0]) {
        self->leaves[self->count] = problem->leaf_index;
    }
    self->count++;
}

static found_t
check(store_txn_t *txn)
{
    found_t found = {.count = 0};
    const bucket_audit_range_t range = {.count = UINT64_MAX};
    uint64_t next = 0;
    cr_assert_eq(bucket_audit_check(txn, &range, on_problem, &found, &next), BUS_OK);
    cr_expect_geq(next, help->state.tree.size);
    return found;
}

static found_t
check_now(void)
{
    store_txn_t *txn = NULL;
    cr_assert_eq(store_begin(help->store, STORE_READ, &txn), BUS_OK);
    found_t found = check(txn);
    store_rollback(&txn);
    return found;
}

static bool
names(const found_t *found, uint64_t leaf)
{
    for (unsigned i = 0; i < found->count && i < 64; i++) {
        if (found->leaves[i] == leaf) {
            return true;
        }
    }
    return false;
}

// --- Clean ---------------------------------------------------------------------------------------

Test(audit_check, finds_nothing_in_a_log_that_nobody_touched)
{
    found_t found = check_now();
    cr_expect_eq(found.count, 0, "%s", found.first.problem);
    help_reopen(help);
    found = check_now();
    cr_expect_eq(found.count, 0, "%s", found.first.problem);
}

Test(audit_check, goes_on_where_a_limit_ended_it)
{
    store_txn_t *txn = NULL;
    cr_assert_eq(store_begin(help->store, STORE_READ, &txn), BUS_OK);
    found_t found = {.count = 0};
    uint64_t from = 0;
    unsigned pages = 0;
    while (from < help->state.tree.size) {
        const bucket_audit_range_t range = {.from = from, .count = UINT64_MAX, .bytes_max = 1000};
        uint64_t next = from;
        cr_assert_eq(bucket_audit_check(txn, &range, on_problem, &found, &next), BUS_OK);
        cr_assert_gt(next, from);
        from = next;
        pages++;
    }
    cr_expect_eq(from, help->state.tree.size);
    cr_expect_gt(pages, 3);
    cr_expect_eq(found.count, 0);
    store_rollback(&txn);
}

// --- Changed, and its checksum repaired ----------------------------------------------------------

typedef struct {
    uint64_t key;
    size_t size;
    char bytes[2048];
} record_t;

// Reads a record out of the store, behind `key` (UINT64_MAX: the first). False at the end.
static bool
read_next(store_txn_t *txn, unsigned table, uint64_t after, record_t *ret_record)
{
    store_cursor_t *cursor = NULL;
    cr_assert_eq(store_cursor_open(txn, table, &cursor), BUS_OK);
    bus_view_t key, value;
    bus_err_t err = store_seek(cursor, STORE_U64(after + 1), &key, &value);
    if (err == BUS_OK) {
        memcpy(&ret_record->key, key.data, sizeof ret_record->key);
        cr_assert_leq(value.size, sizeof ret_record->bytes);
        ret_record->size = value.size;
        memcpy(ret_record->bytes, value.data, value.size);
    }
    store_cursor_destroy(&cursor);
    return err == BUS_OK;
}

static void
put(store_txn_t *txn, unsigned table, const record_t *record)
{
    cr_assert_eq(store_put(txn,
                           table,
                           view_from(&record->key, sizeof record->key),
                           view_from(record->bytes, record->size)),
                 BUS_OK);
}

// Changes bytes all over the table, one at a time. Returns how many.
static unsigned
change_all(unsigned table)
{
    store_txn_t *txn = NULL;
    cr_assert_eq(store_begin(help->store, STORE_WRITE, &txn), BUS_OK);
    unsigned changed = 0;
    record_t record = {.key = UINT64_MAX};
    while (read_next(txn, table, record.key, &record)) {
        for (size_t i = 0; i < PLACES_OF_VALUE; i++) {
            size_t at = (record.key * 13 + i * record.size / PLACES_OF_VALUE) % record.size;
            char before = record.bytes[at];
            record.bytes[at] = (char) (before ^ (1 << (record.key + i) % 8));
            put(txn, table, &record);
            found_t found = check(txn);
            cr_assert_gt(found.count,
                         0,
                         "byte %zu of record %llu of table %s",
                         at,
                         (unsigned long long) record.key,
                         bucket_tables[table].name);
            if (table == BUCKET_AUDIT) {
                cr_assert(names(&found, record.key));
            }
            record.bytes[at] = before;
            put(txn, table, &record);
            changed++;
        }
    }
    found_t found = check(txn);
    cr_expect_eq(found.count, 0);
    store_rollback(&txn);
    return changed;
}

Test(audit_check, names_every_changed_byte_of_an_entry_whose_checksum_was_repaired)
{
    cr_expect_geq(change_all(BUCKET_AUDIT), 200);
}

Test(audit_check, names_every_changed_byte_of_a_node_whose_checksum_was_repaired)
{
    cr_expect_geq(change_all(BUCKET_NODES), 400);
}

Test(audit_check, names_every_changed_byte_of_a_row_whose_checksum_was_repaired)
{
    cr_expect_geq(change_all(BUCKET_AUDIT_SEQS), 200);
}

Test(audit_check, names_every_changed_byte_of_an_artifact_whose_checksum_was_repaired)
{
    cr_expect_geq(change_all(BUCKET_CONTENTS), 90);
    cr_expect_geq(change_all(BUCKET_ARTIFACTS), 100);
}

Test(audit_check, names_every_changed_byte_of_an_event_whose_checksum_was_repaired)
{
    cr_expect_geq(change_all(BUCKET_EVENTS), 100);
}

// --- Gone ----------------------------------------------------------------------------------------

Test(audit_check, names_every_record_that_is_missing)
{
    static const unsigned tables[] = {BUCKET_AUDIT,
                                      BUCKET_NODES,
                                      BUCKET_AUDIT_SEQS,
                                      BUCKET_CONTENTS,
                                      BUCKET_ARTIFACTS,
                                      BUCKET_EVENTS};
    store_txn_t *txn = NULL;
    cr_assert_eq(store_begin(help->store, STORE_WRITE, &txn), BUS_OK);
    for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++) {
        record_t record = {.key = UINT64_MAX};
        while (read_next(txn, tables[i], record.key, &record)) {
            // Without its hash the last leaf is none: the log is shorter, which a checkpoint tells.
            if (tables[i] == BUCKET_NODES && record.key == help->state.tree.size - 1) {
                continue;
            }
            bus_view_t key = view_from(&record.key, sizeof record.key);
            cr_assert_eq(store_del(txn, tables[i], key), BUS_OK);
            cr_assert_gt(check(txn).count, 0, "table %s", bucket_tables[tables[i]].name);
            put(txn, tables[i], &record);
        }
    }
    store_rollback(&txn);
}

// --- Changed in the file -------------------------------------------------------------------------

typedef struct {
    char path[300];
    char *bytes;
    size_t size;
} file_t;

static void
file_read(file_t *self)
{
    snprintf(self->path, sizeof self->path, "%s/bucket/data.mdb", help->folder);
    FILE *file = fopen(self->path, "rb");
    cr_assert_not_null(file);
    fseek(file, 0, SEEK_END);
    self->size = (size_t) ftell(file);
    rewind(file);
    self->bytes = malloc(self->size);
    cr_assert_eq(fread(self->bytes, 1, self->size, file), self->size);
    fclose(file);
}

static void
file_write(const file_t *self)
{
    FILE *file = fopen(self->path, "r+b");
    cr_assert_not_null(file);
    cr_assert_eq(fwrite(self->bytes, 1, self->size, file), self->size);
    cr_assert_eq(fclose(file), 0);
}

// Changes one byte of every copy of these bytes that the file has (freed pages keep old ones).
static void
file_flip(file_t *self, const record_t *record, size_t at)
{
    unsigned found = 0;
    char *end = self->bytes + self->size;
    char *place = self->bytes;
    char wanted[sizeof record->bytes];
    memcpy(wanted, record->bytes, record->size);
    while ((place = memmem(place, (size_t) (end - place), wanted, record->size)) != NULL) {
        place[at] = (char) (place[at] ^ 0x10);
        place += record->size;
        found++;
    }
    cr_assert_gt(found, 0);
}

// Changes one byte in the file of a store that is closed, looks, and changes it back.
static void
change_one(unsigned table, const record_t *record, size_t at)
{
    store_destroy(&help->store);
    file_t file = {.size = 0};
    file_read(&file);
    file_flip(&file, record, at);
    file_write(&file);
    help_reopen(help); // which a damaged edge of the tree does not hinder
    found_t found = check_now();
    cr_assert_gt(found.count,
                 0,
                 "byte %zu of record %llu of table %s",
                 at,
                 (unsigned long long) record->key,
                 bucket_tables[table].name);
    store_destroy(&help->store);
    record_t flipped = *record;
    flipped.bytes[at] = (char) (flipped.bytes[at] ^ 0x10);
    file_flip(&file, &flipped, at);
    file_write(&file);
    free(file.bytes);
    help_reopen(help);
}

// Some bytes of each record of the table, one after the other.
static unsigned
change_file(unsigned table)
{
    unsigned changed = 0;
    record_t record = {.key = UINT64_MAX};
    for (;;) {
        store_txn_t *txn = NULL;
        cr_assert_eq(store_begin(help->store, STORE_READ, &txn), BUS_OK);
        bool has = read_next(txn, table, record.key, &record);
        store_rollback(&txn);
        if (!has) {
            return changed;
        }
        for (size_t place = 0; place < PLACES_OF_FILE; place++) {
            size_t at = (record.key * 7 + 3 + place * record.size / PLACES_OF_FILE) % record.size;
            change_one(table, &record, at);
            changed++;
        }
    }
}

Test(audit_check, names_every_changed_byte_of_the_file)
{
    unsigned changed = change_file(BUCKET_AUDIT);
    changed += change_file(BUCKET_NODES);
    changed += change_file(BUCKET_CONTENTS);
    changed += change_file(BUCKET_ARTIFACTS);
    changed += change_file(BUCKET_EVENTS);
    cr_expect_geq(changed, 300);
    cr_expect_eq(check_now().count, 0);
}

Test(audit_check, finds_the_same_edge_where_its_records_are_damaged)
{
    for (unsigned i = 0; i < 5; i++) {
        hold("a-1", i % 2 == 0);
    }
    merkle_hash_t lefts[MERKLE_LEVELS_MAX];
    uint64_t size = help->state.tree.size;
    memcpy(lefts, help->state.tree.lefts, sizeof lefts);
    cr_assert_neq(size & (size - 1), 0, "an edge of more than one node");
    for (unsigned level = 0; size >> level != 0; level++) {
        if ((size >> level & 1) == 0) {
            continue;
        }
        record_t record = {.size = sizeof lefts[level].bytes};
        memcpy(record.bytes, lefts[level].bytes, record.size);
        store_destroy(&help->store);
        file_t file = {.size = 0};
        file_read(&file);
        file_flip(&file, &record, level);
        file_write(&file);
        free(file.bytes);
        help_reopen(help);
        cr_assert_eq(help->state.tree.size, size);
        for (unsigned i = 0; size >> i != 0; i++) {
            cr_expect((size >> i & 1) == 0 || merkle_equal(&lefts[i], &help->state.tree.lefts[i]));
        }
    }
}

// --- Forgotten -----------------------------------------------------------------------------------

static bus_err_t
forget(service_apply_t *apply, const void *message)
{
    (void) message;
    return bucket_audit_forget(apply, 10);
}

Test(audit_check, lets_bodies_go_after_seven_years_and_no_day_before)
{
    uint64_t size = help->state.tree.size;
    uint64_t began = HELP_T0;
    help->at = began + 2555 * HELP_DAY;
    cr_assert_eq(help_apply(help, forget, NULL, "bucket.sweep", NULL), BUS_OK);
    cr_expect_eq(help->state.tree.size, size, "nothing is older than seven years");
    help->at = began + 2556 * HELP_DAY;
    cr_assert_eq(help_apply(help, forget, NULL, "bucket.sweep", NULL), BUS_OK);
    cr_expect_eq(help->state.tree.size, size + 1, "one entry says what went");
    store_txn_t *txn = NULL;
    cr_assert_eq(store_begin(help->store, STORE_READ, &txn), BUS_OK);
    bus_view_t leaf;
    cr_expect_eq(bucket_audit_leaf(txn, 9, &leaf), BUS_AUDIT_ENTRY_NOT_FOUND);
    cr_expect_eq(bucket_audit_leaf(txn, 10, &leaf), BUS_OK);
    merkle_hash_t hash;
    cr_expect_eq(bucket_audit_node(txn, 0, 9, &hash), BUS_OK, "its hash stays");
    found_t found = check(txn);
    cr_expect_eq(found.count, 0, "%s", found.first.problem);
    store_rollback(&txn);
    // A body that goes beyond that was taken.
    cr_assert_eq(store_begin(help->store, STORE_WRITE, &txn), BUS_OK);
    cr_assert_eq(store_del(txn, BUCKET_AUDIT, STORE_U64(UINT64_C(10))), BUS_OK);
    found = check(txn);
    cr_expect_eq(found.count, 1);
    cr_expect_eq(found.first.leaf_index, 10);
    store_rollback(&txn);
}
