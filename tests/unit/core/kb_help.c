// kb_help.c - the knowledge base in tests.
#include "kb_help.h"
#include "core/kb_block.h"
#include "core/kb_gather.h"
#include "proto/walk.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

const char *
kb_help_add(help_t *help, const schema_kb_document_t *message)
{
    help_begin(help);
    service_apply_t apply = help_record(help, "kb.document", NULL);
    bus_err_t err = core_kb_document_add(&apply, message);
    help_commit(help);
    static char action[32];
    bus_view_t value;
    bus_view_t text = VIEW_NONE;
    if (err != BUS_OK || walk_find(pack_view(help->packed), "action", &value) != BUS_OK ||
        walk_as_str(value, &text) != BUS_OK) {
        text = VIEW_LITERAL("");
    }
    snprintf(action, sizeof action, "%.*s", (int) text.size, text.data);
    return action;
}

const char *
kb_help_add_text(help_t *help, const char *document_id, const char *text)
{
    const schema_kb_document_t message = {.document_id = view_from_text(document_id),
                                          .text = view_from_text(text)};
    return kb_help_add(help, &message);
}

bus_err_t
kb_help_remove(help_t *help, const char *document_id)
{
    const schema_kb_remove_t message = {.document_id = view_from_text(document_id)};
    help_begin(help);
    service_apply_t apply = help_record(help, "kb.remove", NULL);
    bus_err_t err = core_kb_document_remove(&apply, &message);
    help_commit(help);
    return err;
}

static store_txn_t *
begin_read(help_t *help)
{
    store_txn_t *txn = NULL;
    cr_assert_eq(store_begin(help->store, STORE_READ, &txn), BUS_OK);
    return txn;
}

uint64_t
kb_help_count(help_t *help, unsigned table)
{
    uint64_t count = 0;
    store_txn_t *txn = begin_read(help);
    cr_assert_eq(store_count(txn, table, &count), BUS_OK);
    store_rollback(&txn);
    return count;
}

// --- Ranking -------------------------------------------------------------------------------------

static void
read_question(const char *query, core_kb_asked_t *ret_asked)
{
    const char *field;
    const char *problem;
    bus_err_t err =
        core_kb_question_read(view_from_text(query), VIEW_NONE, ret_asked, &field, &problem);
    cr_assert_eq(err, BUS_OK, "%s", query);
}

core_kb_ranking_t
kb_help_rank(help_t *help, const char *query, uint32_t limit)
{
    core_kb_asked_t asked;
    core_kb_ranking_t ranking;
    read_question(query, &asked);
    store_txn_t *txn = begin_read(help);
    cr_assert_eq(core_kb_rank(txn, &asked, limit, &ranking), BUS_OK);
    store_rollback(&txn);
    return ranking;
}

// A passage as the model sees it.
typedef struct {
    uint64_t number;
    uint32_t words;
    uint32_t frequencies[CORE_KB_QUESTION_TERMS_MAX];
    bool is_allowed;
} seen_t;

static bool
is_allowed(store_txn_t *txn, const core_kb_asked_t *asked, uint64_t passage)
{
    core_kb_owner_t owner;
    core_kb_row_t row;
    cr_assert_eq(core_kb_passage_owner(txn, passage, &owner), BUS_OK);
    cr_assert_eq(core_kb_row_get(txn, owner.document_id, &row), BUS_OK);
    for (uint32_t i = 0; i < asked->filter_count; i++) {
        const core_kb_filter_t *filter = &asked->filters[i];
        bus_view_t value = filter->attribute == CORE_KB_BOOK   ? row.about.book
                           : filter->attribute == CORE_KB_TYPE ? row.about.type
                                                               : row.about.version;
        char folded[CORE_KB_PASSAGE_VALUE_MAX];
        size_t size = core_kb_text_fold(value, folded, sizeof folded);
        if (!view_equal(view_from(folded, size), view_from(filter->folded, filter->size))) {
            return false;
        }
    }
    return true;
}

static seen_t
look_at(store_txn_t *txn, const core_kb_asked_t *asked, uint64_t number)
{
    core_kb_passage_t passage;
    seen_t seen = {.number = number};
    cr_assert_eq(core_kb_passage_get(txn, number, &passage), BUS_OK);
    core_kb_words_t words = core_kb_text_words(passage.text);
    core_kb_word_t word;
    while (core_kb_text_next_word(&words, &word)) {
        char term[CORE_KB_TEXT_TERM_MAX];
        size_t size = core_kb_question_term(&word, term);
        int place = core_kb_question_find(asked, view_from(term, size));
        seen.words++;
        if (place >= 0) {
            seen.frequencies[place]++;
        }
    }
    seen.is_allowed = is_allowed(txn, asked, number);
    return seen;
}

static seen_t *
look_at_all(store_txn_t *txn, const core_kb_asked_t *asked, size_t *ret_count)
{
    uint64_t count = 0;
    cr_assert_eq(store_count(txn, CORE_KB_PASSAGES, &count), BUS_OK);
    seen_t *all = calloc(count + 1, sizeof all[0]);
    BUS_AUTO(store_cursor_destroy) store_cursor_t *cursor = NULL;
    cr_assert_eq(store_cursor_open(txn, CORE_KB_PASSAGES, &cursor), BUS_OK);
    bus_view_t key;
    bus_view_t value;
    size_t at = 0;
    bus_err_t err = store_first(cursor, &key, &value);
    for (; err == BUS_OK; err = store_next(cursor, &key, &value)) {
        uint64_t number;
        memcpy(&number, key.data, sizeof number);
        all[at++] = look_at(txn, asked, number);
    }
    *ret_count = at;
    return all;
}

static double
score_of(const seen_t *seen, const core_kb_asked_t *asked, const double *idf, double average)
{
    double score = 0;
    for (uint32_t i = 0; i < asked->term_count; i++) {
        double frequency = seen->frequencies[i];
        if (frequency > 0) {
            double weight = idf[i] * (double) asked->terms[i].count;
            double length = 1.0 - 0.75 + 0.75 * (double) seen->words / average;
            score += weight * (frequency * (1.2 + 1.0) / (frequency + 1.2 * length));
        }
    }
    return score;
}

static int
compare_hits(const void *a, const void *b)
{
    const core_kb_hit_t *left = a;
    const core_kb_hit_t *right = b;
    if (left->score < right->score || left->score > right->score) {
        return left->score < right->score ? 1 : -1;
    }
    return left->passage < right->passage ? -1 : left->passage > right->passage;
}

core_kb_ranking_t
kb_help_rank_all(help_t *help, const char *query, uint32_t limit)
{
    core_kb_asked_t asked;
    core_kb_ranking_t ranking = {.count = 0};
    read_question(query, &asked);
    store_txn_t *txn = begin_read(help);
    size_t count = 0;
    seen_t *all = look_at_all(txn, &asked, &count);
    double words = 0;
    double idf[CORE_KB_QUESTION_TERMS_MAX] = {0};
    for (size_t i = 0; i < count; i++) {
        words += all[i].words;
        for (uint32_t j = 0; j < asked.term_count; j++) {
            idf[j] += all[i].frequencies[j] > 0 ? 1 : 0;
        }
    }
    for (uint32_t j = 0; j < asked.term_count; j++) {
        idf[j] = log(1.0 + ((double) count - idf[j] + 0.5) / (idf[j] + 0.5));
    }
    core_kb_hit_t *hits = calloc(count + 1, sizeof hits[0]);
    size_t hit_count = 0;
    for (size_t i = 0; i < count; i++) {
        double score = score_of(&all[i], &asked, idf, words / (double) count);
        if (all[i].is_allowed && score > 0) {
            hits[hit_count++] = (core_kb_hit_t){.passage = all[i].number, .score = score};
        }
    }
    qsort(hits, hit_count, sizeof hits[0], compare_hits);
    ranking.count = hit_count < limit ? (uint32_t) hit_count : limit;
    memcpy(ranking.hits, hits, ranking.count * sizeof hits[0]);
    free(hits);
    free(all);
    store_rollback(&txn);
    return ranking;
}

// --- The index -----------------------------------------------------------------------------------

// Compares the blocks of one term with what was gathered; returns how many records they are.
static uint64_t
check_term(store_txn_t *txn, const core_kb_gathered_t *gathered)
{
    core_kb_term_t term;
    cr_assert_eq(core_kb_index_find(txn, gathered->term, &term), BUS_OK);
    cr_assert_eq(term.passages, gathered->count);
    BUS_AUTO(store_cursor_destroy) store_cursor_t *cursor = NULL;
    cr_assert_eq(store_cursor_open(txn, CORE_KB_INDEX, &cursor), BUS_OK);
    core_kb_block_key_t wanted;
    bus_view_t key;
    bus_view_t stored;
    uint64_t first = 0;
    uint64_t tail = 0;
    uint64_t records = 1;
    size_t at = 0;
    bus_err_t err =
        store_seek(cursor, core_kb_block_key(&wanted, gathered->term, 1), &key, &stored);
    while (err == BUS_OK && core_kb_block_key_first(key, gathered->term, &first)) {
        core_kb_block_reader_t reader;
        core_kb_posting_t posting;
        cr_assert_eq(core_kb_block_read(&reader, first, stored), BUS_OK);
        cr_assert_eq(first, gathered->postings[at].passage, "a block's key is its first passage");
        core_kb_block_head_t head = reader.head;
        uint32_t frequency_max = 0;
        uint32_t words_min = UINT32_MAX;
        while (core_kb_block_next(&reader, &posting) == BUS_OK) {
            cr_assert(at < gathered->count);
            const core_kb_posting_t *model = &gathered->postings[at++];
            cr_assert_eq(posting.passage, model->passage);
            cr_assert_eq(posting.frequency, model->frequency);
            cr_assert_eq(posting.words, model->words);
            frequency_max = posting.frequency > frequency_max ? posting.frequency : frequency_max;
            words_min = posting.words < words_min ? posting.words : words_min;
        }
        cr_assert_eq(head.last, gathered->postings[at - 1].passage);
        cr_assert(head.frequency_max >= frequency_max && head.words_min <= words_min);
        cr_assert(term.frequency_max >= frequency_max && term.words_min <= words_min);
        tail = first;
        records++;
        err = store_next(cursor, &key, &stored);
    }
    cr_assert_eq(at, gathered->count);
    cr_assert_eq(term.tail, tail);
    return records;
}

void
kb_help_check(help_t *help)
{
    store_txn_t *txn = begin_read(help);
    core_kb_gather_t *gather = core_kb_gather_new();
    core_kb_totals_t totals;
    core_kb_totals_t model = {.next = 0};
    cr_assert_eq(core_kb_passage_totals(txn, &totals), BUS_OK);
    for (uint64_t i = 1; i < totals.next; i++) {
        core_kb_passage_t passage;
        if (core_kb_passage_get(txn, i, &passage) == BUS_OK) {
            model.passages++;
            model.words += core_kb_gather_add(gather, i, passage.text);
        }
    }
    size_t count = core_kb_gather_finish(gather);
    uint64_t records = 0;
    for (size_t i = 0; i < count; i++) {
        core_kb_gathered_t gathered = core_kb_gather_at(gather, i);
        records += check_term(txn, &gathered);
    }
    uint64_t stored = 0;
    cr_assert_eq(store_count(txn, CORE_KB_INDEX, &stored), BUS_OK);
    cr_assert_eq(stored, records, "nothing is left of what went");
    cr_assert_eq(store_count(txn, CORE_KB_PASSAGES, &stored), BUS_OK);
    cr_assert_eq(stored, model.passages);
    cr_assert_eq(totals.passages, model.passages);
    cr_assert_eq(totals.words, model.words);
    core_kb_gather_destroy(&gather);
    store_rollback(&txn);
}
