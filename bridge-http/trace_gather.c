// trace_gather.c - questions as rows of a table, in two rounds; the journal read in pages
// meanwhile.
#include "trace_gather.h"
#include "proto/limits.h"
#include "proto/rfc3339.h"
#include "proto/walk.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    PAGE_RECORDS = 500,
    EVENTS_MAX = 1000, // of Bucket's: the latest of the trace
    DAMAGED_MAX = 100, // records passed by, that cannot be read
};

typedef enum {
    SOURCE_JOURNAL,
    SOURCE_BUCKET,
    SOURCE_WORKFLOW,
    SOURCE_BRIDGE,
    SOURCE_AUDIT,
    SOURCE_KARMA,
    SOURCE_COUNT
} source_id_t;

typedef enum { STATE_ASKED, STATE_ANSWERED, STATE_ABSENT, STATE_LATE, STATE_FAILED } state_t;

static const char *const state_words[] = {"asked", "answered", "absent", "late", "failed"};

typedef struct {
    bridge_trace_gather_t *gather;
    source_id_t id;
    state_t state;
    bus_err_t err; // of STATE_FAILED
    uint64_t call; // under way; 0: none
    pack_t *body;  // the answer, until it is used
} source_t;

struct bridge_trace_gather {
    bridge_trace_gather_options_t options;
    char trace_id[NAME_SIZE_MAX + 1];
    bridge_trace_tree_t *tree;
    source_t sources[SOURCE_COUNT];
    unsigned round;   // of the questions under way
    unsigned pending; // of them, and the journal
    int timer;        // of the journal; 0: none
    bool is_reading;  // a page is under way
    bool is_aborted;  // the client is being destroyed
    uint64_t from;    // of the next page
    uint64_t first, head;
    unsigned damaged;
};

static void on_round_done(bridge_trace_gather_t *self);

static void
settle(source_t *source, state_t state, bus_err_t err)
{
    source->state = state;
    source->err = err;
    source->gather->is_aborted = source->gather->is_aborted || err == BUS_ABORTED;
    if (--source->gather->pending == 0) {
        on_round_done(source->gather);
    }
}

// --- Questions ----------------------------------------------------------------------------------

static void
pack_trace(const bridge_trace_gather_t *self, pack_t *out)
{
    pack_map(out, 1);
    pack_pair_text(out, "trace_id", self->trace_id);
}

static void
pack_events(const bridge_trace_gather_t *self, pack_t *out)
{
    pack_map(out, 2);
    pack_pair_text(out, "trace_id", self->trace_id);
    pack_pair_uint(out, "limit", EVENTS_MAX);
}

static void
pack_seqs(const bridge_trace_gather_t *self, pack_t *out)
{
    pack_map(out, 1);
    pack_text(out, "seqs");
    bridge_trace_tree_pack_seqs(self->tree, out);
}

static const struct {
    const char *name;
    const char *topic; // NULL: the journal, which is read
    unsigned round;
    void (*pack)(const bridge_trace_gather_t *self, pack_t *out);
    const char *list; // of the answer; each of its items goes to
    void (*take)(bridge_trace_tree_t *tree, bus_view_t item);
} rows[SOURCE_COUNT] = {
    [SOURCE_JOURNAL] = {"journal", NULL, 1, NULL, NULL, NULL},
    [SOURCE_BUCKET] =
        {"bucket", "req.bucket.events", 1, pack_events, "events", bridge_trace_tree_add_event},
    [SOURCE_WORKFLOW] = {"workflow",
                         "req.workflow.status",
                         1,
                         pack_trace,
                         "executions",
                         bridge_trace_tree_add_execution},
    [SOURCE_BRIDGE] =
        {"bridge", "req.bridge.requests", 1, pack_trace, "requests", bridge_trace_tree_add_request},
    [SOURCE_AUDIT] =
        {"audit", "req.bucket.audit_places", 2, pack_seqs, "places", bridge_trace_tree_add_place},
    [SOURCE_KARMA] =
        {"karma", "req.karma.applied", 2, pack_seqs, "applied", bridge_trace_tree_add_karma},
};

static void
on_answer(void *arg, const client_answer_t *answer)
{
    source_t *source = arg;
    if (answer->event == CLIENT_ACKED) {
        return;
    }
    source->call = 0;
    if (answer->event == CLIENT_REPLIED && answer->err == BUS_OK) {
        pack_raw(source->body, answer->body);
        settle(source, STATE_ANSWERED, BUS_OK);
    } else if (answer->event == CLIENT_REPLIED && answer->err == BUS_NOT_FOUND) {
        settle(source, STATE_ANSWERED, BUS_OK); // it knows nothing of this trace
    } else if (answer->err == BUS_NO_RESPONDERS) {
        settle(source, STATE_ABSENT, BUS_OK);
    } else if (answer->err == BUS_TIMEOUT) {
        settle(source, STATE_LATE, BUS_OK);
    } else {
        settle(source, STATE_FAILED, answer->err);
    }
}

static void
ask(source_t *source)
{
    bridge_trace_gather_t *self = source->gather;
    BUS_AUTO(pack_destroy) pack_t *body = pack_new();
    rows[source->id].pack(self, body);
    const client_message_t message = {.topic = rows[source->id].topic,
                                      .body = pack_view(body),
                                      .want = CLIENT_WANT_REPLY,
                                      .timeout_ms = BRIDGE_TRACE_GATHER_WAIT_MS};
    self->pending++;
    bus_err_t err = client_send(self->options.client, &message, on_answer, source, &source->call);
    if (err != BUS_OK) {
        source->call = 0;
        source->state = STATE_FAILED;
        source->err = err;
        self->pending--;
    }
}

// Whether the item is for whom the trace is gathered. Places and Karma's are asked for by what he
// sees, requests were chosen before.
static bool
sees(const source_t *source, bus_view_t item)
{
    const bridge_identity_t *identity = source->gather->options.identity;
    bool says_whose = source->id == SOURCE_BUCKET || source->id == SOURCE_WORKFLOW;
    return identity == NULL || !says_whose || bridge_identity_sees(identity, item);
}

// Gives what a source answered to the tree.
static void
use(source_t *source)
{
    bus_view_t list;
    walk_item_t head;
    bus_view_t body = pack_view(source->body);
    if (body.size == 0 || walk_find(body, rows[source->id].list, &list) != BUS_OK) {
        return;
    }
    walk_t walk = walk_from(list);
    if (walk_next(&walk, &head) != BUS_OK || head.type != WALK_ARRAY) {
        return;
    }
    for (uint32_t i = 0; i < head.count; i++) {
        bus_view_t item;
        if (walk_skip(&walk, &item) != BUS_OK) {
            return;
        }
        if (sees(source, item)) {
            rows[source->id].take(source->gather->tree, item);
        }
    }
}

// --- The journal --------------------------------------------------------------------------------

static void read_page(bridge_trace_gather_t *self);

static void
end_journal(bridge_trace_gather_t *self, state_t state, bus_err_t err)
{
    loop_cancel_timer(self->options.loop, self->timer);
    self->timer = 0;
    bridge_trace_tree_set_first(self->tree, self->first);
    settle(&self->sources[SOURCE_JOURNAL], state, err);
}

static void
on_page(void *arg, const client_page_t *page)
{
    bridge_trace_gather_t *self = arg;
    self->is_reading = false;
    if (page->err == BUS_CORRUPT && page->damaged > 0 && self->damaged < DAMAGED_MAX) {
        self->damaged++;
        self->from = page->damaged + 1;
        read_page(self);
        return;
    }
    if (page->err != BUS_OK) {
        end_journal(self, page->err == BUS_TIMEOUT ? STATE_LATE : STATE_FAILED, page->err);
        return;
    }
    self->first = page->first;
    self->head = page->head;
    client_records_t records = client_records(page);
    client_heard_t record;
    while (client_next_record(&records, &record) == BUS_OK) {
        const bridge_identity_t *identity = self->options.identity;
        if (identity == NULL ||
            bridge_identity_sees_record(identity, record.topic, &record.header, record.body)) {
            bridge_trace_tree_add_record(self->tree, record.topic, &record.header, record.body);
        }
    }
    self->from = page->next;
    if (page->next > page->head || bridge_trace_tree_is_truncated(self->tree)) {
        end_journal(self, STATE_ANSWERED, BUS_OK);
    } else {
        read_page(self);
    }
}

static void
read_page(bridge_trace_gather_t *self)
{
    const bridge_trace_page_t page = {
        .trace_id = self->trace_id, .from = self->from, .max = PAGE_RECORDS};
    self->is_reading = true;
    bus_err_t err = self->options.read(self->options.read_arg, &page, on_page, self);
    if (err != BUS_OK) {
        self->is_reading = false;
        end_journal(self, STATE_FAILED, err);
    }
}

static void
on_journal_late(void *arg)
{
    bridge_trace_gather_t *self = arg;
    self->timer = 0;
    if (self->is_reading) {
        self->is_reading = false;
        self->options.cancel(self->options.read_arg);
    }
    end_journal(self, STATE_LATE, BUS_OK);
}

// --- Rounds -------------------------------------------------------------------------------------

static void
begin_round(bridge_trace_gather_t *self, unsigned round)
{
    self->round = round;
    self->pending = 1; // until all are asked
    for (unsigned i = 0; i < SOURCE_COUNT; i++) {
        bool is_given = i == SOURCE_BRIDGE && self->options.requests.data != NULL;
        if (rows[i].round == round && rows[i].topic != NULL && !is_given) {
            ask(&self->sources[i]);
        }
    }
}

// Since when the bridge has its requests; 0 where it did not say.
static uint64_t
since_of(const source_t *source)
{
    bus_view_t value;
    uint64_t since = 0;
    bus_view_t body = pack_view(source->body);
    bool has_since = source->id == SOURCE_BRIDGE && body.size > 0 &&
                     walk_find(body, "since", &value) == BUS_OK &&
                     walk_as_uint(value, &since) == BUS_OK;
    return has_since ? since : 0;
}

static void
pack_source(const source_t *source, pack_t *out)
{
    uint64_t since = since_of(source);
    char text[RFC3339_SIZE];
    pack_map(out, 2U + (source->state == STATE_FAILED) + (since > 0));
    pack_pair_text(out, "source", rows[source->id].name);
    pack_pair_text(out, "state", state_words[source->state]);
    if (source->state == STATE_FAILED) {
        pack_pair_text(out, "error_code", error_text(source->err));
    }
    if (since > 0) {
        rfc3339_format(since, text);
        pack_pair_text(out, "since", text);
    }
}

static void
finish(bridge_trace_gather_t *self)
{
    BUS_AUTO(pack_destroy) pack_t *out = pack_new();
    size_t map = pack_map_begin(out);
    unsigned count = bridge_trace_tree_pack(self->tree, out);
    pack_text(out, "journal");
    pack_map(out, 3);
    pack_pair_uint(out, "first", self->first);
    pack_pair_uint(out, "head", self->head);
    pack_pair_uint(out, "damaged", self->damaged);
    pack_text(out, "sources");
    pack_array(out, SOURCE_COUNT);
    for (unsigned i = 0; i < SOURCE_COUNT; i++) {
        pack_source(&self->sources[i], out);
    }
    pack_count(out, map, count + 2);
    self->options.done(self->options.arg, pack_view(out), bridge_trace_tree_count(self->tree));
}

// Nothing of this round is under way any more.
static void
on_round_done(bridge_trace_gather_t *self)
{
    while (self->pending == 0) {
        for (unsigned i = 0; i < SOURCE_COUNT; i++) {
            if (rows[i].round == self->round && rows[i].topic != NULL) {
                use(&self->sources[i]);
            }
        }
        if (self->is_aborted) {
            self->options.done(self->options.arg, VIEW_NONE, 0);
            return;
        }
        if (self->round == 2) {
            finish(self);
            return;
        }
        begin_round(self, 2);
        self->pending--; // all are asked
    }
}

bridge_trace_gather_t *
bridge_trace_gather_new(const bridge_trace_gather_options_t *options)
{
    bridge_trace_gather_t *self = calloc(1, sizeof(*self));
    assert(self != NULL);
    self->options = *options;
    (void) snprintf(self->trace_id, sizeof(self->trace_id), "%s", options->trace_id);
    self->tree = bridge_trace_tree_new(view_from_text(self->trace_id));
    for (unsigned i = 0; i < SOURCE_COUNT; i++) {
        self->sources[i] = (source_t){.gather = self, .id = (source_id_t) i, .body = pack_new()};
    }
    if (options->requests.data != NULL) {
        pack_raw(self->sources[SOURCE_BRIDGE].body, options->requests);
        self->sources[SOURCE_BRIDGE].state = STATE_ANSWERED;
    }
    return self;
}

void
bridge_trace_gather_start(bridge_trace_gather_t *self)
{
    begin_round(self, 1);
    self->timer =
        loop_add_timer(self->options.loop, BRIDGE_TRACE_GATHER_WAIT_MS, 1, on_journal_late, self);
    self->pending++;
    read_page(self);
    if (--self->pending == 0) {
        on_round_done(self);
    }
}

void
bridge_trace_gather_destroy(bridge_trace_gather_t **self_p)
{
    bridge_trace_gather_t *self = *self_p;
    if (self == NULL) {
        return;
    }
    if (self->timer != 0) {
        loop_cancel_timer(self->options.loop, self->timer);
    }
    if (self->is_reading) {
        self->options.cancel(self->options.read_arg);
    }
    for (unsigned i = 0; i < SOURCE_COUNT; i++) {
        if (self->sources[i].call != 0) {
            client_cancel(self->options.client, self->sources[i].call);
        }
        pack_destroy(&self->sources[i].body);
    }
    bridge_trace_tree_destroy(&self->tree);
    free(self);
    *self_p = NULL;
}
