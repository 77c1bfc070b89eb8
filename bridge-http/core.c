// core.c - Core's endpoints that are more than a row: those that wait for an agent.
//
// The bridge names the task, so that a caller who has waited too long can be told where its answer
// will be. An Idempotency-Key names it by itself: then a repeat is the same task, and Core gives it
// the same answer.
//
// A task may take minutes, and Core may be killed and started again in them: what it was asked is
// gone with it, and nobody would say so. So while a request waits its task is asked after, and
// where Core does not know it, the caller is told instead of left waiting.
#include "answer.h"
#include "ask.h"
#include "handler.h"
#include "params.h"
#include "proto/limits.h"
#include "proto/merkle.h"
#include "proto/walk.h"
#include "runtime/clock.h"
#include "runtime/id.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    WAIT_MS = 120 * 1000, // docs/contract.md section 6
    LOOK_US = 3000000,    // between two looks at a task that is waited for
    LOOK_MS = 2000,       // for the answer
    TASK_ID_SIZE = 65,    // of ours, with its NUL
    KEY_BYTES = 16,       // of a key's hash, as hex
};

struct bridge_core_wait {
    bridge_core_wait_t *prev;
    bridge_core_wait_t *next;
    bridge_request_t *request;
    char task_id[TASK_ID_SIZE];
    uint64_t look_us; // when to look next; boot clock
    uint64_t call;    // the look under way; 0: none
};

static bus_view_t
task_of(bus_view_t body)
{
    bus_view_t value, text;
    if (walk_find(body, "task_id", &value) != BUS_OK || walk_as_str(value, &text) != BUS_OK) {
        return VIEW_NONE;
    }
    return text;
}

// An error that names the task.
static void
answer_without(bridge_request_t *self, bus_err_t err, const char *message)
{
    const bridge_core_wait_t *wait = self->state_data;
    BUS_AUTO(pack_destroy) pack_t *extra = pack_new();
    pack_map(extra, 1);
    pack_pair_text(extra, "task_id", wait->task_id);
    bridge_answer_error(self,
                        &(bridge_error_t){.err = err,
                                          .message = view_from_text(message),
                                          .extra = pack_view(extra)});
}

// Where the answer will be: the agent goes on.
static void
answer_late(bridge_request_t *self, BUS_UNUSED const client_answer_t *answer)
{
    answer_without(self,
                   BUS_TIMEOUT,
                   "no answer within 120 s; the agent may go on: GET /tasks/{task_id} has its "
                   "answer then");
}

static void
make_task_id(const bridge_request_t *self, char ret_task_id[TASK_ID_SIZE])
{
    char idem[IDEM_SIZE_MAX + 1];
    merkle_hash_t hash;
    bridge_request_idem(self, idem);
    if (idem[0] == '\0') {
        id_make(ret_task_id);
        return;
    }
    merkle_sha256(view_from_text(idem), &hash);
    (void) snprintf(ret_task_id, TASK_ID_SIZE, "idem-");
    id_hex(hash.bytes, KEY_BYTES, ret_task_id + strlen(ret_task_id));
}

// The body, and the task's id behind it.
static void
pack_named(bus_view_t body, const char *task_id, pack_t *out)
{
    walk_pairs_t pairs = walk_pairs(body);
    bus_view_t key, value;
    size_t place = pack_map_begin(out);
    uint32_t count = 1;
    while (walk_pairs_next(&pairs, &key, &value) == BUS_OK) {
        if (!view_is(key, "task_id")) { // nil
            pack_str(out, key);
            pack_raw(out, value);
            count++;
        }
    }
    pack_pair_text(out, "task_id", task_id);
    pack_count(out, place, count);
}

// --- Looking after what is waited for -----------------------------------------------------------

static void
wait_free(void *data)
{
    bridge_core_wait_t *self = data;
    bridge_t *bridge = self->request->bridge;
    if (self->call != 0 && bridge->client != NULL) {
        client_cancel(bridge->client, self->call);
    }
    *(self->prev != NULL ? &self->prev->next : &bridge->core_waits) = self->next;
    if (self->next != NULL) {
        self->next->prev = self->prev;
    }
    free(self);
}

static bridge_core_wait_t *
wait_new(bridge_request_t *request)
{
    bridge_t *bridge = request->bridge;
    bridge_core_wait_t *self = calloc(1, sizeof(*self));
    assert(self != NULL && request->state_data == NULL);
    self->request = request;
    self->look_us = clock_boot_us() + LOOK_US;
    self->next = bridge->core_waits;
    if (self->next != NULL) {
        self->next->prev = self;
    }
    bridge->core_waits = self;
    request->state_data = self;
    request->state_free = wait_free;
    return self;
}

static void
on_look(void *arg, const client_answer_t *answer)
{
    bridge_core_wait_t *self = arg;
    bridge_request_t *request = self->request;
    if (answer->event == CLIENT_ACKED) {
        return;
    }
    self->call = 0;
    self->look_us = clock_boot_us() + LOOK_US;
    bool is_gone = answer->err == BUS_NO_RESPONDERS || answer->err == BUS_NOT_FOUND;
    if (is_gone && request->call != 0) {
        bridge_ask_cancel(request);
        answer_without(request,
                       BUS_SERVICE_UNAVAILABLE,
                       "Core went away while it worked on this; ask again with this task_id, or "
                       "look at GET /tasks/{task_id}");
    }
}

static void
look(bridge_core_wait_t *self)
{
    BUS_AUTO(pack_destroy) pack_t *body = pack_new();
    pack_map(body, 1);
    pack_pair_text(body, "task_id", self->task_id);
    const client_message_t message = {
        .topic = "req.core.task",
        .body = pack_view(body),
        .want = CLIENT_WANT_REPLY,
        .timeout_ms = LOOK_MS,
    };
    bus_err_t err =
        client_send(self->request->bridge->client, &message, on_look, self, &self->call);
    if (err != BUS_OK) {
        self->call = 0; // at the next look, then
    }
}

void
bridge_core_sweep(bridge_t *bridge, uint64_t now_us)
{
    if (!bridge_is_connected(bridge)) {
        return;
    }
    for (bridge_core_wait_t *wait = bridge->core_waits; wait != NULL; wait = wait->next) {
        bool is_waiting = wait->request->call != 0;
        if (is_waiting && wait->call == 0 && now_us >= wait->look_us) {
            wait->look_us = now_us + LOOK_US;
            look(wait);
        }
    }
}

// --- Asking -------------------------------------------------------------------------------------

void
bridge_core_task(bridge_request_t *self)
{
    if (!bridge_params_decode(self, self->route->body, self->body, NULL)) {
        return;
    }
    bus_view_t given = task_of(self->body);
    bridge_core_wait_t *wait = wait_new(self);
    BUS_AUTO(pack_destroy) pack_t *body = pack_new();
    if (given.data != NULL) {
        memcpy(wait->task_id, given.data, given.size); // the schema has looked at its size
        pack_raw(body, self->body);
    } else {
        make_task_id(self, wait->task_id);
        pack_named(self->body, wait->task_id, body);
    }
    bridge_ask(self,
               &(bridge_ask_t){.kind = BRIDGE_ASK_QUESTION,
                               .topic = self->route->topic,
                               .body = pack_view(body),
                               .idem = true,
                               .late = answer_late,
                               .wait_ms = WAIT_MS});
}
