// kb_rank_test.c - BM25: known answers, and the same ranking as by looking at everything.
#include "kb_help.h"
#include <math.h>
#include <stdio.h>

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

TestSuite(kb_rank, .init = start, .fini = stop);

// Computed by hand from the formula: three passages of 4, 2 and 3 words.
Test(kb_rank, has_the_score_of_the_formula)
{
    cr_assert_str_eq(kb_help_add_text(help, "a", "karma action karma duty"), "added");
    cr_assert_str_eq(kb_help_add_text(help, "b", "karma returns"), "added");
    cr_assert_str_eq(kb_help_add_text(help, "c", "duty without attachment"), "added");
    core_kb_ranking_t ranking = kb_help_rank(help, "Karma", 10);
    double idf = log(1.0 + (3 - 2 + 0.5) / (2 + 0.5)); // 0.4700036…
    double a = idf * 2 * 2.2 / (2 + 1.2 * (0.25 + 0.75 * 4 / 3.0));
    double b = idf * 1 * 2.2 / (1 + 1.2 * (0.25 + 0.75 * 2 / 3.0));
    cr_assert_eq(ranking.count, 2);
    cr_assert_eq(ranking.hits[0].passage, 1);
    cr_assert_float_eq(ranking.hits[0].score, a, 1e-12);
    cr_assert_float_eq(ranking.hits[0].score, 0.5908617053, 1e-9);
    cr_assert_float_eq(ranking.hits[1].score, b, 1e-12);
    cr_assert_float_eq(ranking.hits[1].score, 0.5442147286, 1e-9);
}

Test(kb_rank, finds_nothing_where_there_is_nothing)
{
    cr_assert_eq(kb_help_rank(help, "karma", 10).count, 0);
    cr_assert_str_eq(kb_help_add_text(help, "a", "karma"), "added");
    cr_assert_eq(kb_help_rank(help, "dharma", 10).count, 0);
    cr_assert_eq(kb_help_rank(help, "?!", 10).count, 0);
    cr_assert_eq(kb_help_rank(help, "karma @book:none", 10).count, 0);
}

Test(kb_rank, finds_other_forms_of_a_word_and_words_that_say_nothing_only_alone)
{
    cr_assert_str_eq(kb_help_add_text(help, "a", "Meditating calms the mind."), "added");
    cr_assert_str_eq(kb_help_add_text(help, "b", "To be, or not to be."), "added");
    cr_assert_eq(kb_help_rank(help, "what is the meditation", 10).count, 1);
    cr_assert_eq(kb_help_rank(help, "meditation to be", 10).hits[0].passage, 1);
    cr_assert_eq(kb_help_rank(help, "to be", 10).count, 1);
    cr_assert_eq(kb_help_rank(help, "to be", 10).hits[0].passage, 2);
}

Test(kb_rank, keeps_equal_passages_in_their_order)
{
    char id[16];
    for (int i = 0; i < 40; i++) {
        snprintf(id, sizeof id, "d%d", i);
        cr_assert_str_eq(kb_help_add_text(help, id, "the same words"), "added");
    }
    core_kb_ranking_t ranking = kb_help_rank(help, "same words", 7);
    cr_assert_eq(ranking.count, 7);
    for (uint64_t i = 0; i < 7; i++) {
        cr_assert_eq(ranking.hits[i].passage, i + 1);
    }
}

static uint64_t random_state = 3;

static uint64_t
random_below(uint64_t bound)
{
    random_state = random_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (random_state >> 33) % bound;
}

static void
fill(unsigned documents)
{
    static const char *const books[] = {"Gita", "gītā", "Yoga Sutra", NULL};
    static const char *const versions[] = {"1", "2", NULL};
    for (unsigned i = 0; i < documents; i++) {
        char id[16];
        char text[4096];
        size_t size = 0;
        snprintf(id, sizeof id, "d%u", i);
        for (uint64_t j = 0, words = 5 + random_below(500); j < words; j++) {
            uint64_t number = random_below(1 + random_below(80));
            size += (size_t) snprintf(text + size,
                                      sizeof text - size,
                                      "w%llu%s ",
                                      (unsigned long long) number,
                                      random_below(9) == 0 ? "." : "");
        }
        const schema_kb_document_t message = {.document_id = view_from_text(id),
                                              .text = view_from(text, size),
                                              .book = view_from_text(books[random_below(4)]),
                                              .version = view_from_text(versions[random_below(3)])};
        (void) kb_help_add(help, &message);
        if (random_below(5) == 0) {
            snprintf(id, sizeof id, "d%llu", (unsigned long long) random_below(i + 1));
            (void) kb_help_remove(help, id);
        }
    }
}

Test(kb_rank, ranks_as_if_it_had_looked_at_everything)
{
    static const char *const filters[] = {
        "", "", " @book:gita", " @version:2", " @book:\"yoga SUTRA\" @version:1"};
    fill(250);
    for (int round = 0; round < 120; round++) {
        char query[512];
        size_t size = 0;
        for (uint64_t j = 0, words = 1 + random_below(9); j < words; j++) {
            uint64_t number = random_below(1 + random_below(90));
            size += (size_t) snprintf(
                query + size, sizeof query - size, "w%llu ", (unsigned long long) number);
        }
        snprintf(query + size, sizeof query - size, "%s", filters[random_below(5)]);
        uint32_t limit = 1 + (uint32_t) random_below(20);
        core_kb_ranking_t is = kb_help_rank(help, query, limit);
        core_kb_ranking_t should = kb_help_rank_all(help, query, limit);
        cr_assert_eq(is.count, should.count, "%s: %u, not %u", query, is.count, should.count);
        for (uint32_t i = 0; i < is.count; i++) {
            cr_assert_eq(is.hits[i].passage, should.hits[i].passage, "%s: hit %u", query, i);
            cr_assert(memcmp(&is.hits[i].score, &should.hits[i].score, sizeof(double)) == 0,
                      "%s: to the last bit",
                      query);
        }
        cr_assert_not(is.is_partial);
        cr_assert_eq(is.damaged, 0);
    }
}

Test(kb_rank, ends_where_it_costs_too_much_and_says_so)
{
    core_kb_asked_t asked;
    core_kb_ranking_t ranking;
    const char *why;
    fill(250);
    bus_err_t err = core_kb_question_read(VIEW_LITERAL("w0 w1 w2"), VIEW_NONE, &asked, &why, &why);
    cr_assert_eq(err, BUS_OK);
    asked.steps_max = 500;
    store_txn_t *txn = NULL;
    cr_assert_eq(store_begin(help->store, STORE_READ, &txn), BUS_OK);
    cr_assert_eq(core_kb_rank(txn, &asked, 50, &ranking), BUS_OK);
    store_rollback(&txn);
    cr_assert(ranking.is_partial);
    cr_assert(ranking.steps > 500 && ranking.steps < 1000);
    cr_assert_gt(ranking.count, 0, "what was found until then is the answer");
}

Test(kb_rank, looks_at_a_part_of_a_long_list_only)
{
    cr_assert_str_eq(kb_help_add_text(help, "rare", "rareword w0 w1 w2"), "added");
    fill(250);
    uint64_t all = kb_help_rank(help, "w0 w1 w2", 50).steps;
    uint64_t some = kb_help_rank(help, "rareword w0 w1 w2", 1).steps;
    cr_assert(
        some * 2 < all, "%llu steps of %llu", (unsigned long long) some, (unsigned long long) all);
}
