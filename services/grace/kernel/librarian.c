// librarian.c - the kernel librarian: takes documents in, for Core's knowledge base.
//
// A reducer over what it says itself (librarian_record.c), and a worker: librarian_ingest.c is the
// way of one document, librarian_folder.c and librarian_reprocess.c are walks over several. The
// same can be asked for by a task of handler `librarian` (ingest_document, index_new_documents,
// reprocess_low_quality) and by a question, whose answer waits until it is done.
#include "kernel.h"
#include "librarian_folder.h"
#include "librarian_reprocess.h"
#include "worker.h"

#include <assert.h>
#include <stdlib.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define NAME "kernel-librarian"

enum {
    SLOTS = 8,             // tasks at once: most of their time they wait for Core
    REPROCESS_LIMIT = 100, // documents where no limit is named
};

typedef struct asker asker_t;

typedef struct {
    char *dir;
    asker_t *askers;               // of what is under way
    kernel_librarian_t *librarian; // NULL before it starts
    kernel_worker_t *worker;
    uint64_t applied; // seq of the last fact that was applied; committed when `act` is called
} state_t;

// --- Who asked -----------------------------------------------------------------------------------

struct asker {
    asker_t *next;
    state_t *state;
    kernel_worker_job_t *job;     // NULL: a question
    service_question_t *question; // NULL: a task
};

static void
asker_destroy(asker_t *self)
{
    asker_t **place = &self->state->askers;
    while (*place != self) {
        place = &(*place)->next;
    }
    *place = self->next;
    free(self);
}

static void
answer(void *arg, const kernel_librarian_outcome_t *outcome)
{
    asker_t *self = arg;
    bool is_done = outcome->err == BUS_OK;
    if (self->job != NULL && is_done) {
        kernel_worker_complete(self->state->worker, &self->job, outcome->result);
    } else if (self->job != NULL) {
        kernel_worker_fail(
            self->state->worker, &self->job, outcome->why, error_retry(outcome->err));
    } else {
        BUS_AUTO(pack_destroy) pack_t *body = pack_new();
        if (!is_done) {
            schema_pack_error(body, outcome->err, outcome->why, VIEW_NONE, 0);
        }
        service_question_answer(
            &self->question, outcome->err, is_done ? outcome->result : pack_view(body));
    }
    asker_destroy(self);
}

static asker_t *
asker_new(state_t *state, kernel_worker_job_t *job, service_question_t *question)
{
    asker_t *self = calloc(1, sizeof *self);
    assert(self);
    *self = (asker_t){.next = state->askers, .state = state, .job = job, .question = question};
    state->askers = self;
    return self;
}

// Tells of what could not be begun.
static void
begin(asker_t *asker, bus_err_t err)
{
    if (err != BUS_OK) {
        const kernel_librarian_outcome_t outcome = {.err = err, .why = error_meaning(err)};
        answer(asker, &outcome);
    }
}

// --- What is asked for ---------------------------------------------------------------------------

static bus_err_t
ingest(state_t *self, const schema_librarian_ingest_t *asked, bus_view_t trace_id, asker_t *asker)
{
    const kernel_librarian_ask_t ask = {
        .document_id = asked->document_id,
        .title = asked->title,
        .text = asked->text,
        .source = asked->source,
        .trace_id = trace_id,
    };
    return kernel_librarian_ingest(self->librarian, &ask, answer, asker);
}

static bus_err_t
reprocess(state_t *self,
          const schema_librarian_reprocess_t *asked,
          bus_view_t trace_id,
          asker_t *asker)
{
    const kernel_librarian_reprocess_t ask = {
        .document_id = asked->document_id,
        .limit = asked->limit.has ? (size_t) asked->limit.value : REPROCESS_LIMIT,
        .trace_id = trace_id,
    };
    return kernel_librarian_reprocess_start(self->librarian, &ask, answer, asker);
}

// --- The worker ----------------------------------------------------------------------------------

static void
run(void *arg, kernel_worker_job_t *job)
{
    state_t *self = arg;
    schema_librarian_ingest_t document;
    schema_librarian_reprocess_t low;
    schema_problems_t problems;
    asker_t *asker = asker_new(self, job, NULL);
    const char *why = NULL;
    if (view_is(job->task_type, "ingest_document")) {
        if (schema_decode(&SCHEMA_librarian_ingest, job->context, &document, &problems) == BUS_OK) {
            begin(asker, ingest(self, &document, job->trace_id, asker));
            return;
        }
        why = "its context is no document: it wants a text of at most 768 KiB";
    } else if (view_is(job->task_type, "reprocess_low_quality")) {
        // Of a remediation the context is the brain's: none of our fields, so all are meant.
        if (schema_decode(&SCHEMA_librarian_reprocess, job->context, &low, &problems) == BUS_OK) {
            begin(asker, reprocess(self, &low, job->trace_id, asker));
            return;
        }
        why = "its context does not say which documents";
    } else if (view_is(job->task_type, "index_new_documents")) {
        begin(asker,
              kernel_librarian_folder_start(
                  self->librarian, self->dir, job->trace_id, answer, asker));
        return;
    } else {
        why = "the librarian knows ingest_document, index_new_documents and reprocess_low_quality";
    }
    asker_destroy(asker);
    kernel_worker_fail(self->worker, &job, why, false);
}

// --- Questions -----------------------------------------------------------------------------------

static bus_err_t
ask_ingest(service_query_t *query, const void *message)
{
    state_t *self = query->state;
    service_question_t *question = service_query_defer(query);
    if (question == NULL) {
        return BUS_BUSY;
    }
    asker_t *asker = asker_new(self, NULL, question);
    begin(asker, ingest(self, message, query->header->trace_id, asker));
    return BUS_OK;
}

static bus_err_t
ask_reprocess(service_query_t *query, const void *message)
{
    state_t *self = query->state;
    service_question_t *question = service_query_defer(query);
    if (question == NULL) {
        return BUS_BUSY;
    }
    asker_t *asker = asker_new(self, NULL, question);
    begin(asker, reprocess(self, message, query->header->trace_id, asker));
    return BUS_OK;
}

// --- Applying ------------------------------------------------------------------------------------

static bus_err_t
take_ingested(service_apply_t *self, const void *message)
{
    state_t *state = self->state;
    bus_err_t err = kernel_librarian_record_ingested(self, message);
    if (err == BUS_OK) {
        state->applied = self->header->seq;
    }
    return err;
}

// Nothing of the batch is in the store: what waits for its facts waits on.
static void
undone(void *state, store_txn_t *txn BUS_UNUSED)
{
    ((state_t *) state)->applied = 0;
}

static void
act(service_query_t *query)
{
    state_t *self = query->state;
    if (self->librarian != NULL) {
        kernel_librarian_applied(self->librarian, self->applied);
    }
}

// --- Life ----------------------------------------------------------------------------------------

static bus_err_t
open_state(const service_options_t *options, store_txn_t *txn BUS_UNUSED, void **ret_state)
{
    state_t *self = calloc(1, sizeof *self);
    assert(self);
    self->dir = strdup(options->dir);
    assert(self->dir);
    *ret_state = self;
    return BUS_OK;
}

static void
close_state(void **state_p)
{
    state_t *self = *state_p;
    if (self != NULL) {
        free(self->dir);
        free(self);
        *state_p = NULL;
    }
}

static bus_err_t
start(service_t *service, void *state)
{
    static const char *const handlers[] = {"librarian"};
    state_t *self = state;
    const kernel_worker_options_t options = {
        .name = NAME,
        .handlers = handlers,
        .handler_count = COUNT(handlers),
        .slots = SLOTS,
        .fn = run,
        .arg = self,
    };
    self->librarian = kernel_librarian_new(service);
    self->worker = kernel_worker_new(service_loop(service), service_client(service), &options);
    return BUS_OK;
}

static void
stop(void *state)
{
    state_t *self = state;
    kernel_librarian_destroy(&self->librarian);
    asker_t *next = NULL;
    for (asker_t *at = self->askers; at != NULL; at = next) {
        next = at->next;
        free(at); // the harness answers questions, HTM hands tasks to others
    }
    self->askers = NULL;
    kernel_worker_destroy(&self->worker);
}

static unsigned
pack_health(void *state, store_txn_t *txn, pack_t *out)
{
    const state_t *self = state;
    kernel_librarian_totals_t totals;
    uint64_t low = 0;
    if (kernel_librarian_record_totals(txn, &totals) != BUS_OK ||
        store_count(txn, KERNEL_LIBRARIAN_LOW, &low) != BUS_OK) {
        return 0;
    }
    pack_text(out, "documents");
    pack_map(out, 6);
    pack_pair_uint(out, "accepted", totals.accepted);
    pack_pair_uint(out, "rejected", totals.rejected);
    pack_pair_uint(out, "joined", totals.joined);
    pack_pair_uint(out, "mended", totals.mended);
    pack_pair_uint(out, "low", low);
    pack_pair_uint(
        out, "under_way", self->librarian != NULL ? kernel_librarian_open(self->librarian) : 0);
    return 1;
}

static const service_apply_row_t applies[] = {
    {.prefix = "kb.ingested",
     .schema = &SCHEMA_kb_ingested,
     .apply = take_ingested,
     .meaning = "what it said of a document: known from here on"},
    {.prefix = "kb.document",
     .schema = &SCHEMA_kb_document,
     .apply = kernel_librarian_record_replaced,
     .meaning = "somebody else put another text there: no longer ours"},
    {.prefix = "kb.remove",
     .schema = &SCHEMA_kb_remove,
     .apply = kernel_librarian_record_removed,
     .meaning = "somebody removed it: it may be taken in again"},
};

static const service_query_row_t queries[] = {
    {"ingest", &SCHEMA_librarian_ingest, ask_ingest, "takes a document in"},
    {"reprocess", &SCHEMA_librarian_reprocess, ask_reprocess, "mends what is of low quality"},
    {"documents",
     &SCHEMA_librarian_documents_query,
     kernel_librarian_record_list,
     "what it made of documents, by id"},
};

const service_definition_t kernel_librarian_definition = {
    .name = NAME,
    .source = NAME,
    .rules_version = 1,
    .tables = kernel_librarian_tables,
    .table_count = KERNEL_LIBRARIAN_TABLE_COUNT,
    .applies = applies,
    .apply_count = COUNT(applies),
    .queries = queries,
    .query_count = COUNT(queries),
    .open = open_state,
    .close = close_state,
    .undone = undone,
    .start = start,
    .stop = stop,
    .act = act,
    .health = pack_health,
};
