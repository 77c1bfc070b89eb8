// presence.c - who is on the bus. See presence.h.
//
// A process that hangs goes on being listed for three seconds, and one that is stopped in a
// debugger may beat on and answer nothing: so an optional read that timed out keeps the next ones
// from waiting for the same again.
#include "presence.h"

#include "proto/walk.h"
#include "runtime/clock.h"
#include "runtime/log.h"

#include <assert.h>
#include <stdlib.h>

enum {
    LOOK_MS = 2000,        // news can be lost: it is asked for this often anyway
    AGAIN_MS = 200,        // after an answer that did not come
    NEWS_MS = 20,          // where more news came while it was asked: many peers come together
    ASK_MS = 2000,         // for the answer
    LEFT_ALONE_MS = 10000, // after a read that timed out
};

struct core_presence {
    client_t *client;
    loop_t *loop;
    core_registry_t *registry;
    core_presence_looked_fn *looked;
    void *arg;
    uint64_t call;     // the question on its way; 0: none
    uint64_t asked_us; // when it left, boot clock
    int timer;         // until the next; 0: none
    bool has_news;     // since it was asked
    bool lives[CORE_PEER_COUNT];
    uint64_t left_alone_until_ms[CORE_PEER_COUNT]; // boot clock
};

static const char *const names[CORE_PEER_COUNT] = {
    [CORE_PEER_BUCKET] = "bucket",
    [CORE_PEER_KARMA] = "karma",
};

static void ask(core_presence_t *self);

static void
on_timer(void *arg)
{
    core_presence_t *self = arg;
    self->timer = 0;
    ask(self);
}

static void
ask_in(core_presence_t *self, unsigned delay_ms)
{
    if (self->timer != 0) {
        loop_cancel_timer(self->loop, self->timer);
    }
    self->timer = loop_add_timer(self->loop, delay_ms, 1, on_timer, self);
}

static void
take_list(core_presence_t *self, bus_view_t body)
{
    bus_view_t list;
    walk_item_t head;
    walk_t walk;
    if (walk_find(body, "peers", &list) != BUS_OK) {
        return;
    }
    walk = walk_from(list);
    if (walk_next(&walk, &head) != BUS_OK || head.type != WALK_ARRAY) {
        return;
    }
    memset(self->lives, 0, sizeof self->lives);
    core_registry_peers_begin(self->registry);
    for (uint32_t i = 0; i < head.count; i++) {
        bus_view_t peer, value, service;
        if (walk_skip(&walk, &peer) != BUS_OK) {
            break;
        }
        if (walk_find(peer, "service", &value) != BUS_OK ||
            walk_as_str(value, &service) != BUS_OK) {
            continue;
        }
        core_registry_peers_add(self->registry, service);
        for (unsigned j = 0; j < CORE_PEER_COUNT; j++) {
            self->lives[j] = self->lives[j] || view_is(service, names[j]);
        }
    }
    core_registry_peers_end(self->registry);
    self->looked(self->arg, self->asked_us);
}

static void
on_answer(void *arg, const client_answer_t *answer)
{
    core_presence_t *self = arg;
    if (answer->event == CLIENT_ACKED) {
        return;
    }
    self->call = 0;
    if (answer->err == BUS_ABORTED) {
        return; // the process stops
    }
    bool is_told = answer->event == CLIENT_REPLIED && answer->err == BUS_OK;
    if (is_told) {
        take_list(self, answer->body);
    }
    if (!is_told) {
        ask_in(self, AGAIN_MS);
    } else {
        ask_in(self, self->has_news ? NEWS_MS : LOOK_MS);
    }
}

static void
ask(core_presence_t *self)
{
    if (self->call != 0) {
        return;
    }
    self->has_news = false;
    self->asked_us = clock_boot_us();
    const client_message_t message = {
        .topic = "$bus.peers",
        .body = PACK_EMPTY_MAP,
        .want = CLIENT_WANT_REPLY,
        .timeout_ms = ASK_MS,
    };
    bus_err_t err = client_send(self->client, &message, on_answer, self, &self->call);
    if (err != BUS_OK) {
        self->call = 0;
        ask_in(self, AGAIN_MS);
    }
}

static void
on_news(void *arg, BUS_UNUSED const client_heard_t *heard)
{
    core_presence_t *self = arg;
    self->has_news = true;
    ask(self);
}

bus_err_t
core_presence_new(service_t *service,
                  core_registry_t *registry,
                  core_presence_looked_fn *looked,
                  void *arg,
                  core_presence_t **ret_self)
{
    core_presence_t *self = calloc(1, sizeof *self);
    assert(self);
    *self = (core_presence_t){
        .client = service_client(service),
        .loop = service_loop(service),
        .registry = registry,
        .looked = looked,
        .arg = arg,
    };
    bus_err_t err = client_subscribe(self->client, "$bus.peer.", on_news, self);
    if (err != BUS_OK) {
        free(self);
        return err;
    }
    ask(self);
    *ret_self = self;
    return BUS_OK;
}

void
core_presence_destroy(core_presence_t **self_p)
{
    core_presence_t *self = *self_p;
    if (self == NULL) {
        return;
    }
    if (self->call != 0) {
        client_cancel(self->client, self->call);
    }
    if (self->timer != 0) {
        loop_cancel_timer(self->loop, self->timer);
    }
    free(self);
    *self_p = NULL;
}

bool
core_presence_can_ask(const core_presence_t *self, core_peer_t peer)
{
    return self->lives[peer] && clock_boot_ms() >= self->left_alone_until_ms[peer];
}

bool
core_presence_timed_out(core_presence_t *self, core_peer_t peer)
{
    uint64_t now_ms = clock_boot_ms();
    bool is_first = now_ms >= self->left_alone_until_ms[peer];
    self->left_alone_until_ms[peer] = now_ms + LEFT_ALONE_MS;
    if (is_first) {
        log_warning("context_timed_out", "service=%s left_alone_ms=%d", names[peer], LEFT_ALONE_MS);
    }
    return is_first;
}
