// kb_document_test.c - documents: added, replaced, removed, listed.
#include "kb_help.h"
#include <stdio.h>
#include <stdlib.h>

static help_t *help;

static void
start(void)
{
    help = help_new();
}

static void
stop(void)
{
    help_destroy(&help);
}

TestSuite(kb_document, .init = start, .fini = stop);

static const char *
list(const char *json)
{
    cr_assert_eq(help_ask(help, core_kb_document_list, &SCHEMA_kb_documents_query, json), BUS_OK);
    return help_value(help, "documents");
}

static const char *
state_hash(void)
{
    static char hash[STORE_HASH_SIZE];
    store_txn_t *txn = NULL;
    cr_assert_eq(store_begin(help->store, STORE_READ, &txn), BUS_OK);
    cr_assert_eq(store_state_hash(txn, hash), BUS_OK);
    store_rollback(&txn);
    return hash;
}

static bus_err_t
apply(const char *json)
{
    return help_apply(help, core_kb_document_add, &SCHEMA_kb_document, "kb.document", json);
}

Test(kb_document, is_found_once_it_was_added_and_no_more_once_it_was_removed)
{
    cr_assert_eq(apply("{\"document_id\":\"gita.txt\",\"text\":\"Karma is action.\"}"), BUS_OK);
    cr_assert_str_eq(help_value(help, "status"), "\"success\"");
    cr_assert_str_eq(help_value(help, "action"), "\"added\"");
    cr_assert_str_eq(help_value(help, "chunks"), "1");
    // sha256 of the text, by coreutils
    cr_assert_str_eq(help_value(help, "sha256"),
                     "\"727dc83800933de563225107be46a96b8ce9b84da2a537b4adb71f4acb07df1b\"");
    cr_assert_eq(kb_help_rank(help, "karma", 5).count, 1);
    cr_assert_eq(kb_help_remove(help, "gita.txt"), BUS_OK);
    cr_assert_eq(kb_help_rank(help, "karma", 5).count, 0);
    cr_assert_eq(kb_help_remove(help, "gita.txt"), BUS_NOT_FOUND);
    cr_assert_eq(kb_help_count(help, CORE_KB_INDEX), 0);
    cr_assert_eq(kb_help_count(help, CORE_KB_RANGES), 0);
}

Test(kb_document, changes_nothing_where_it_is_the_same_and_says_so)
{
    const char *json =
        "{\"document_id\":\"d\",\"text\":\"one two\",\"book\":\"b\",\"title\":\"t\"}";
    cr_assert_eq(apply(json), BUS_OK);
    char before[STORE_HASH_SIZE];
    snprintf(before, sizeof before, "%s", state_hash());
    cr_assert_eq(apply(json), BUS_OK);
    cr_assert_str_eq(help_value(help, "action"), "\"unchanged\"");
    cr_assert_str_eq(help_value(help, "chunks"), "1");
    cr_assert_str_eq(state_hash(), before);
}

Test(kb_document, takes_the_place_of_its_older_version)
{
    cr_assert_str_eq(kb_help_add_text(help, "d", "the old lion sleeps"), "added");
    cr_assert_str_eq(kb_help_add_text(help, "d", "a young tiger wakes"), "replaced");
    cr_assert_eq(kb_help_rank(help, "lion", 5).count, 0);
    cr_assert_eq(kb_help_rank(help, "tiger", 5).count, 1);
    kb_help_check(help);
}

Test(kb_document, is_updated_where_only_what_is_said_of_it_changed)
{
    cr_assert_eq(apply("{\"document_id\":\"d\",\"text\":\"karma\",\"book\":\"Gita\"}"), BUS_OK);
    cr_assert_eq(
        apply("{\"document_id\":\"d\",\"text\":\"karma\",\"book\":\"Veda\",\"version\":\"2\"}"),
        BUS_OK);
    cr_assert_str_eq(help_value(help, "action"), "\"updated\"");
    cr_assert_eq(kb_help_rank(help, "karma @book:gita", 5).count, 0);
    cr_assert_eq(kb_help_rank(help, "karma @book:veda @version:2", 5).count, 1);
    cr_assert_eq(apply("{\"document_id\":\"d\",\"text\":\"karma\"}"), BUS_OK);
    cr_assert_str_eq(help_value(help, "action"), "\"updated\"");
    cr_assert_eq(kb_help_rank(help, "karma @book:veda", 5).count, 0);
    cr_assert_eq(kb_help_count(help, CORE_KB_RANGES), 1);
    cr_assert_not_null(strstr(list("{}"), "\"book\":null"));
}

Test(kb_document, comes_in_parts_and_a_shorter_version_leaves_none_behind)
{
    static const char *const texts[] = {"alpha one", "beta two", "gamma three"};
    schema_kb_document_t message = {.document_id = VIEW_LITERAL("book"),
                                    .book = VIEW_LITERAL("b"),
                                    .parts = {.has = true, .value = 3}};
    for (int i = 0; i < 3; i++) {
        message.text = view_from_text(texts[i]);
        message.part = (schema_int_t){.has = true, .value = i + 1};
        cr_assert_str_eq(kb_help_add(help, &message), "added");
    }
    const char *row = list("{}");
    cr_assert_not_null(strstr(row, "\"parts\":3,\"parts_missing\":0,\"chunks\":3,\"words\":6"));
    cr_assert_eq(kb_help_rank(help, "gamma @book:b", 5).count, 1);
    // The same first part, and it is the last.
    message.text = view_from_text(texts[0]);
    message.part = message.parts = (schema_int_t){.has = true, .value = 1};
    cr_assert_str_eq(kb_help_add(help, &message), "updated");
    cr_assert_eq(kb_help_rank(help, "gamma", 5).count, 0);
    cr_assert_eq(kb_help_rank(help, "alpha", 5).count, 1);
    kb_help_check(help);
    cr_assert_str_eq(kb_help_add(help, &message), "unchanged");
    cr_assert_eq(kb_help_remove(help, "book"), BUS_OK);
    cr_assert_eq(kb_help_count(help, CORE_KB_INDEX), 0);
}

Test(kb_document, takes_parts_in_any_order_and_says_which_are_missing)
{
    schema_kb_document_t message = {.document_id = VIEW_LITERAL("book"),
                                    .text = VIEW_LITERAL("the end"),
                                    .part = {.has = true, .value = 3},
                                    .parts = {.has = true, .value = 3}};
    cr_assert_str_eq(kb_help_add(help, &message), "added");
    cr_assert_not_null(strstr(list("{}"), "\"parts\":3,\"parts_missing\":2,\"chunks\":1"));
    message.part.value = 1;
    message.text = VIEW_LITERAL("the beginning");
    cr_assert_str_eq(kb_help_add(help, &message), "added");
    cr_assert_not_null(strstr(list("{}"), "\"parts_missing\":1,\"chunks\":2"));
    kb_help_check(help);
    cr_assert_eq(kb_help_remove(help, "book"), BUS_OK);
    cr_assert_eq(kb_help_count(help, CORE_KB_PASSAGES), 0);
}

Test(kb_document, is_refused_with_the_field_that_is_wrong)
{
    static const struct {
        const char *json;
        const char *details;
    } cases[] = {
        {"{\"document_id\":\"a\\nb\",\"text\":\"x\"}",
         "[{\"field\":\"document_id\",\"problem\":\"must not have control characters\"}]"},
        {"{\"document_id\":\"a\",\"book\":\"\\u007f\",\"text\":\"x\"}",
         "[{\"field\":\"book\",\"problem\":\"must not have control characters\"}]"},
        {"{\"document_id\":\"a\",\"text\":\" ... \\n\"}",
         "[{\"field\":\"text\",\"problem\":\"must have a word\"}]"},
        {"{\"document_id\":\"a\",\"text\":\"x\",\"part\":3,\"parts\":2}",
         "[{\"field\":\"part\",\"problem\":\"must not be above parts\"}]"},
        {"{\"document_id\":\"a\",\"text\":\"x\",\"part\":2}",
         "[{\"field\":\"part\",\"problem\":\"must not be above parts\"}]"},
    };
    char before[STORE_HASH_SIZE];
    snprintf(before, sizeof before, "%s", state_hash());
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        cr_assert_eq(apply(cases[i].json), BUS_VALIDATION_FAILED);
        cr_assert_str_eq(help_text(help->details), cases[i].details);
    }
    cr_assert_str_eq(state_hash(), before, "what is refused changes nothing");
}

Test(kb_document, is_refused_where_there_is_room_for_no_more_passages)
{
    cr_assert_str_eq(kb_help_add_text(help, "d", "one"), "added");
    core_kb_totals_t totals;
    help_begin(help);
    cr_assert_eq(core_kb_passage_totals(help->txn, &totals), BUS_OK);
    totals.passages = CORE_KB_PASSAGES_MAX;
    cr_assert_eq(core_kb_passage_totals_save(help->txn, &totals), BUS_OK);
    help_commit(help);
    cr_assert_eq(apply("{\"document_id\":\"e\",\"text\":\"two\"}"), BUS_QUOTA_EXCEEDED);
    cr_assert_str_eq(help_text(help->refusal), "the knowledge base is full");
}

Test(kb_document, makes_the_same_state_of_the_same_journal)
{
    char first[STORE_HASH_SIZE];
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 30; i++) {
            char id[16];
            char text[64];
            snprintf(id, sizeof id, "d%d", i % 7);
            snprintf(text, sizeof text, "word%d again and again %d.", i % 5, i);
            (void) kb_help_add_text(help, id, text);
            if (i % 9 == 8) {
                (void) kb_help_remove(help, id);
            }
        }
        if (round == 0) {
            snprintf(first, sizeof first, "%s", state_hash());
            help_destroy(&help);
            help = help_new();
        }
    }
    cr_assert_str_eq(state_hash(), first);
}

Test(kb_document, is_listed_by_id_in_pages)
{
    char id[16];
    for (int i = 0; i < 25; i++) {
        snprintf(id, sizeof id, "d%02d", i);
        cr_assert_str_eq(kb_help_add_text(help, id, "text"), "added");
    }
    (void) list("{\"limit\":10}");
    cr_assert_str_eq(help_value(help, "count"), "10");
    cr_assert_str_eq(help_value(help, "next"), "\"d09\"");
    cr_assert_str_eq(help_value(help, "totals.documents"), "25");
    const char *rows = list("{\"limit\":20,\"after\":\"d09\"}");
    cr_assert_not_null(strstr(rows, "\"document_id\":\"d10\""));
    cr_assert_null(strstr(rows, "\"document_id\":\"d09\""));
    cr_assert_str_eq(help_value(help, "count"), "15");
    cr_assert_str_eq(help_value(help, "next"), "null");
    (void) list("{\"after\":\"d095\"}"); // an id that is not there
    cr_assert_str_eq(help_value(help, "count"), "15");
    rows = list("{\"document_id\":\"d07\"}");
    cr_assert_not_null(strstr(rows, "\"title\":\"d07\""));
    cr_assert_str_eq(help_value(help, "count"), "1");
    bus_err_t err = help_ask(
        help, core_kb_document_list, &SCHEMA_kb_documents_query, "{\"document_id\":\"none\"}");
    cr_assert_eq(err, BUS_NOT_FOUND);
}

// --- Damage --------------------------------------------------------------------------------------

static void
overwrite(unsigned table, bus_view_t key)
{
    help_begin(help);
    cr_assert_eq(store_put(help->txn, table, key, VIEW_LITERAL("?")), BUS_OK);
    help_commit(help);
}

Test(kb_document, that_is_damaged_is_left_out_of_lists_and_can_be_added_anew)
{
    cr_assert_str_eq(kb_help_add_text(help, "a", "lion"), "added");
    cr_assert_str_eq(kb_help_add_text(help, "b", "tiger"), "added");
    overwrite(CORE_KB_DOCUMENTS, VIEW_LITERAL("a"));
    (void) list("{}");
    cr_assert_str_eq(help_value(help, "count"), "1");
    cr_assert_str_eq(help_value(help, "damaged"), "1");
    cr_assert_str_eq(kb_help_add_text(help, "a", "lion again"), "added");
    (void) list("{}");
    cr_assert_str_eq(help_value(help, "count"), "2");
    overwrite(CORE_KB_DOCUMENTS, VIEW_LITERAL("b"));
    cr_assert_eq(kb_help_remove(help, "b"), BUS_NOT_FOUND);
    (void) list("{}");
    cr_assert_str_eq(help_value(help, "damaged"), "0");
}

Test(kb_document, with_a_damaged_passage_is_replaced_all_the_same)
{
    cr_assert_str_eq(kb_help_add_text(help, "a", "lion"), "added");
    overwrite(CORE_KB_PASSAGES, STORE_U64(1));
    cr_assert_str_eq(kb_help_add_text(help, "a", "tiger"), "replaced");
    cr_assert_eq(kb_help_rank(help, "tiger", 5).count, 1);
    cr_assert_eq(kb_help_remove(help, "a"), BUS_OK);
    cr_assert_eq(kb_help_count(help, CORE_KB_PASSAGES), 0);
}
