// audit_places_test.c - where the log has what records made: all of it, in the order asked.
#include "bucket/audit.h"
#include "bucket/audit_places.h"
#include "help.h"
#include "proto/walk.h"
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

static help_t *help;

// Records 1 to 6: of one entry, none, two, one that was refused, none, one.
static void
setup(void)
{
    static const unsigned entries[] = {1, 0, 2, 1, 0, 1};
    help = help_new();
    help_begin(help);
    for (size_t i = 0; i < sizeof entries / sizeof entries[0]; i++) {
        service_apply_t apply = help_record(help, "bucket.test", NULL);
        for (unsigned n = 0; n < entries[i]; n++) {
            const bucket_audit_t entry = {.event_type = "write",
                                          .operation = n == 0 ? "first" : "second",
                                          .is_refused = i == 3,
                                          .err = i == 3 ? BUS_FORBIDDEN : BUS_OK};
            bucket_audit_place_t place;
            cr_assert_eq(bucket_audit_add(&apply, &entry, &place), BUS_OK);
        }
    }
    help_commit(help);
}

static void
teardown(void)
{
    help_destroy(&help);
}

TestSuite(audit_places, .init = setup, .fini = teardown);

// Asks, and compares "<audit_id>:<leaf_index>:<operation>:<decision>" of each place.
static void
expect(const char *json, const char *wanted)
{
    cr_assert_eq(help_ask(help, bucket_audit_places_query, &SCHEMA_audit_places_query, json),
                 BUS_OK);
    char found[600] = "";
    bus_view_t places;
    walk_item_t head;
    cr_assert_eq(walk_find(pack_view(help->packed), "places", &places), BUS_OK);
    walk_t walk = walk_from(places);
    cr_assert_eq(walk_next(&walk, &head), BUS_OK);
    for (uint32_t i = 0; i < head.count; i++) {
        bus_view_t place, value, id, operation, decision;
        uint64_t index;
        cr_assert_eq(walk_skip(&walk, &place), BUS_OK);
        cr_assert_eq(walk_find(place, "audit_id", &value), BUS_OK);
        cr_assert_eq(walk_as_str(value, &id), BUS_OK);
        cr_assert_eq(walk_find(place, "leaf_index", &value), BUS_OK);
        cr_assert_eq(walk_as_uint(value, &index), BUS_OK);
        cr_assert_eq(walk_find(place, "operation", &value), BUS_OK);
        cr_assert_eq(walk_as_str(value, &operation), BUS_OK);
        cr_assert_eq(walk_find(place, "decision", &value), BUS_OK);
        cr_assert_eq(walk_as_str(value, &decision), BUS_OK);
        size_t used = strlen(found);
        snprintf(found + used,
                 sizeof found - used,
                 "%s%.*s:%u:%.*s:%.*s",
                 i == 0 ? "" : " ",
                 (int) id.size,
                 id.data,
                 (unsigned) index,
                 (int) operation.size,
                 operation.data,
                 (int) decision.size,
                 decision.data);
    }
    cr_expect_str_eq(found, wanted, "%s: %s", json, found);
}

Test(audit_places, names_every_entry_of_a_record_and_none_where_there_is_none)
{
    expect("{\"seqs\":[1]}", "audit_1:0:first:allowed");
    expect("{\"seqs\":[2]}", "");
    expect("{\"seqs\":[3]}", "audit_3:1:first:allowed audit_3.1:2:second:allowed");
    expect("{\"seqs\":[4]}", "audit_4:3:first:refused");
    expect("{\"seqs\":[]}", "");
    expect("{\"seqs\":[5,77,9223372036854775807]}", "");
}

Test(audit_places, keeps_the_order_of_the_question)
{
    expect("{\"seqs\":[6,1,4]}",
           "audit_6:4:first:allowed audit_1:0:first:allowed audit_4:3:first:refused");
}

Test(audit_places, agrees_with_what_finds_one_entry)
{
    static const char *const ids[] = {"audit_1", "audit_3", "audit_3.1", "audit_4", "audit_6"};
    store_txn_t *txn = NULL;
    cr_assert_eq(store_begin(help->store, STORE_READ, &txn), BUS_OK);
    for (uint64_t i = 0; i < sizeof ids / sizeof ids[0]; i++) {
        uint64_t index;
        cr_assert_eq(bucket_audit_find(txn, view_from_text(ids[i]), &index), BUS_OK);
        cr_assert_eq(index, i);
    }
    store_rollback(&txn);
}

Test(audit_places, refuses_what_is_no_seq_and_too_many_of_them)
{
    static const char *const bad[] = {"{\"seqs\":[0]}",
                                      "{\"seqs\":[-3]}",
                                      "{\"seqs\":[\"1\"]}",
                                      "{\"seqs\":[1.0]}",
                                      "{\"seqs\":[1,null]}",
                                      "{\"seqs\":[[1]]}"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        cr_expect_eq(help_ask(help, bucket_audit_places_query, &SCHEMA_audit_places_query, bad[i]),
                     BUS_VALIDATION_FAILED,
                     "%s",
                     bad[i]);
    }
    char many[8192] = "{\"seqs\":[1";
    for (unsigned i = 0; i < BUCKET_AUDIT_PLACES_SEQS_MAX; i++) {
        strcat(many, ",1");
    }
    strcat(many, "]}");
    cr_expect_eq(help_ask(help, bucket_audit_places_query, &SCHEMA_audit_places_query, many),
                 BUS_VALIDATION_FAILED);
}

Test(audit_places, answers_two_thousand_records_of_two_entries_each_whole)
{
    char many[16384] = "{\"seqs\":[3";
    for (unsigned i = 1; i < BUCKET_AUDIT_PLACES_SEQS_MAX; i++) {
        strcat(many, ",3");
    }
    strcat(many, "]}");
    cr_assert_eq(help_ask(help, bucket_audit_places_query, &SCHEMA_audit_places_query, many),
                 BUS_OK);
    bus_view_t value;
    bool truncated = true;
    cr_assert_eq(walk_find(pack_view(help->packed), "truncated", &value), BUS_OK);
    cr_assert_eq(walk_as_bool(value, &truncated), BUS_OK);
    cr_assert_not(truncated);
}
