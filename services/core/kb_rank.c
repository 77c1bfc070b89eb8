// kb_rank.c - BM25 over walks through the postings of a question's terms, with MaxScore.
//
// The terms stand in the order of the most that each can add to a passage, the least first. Once
// the best passages are found, those first terms whose bounds together do not reach the worst of
// these cannot make a passage one of the best on their own: only the others are walked through, and
// the first ones are asked about the passages that these bring up.
#include "kb_rank.h"

#include "kb_index.h"
#include "tables.h"

#include <assert.h>
#include <math.h>

#define K1 1.2
#define B 0.75
// Sums are made in several orders: a bound must not be below a score by its last bits.
#define SLACK (1.0 + 1e-9)

enum { LOOKS = 64 }; // passages looked at between two looks at what it costs

typedef struct {
    core_kb_walk_t *walk;
    core_kb_posting_t at; // where it stands
    bool is_done;
    double weight; // idf, as often as it was asked for
    double bound;  // most that it can add to a score
    uint32_t term; // its place in the question
} stream_t;

// The passages that one filter lets through.
typedef struct {
    const core_kb_filter_t *filter;
    core_kb_run_t run; // where it stands; last 0: nowhere yet
} gate_t;

typedef struct {
    store_txn_t *txn;
    const core_kb_asked_t *asked;
    core_kb_ranking_t *ranking;
    stream_t streams[CORE_KB_QUESTION_TERMS_MAX]; // the least bound first
    double below[CORE_KB_QUESTION_TERMS_MAX + 1]; // sum of the bounds before each
    uint32_t count;
    uint32_t essential; // the first stream that is walked through
    gate_t gates[CORE_KB_QUESTION_FILTERS_MAX];
    store_cursor_t *cursor; // of CORE_KB_RANGES, for the gates; NULL: there are none
    double average;         // words of a passage
    uint32_t limit;
} rank_t;

// --- Scores --------------------------------------------------------------------------------------

static double
saturation(uint32_t frequency, uint32_t words, double average)
{
    double length = 1.0 - B + B * (double) words / average;
    return (double) frequency * (K1 + 1.0) / ((double) frequency + K1 * length);
}

static double
score_of(const rank_t *self, const stream_t *stream)
{
    return stream->weight * saturation(stream->at.frequency, stream->at.words, self->average);
}

// The score below which a passage is not among the best.
static double
threshold(const rank_t *self)
{
    const core_kb_ranking_t *ranking = self->ranking;
    return ranking->count < self->limit ? 0.0 : ranking->hits[ranking->count - 1].score;
}

// Whether a passage whose score is at most `bound` is not among the best: of equal ones the first
// stays.
static bool
is_below(const rank_t *self, double bound)
{
    return self->ranking->count == self->limit && bound * SLACK <= threshold(self);
}

static void
keep(rank_t *self, core_kb_hit_t hit)
{
    core_kb_ranking_t *ranking = self->ranking;
    if (ranking->count == self->limit && hit.score <= threshold(self)) {
        return;
    }
    uint32_t place = ranking->count < self->limit ? ranking->count++ : ranking->count - 1;
    while (place > 0 && ranking->hits[place - 1].score < hit.score) {
        ranking->hits[place] = ranking->hits[place - 1];
        place--;
    }
    ranking->hits[place] = hit;
    while (self->essential < self->count && is_below(self, self->below[self->essential + 1])) {
        self->essential++;
    }
}

// --- Gates ---------------------------------------------------------------------------------------

// The first passage at or above `passage` that every filter lets through. BUS_NOT_FOUND, BUS_IO.
static bus_err_t
pass_gates(rank_t *self, uint64_t passage, uint64_t *ret_passage)
{
    uint32_t agreed = 0;
    uint32_t at = 0;
    while (agreed < self->asked->filter_count) {
        gate_t *gate = &self->gates[at];
        if (gate->run.last < passage) {
            const core_kb_filter_t *filter = gate->filter;
            bus_err_t err = core_kb_passage_marked(self->cursor,
                                                   filter->attribute,
                                                   view_from(filter->folded, filter->size),
                                                   passage,
                                                   &gate->run);
            self->ranking->steps++;
            if (err != BUS_OK) {
                return err;
            }
        }
        agreed = gate->run.first <= passage ? agreed + 1 : 1;
        passage = gate->run.first <= passage ? passage : gate->run.first;
        at = (at + 1) % self->asked->filter_count;
    }
    *ret_passage = passage;
    return BUS_OK;
}

// --- Streams -------------------------------------------------------------------------------------

static bus_err_t
bring(stream_t *stream, uint64_t passage)
{
    if (stream->is_done || stream->at.passage >= passage) {
        return BUS_OK;
    }
    bus_err_t err = core_kb_index_walk_seek(stream->walk, passage, &stream->at);
    if (err == BUS_NOT_FOUND) {
        stream->is_done = true;
        return BUS_OK;
    }
    return err;
}

// The lowest passage that a stream which is walked through stands on; 0: they are all done.
static uint64_t
lowest(const rank_t *self)
{
    uint64_t passage = 0;
    for (uint32_t i = self->essential; i < self->count; i++) {
        const stream_t *stream = &self->streams[i];
        if (!stream->is_done && (passage == 0 || stream->at.passage < passage)) {
            passage = stream->at.passage;
        }
    }
    return passage;
}

// Scores a passage, unless it turns out on the way that it is not among the best.
static bus_err_t
score_passage(rank_t *self, uint64_t passage)
{
    double of[CORE_KB_QUESTION_TERMS_MAX] = {0};
    double sum = 0;
    for (uint32_t i = self->count; i > 0; i--) {
        stream_t *stream = &self->streams[i - 1];
        if (i - 1 < self->essential) {
            if (is_below(self, sum + self->below[i])) {
                return BUS_OK;
            }
            bus_err_t err = bring(stream, passage);
            if (err != BUS_OK) {
                return err;
            }
        }
        if (!stream->is_done && stream->at.passage == passage) {
            of[stream->term] = score_of(self, stream);
            sum += of[stream->term];
        }
    }
    // Once more, in the order of the question: the score of a passage is always the same to the
    // last bit, whatever was left out on the way to it.
    core_kb_hit_t hit = {.passage = passage};
    for (uint32_t i = 0; i < self->asked->term_count; i++) {
        hit.score += of[i];
    }
    keep(self, hit);
    return BUS_OK;
}

static uint64_t
count_steps(const rank_t *self)
{
    uint64_t steps = self->ranking->steps;
    for (uint32_t i = 0; i < self->count; i++) {
        steps += core_kb_index_walk_steps(self->streams[i].walk);
    }
    return steps;
}

// Moves every stream that is walked through to `passage` or behind.
static bus_err_t
bring_all(rank_t *self, uint64_t passage)
{
    bus_err_t err = BUS_OK;
    for (uint32_t i = self->essential; i < self->count && err == BUS_OK; i++) {
        err = bring(&self->streams[i], passage);
    }
    return err;
}

static bus_err_t
walk(rank_t *self)
{
    uint64_t passage = 1;
    uint64_t looked = 0;
    for (;;) {
        bus_err_t err = bring_all(self, passage);
        passage = lowest(self);
        if (err != BUS_OK || passage == 0) {
            return err;
        }
        uint64_t allowed = passage;
        err = pass_gates(self, passage, &allowed);
        if (err == BUS_OK && allowed == passage) {
            err = score_passage(self, passage);
            passage++;
        } else {
            passage = allowed;
        }
        if (err != BUS_OK) {
            return err == BUS_NOT_FOUND ? BUS_OK : err;
        }
        if (++looked % LOOKS == 0 && count_steps(self) > self->asked->steps_max) {
            self->ranking->is_partial = true;
            return BUS_OK;
        }
    }
}

// --- Beginning -----------------------------------------------------------------------------------

static double
idf_of(uint64_t passages, uint64_t with_term)
{
    double all = (double) (passages > with_term ? passages : with_term);
    double n = (double) with_term;
    return log(1.0 + (all - n + 0.5) / (n + 0.5));
}

// Opens the stream of a term, in its place by bound. A term that no passage has is none.
static bus_err_t
open_stream(rank_t *self, uint32_t term, const core_kb_totals_t *totals)
{
    const core_kb_wanted_t *wanted = &self->asked->terms[term];
    bus_view_t text = view_from(wanted->term, wanted->size);
    core_kb_term_t known = {.frequency_max = UINT16_MAX};
    bus_err_t err = core_kb_index_find(self->txn, text, &known);
    if (err == BUS_NOT_FOUND) {
        return BUS_OK;
    }
    if (err == BUS_CORRUPT) { // its blocks may be whole: counted as if it were rare
        self->ranking->damaged++;
        known = (core_kb_term_t){.passages = 1, .frequency_max = UINT16_MAX};
        err = BUS_OK;
    }
    stream_t stream = {.term = term};
    if (err == BUS_OK) {
        err = core_kb_index_walk_open(self->txn, text, &stream.walk);
    }
    if (err != BUS_OK) {
        return err;
    }
    self->ranking->idf[term] = idf_of(totals->passages, known.passages);
    stream.weight = self->ranking->idf[term] * (double) wanted->count;
    stream.bound = stream.weight * saturation(known.frequency_max, known.words_min, self->average);
    uint32_t place = self->count++;
    while (place > 0 && self->streams[place - 1].bound > stream.bound) {
        self->streams[place] = self->streams[place - 1];
        place--;
    }
    self->streams[place] = stream;
    return BUS_OK;
}

static bus_err_t
begin(rank_t *self)
{
    core_kb_totals_t totals;
    bus_err_t err = core_kb_passage_totals(self->txn, &totals);
    if (err == BUS_CORRUPT) { // the order is a little off until something is added
        totals = (core_kb_totals_t){.passages = 1, .words = 50};
        self->ranking->damaged++;
        err = BUS_OK;
    }
    self->average = totals.passages == 0 || totals.words == 0
                        ? 1.0
                        : (double) totals.words / (double) totals.passages;
    for (uint32_t i = 0; i < self->asked->term_count && err == BUS_OK; i++) {
        err = open_stream(self, i, &totals);
    }
    for (uint32_t i = 0; i < self->count; i++) {
        self->below[i + 1] = self->below[i] + self->streams[i].bound;
    }
    for (uint32_t i = 0; i < self->asked->filter_count; i++) {
        self->gates[i].filter = &self->asked->filters[i];
    }
    if (err == BUS_OK && self->asked->filter_count > 0) {
        err = store_cursor_open(self->txn, CORE_KB_RANGES, &self->cursor);
    }
    return err;
}

bus_err_t
core_kb_rank(store_txn_t *txn,
             const core_kb_asked_t *asked,
             uint32_t limit,
             core_kb_ranking_t *ret_ranking)
{
    assert(limit > 0 && limit <= CORE_KB_RANK_MAX);
    *ret_ranking = (core_kb_ranking_t){.count = 0};
    rank_t self = {.txn = txn, .asked = asked, .ranking = ret_ranking, .limit = limit};
    bus_err_t err = begin(&self);
    if (err == BUS_OK && self.count > 0) {
        err = walk(&self);
    }
    ret_ranking->steps = count_steps(&self);
    for (uint32_t i = 0; i < self.count; i++) {
        ret_ranking->damaged += core_kb_index_walk_damaged(self.streams[i].walk);
        core_kb_index_walk_destroy(&self.streams[i].walk);
    }
    store_cursor_destroy(&self.cursor);
    return err;
}
