// learn.c - a task is over: what it taught, and what else it calls for. See learn.h.
#include "learn.h"

#include "choice.h"
#include "drift.h"
#include "proto/walk.h"
#include "window.h"

#include <assert.h>
#include <math.h>

#define DOCUMENTS_KEY VIEW_LITERAL("documents")
#define US_PER_MINUTE 60e6
#define POOR_QUALITY 0.70 // of one document: what is drift in the mean of a drill
#define POOR_TRUST 0.70   // below it the librarian keeps a document out

enum { KEY_SIZE = 64 + 1 + 64 };

// --- What it taught ------------------------------------------------------------------------------

static bool
find_real(bus_view_t result, const char *key, double *ret_value)
{
    bus_view_t value;
    return result.data != NULL && walk_find(result, key, &value) == BUS_OK &&
           walk_as_real(value, ret_value) == BUS_OK && isfinite(*ret_value);
}

// Whether the result says that the issue remains.
static bool
issue_remains(bus_view_t result)
{
    return !walk_bool_at(result, "issue_resolved", true);
}

bool
brain_learn_sample(const schema_task_done_t *done, brain_sample_t *ret_sample)
{
    if (!view_is(done->status, "completed") && !view_is(done->status, "dead")) {
        return false;
    }
    double quality = BRAIN_SCORE_QUALITY;
    if (!find_real(done->result, "quality_score", &quality) || quality < 0 || quality > 1) {
        quality = BRAIN_SCORE_QUALITY;
    }
    *ret_sample = (brain_sample_t){
        .success = view_is(done->status, "completed") && !issue_remains(done->result),
        .quality = quality,
        .minutes = (double) done->run_us.value / US_PER_MINUTE,
    };
    return true;
}

static bus_err_t
say_learned(service_apply_t *apply,
            const schema_task_done_t *done,
            bus_view_t key,
            const brain_score_t *before,
            const brain_score_t *after)
{
    brain_state_t *state = apply->state;
    double score = brain_score_of(after);
    const schema_brain_learned_t learned = {
        .key = key,
        .issue_type = done->issue_type,
        .task_id = done->task_id,
        .success = {.has = true, .value = after->successes > before->successes},
        .score = {.has = true, .value = score},
        .before = {.has = true, .value = brain_score_of(before)},
        .samples = {.has = true, .value = (int64_t) after->samples},
        .advice = view_from_text(brain_score_advice(score)),
    };
    pack_clear(state->said);
    schema_encode(&SCHEMA_brain_learned, &learned, state->said);
    bus_err_t err = service_say(apply, "brain.learned", pack_view(state->said));
    assert(err != BUS_PAYLOAD_TOO_LARGE); // its fields have limits
    return err;
}

static bus_err_t
learn(service_apply_t *apply, const schema_task_done_t *done)
{
    brain_sample_t sample;
    if (!brain_learn_sample(done, &sample)) {
        return BUS_OK;
    }
    char text[KEY_SIZE];
    size_t size = done->handler.size;
    assert(size + 1 + done->task_type.size <= sizeof text); // the schema's limits
    memcpy(text, done->handler.data, size);
    text[size++] = '_';
    memcpy(text + size, done->task_type.data, done->task_type.size);
    bus_view_t key = view_from(text, size + done->task_type.size);
    bool fits = false;
    brain_score_t before;
    bus_err_t err = brain_tables_fits(apply->txn, BRAIN_SCORES, key, BRAIN_LEARN_KEYS_MAX, &fits);
    if (err == BUS_OK) {
        err = brain_tables_get(apply->txn, BRAIN_SCORES, key, &before, sizeof before);
    }
    if (err != BUS_OK || !fits) {
        return err;
    }
    brain_score_t after = before;
    brain_score_add(&after, sample);
    err = store_put(apply->txn, BRAIN_SCORES, key, view_from(&after, sizeof after));
    if (err == BUS_OK && done->issue_type.size > 0) {
        err = brain_choice_learn(apply->txn, done->issue_type, done->task_type, sample);
    }
    return err == BUS_OK ? say_learned(apply, done, key, &before, &after) : err;
}

// --- What else it calls for ----------------------------------------------------------------------

static bus_err_t
watch_queue(brain_story_t *story, const schema_task_done_t *done)
{
    if (view_is(done->status, "cancelled")) {
        return BUS_OK; // nobody was kept waiting
    }
    brain_window_t window;
    double share = 0;
    bus_err_t err = brain_window_load(story->apply->txn, &window);
    if (err != BUS_OK) {
        return err;
    }
    bool is_told =
        brain_window_take(&window, &story->config, story->at, done->sla_met.value, &share);
    err = brain_window_save(story->apply->txn, &window);
    return err == BUS_OK && is_told
               ? brain_drift_observe(
                     story, &brain_metric_rows[BRAIN_METRIC_SLA_QUEUE], share, VIEW_NONE)
               : err;
}

// Offers an intent once `*count` reached `least`; begins to count anew where it was said.
static bus_err_t
offer_after(brain_story_t *story,
            brain_intent_kind_t kind,
            uint64_t *count,
            uint64_t least,
            const char *reasoning)
{
    if (*count < least) {
        return BUS_OK;
    }
    bool is_said = false;
    bus_err_t err = brain_intent_offer(story, kind, VIEW_NONE, VIEW_NONE, reasoning, &is_said);
    if (is_said) {
        *count = 0;
    }
    return err;
}

static bool
is_ingestion(const schema_task_done_t *done)
{
    return view_is(done->handler, "librarian") && view_is(done->task_type, "ingest_document") &&
           view_is(done->status, "completed");
}

static bus_err_t
watch_documents(brain_story_t *story, const schema_task_done_t *done)
{
    store_txn_t *txn = story->apply->txn;
    brain_documents_t documents;
    bus_err_t err = BUS_OK;
    if (!is_ingestion(done)) {
        return BUS_OK;
    }
    double quality = 1, trust = 1;
    (void) find_real(done->result, "quality_score", &quality);
    (void) find_real(done->result, "trust_score", &trust);
    err = brain_tables_get(txn, BRAIN_SINGLES, DOCUMENTS_KEY, &documents, sizeof documents);
    documents.ingested++;
    documents.distrusted += trust < POOR_TRUST ? 1 : 0;
    if (err == BUS_OK && quality < POOR_QUALITY) {
        err = brain_intent_offer(story,
                                 BRAIN_INTENT_REPROCESS,
                                 VIEW_NONE,
                                 VIEW_NONE,
                                 "A document of low quality came in",
                                 NULL);
    }
    if (err == BUS_OK) {
        err = offer_after(story,
                          BRAIN_INTENT_AUDIT,
                          &documents.distrusted,
                          BRAIN_INTENT_DISTRUSTED,
                          "Documents of low trust came in");
    }
    if (err == BUS_OK) {
        err = offer_after(story,
                          BRAIN_INTENT_INDEX,
                          &documents.ingested,
                          BRAIN_INTENT_DOCUMENTS,
                          "New documents came in since the last indexing");
    }
    if (err == BUS_OK) {
        err = store_put(txn, BRAIN_SINGLES, DOCUMENTS_KEY, view_from(&documents, sizeof documents));
    }
    return err;
}

bus_err_t
brain_learn_apply(service_apply_t *apply, const void *message)
{
    const schema_task_done_t *done = message;
    brain_story_t story;
    bus_err_t err = brain_story_only(apply, "htm");
    if (err == BUS_OK) {
        err = brain_story_begin(&story, apply);
    }
    if (err == BUS_OK) {
        err = learn(apply, done);
    }
    if (err == BUS_OK && done->intent.size > 0) {
        err = brain_intent_over(&story, done->intent, done->issue_type);
    }
    if (err == BUS_OK) {
        err = watch_queue(&story, done);
    }
    return err == BUS_OK ? watch_documents(&story, done) : err;
}
