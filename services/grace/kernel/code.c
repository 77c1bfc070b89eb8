// code.c - the kernel that looks whether all peers run the same build, and mean the same by it.
//
// It looks soon after peers come (a rolling upgrade is when builds mix) and every BHIV_CODE_SECONDS
// (60): asks the broker who is there, the broker itself, then each service's health, all at once.
// Each peer that differs from this kernel is one anomaly build_mismatch, said when it is found and
// every BHIV_ANOMALY_SECONDS while it stays so.
#include "kernel.h"

#include "code_peers.h"
#include "runtime/clock.h"

#include <assert.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <xxhash.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define NAME "kernel-code"

enum {
    SETTLE_MS = 500,  // after news, so that one look sees all that come together
    ASKED_MAX = 128,  // services asked in one look
    TOPIC_SIZE = 160, // req.<service>.health
    AGAIN_MS = 1000,  // after a look that found no broker
};

typedef struct state state_t;

// A service whose health is asked for.
typedef struct {
    state_t *state;
    char service[KERNEL_CODE_PEERS_NAME_SIZE];
} asked_t;

struct state {
    service_t *service;
    struct {
        double look_s;
        double anomaly_s;
    } settings;
    kernel_code_peer_t ours;
    kernel_code_peers_t peers;   // of the look under way, or the last one
    kernel_code_peers_t settled; // of the last that ended: what a report shows
    asked_t asked[ASKED_MAX];
    size_t asked_count;
    unsigned open;  // questions on their way; 0: no look is under way
    int timer;      // of the next look; 0: none
    bool is_soon;   // it is set because of news
    bool has_news;  // peers came or went during the look
    uint64_t looks; // that ended
    uint64_t looked_at;
    size_t differing;   // peers, in the last look
    uint64_t said_hash; // of what differed when it was said last; 0: nothing did
    uint64_t said_ms;   // boot clock
    kernel_watch_news_t news;
};

static const setting_row_t settings[] = {
    KERNEL_WATCH_SECONDS_ROW("BHIV_CODE_SECONDS", state_t, settings.look_s, 60),
    KERNEL_WATCH_ANOMALY_ROW(state_t, settings.anomaly_s),
};

static void look(state_t *self);

static void
on_timer(void *arg)
{
    state_t *self = arg;
    self->timer = 0;
    self->is_soon = false;
    look(self);
}

static void
look_in(state_t *self, unsigned delay_ms)
{
    loop_t *loop = service_loop(self->service);
    if (self->timer != 0) {
        loop_cancel_timer(loop, self->timer);
    }
    self->timer = loop_add_timer(loop, delay_ms, 1, on_timer, self);
}

// --- Judging -------------------------------------------------------------------------------------

// Of who differs and how: whether it is news.
static uint64_t
hash_differing(const state_t *self)
{
    uint64_t hash = 0;
    for (size_t i = 0; i < self->peers.count; i++) {
        const kernel_code_peer_t *peer = &self->peers.at[i];
        unsigned differences = kernel_code_peers_compare(&self->ours, peer);
        uint64_t one = XXH3_64bits_withSeed(peer->instance, strlen(peer->instance), differences);
        hash += differences == 0 ? 0 : one | 1; // a sum: the list has no order
    }
    return hash;
}

static void
finish(state_t *self)
{
    uint64_t now_ms = clock_boot_ms();
    uint64_t hash = hash_differing(self);
    unsigned look_ms = kernel_watch_ms(self->settings.look_s);
    unsigned anomaly_ms = kernel_watch_ms(self->settings.anomaly_s);
    kernel_watch_news_clear(&self->news);
    self->differing = kernel_code_peers_judge(&self->peers, &self->ours, &self->news);
    bool is_due = hash != self->said_hash || now_ms - self->said_ms >= anomaly_ms;
    if (!is_due) {
        kernel_watch_news_clear(&self->news);
    } else if (self->differing > 0) {
        self->said_ms = now_ms;
        service_tick_soon(self->service);
    }
    self->said_hash = hash;
    self->settled.count = self->peers.count;
    self->settled.skipped = self->peers.skipped;
    memcpy(self->settled.at, self->peers.at, self->peers.count * sizeof *self->peers.at);
    self->looks++;
    self->looked_at = clock_wall_us();
    unsigned next_ms = look_ms;
    if (self->differing > 0 && anomaly_ms < look_ms) {
        next_ms = anomaly_ms;
    }
    look_in(self, self->has_news ? SETTLE_MS : next_ms);
    self->has_news = false;
}

static void
tick(service_query_t *query)
{
    state_t *self = query->state;
    kernel_watch_news_say(&self->news, query, NAME);
}

// --- Looking -------------------------------------------------------------------------------------

static void
on_health(void *arg, const client_answer_t *answer)
{
    asked_t *asked = arg;
    state_t *self = asked->state;
    if (kernel_watch_is_given_up(answer)) {
        return;
    }
    if (kernel_watch_is_answered(answer)) {
        kernel_code_peers_take_health(&self->peers, asked->service, answer->body);
    }
    if (--self->open == 0) {
        finish(self);
    }
}

static bool
is_asked(const state_t *self, const char *service)
{
    for (size_t i = 0; i < self->asked_count; i++) {
        if (strcmp(self->asked[i].service, service) == 0) {
            return true;
        }
    }
    return false;
}

static bool
is_to_be_asked(const state_t *self, const kernel_code_peer_t *peer)
{
    return peer->service[0] != '\0' && !peer->is_foreign && !is_asked(self, peer->service);
}

// Asks the services of the first `listed` peers.
static void
ask_all(state_t *self, size_t listed)
{
    client_t *client = service_client(self->service);
    self->asked_count = 0;
    self->open = 1; // until all are asked
    client_hold(client);
    for (size_t i = 0; i < listed && self->asked_count < ASKED_MAX; i++) {
        const kernel_code_peer_t *peer = &self->peers.at[i];
        if (!is_to_be_asked(self, peer)) {
            continue;
        }
        asked_t *asked = &self->asked[self->asked_count++];
        char topic[TOPIC_SIZE];
        snprintf(topic, sizeof topic, "req.%s.health", peer->service);
        asked->state = self;
        memcpy(asked->service, peer->service, sizeof asked->service);
        self->open += kernel_watch_ask(client, topic, PACK_EMPTY_MAP, on_health, asked);
    }
    client_release(client);
    if (--self->open == 0) {
        finish(self);
    }
}

static void
on_stats(void *arg, const client_answer_t *answer)
{
    state_t *self = arg;
    if (kernel_watch_is_given_up(answer)) {
        return;
    }
    self->open = 0;
    if (kernel_watch_is_answered(answer)) {
        size_t listed = self->peers.count;
        kernel_code_peers_take_broker(&self->peers, answer->body); // which answers no requests
        ask_all(self, listed);
    } else {
        look_in(self, AGAIN_MS);
    }
}

static void
on_peers(void *arg, const client_answer_t *answer)
{
    state_t *self = arg;
    if (kernel_watch_is_given_up(answer)) {
        return;
    }
    self->open = 0;
    if (kernel_watch_is_answered(answer)) {
        kernel_code_peers_take(&self->peers, answer->body);
        self->open = kernel_watch_ask(
            service_client(self->service), "$bus.stats", PACK_EMPTY_MAP, on_stats, self);
    }
    if (self->open == 0) {
        look_in(self, AGAIN_MS);
    }
}

static void
look(state_t *self)
{
    client_t *client = service_client(self->service);
    if (self->open > 0) {
        self->has_news = true;
        return;
    }
    self->open = client_is_connected(client) &&
                 kernel_watch_ask(client, "$bus.peers", PACK_EMPTY_MAP, on_peers, self);
    if (self->open == 0) {
        look_in(self, AGAIN_MS);
    }
}

static void
on_presence(void *arg, const client_heard_t *heard)
{
    state_t *self = arg;
    if (!view_is(heard->topic, "$bus.peer.up")) {
        return; // who goes takes its build along
    }
    if (self->open > 0) {
        self->has_news = true;
    } else if (!self->is_soon) { // or peers that come and go all the time would put it off
        look_in(self, SETTLE_MS);
        self->is_soon = true;
    }
}

// --- What is asked, and life ---------------------------------------------------------------------

static bus_err_t
take_anomaly(service_apply_t *apply, const void *message)
{
    return kernel_watch_keep(apply, message, NAME);
}

static bus_err_t
report(service_query_t *query, const void *message BUS_UNUSED)
{
    const state_t *self = query->state;
    const char *same = self->differing == 0 ? "same" : "different";
    pack_t *out = query->answer;
    pack_map(out, 10);
    pack_pair_text(out, "status", self->looks == 0 ? "starting" : same);
    pack_pair_text(out, "version", self->ours.version);
    pack_pair_text(out, "build", self->ours.build);
    pack_pair_uint(out, "protocol", self->ours.protocol);
    pack_pair_text(out, "schemas", self->ours.schemas);
    pack_pair_uint(out, "looks", self->looks);
    if (self->looks == 0) {
        pack_pair_nil(out, "looked_at");
    } else {
        pack_pair_rfc3339(out, "looked_at", self->looked_at);
    }
    pack_pair_uint(out, "differing", self->differing);
    pack_text(out, "peers");
    pack_array(out, (uint32_t) self->settled.count);
    for (size_t i = 0; i < self->settled.count; i++) {
        kernel_code_peers_pack(&self->settled.at[i], &self->ours, out);
    }
    kernel_watch_pack_kept(query->txn, out);
    return BUS_OK;
}

static void
close_state(void **state_p)
{
    state_t *self = *state_p;
    kernel_code_peers_clear(&self->peers);
    kernel_code_peers_clear(&self->settled);
    kernel_watch_news_clear(&self->news);
    free(self);
    *state_p = NULL;
}

static bus_err_t
open_state(const service_options_t *options BUS_UNUSED,
           store_txn_t *txn BUS_UNUSED,
           void **ret_state)
{
    identity_t identity;
    state_t *self = calloc(1, sizeof *self);
    assert(self);
    identity_read(&identity);
    snprintf(self->ours.version, sizeof self->ours.version, "%s", BHIV_VERSION);
    snprintf(self->ours.build, sizeof self->ours.build, "%s", identity.build);
    snprintf(self->ours.schemas, sizeof self->ours.schemas, "%s", identity.schemas);
    self->ours.protocol = IDENTITY_PROTOCOL;
    kernel_code_peers_init(&self->peers);
    kernel_code_peers_init(&self->settled);
    *ret_state = self;
    bus_err_t err = setting_read(settings, COUNT(settings), self);
    if (err != BUS_OK) {
        close_state(ret_state);
    }
    return err;
}

static bus_err_t
start(service_t *service, void *state)
{
    state_t *self = state;
    self->service = service;
    look_in(self, SETTLE_MS);
    return client_subscribe(service_client(service), "$bus.peer.", on_presence, self);
}

static const store_table_t tables[] = {KERNEL_WATCH_TABLE};

static const service_apply_row_t applies[] = {
    {.prefix = "hunter.anomaly.detected",
     .schema = &SCHEMA_hunter_anomaly,
     .apply = take_anomaly,
     .meaning = "an anomaly: its own last hundred are kept"},
};

static const service_query_row_t queries[] = {
    {"report", NULL, report, "which peers run what, and who differs"},
};

const service_definition_t kernel_code_definition = {
    .name = NAME,
    .source = NAME,
    .rules_version = 1,
    .tables = tables,
    .table_count = COUNT(tables),
    .applies = applies,
    .apply_count = COUNT(applies),
    .queries = queries,
    .query_count = COUNT(queries),
    .open = open_state,
    .close = close_state,
    .start = start,
    .tick = tick,
};
