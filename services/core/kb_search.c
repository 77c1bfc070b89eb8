// kb_search.c - asking the knowledge base: the answer as it is packed.
//
// Without a model to write one, the answer is what the original did then: the sentences with most
// of the question's words, out of the best passages. A rare word counts for more than a common one,
// as it does in the ranking.
#include "kb_search.h"

#include "kb_chunk.h"
#include "kb_row.h"
#include "proto/rfc3339.h"
#include "runtime/clock.h"
#include "runtime/log.h"

enum {
    ANSWER_PASSAGES = 3, // that sentences are taken from: the original's
    ANSWER_SENTENCES = 3 // likewise
};

#define NOTHING "Nothing in the knowledge base answers this."

// A passage that was found, with what is known of its document. Views into the store.
typedef struct {
    double score;
    core_kb_passage_t passage;
    core_kb_owner_t owner;
    schema_kb_row_t about;
    bus_view_t title;
    uint64_t chunk;  // within the document, from 1
    uint64_t offset; // in bytes of the document's text
} found_t;

typedef struct {
    const core_kb_question_t *question;
    core_kb_asked_t asked;
    core_kb_ranking_t ranking;
    found_t found[CORE_KB_RANK_MAX];
    uint32_t count;
    uint32_t lost; // hits whose passage or document could not be read
    core_kb_totals_t totals;
} search_t;

// --- What was found ------------------------------------------------------------------------------

// BUS_NOT_FOUND or BUS_CORRUPT where the index knows a passage that is no more: damage.
static bus_err_t
look_up(store_txn_t *txn, const core_kb_hit_t *hit, found_t *ret_found)
{
    bus_err_t err = core_kb_passage_get(txn, hit->passage, &ret_found->passage);
    if (err == BUS_OK) {
        err = core_kb_passage_owner(txn, hit->passage, &ret_found->owner);
    }
    core_kb_row_t row;
    if (err == BUS_OK) {
        err = core_kb_row_get(txn, ret_found->owner.document_id, &row);
    }
    if (err != BUS_OK) {
        return err;
    }
    uint32_t index = ret_found->owner.part - 1;
    if (index >= row.part_count || hit->passage < row.parts[index].first ||
        hit->passage > row.parts[index].last) {
        return BUS_NOT_FOUND; // of a document that was damaged, and came anew
    }
    uint64_t bytes;
    uint64_t passages;
    core_kb_row_before(&row, index, &bytes, &passages);
    ret_found->score = hit->score;
    ret_found->about = row.about;
    ret_found->title = core_kb_row_title(&row, ret_found->owner.document_id);
    ret_found->chunk = passages + ret_found->passage.number + 1;
    ret_found->offset = bytes + ret_found->passage.offset;
    return BUS_OK;
}

static bus_err_t
look_up_all(search_t *self, store_txn_t *txn)
{
    for (uint32_t i = 0; i < self->ranking.count; i++) {
        bus_err_t err = look_up(txn, &self->ranking.hits[i], &self->found[self->count]);
        if (err == BUS_OK) {
            self->count++;
        } else if (err == BUS_IO) {
            return err;
        } else {
            self->lost++;
        }
    }
    if (self->lost > 0 || self->ranking.damaged > 0) {
        log_error("kb_search_damaged",
                  "passages=%u blocks=%llu",
                  self->lost,
                  (unsigned long long) self->ranking.damaged);
    }
    return BUS_OK;
}

// --- The answer's text ---------------------------------------------------------------------------

typedef struct {
    bus_view_t text;
    double weight;  // of the question's words in it
    uint32_t order; // in which it was come upon
} sentence_t;

static double
weigh(const search_t *self, bus_view_t sentence)
{
    bool has[CORE_KB_QUESTION_TERMS_MAX] = {false};
    core_kb_words_t words = core_kb_text_words(sentence);
    core_kb_word_t word;
    double weight = 0;
    while (core_kb_text_next_word(&words, &word)) {
        char term[CORE_KB_TEXT_TERM_MAX];
        size_t size = core_kb_question_term(&word, term);
        int place = core_kb_question_find(&self->asked, view_from(term, size));
        if (place >= 0 && !has[place]) {
            has[place] = true;
            weight += self->ranking.idf[place];
        }
    }
    return weight;
}

// Keeps the heaviest, of equal ones the first.
static void
keep_sentence(sentence_t best[ANSWER_SENTENCES], const sentence_t *sentence)
{
    uint32_t place = ANSWER_SENTENCES;
    while (place > 0 && best[place - 1].weight < sentence->weight) {
        place--;
    }
    if (place < ANSWER_SENTENCES) {
        memmove(&best[place + 1], &best[place], (ANSWER_SENTENCES - 1 - place) * sizeof best[0]);
        best[place] = *sentence;
    }
}

static void
read_sentences(const search_t *self, sentence_t best[ANSWER_SENTENCES])
{
    uint32_t order = 0;
    for (uint32_t i = 0; i < self->count && i < ANSWER_PASSAGES; i++) {
        const core_kb_passage_t *passage = &self->found[i].passage;
        size_t at = core_kb_chunk_skip_space(passage->text, passage->overlap);
        while (at < passage->text.size) {
            size_t end = core_kb_chunk_sentence_end(passage->text, at);
            sentence_t sentence = {.text = view_from(passage->text.data + at, end - at),
                                   .order = order};
            order++;
            sentence.weight = weigh(self, sentence.text);
            keep_sentence(best, &sentence);
            at = core_kb_chunk_skip_space(passage->text, end);
        }
    }
}

// The best sentences, in the order in which they stand. Where only the overlap of a passage has the
// words, its text is the answer.
static void
pack_response(const search_t *self, pack_t *out)
{
    if (self->count == 0) {
        pack_pair_text(out, "response", NOTHING);
        return;
    }
    sentence_t best[ANSWER_SENTENCES] = {{.weight = 0}};
    read_sentences(self, best);
    char text[ANSWER_SENTENCES * (CORE_KB_CHUNK_CHARS_MAX * 4 + 1)];
    size_t size = 0;
    for (uint32_t taken = 0; taken < ANSWER_SENTENCES; taken++) {
        sentence_t *next = NULL;
        for (uint32_t i = 0; i < ANSWER_SENTENCES; i++) {
            bool is_next = best[i].weight > 0 && (next == NULL || best[i].order < next->order);
            next = is_next ? &best[i] : next;
        }
        if (next == NULL) {
            break;
        }
        text[size] = ' ';
        size += size > 0 ? 1 : 0;
        memcpy(text + size, next->text.data, next->text.size);
        size += next->text.size;
        next->weight = 0;
    }
    pack_pair_str(out, "response", size > 0 ? view_from(text, size) : self->found[0].passage.text);
}

// --- The rest of it ------------------------------------------------------------------------------

static void
pack_results(const search_t *self, pack_t *out)
{
    pack_text(out, "knowledge_base_results");
    pack_array(out, self->count);
    for (uint32_t i = 0; i < self->count; i++) {
        const found_t *found = &self->found[i];
        pack_map(out, 11);
        pack_pair_str(out, "document_id", found->owner.document_id);
        pack_pair_str(out, "title", found->title);
        pack_pair_str(out, "book", found->about.book);
        pack_pair_str(out, "type", found->about.type);
        pack_pair_str(out, "version", found->about.version);
        pack_pair_str(out, "source", found->about.source);
        pack_pair_uint(out, "chunk", found->chunk);
        pack_pair_uint(out, "offset", found->offset);
        pack_pair_uint(out, "length", found->passage.text.size);
        pack_pair_real(out, "score", found->score);
        pack_pair_str(out, "text", found->passage.text);
    }
}

// Whether an earlier passage is of the same document.
static bool
is_cited(const search_t *self, uint32_t index)
{
    for (uint32_t i = 0; i < index; i++) {
        if (view_equal(self->found[i].owner.document_id, self->found[index].owner.document_id)) {
            return true;
        }
    }
    return false;
}

static void
pack_chunks(const search_t *self, bus_view_t document_id, pack_t *out)
{
    pack_text(out, "chunks");
    size_t place = pack_array_begin(out);
    uint32_t count = 0;
    for (uint32_t i = 0; i < self->count; i++) {
        if (view_equal(self->found[i].owner.document_id, document_id)) {
            pack_uint(out, self->found[i].chunk);
            count++;
        }
    }
    pack_count(out, place, count);
}

// Each document once, by its best passage.
static void
pack_sources(const search_t *self, pack_t *out)
{
    pack_text(out, "sources");
    size_t place = pack_array_begin(out);
    uint32_t count = 0;
    for (uint32_t i = 0; i < self->count; i++) {
        const found_t *found = &self->found[i];
        if (is_cited(self, i)) {
            continue;
        }
        pack_map(out, 7);
        pack_pair_str(out, "document_id", found->owner.document_id);
        pack_pair_str(out, "title", found->title);
        pack_pair_str(out, "book", found->about.book);
        pack_pair_str(out, "version", found->about.version);
        pack_pair_str(out, "source", found->about.source);
        pack_pair_real(out, "score", found->score);
        pack_chunks(self, found->owner.document_id, out);
        count++;
    }
    pack_count(out, place, count);
}

static void
pack_filters(const search_t *self, pack_t *out)
{
    pack_text(out, "filters");
    pack_array(out, self->asked.filter_count);
    for (uint32_t i = 0; i < self->asked.filter_count; i++) {
        const core_kb_filter_t *filter = &self->asked.filters[i];
        const char *name = filter->attribute == CORE_KB_BOOK   ? "book"
                           : filter->attribute == CORE_KB_TYPE ? "type"
                                                               : "version";
        pack_map(out, 1);
        pack_pair_str(out, name, view_from(filter->folded, filter->size));
    }
}

static void
pack_metadata(const search_t *self, pack_t *out)
{
    pack_text(out, "metadata");
    pack_map(out, 9);
    pack_pair_text(out, "retriever", "bm25");
    bus_view_t tags = self->question->tags;
    pack_pair_raw(out, "tags", tags.data != NULL ? tags : VIEW_LITERAL("\x90"));
    pack_pair_uint(out, "total_results", self->count);
    pack_pair_uint(out, "documents", self->totals.documents);
    pack_pair_uint(out, "chunks", self->totals.passages);
    pack_text(out, "terms");
    pack_array(out, self->asked.term_count);
    for (uint32_t i = 0; i < self->asked.term_count; i++) {
        pack_str(out, view_from(self->asked.terms[i].term, self->asked.terms[i].size));
    }
    pack_pair_uint(out, "terms_left_out", self->asked.terms_left_out);
    pack_filters(self, out);
    pack_pair_bool(out, "is_partial", self->ranking.is_partial);
}

static void
pack_answer(const search_t *self, pack_t *out)
{
    char timestamp[RFC3339_SIZE];
    rfc3339_format(self->question->at, timestamp);
    pack_map(out, 10);
    pack_response(self, out);
    pack_pair_str(out, "query_id", self->question->query_id);
    pack_pair_str(out, "query", self->question->query);
    pack_sources(self, out);
    pack_results(self, out);
    pack_metadata(self, out);
    pack_pair_text(out, "timestamp", timestamp);
    pack_pair_int(out, "status", self->count > 0 ? 200 : 404);
    pack_pair_text(out, "model", "extractive");
    pack_pair_text(out, "endpoint", "knowledge_agent");
}

// --- Questions -----------------------------------------------------------------------------------

bus_err_t
core_kb_search_answer(store_txn_t *txn,
                      const core_kb_question_t *question,
                      pack_t *out,
                      const char **reterr_field,
                      const char **reterr_problem)
{
    search_t self = {.question = question};
    bus_view_t query = question->query;
    query.size = query.size < CORE_KB_SEARCH_QUERY_MAX ? query.size : CORE_KB_SEARCH_QUERY_MAX;
    bus_err_t err =
        core_kb_question_read(query, question->filters, &self.asked, reterr_field, reterr_problem);
    if (err != BUS_OK) {
        return err;
    }
    uint32_t limit = question->limit <= 0                         ? CORE_KB_SEARCH_LIMIT
                     : question->limit > CORE_KB_SEARCH_LIMIT_MAX ? CORE_KB_SEARCH_LIMIT_MAX
                                                                  : (uint32_t) question->limit;
    err = core_kb_rank(txn, &self.asked, limit, &self.ranking);
    if (err == BUS_OK) {
        err = look_up_all(&self, txn);
    }
    if (err == BUS_OK && core_kb_passage_totals(txn, &self.totals) != BUS_OK) {
        self.totals = (core_kb_totals_t){.next = 0};
    }
    if (err == BUS_OK) {
        pack_answer(&self, out);
    }
    return err;
}

bus_err_t
core_kb_search_query(service_query_t *self, const void *message)
{
    const schema_kb_search_t *asked = message;
    const core_kb_question_t question = {.query = asked->query,
                                         .filters = asked->filters,
                                         .limit = asked->limit.has ? asked->limit.value : 0,
                                         .query_id = self->header->id,
                                         .at = clock_wall_us()};
    schema_problems_t problems = {.count = 1};
    bus_err_t err = core_kb_search_answer(
        self->txn, &question, self->answer, &problems.at[0].field, &problems.at[0].problem);
    if (err != BUS_VALIDATION_FAILED) {
        return err;
    }
    BUS_AUTO(pack_destroy) pack_t *details = pack_new();
    schema_pack_problems(&problems, details);
    return service_query_refuse(self, err, NULL, pack_view(details));
}
