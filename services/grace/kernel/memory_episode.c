// memory_episode.c - episodes: what was asked for, what was done, what came of it. See
// memory_episode.h.
//
// Every change goes through `save`: what the episode is found by follows what it says, and the
// oldest of its class goes where there are too many.
#include "memory_episode.h"

#include "proto/rfc3339.h"
#include "proto/walk.h"

#include <assert.h>
#include <endian.h>
#include <stdio.h>

enum {
    KEPT_MAP_MAX = 4096, // bytes of details and of a result: the schema's limit
    TASK_ID_SIZE = 32,   // of task_<seq>
    INDEX_KEY_MAX = 2 + KERNEL_MEMORY_VALUE_MAX + 8,
};

#define CLASS_INTENT VIEW_LITERAL("intent")
#define CLASS_TASK VIEW_LITERAL("task")

const store_table_t kernel_memory_tables[KERNEL_MEMORY_TABLE_COUNT] = {
    [KERNEL_MEMORY_EPISODES] = {"episodes", STORE_KEYS_UINT64, true, "seq -> episode"},
    [KERNEL_MEMORY_TASKS] = {"tasks", STORE_KEYS_BYTES, true, "task_id -> seq of its episode"},
    [KERNEL_MEMORY_INDEX] = {"index", STORE_KEYS_BYTES, true, "kind, value, seq -> nothing"},
    [KERNEL_MEMORY_COUNTS] = {"counts", STORE_KEYS_BYTES, true, "class -> how many"},
};

// --- What it is found by -------------------------------------------------------------------------

typedef struct {
    char bytes[INDEX_KEY_MAX];
} index_key_t;

static bus_view_t
make_key(kernel_memory_by_t by, bus_view_t value, uint64_t seq, index_key_t *ret_key)
{
    uint64_t big = htobe64(seq);
    assert(value.size <= KERNEL_MEMORY_VALUE_MAX);
    ret_key->bytes[0] = (char) by;
    ret_key->bytes[1] = (char) value.size;
    if (value.size > 0) {
        memcpy(ret_key->bytes + 2, value.data, value.size);
    }
    memcpy(ret_key->bytes + 2 + value.size, &big, sizeof big);
    return view_from(ret_key->bytes, 2 + value.size + sizeof big);
}

static bus_view_t
class_of(const schema_memory_episode_t *episode)
{
    return episode->intent.size > 0 ? CLASS_INTENT : CLASS_TASK;
}

enum { BY_COUNT = 5 };

typedef struct {
    kernel_memory_by_t by;
    bus_view_t value;
} found_by_t;

static void
list_values(const schema_memory_episode_t *episode, found_by_t ret_values[BY_COUNT])
{
    bool is_some = episode->episode.has;
    ret_values[0] = (found_by_t){KERNEL_MEMORY_BY_TRACE, episode->trace_id};
    ret_values[1] = (found_by_t){KERNEL_MEMORY_BY_ISSUE, episode->issue_type};
    ret_values[2] = (found_by_t){KERNEL_MEMORY_BY_TYPE, episode->task_type};
    ret_values[3] = (found_by_t){KERNEL_MEMORY_BY_HANDLER, episode->handler};
    ret_values[4] = (found_by_t){KERNEL_MEMORY_BY_CLASS, is_some ? class_of(episode) : VIEW_NONE};
}

static bus_err_t
add_count(store_txn_t *txn, bus_view_t class, int by, uint64_t *ret_count)
{
    bus_view_t value;
    uint64_t count = 0;
    bus_err_t err = store_get(txn, KERNEL_MEMORY_COUNTS, class, &value);
    if (err == BUS_OK && value.size == sizeof count) {
        memcpy(&count, value.data, sizeof count);
    }
    if (store_forgive(err) != BUS_OK) {
        return err;
    }
    count = by > 0 ? count + 1 : count - (count > 0 ? 1 : 0);
    *ret_count = count;
    return store_put(txn, KERNEL_MEMORY_COUNTS, class, view_from(&count, sizeof count));
}

// Finds the episode by what it says now (`is`), no more by what it said (`was`). Either may say
// nothing at all.
static bus_err_t
find_by(store_txn_t *txn,
        uint64_t seq,
        const schema_memory_episode_t *was,
        const schema_memory_episode_t *is)
{
    found_by_t before[BY_COUNT];
    found_by_t after[BY_COUNT];
    index_key_t key;
    bus_err_t err = BUS_OK;
    list_values(was, before);
    list_values(is, after);
    for (unsigned i = 0; i < BY_COUNT && err == BUS_OK; i++) {
        if (view_equal(before[i].value, after[i].value)) {
            continue;
        }
        if (before[i].value.size > 0) {
            err = store_forgive(store_del(
                txn, KERNEL_MEMORY_INDEX, make_key(before[i].by, before[i].value, seq, &key)));
        }
        if (err == BUS_OK && after[i].value.size > 0) {
            err = store_put(txn,
                            KERNEL_MEMORY_INDEX,
                            make_key(after[i].by, after[i].value, seq, &key),
                            view_from("", 0));
        }
    }
    return err;
}

bus_err_t
kernel_memory_episode_walk(store_txn_t *txn,
                           kernel_memory_by_t by,
                           bus_view_t value,
                           kernel_memory_episode_fn *fn,
                           void *arg)
{
    index_key_t end;
    BUS_AUTO(store_cursor_destroy) store_cursor_t *cursor = NULL;
    bus_view_t wanted = make_key(by, value, UINT64_MAX, &end);
    bus_view_t key = VIEW_NONE;
    bus_view_t nothing;
    bus_err_t err = store_cursor_open(txn, KERNEL_MEMORY_INDEX, &cursor);
    if (err == BUS_OK) {
        err = store_seek(cursor, wanted, &key, &nothing);
    }
    if (err == BUS_NOT_FOUND) {
        err = store_last(cursor, &key, &nothing);
    } else if (err == BUS_OK || err == BUS_CORRUPT) {
        err = store_prev(cursor, &key, &nothing);
    }
    while ((err == BUS_OK || err == BUS_CORRUPT) && key.size == wanted.size &&
           memcmp(key.data, wanted.data, wanted.size - sizeof(uint64_t)) == 0) {
        uint64_t big;
        memcpy(&big, key.data + wanted.size - sizeof big, sizeof big);
        if (!fn(arg, be64toh(big))) {
            return BUS_OK;
        }
        err = store_prev(cursor, &key, &nothing);
    }
    return store_forgive(err);
}

// --- The record ----------------------------------------------------------------------------------

bus_err_t
kernel_memory_episode_get(store_txn_t *txn,
                          uint64_t seq,
                          bus_view_t *ret_stored,
                          schema_memory_episode_t *ret_episode)
{
    schema_problems_t problems;
    bus_err_t err = store_get(txn, KERNEL_MEMORY_EPISODES, STORE_U64(seq), ret_stored);
    if (err != BUS_OK) {
        return err;
    }
    err = schema_decode(&SCHEMA_memory_episode, *ret_stored, ret_episode, &problems);
    return err == BUS_OK ? BUS_OK : BUS_CORRUPT;
}

// An episode in hand: as it is kept, and what its views point into.
typedef struct {
    service_apply_t *apply;
    pack_t *copy; // of the record as it was
    schema_memory_episode_t was;
    schema_memory_episode_t is;
    char now[RFC3339_SIZE];
} hand_t;

// A damaged one goes, too: nothing but its class leads to it then, and that is taken away.
static bus_err_t
forget_damaged(store_txn_t *txn, bus_view_t class, uint64_t seq)
{
    index_key_t key;
    bus_err_t err = store_forgive(
        store_del(txn, KERNEL_MEMORY_INDEX, make_key(KERNEL_MEMORY_BY_CLASS, class, seq, &key)));
    return err == BUS_OK ? store_forgive(store_del(txn, KERNEL_MEMORY_EPISODES, STORE_U64(seq)))
                         : err;
}

static bus_err_t
forget(store_txn_t *txn, bus_view_t class, uint64_t seq)
{
    bus_view_t stored;
    schema_memory_episode_t was;
    const schema_memory_episode_t none = {.episode = {.has = false}};
    bus_err_t err = kernel_memory_episode_get(txn, seq, &stored, &was);
    if (err != BUS_OK) {
        return store_forgive(err) == BUS_OK ? forget_damaged(txn, class, seq) : err;
    }
    BUS_AUTO(pack_destroy) pack_t *copy = pack_new();
    schema_problems_t problems;
    pack_raw(copy, stored); // it is about to be written
    err = schema_decode(&SCHEMA_memory_episode, pack_view(copy), &was, &problems);
    assert(err == BUS_OK); // the same bytes as above
    err = find_by(txn, seq, &was, &none);
    if (err == BUS_OK) {
        err = store_forgive(store_del(txn, KERNEL_MEMORY_TASKS, was.task_id));
    }
    return err == BUS_OK ? store_forgive(store_del(txn, KERNEL_MEMORY_EPISODES, STORE_U64(seq)))
                         : err;
}

// The oldest of a class: the first key of its part of the index.
static bus_err_t
find_oldest(store_txn_t *txn, bus_view_t class, uint64_t *ret_seq)
{
    index_key_t start;
    BUS_AUTO(store_cursor_destroy) store_cursor_t *cursor = NULL;
    bus_view_t wanted = make_key(KERNEL_MEMORY_BY_CLASS, class, 0, &start);
    bus_view_t key = VIEW_NONE;
    bus_view_t nothing;
    bus_err_t err = store_cursor_open(txn, KERNEL_MEMORY_INDEX, &cursor);
    if (err == BUS_OK) {
        err = store_seek(cursor, wanted, &key, &nothing);
    }
    uint64_t big = 0;
    if ((err == BUS_OK || err == BUS_CORRUPT) && key.size == wanted.size &&
        memcmp(key.data, wanted.data, wanted.size - sizeof big) == 0) {
        memcpy(&big, key.data + wanted.size - sizeof big, sizeof big);
    }
    *ret_seq = be64toh(big);
    return store_forgive(err);
}

static bus_err_t
make_room(store_txn_t *txn, bus_view_t class)
{
    uint64_t count;
    uint64_t oldest = 0;
    bus_err_t err = add_count(txn, class, 1, &count);
    if (err != BUS_OK || count <= KERNEL_MEMORY_EPISODES_MAX) {
        return err;
    }
    err = find_oldest(txn, class, &oldest);
    if (err == BUS_OK && oldest > 0) {
        err = forget(txn, class, oldest);
    }
    return err == BUS_OK ? add_count(txn, class, -1, &count) : err;
}

static bus_err_t
save(hand_t *self)
{
    store_txn_t *txn = self->apply->txn;
    uint64_t seq = (uint64_t) self->is.episode.value;
    bool is_new = !self->was.episode.has;
    bool is_moved = !is_new && !view_equal(class_of(&self->was), class_of(&self->is));
    uint64_t count;
    BUS_AUTO(pack_destroy) pack_t *row = pack_new();
    bus_err_t err = find_by(txn, seq, &self->was, &self->is);
    if (err == BUS_OK) {
        schema_encode(&SCHEMA_memory_episode, &self->is, row);
        err = store_put(txn, KERNEL_MEMORY_EPISODES, STORE_U64(seq), pack_view(row));
    }
    if (err == BUS_OK && is_new) {
        err = store_put(txn, KERNEL_MEMORY_TASKS, self->is.task_id, view_from(&seq, sizeof seq));
    }
    if (err == BUS_OK && is_moved) {
        err = add_count(txn, class_of(&self->was), -1, &count);
    }
    return err == BUS_OK && (is_new || is_moved) ? make_room(txn, class_of(&self->is)) : err;
}

static bus_err_t
find_task(store_txn_t *txn, bus_view_t task_id, uint64_t *ret_seq)
{
    bus_view_t value;
    *ret_seq = 0;
    bus_err_t err = store_get(txn, KERNEL_MEMORY_TASKS, task_id, &value);
    if (err == BUS_OK && value.size == sizeof *ret_seq) {
        memcpy(ret_seq, value.data, sizeof *ret_seq);
    }
    return store_forgive(err);
}

// The episode of a task, or a new one that this record begins.
static bus_err_t
begin(hand_t *self, bus_view_t task_id)
{
    const header_t *header = self->apply->header;
    uint64_t seq;
    bus_view_t stored;
    schema_problems_t problems;
    rfc3339_format(header->at, self->now);
    bus_err_t err = find_task(self->apply->txn, task_id, &seq);
    if (err == BUS_OK && seq > 0) {
        err = kernel_memory_episode_get(self->apply->txn, seq, &stored, &self->is);
        if (err == BUS_OK) {
            pack_raw(self->copy, stored); // it is about to be written
            err =
                schema_decode(&SCHEMA_memory_episode, pack_view(self->copy), &self->is, &problems);
            assert(err == BUS_OK); // the same bytes as above
            self->was = self->is;
            return BUS_OK;
        }
        err = store_forgive(err);
    }
    self->was = (schema_memory_episode_t){.episode = {.has = false}};
    self->is = (schema_memory_episode_t){
        .episode = {.has = true, .value = (int64_t) header->seq},
        .task_id = task_id,
        .trace_id = header->trace_id,
        .attempts = {.has = true, .value = 0},
    };
    return err;
}

// --- Applying ------------------------------------------------------------------------------------

static bus_view_t
short_map(bus_view_t map)
{
    return map.size <= KEPT_MAP_MAX ? map : VIEW_NONE;
}

bus_err_t
kernel_memory_episode_asked(service_apply_t *self, const void *message)
{
    const schema_intent_task_t *intent = message;
    BUS_AUTO(pack_destroy) pack_t *copy = pack_new();
    hand_t hand = {.apply = self, .copy = copy};
    char task_id[TASK_ID_SIZE];
    (void) snprintf(task_id, sizeof task_id, "task_%llu", (unsigned long long) self->header->seq);
    bus_err_t err = begin(&hand, view_from_text(task_id));
    if (err != BUS_OK) {
        return err;
    }
    hand.is.intent = intent->intent;
    hand.is.issue_type = intent->issue_type;
    hand.is.created_by = intent->created_by;
    hand.is.reasoning = intent->reasoning;
    hand.is.details = short_map(intent->details);
    hand.is.handler = intent->handler;
    hand.is.task_type = intent->task_type;
    hand.is.priority = intent->priority;
    hand.is.status = VIEW_LITERAL("asked");
    hand.is.asked_at = view_from_text(hand.now);
    return save(&hand);
}

bus_err_t
kernel_memory_episode_started(service_apply_t *self, const void *message)
{
    const schema_task_started_t *started = message;
    if (!view_is(self->header->source, "htm")) {
        return service_refuse(self, BUS_UNAUTHORIZED_ACCESS, "HTM alone says so", VIEW_NONE);
    }
    BUS_AUTO(pack_destroy) pack_t *copy = pack_new();
    hand_t hand = {.apply = self, .copy = copy};
    bus_err_t err = begin(&hand, started->task_id);
    if (err != BUS_OK) {
        return err;
    }
    hand.is.handler = started->handler;
    hand.is.task_type = started->task_type;
    hand.is.priority = started->priority;
    hand.is.worker = started->worker;
    hand.is.attempts = started->attempt;
    hand.is.status = VIEW_LITERAL("running");
    hand.is.started_at = view_from_text(hand.now);
    return save(&hand);
}

// What the result says of itself.
typedef struct {
    bool is_resolved; // false: it says that the issue remains
    schema_real_t quality;
} result_t;

static result_t
read_result(bus_view_t result)
{
    result_t read = {.is_resolved = true};
    bus_view_t value;
    bool resolved;
    double quality;
    if (result.data == NULL) {
        return read;
    }
    if (walk_find(result, "issue_resolved", &value) == BUS_OK &&
        walk_as_bool(value, &resolved) == BUS_OK) {
        read.is_resolved = resolved;
    }
    if (walk_find(result, "quality_score", &value) == BUS_OK &&
        walk_as_real(value, &quality) == BUS_OK && quality >= 0 && quality <= 1) {
        read.quality = (schema_real_t){.has = true, .value = quality};
    }
    return read;
}

static schema_real_t
seconds(schema_int_t us)
{
    return (schema_real_t){.has = us.has, .value = (double) us.value / 1e6};
}

bus_err_t
kernel_memory_episode_done(service_apply_t *self, const void *message)
{
    const schema_task_done_t *done = message;
    if (!view_is(self->header->source, "htm")) {
        return service_refuse(self, BUS_UNAUTHORIZED_ACCESS, "HTM alone says so", VIEW_NONE);
    }
    BUS_AUTO(pack_destroy) pack_t *copy = pack_new();
    hand_t hand = {.apply = self, .copy = copy};
    bus_err_t err = begin(&hand, done->task_id);
    if (err != BUS_OK) {
        return err;
    }
    result_t result = read_result(done->result);
    bool success = view_is(done->status, "completed") && result.is_resolved;
    double quality = result.quality.has ? result.quality.value : 0.5;
    double minutes = (double) done->run_us.value / 60e6;
    double score = 0.5 * (success ? 1 : 0) + 0.3 * quality + 0.2 / (1 + minutes);
    hand.is.handler = done->handler;
    hand.is.task_type = done->task_type;
    hand.is.priority = done->priority;
    hand.is.status = done->status;
    hand.is.reason = done->reason;
    hand.is.attempts = done->attempts;
    hand.is.worker = done->worker.data != NULL ? done->worker : hand.is.worker;
    hand.is.intent = hand.is.intent.data != NULL ? hand.is.intent : done->intent;
    hand.is.issue_type = hand.is.issue_type.data != NULL ? hand.is.issue_type : done->issue_type;
    hand.is.ended_at = view_from_text(hand.now);
    hand.is.queued_seconds = seconds(done->queued_us);
    hand.is.run_seconds = seconds(done->run_us);
    hand.is.sla_met = done->sla_met;
    hand.is.success = (schema_bool_t){.has = true, .value = success};
    hand.is.quality_score = result.quality;
    hand.is.score = (schema_real_t){.has = true, .value = score};
    hand.is.result = short_map(done->result);
    return save(&hand);
}
