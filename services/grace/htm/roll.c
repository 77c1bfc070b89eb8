// roll.c - which workers are still there. See roll.h.
#include "roll.h"

#include "proto/walk.h"
#include "runtime/clock.h"
#include "runtime/log.h"

#include <assert.h>
#include <stdlib.h>
#include <xxhash.h>

enum {
    LOOK_MS = 2000,     // news can be lost: it is asked for this often anyway
    AGAIN_MS = 200,     // after an answer that did not come
    NEWS_MS = 20,       // where more news came while it was asked: many peers come together
    ASK_MS = 2000,      // for the answer
    PATIENCE_MS = 4000, // after a welcome: peers connect again within two seconds
    LISTED_MAX = 65536, // peers of one list that are looked at
    GONE_MAX = 64,      // told in one tick: the others with the next
};

typedef struct {
    char worker[HTM_TASK_NAME_MAX];
    char instance[HTM_TASK_NAME_MAX];
    size_t worker_size;
    size_t instance_size;
} gone_t;

struct htm_roll {
    service_t *service;
    const htm_state_t *state;
    uint64_t call;       // the question on its way; 0: none
    int timer;           // until the next; 0: none
    bool has_news;       // since it was asked
    uint64_t asked_head; // the journal's head then
    uint64_t welcomes;   // that the client had by then
    uint64_t patient_until_ms;
    size_t gone_count;
    gone_t gone[GONE_MAX];
    pack_t *body;
};

static void ask(htm_roll_t *self);

static void
on_timer(void *arg)
{
    htm_roll_t *self = arg;
    self->timer = 0;
    ask(self);
}

static void
ask_in(htm_roll_t *self, unsigned delay_ms)
{
    loop_t *loop = service_loop(self->service);
    if (self->timer != 0) {
        loop_cancel_timer(loop, self->timer);
    }
    self->timer = loop_add_timer(loop, delay_ms, 1, on_timer, self);
}

// --- Who is there --------------------------------------------------------------------------------

static int
compare(const void *a_p, const void *b_p)
{
    const uint64_t *a = a_p, *b = b_p;
    return *a < *b ? -1 : *a > *b;
}

// The hashes of the instances that are listed, sorted. NULL where the answer is no list.
static uint64_t *
read_list(bus_view_t body, size_t *ret_count)
{
    bus_view_t list, peer;
    if (walk_find(body, "peers", &list) != BUS_OK) {
        return NULL;
    }
    walk_items_t items = walk_items(list);
    if (items.left > LISTED_MAX) {
        return NULL;
    }
    uint64_t *hashes = calloc((size_t) items.left + 1, sizeof *hashes);
    assert(hashes);
    size_t count = 0;
    while (walk_items_next(&items, &peer)) {
        bus_view_t instance = walk_text_at(peer, "instance");
        if (instance.data != NULL) {
            hashes[count++] = XXH3_64bits(instance.data, instance.size);
        }
    }
    qsort(hashes, count, sizeof *hashes, compare);
    *ret_count = count;
    return hashes;
}

static void
note_gone(htm_roll_t *self, const htm_worker_t *worker)
{
    if (self->gone_count == GONE_MAX) {
        return;
    }
    gone_t *gone = &self->gone[self->gone_count++];
    *gone = (gone_t){.worker_size = worker->name.size, .instance_size = worker->instance.size};
    memcpy(gone->worker, worker->name.data, worker->name.size);
    memcpy(gone->instance, worker->instance.data, worker->instance.size);
}

static void
take_list(htm_roll_t *self, bus_view_t body)
{
    size_t count = 0;
    uint64_t *there = read_list(body, &count);
    self->gone_count = 0;
    if (there == NULL || clock_boot_ms() < self->patient_until_ms) {
        free(there);
        return;
    }
    const htm_workers_t *workers = self->state->workers;
    for (const htm_worker_t *worker = htm_worker_next(workers, NULL); worker != NULL;
         worker = htm_worker_next(workers, worker)) {
        uint64_t hash = XXH3_64bits(worker->instance.data, worker->instance.size);
        if (worker->instance.size > 0 && worker->seq <= self->asked_head &&
            bsearch(&hash, there, count, sizeof *there, compare) == NULL) {
            note_gone(self, worker);
        }
    }
    free(there);
    if (self->gone_count > 0) {
        service_tick_soon(self->service);
    }
}

// A welcome since the last look: this broker may not know all of its peers yet.
static void
look_at_welcomes(htm_roll_t *self)
{
    client_stats_t stats;
    client_stats(service_client(self->service), &stats);
    if (stats.welcomes != self->welcomes) {
        self->welcomes = stats.welcomes;
        self->patient_until_ms = clock_boot_ms() + PATIENCE_MS;
    }
}

static void
on_answer(void *arg, const client_answer_t *answer)
{
    htm_roll_t *self = arg;
    if (answer->event == CLIENT_ACKED) {
        return;
    }
    self->call = 0;
    if (answer->err == BUS_ABORTED) {
        return; // the process stops
    }
    if (answer->event != CLIENT_REPLIED || answer->err != BUS_OK) {
        ask_in(self, AGAIN_MS);
        return;
    }
    ask_in(self, self->has_news ? NEWS_MS : LOOK_MS);
    look_at_welcomes(self); // it may have been asked again since
    take_list(self, answer->body);
}

static void
ask(htm_roll_t *self)
{
    client_t *client = service_client(self->service);
    look_at_welcomes(self);
    if (self->call != 0) {
        return;
    }
    if (!client_is_connected(client)) {
        ask_in(self, AGAIN_MS);
        return;
    }
    self->has_news = false;
    self->asked_head = client_head(client);
    const client_message_t message = {
        .topic = "$bus.peers",
        .body = PACK_EMPTY_MAP,
        .want = CLIENT_WANT_REPLY,
        .timeout_ms = ASK_MS,
    };
    if (client_send(client, &message, on_answer, self, &self->call) != BUS_OK) {
        self->call = 0;
        ask_in(self, AGAIN_MS);
    }
}

static void
on_news(void *arg, const client_heard_t *heard BUS_UNUSED)
{
    htm_roll_t *self = arg;
    self->has_news = true;
    ask(self);
}

// --- What is said --------------------------------------------------------------------------------

void
htm_roll_tick(htm_roll_t *self, service_query_t *query)
{
    for (size_t i = 0; i < self->gone_count; i++) {
        const gone_t *gone = &self->gone[i];
        const schema_task_worker_gone_t message = {
            .worker = view_from(gone->worker, gone->worker_size),
            .instance = view_from(gone->instance, gone->instance_size),
            .reason = VIEW_LITERAL("its peer is gone"),
        };
        pack_clear(self->body);
        schema_encode(&SCHEMA_task_worker_gone, &message, self->body);
        bus_err_t err = service_query_say(query, "task.worker.gone", pack_view(self->body));
        if (err != BUS_OK) {
            log_warning(
                "gone_not_said", "error=%s", error_text(err)); // found again by the next list
            break;
        }
    }
    self->gone_count = 0;
}

// --- Life ----------------------------------------------------------------------------------------

bus_err_t
htm_roll_new(service_t *service, htm_state_t *state, htm_roll_t **ret_self)
{
    htm_roll_t *self = calloc(1, sizeof *self);
    assert(self);
    self->service = service;
    self->state = state;
    self->body = pack_new();
    *ret_self = self;
    bus_err_t err = client_subscribe(service_client(service), "$bus.peer.", on_news, self);
    if (err == BUS_OK) {
        ask_in(self, AGAIN_MS);
    }
    return err;
}

void
htm_roll_destroy(htm_roll_t **self_p)
{
    htm_roll_t *self = *self_p;
    if (self == NULL) {
        return;
    }
    if (self->call != 0) {
        client_cancel(service_client(self->service), self->call);
    }
    if (self->timer != 0) {
        loop_cancel_timer(service_loop(self->service), self->timer);
    }
    pack_destroy(&self->body);
    free(self);
    *self_p = NULL;
}
