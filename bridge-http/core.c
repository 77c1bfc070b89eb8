// core.c - Core's endpoints that are more than a row: those that wait for an agent.
//
// The bridge names the task, so that a caller who has waited too long can be told where its answer
// will be. An Idempotency-Key names it by itself: then a repeat is the same task, and Core gives it
// the same answer.
#include "answer.h"
#include "ask.h"
#include "handler.h"
#include "params.h"
#include "proto/limits.h"
#include "proto/merkle.h"
#include "proto/walk.h"
#include "runtime/id.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    WAIT_MS = 120 * 1000, // docs/contract.md section 6
    TASK_ID_SIZE = 65,    // of ours, with its NUL
    KEY_BYTES = 16,       // of a key's hash, as hex
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

// Where the answer will be: the agent goes on.
static void
answer_late(bridge_request_t *self, BUS_UNUSED const client_answer_t *answer)
{
    const char *task_id = self->state_data;
    BUS_AUTO(pack_destroy) pack_t *extra = pack_new();
    pack_map(extra, task_id == NULL ? 0 : 1);
    if (task_id != NULL) {
        pack_pair_text(extra, "task_id", task_id);
    }
    bridge_answer_error(
        self,
        &(bridge_error_t){.err = BUS_TIMEOUT,
                          .message = VIEW_LITERAL("no answer within 120 s; the agent may go on: "
                                                  "GET /tasks/{task_id} has its answer then"),
                          .extra = pack_view(extra)});
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

void
bridge_core_task(bridge_request_t *self)
{
    if (!bridge_params_decode(self, self->route->body, self->body, NULL)) {
        return;
    }
    bus_view_t given = task_of(self->body);
    char *task_id = calloc(1, TASK_ID_SIZE);
    if (task_id == NULL) {
        bridge_answer_refuse(self, BUS_BUSY, NULL);
        return;
    }
    self->state_data = task_id;
    self->state_free = free;
    BUS_AUTO(pack_destroy) pack_t *body = pack_new();
    if (given.data != NULL) {
        memcpy(task_id, given.data, given.size); // the schema has looked at its size
        pack_raw(body, self->body);
    } else {
        make_task_id(self, task_id);
        pack_named(self->body, task_id, body);
    }
    bridge_ask(self,
               &(bridge_ask_t){.kind = BRIDGE_ASK_QUESTION,
                               .topic = self->route->topic,
                               .body = pack_view(body),
                               .idem = true,
                               .late = answer_late,
                               .wait_ms = WAIT_MS});
}
