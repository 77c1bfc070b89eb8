// scope.c - sifting answers, and looking before answering.
#include "scope.h"
#include "answer.h"
#include "ask.h"
#include "journal.h"
#include "params.h"
#include "proto/walk.h"
#include <assert.h>
#include <stdlib.h>

static bool
is_limited(const bridge_request_t *self)
{
    return bridge_identity_is_limited(&self->identity);
}

static bool
is_operation(const bridge_request_t *self, const char *name)
{
    return strcmp(self->route->operation, name) == 0;
}

// --- Lists ---------------------------------------------------------------------------------------

// The lists that hold what is somebody's. Beside them only what is no sum over everybody stays.
static const struct {
    const char *operation;
    const char *list;
} lists[] = {{"events", "events"},
             {"audit_log", "entries"},
             {"violations", "violations"},
             {"quota", "products"}};
enum { LIST_COUNT = sizeof(lists) / sizeof(lists[0]) };

static const char *
list_of(const bridge_request_t *self)
{
    for (size_t i = 0; i < LIST_COUNT; i++) {
        if (is_operation(self, lists[i].operation)) {
            return lists[i].list;
        }
    }
    return NULL;
}

// Packs the items that the identity sees, and returns how many.
static uint32_t
pack_seen(const bridge_request_t *self, bus_view_t list, pack_t *out)
{
    bus_view_t item;
    walk_items_t items = walk_items(list);
    size_t place = pack_array_begin(out);
    uint32_t count = 0;
    while (walk_items_next(&items, &item)) {
        if (bridge_identity_sees(&self->identity, item)) {
            pack_raw(out, item);
            count++;
        }
    }
    pack_count(out, place, count);
    return count;
}

static bool
is_sum(bus_view_t key)
{
    static const char *const sums[] = {"total",
                                       "count",
                                       "showing",
                                       "by_type",
                                       "by_requester",
                                       "others",
                                       "total_is_lower_bound",
                                       "damaged"};
    for (size_t i = 0; i < sizeof(sums) / sizeof(sums[0]); i++) {
        if (view_is(key, sums[i])) {
            return true;
        }
    }
    return false;
}

static void
on_list(bridge_request_t *self, const client_answer_t *answer)
{
    const char *name = list_of(self);
    bus_view_t list, key, value;
    if (walk_find(answer->body, name, &list) != BUS_OK) {
        bridge_answer(self, MHD_HTTP_OK, answer->body); // of one product, which is its own
        return;
    }
    BUS_AUTO(pack_destroy) pack_t *seen = pack_new();
    BUS_AUTO(pack_destroy) pack_t *body = pack_new();
    uint32_t count = pack_seen(self, list, seen);
    size_t map = pack_map_begin(body);
    uint32_t pair_count = 1;
    pack_pair_uint(body, "count", count);
    if (walk_find(answer->body, "showing", &value) == BUS_OK) {
        pack_pair_uint(body, "showing", count);
        pair_count++;
    }
    walk_pairs_t pairs = walk_pairs(answer->body);
    while (walk_pairs_next(&pairs, &key, &value) == BUS_OK) {
        if (is_sum(key)) {
            continue;
        }
        pack_str(body, key);
        pack_raw(body, view_is(key, name) ? pack_view(seen) : value);
        pair_count++;
    }
    pack_count(body, map, pair_count);
    bridge_answer(self, MHD_HTTP_OK, pack_view(body));
}

// --- Audit entries -------------------------------------------------------------------------------

static bool
sees_entry(const bridge_request_t *self, const client_answer_t *answer)
{
    bus_view_t entry;
    return walk_find(answer->body, "entry", &entry) == BUS_OK &&
           bridge_identity_sees(&self->identity, entry);
}

// As Bucket says it of one that is not there.
static void
answer_no_entry(bridge_request_t *self)
{
    bridge_answer_refuse(self, BUS_AUDIT_ENTRY_NOT_FOUND, NULL);
}

static void
on_entry(bridge_request_t *self, const client_answer_t *answer)
{
    if (sees_entry(self, answer)) {
        bridge_answer(self, MHD_HTTP_OK, answer->body);
    } else {
        answer_no_entry(self);
    }
}

bridge_then_fn *
bridge_scope_filter(const bridge_request_t *self)
{
    if (!is_limited(self)) {
        return NULL;
    }
    return list_of(self) != NULL ? on_list : is_operation(self, "audit_entry") ? on_entry : NULL;
}

static void
on_entry_looked_at(bridge_request_t *self, const client_answer_t *answer)
{
    if (!sees_entry(self, answer)) {
        answer_no_entry(self);
        return;
    }
    self->was_looked_at = true;
    self->route->handler(self);
}

// --- Tasks of the queue --------------------------------------------------------------------------

static void
on_task_looked_at(bridge_request_t *self, const client_answer_t *answer)
{
    if (!bridge_identity_sees(&self->identity, answer->body)) {
        bridge_answer_refuse(self, BUS_NOT_FOUND, "no task has this task_id"); // as HTM says it
        return;
    }
    self->was_looked_at = true;
    self->route->handler(self);
}

// --- Places in the journal -----------------------------------------------------------------------

typedef struct {
    bridge_request_t *request;
    bridge_journal_job_t job;
} look_t;

static void
free_look(void *arg)
{
    look_t *self = arg;
    bridge_journal_cancel(self->request->bridge->journal, &self->job);
    free(self);
}

static void
on_page(void *arg, const client_page_t *page)
{
    look_t *self = arg;
    bridge_request_t *request = self->request;
    if (page->err == BUS_TIMEOUT || page->err == BUS_ABORTED) {
        bridge_answer_refuse(request, page->err, NULL);
        return;
    }
    bool is_seen = false;
    client_records_t records = client_records(page);
    client_heard_t record;
    while (page->err == BUS_OK && client_next_record(&records, &record) == BUS_OK) {
        bool is_it = record.header.seq == self->job.from;
        is_seen = is_seen ||
                  (is_it && bridge_identity_sees_record(
                                &request->identity, record.topic, &record.header, record.body));
    }
    if (!is_seen) {
        bridge_answer_refuse(request, BUS_NOT_FOUND, "the journal has no such seq yet");
        return;
    }
    request->was_looked_at = true;
    request->state_data = NULL;
    request->state_free = NULL;
    free_look(self);
    request->route->handler(request);
}

static bool
look_at_seq(bridge_request_t *self, bus_view_t params)
{
    uint64_t seq = 0;
    bus_view_t value;
    bool is_place = walk_find(params, "seq", &value) == BUS_OK &&
                    walk_as_uint(value, &seq) == BUS_OK && bridge_is_connected(self->bridge);
    if (!is_place) {
        return false; // the handler says so
    }
    look_t *look = calloc(1, sizeof(*look));
    assert(look != NULL && self->state_data == NULL);
    *look = (look_t){.request = self, .job = {.from = seq, .max = 1, .fn = on_page, .arg = look}};
    self->state_data = look;
    self->state_free = free_look;
    bus_err_t err = bridge_journal_read(self->bridge->journal, &look->job);
    if (err != BUS_OK) {
        bridge_answer_refuse(self, err, NULL);
    }
    return true;
}

// --- Before the handler --------------------------------------------------------------------------

static const struct {
    const char *operation;
    const char *topic; // to be asked first; NULL: the journal is read
    const char *key;   // of what says which
    bridge_then_fn *then;
} looks[] = {
    {"audit_inclusion", "req.bucket.audit_entry", "audit_id", on_entry_looked_at},
    {"audit_receipt", "req.bucket.audit_entry", "audit_id", on_entry_looked_at},
    {"htm_delete", "req.htm.task", "task_id", on_task_looked_at},
    {"htm_cancel", "req.htm.task", "task_id", on_task_looked_at},
    {"htm_requeue", "req.htm.task", "task_id", on_task_looked_at},
    {"bucket_queue", NULL, "seq", NULL},
    {"karma_queue", NULL, "seq", NULL},
    {"workflow_queue", NULL, "seq", NULL},
    {"core_queue", NULL, "seq", NULL},
    {"htm_queue", NULL, "seq", NULL},
};
enum { LOOK_COUNT = sizeof(looks) / sizeof(looks[0]) };

// The row of `looks`, or LOOK_COUNT.
static size_t
look_of(const bridge_route_t *route)
{
    size_t row = 0;
    while (row < LOOK_COUNT && strcmp(route->operation, looks[row].operation) != 0) {
        row++;
    }
    return row;
}

bool
bridge_scope_is_looked_at(const bridge_route_t *route)
{
    return look_of(route) != LOOK_COUNT;
}

bool
bridge_scope_looks(bridge_request_t *self)
{
    size_t row = look_of(self->route);
    if (!is_limited(self) || self->was_looked_at || row == LOOK_COUNT) {
        return false;
    }
    // What the handler will read, not what stands there: a number has many spellings.
    BUS_AUTO(pack_destroy) pack_t *params = pack_new();
    if (!bridge_params_read(self, params, NULL)) {
        return true; // it answered
    }
    if (looks[row].topic == NULL) {
        return look_at_seq(self, pack_view(params));
    }
    BUS_AUTO(pack_destroy) pack_t *body = pack_new();
    pack_map(body, 1);
    pack_pair_str(body, looks[row].key, walk_text_at(pack_view(params), looks[row].key));
    bridge_ask(self,
               &(bridge_ask_t){.kind = BRIDGE_ASK_QUESTION,
                               .topic = looks[row].topic,
                               .body = pack_view(body),
                               .then = looks[row].then});
    return true;
}
