// kb_index_test.c - the inverted index: exact under whatever comes and goes.
#include "core/kb_block.h"
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

TestSuite(kb_index, .init = start, .fini = stop);

static uint64_t random_state = 5;

static uint64_t
random_below(uint64_t bound)
{
    random_state = random_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (random_state >> 33) % bound;
}

// `count` sentences of words that are the more frequent the lower their number.
static const char *
random_text(unsigned count)
{
    static char text[65536];
    size_t size = 0;
    for (unsigned i = 0; i < count; i++) {
        for (unsigned j = 0, words = 1 + (unsigned) random_below(12); j < words; j++) {
            uint64_t number = random_below(1 + random_below(60));
            size += (size_t) snprintf(
                text + size, sizeof text - size, "w%llu ", (unsigned long long) number);
        }
        text[size - 1] = '.';
        text[size++] = ' ';
    }
    text[size] = '\0';
    return text;
}

Test(kb_index, is_exactly_what_the_passages_make_of_it_whatever_comes_and_goes)
{
    char id[32];
    for (int round = 0; round < 300; round++) {
        snprintf(id, sizeof id, "d%llu", (unsigned long long) random_below(25));
        if (random_below(4) == 0) {
            bus_err_t err = kb_help_remove(help, id);
            cr_assert(err == BUS_OK || err == BUS_NOT_FOUND);
        } else {
            (void) kb_help_add_text(help, id, random_text(1 + (unsigned) random_below(120)));
        }
        if (round % 10 == 9) {
            kb_help_check(help);
        }
    }
    for (int i = 0; i < 25; i++) {
        snprintf(id, sizeof id, "d%d", i);
        bus_err_t err = kb_help_remove(help, id);
        cr_assert(err == BUS_OK || err == BUS_NOT_FOUND);
    }
    cr_assert_eq(kb_help_count(help, CORE_KB_INDEX), 0);
    cr_assert_eq(kb_help_count(help, CORE_KB_PASSAGES), 0);
    cr_assert_eq(kb_help_count(help, CORE_KB_RANGES), 0);
    cr_assert_eq(kb_help_count(help, CORE_KB_DOCUMENTS), 0);
}

// One document a passage, each with one word that all have.
static void
add_many(unsigned count)
{
    char id[32];
    char text[64];
    for (unsigned i = 1; i <= count; i++) {
        snprintf(id, sizeof id, "d%04u", i);
        snprintf(text, sizeof text, "common%s u%u", i % 3 == 0 ? " third" : "", i);
        cr_assert_str_eq(kb_help_add_text(help, id, text), "added");
    }
}

static uint64_t
count_blocks(const char *term)
{
    store_txn_t *txn = NULL;
    cr_assert_eq(store_begin(help->store, STORE_READ, &txn), BUS_OK);
    store_cursor_t *cursor = NULL;
    cr_assert_eq(store_cursor_open(txn, CORE_KB_INDEX, &cursor), BUS_OK);
    core_kb_block_key_t wanted;
    bus_view_t key;
    bus_view_t stored;
    uint64_t first;
    uint64_t count = 0;
    bus_view_t text = view_from_text(term);
    bus_err_t err = store_seek(cursor, core_kb_block_key(&wanted, text, 1), &key, &stored);
    for (; err == BUS_OK && core_kb_block_key_first(key, text, &first); count++) {
        err = store_next(cursor, &key, &stored);
    }
    store_cursor_destroy(&cursor);
    store_rollback(&txn);
    return count;
}

Test(kb_index, keeps_a_frequent_term_in_few_blocks_though_its_passages_come_and_go)
{
    add_many(600);
    cr_assert_eq(count_blocks("common"), (600 + CORE_KB_INDEX_BLOCK - 1) / CORE_KB_INDEX_BLOCK);
    char id[32];
    for (unsigned i = 1; i <= 600; i++) {
        snprintf(id, sizeof id, "d%04u", i);
        if (i % 10 != 0) {
            cr_assert_eq(kb_help_remove(help, id), BUS_OK);
        }
    }
    kb_help_check(help);
    cr_assert(count_blocks("common") <= 2,
              "60 postings are in %llu blocks",
              (unsigned long long) count_blocks("common"));
}

Test(kb_index, leaps_to_any_passage)
{
    add_many(700);
    store_txn_t *txn = NULL;
    cr_assert_eq(store_begin(help->store, STORE_READ, &txn), BUS_OK);
    for (uint64_t step = 1; step < 400; step = step * 2 + 1) {
        core_kb_walk_t *walk = NULL;
        core_kb_posting_t posting = {.passage = 0};
        cr_assert_eq(core_kb_index_walk_open(txn, VIEW_LITERAL("third"), &walk), BUS_OK);
        uint64_t wanted = 1;
        for (; wanted <= 699; wanted += step) {
            cr_assert_eq(core_kb_index_walk_seek(walk, wanted, &posting), BUS_OK);
            cr_assert_eq(posting.passage, (wanted + 2) / 3 * 3);
            cr_assert_eq(posting.frequency, 1);
            cr_assert_eq(posting.words, 3);
            wanted = posting.passage;
        }
        cr_assert_eq(core_kb_index_walk_seek(walk, 700, &posting), BUS_NOT_FOUND);
        core_kb_index_walk_destroy(&walk);
    }
    core_kb_walk_t *walk = NULL;
    core_kb_posting_t posting;
    cr_assert_eq(core_kb_index_walk_open(txn, VIEW_LITERAL("nowhere"), &walk), BUS_OK);
    cr_assert_eq(core_kb_index_walk_seek(walk, 1, &posting), BUS_NOT_FOUND);
    core_kb_index_walk_destroy(&walk);
    store_rollback(&txn);
}

// --- Damage --------------------------------------------------------------------------------------

static void
overwrite(unsigned table, bus_view_t key, bus_view_t value)
{
    help_begin(help);
    cr_assert_eq(store_put(help->txn, table, key, value), BUS_OK);
    help_commit(help);
}

Test(kb_index, goes_on_over_a_block_that_is_no_block)
{
    add_many(300);
    core_kb_block_key_t key;
    (void) core_kb_block_key(&key, VIEW_LITERAL("common"), 1 + CORE_KB_INDEX_BLOCK);
    overwrite(CORE_KB_INDEX, view_from(key.bytes, key.size), VIEW_LITERAL("nonsense"));
    core_kb_ranking_t ranking = kb_help_rank(help, "common", 50);
    cr_assert_eq(ranking.count, 50);
    cr_assert_eq(ranking.damaged, 1);
    // What changes the term counts it anew, and what is behind the damage is found.
    cr_assert_eq(kb_help_remove(help, "d0140"), BUS_OK);
    core_kb_term_t term;
    store_txn_t *txn = NULL;
    cr_assert_eq(store_begin(help->store, STORE_READ, &txn), BUS_OK);
    cr_assert_eq(core_kb_index_find(txn, VIEW_LITERAL("common"), &term), BUS_OK);
    store_rollback(&txn);
    cr_assert_eq(term.passages, 300 - CORE_KB_INDEX_BLOCK);
    cr_assert_eq(kb_help_rank(help, "common u299", 1).hits[0].passage, 299);
    cr_assert_eq(kb_help_rank(help, "common", 50).damaged, 0);
}

Test(kb_index, counts_anew_what_its_totals_cannot_say)
{
    add_many(200);
    core_kb_block_key_t key;
    (void) core_kb_block_key(&key, VIEW_LITERAL("common"), 0);
    overwrite(CORE_KB_INDEX, view_from(key.bytes, key.size), VIEW_LITERAL("?"));
    cr_assert_eq(kb_help_rank(help, "common", 5).damaged, 1);
    cr_assert_str_eq(kb_help_add_text(help, "new", "common again"), "added");
    kb_help_check(help);
    cr_assert_eq(kb_help_rank(help, "common", 5).damaged, 0);
    overwrite(CORE_TOTALS, VIEW_LITERAL("kb"), VIEW_LITERAL("?"));
    cr_assert_str_eq(kb_help_add_text(help, "newer", "common once more"), "added");
    kb_help_check(help);
}

Test(kb_index, begins_a_new_block_behind_a_tail_that_is_damaged)
{
    add_many(10);
    core_kb_block_key_t key;
    (void) core_kb_block_key(&key, VIEW_LITERAL("common"), 1);
    overwrite(CORE_KB_INDEX, view_from(key.bytes, key.size), VIEW_LITERAL("?"));
    cr_assert_str_eq(kb_help_add_text(help, "new", "common again"), "added");
    core_kb_ranking_t ranking = kb_help_rank(help, "common", 5);
    cr_assert_eq(ranking.count, 1);
    cr_assert_eq(ranking.hits[0].passage, 11);
}
