// health.c - /health, /healthz, /readyz, /status from cached answers.
#include "health.h"
#include "answer.h"
#include "grace.h"
#include "handler.h"
#include "metrics.h"
#include "proto/walk.h"
#include "runtime/clock.h"
#include <assert.h>
#include <stdlib.h>

enum {
    ASK_MS = 900,       // for an answer, so that the next round begins clean
    FRESH_US = 3000000, // an answer older than three rounds says nothing
};

typedef enum {
    PART_CORE,
    PART_BUCKET,
    PART_KARMA,
    PART_WORKFLOW,
    PART_GRACE,
    PART_BROKER, // its counters
    PART_PEERS,  // who is there: only they are asked
    PART_QUEUE,  // HTM's figures
    PART_COUNT
} part_id_t;

typedef struct {
    const char *name;
    const char *topic;
    const char *service; // as it says hello; NULL: the broker itself
} part_row_t;

static const part_row_t rows[PART_COUNT] = {
    [PART_CORE] = {"core", "req.core.health", "core"},
    [PART_BUCKET] = {"bucket", "req.bucket.health", "bucket"},
    [PART_KARMA] = {"karma", "req.karma.health", "karma"},
    [PART_WORKFLOW] = {"workflow", "req.workflow.health", "workflow"},
    [PART_GRACE] = {"grace", "req.htm.health", "htm"},
    [PART_BROKER] = {"broker", "$bus.stats", NULL},
    [PART_PEERS] = {"peers", "$bus.peers", NULL},
    [PART_QUEUE] = {"queue", "req.htm.status", "htm"},
};

typedef struct {
    bridge_health_t *health;
    part_id_t id;
    uint64_t call;     // being asked; 0: not
    uint64_t heard_us; // of `body`; 0: never, or it was said to be away
    pack_t *body;      // its last answer
} part_t;

struct bridge_health {
    bridge_t *bridge;
    part_t parts[PART_COUNT];
};

bridge_health_t *
bridge_health_new(bridge_t *bridge)
{
    bridge_health_t *self = calloc(1, sizeof(*self));
    assert(self != NULL);
    self->bridge = bridge;
    for (unsigned i = 0; i < PART_COUNT; i++) {
        self->parts[i] = (part_t){.health = self, .id = (part_id_t) i, .body = pack_new()};
    }
    return self;
}

void
bridge_health_destroy(bridge_health_t **self_p)
{
    bridge_health_t *self = *self_p;
    if (self == NULL) {
        return;
    }
    for (unsigned i = 0; i < PART_COUNT; i++) {
        pack_destroy(&self->parts[i].body);
    }
    free(self);
    *self_p = NULL;
}

static void ask(part_t *part);

// Asks who is there, and forgets at once who is not.
static void
ask_present(bridge_health_t *self, bus_view_t peers)
{
    for (unsigned i = 0; i < PART_COUNT; i++) {
        part_t *part = &self->parts[i];
        if (rows[i].service == NULL) {
            continue;
        }
        if (bridge_grace_find(peers, rows[i].service, NULL)) {
            ask(part);
        } else {
            part->heard_us = 0;
        }
    }
}

static void
on_answer(void *arg, const client_answer_t *answer)
{
    part_t *part = arg;
    if (answer->event == CLIENT_ACKED) {
        return;
    }
    part->call = 0;
    if (answer->event == CLIENT_REPLIED && answer->err == BUS_OK) {
        pack_clear(part->body);
        pack_raw(part->body, answer->body);
        part->heard_us = clock_boot_us();
        if (part->id == PART_PEERS) {
            ask_present(part->health, pack_view(part->body));
        }
    } else if (answer->err == BUS_NO_RESPONDERS) {
        part->heard_us = 0;
    }
}

static void
ask(part_t *part)
{
    if (part->call != 0) {
        return;
    }
    const client_message_t message = {.topic = rows[part->id].topic,
                                      .body = PACK_EMPTY_MAP,
                                      .want = CLIENT_WANT_REPLY,
                                      .timeout_ms = ASK_MS};
    if (client_send(part->health->bridge->client, &message, on_answer, part, &part->call) !=
        BUS_OK) {
        part->call = 0; // asked again in a second
    }
}

void
bridge_health_refresh(bridge_health_t *self)
{
    if (bridge_is_connected(self->bridge)) {
        ask(&self->parts[PART_BROKER]);
        ask(&self->parts[PART_PEERS]);
    }
}

void
bridge_health_stop(bridge_health_t *self)
{
    for (unsigned i = 0; i < PART_COUNT; i++) {
        if (self->parts[i].call != 0) {
            client_cancel(self->bridge->client, self->parts[i].call);
            self->parts[i].call = 0;
        }
    }
}

static bool
is_fresh(const part_t *part)
{
    return part->heard_us > 0 && clock_boot_us() - part->heard_us < FRESH_US &&
           bridge_is_connected(part->health->bridge);
}

static bus_view_t
value_of(const part_t *part, const char *key)
{
    bus_view_t value;
    if (part->heard_us == 0 || walk_find(pack_view(part->body), key, &value) != BUS_OK) {
        return VIEW_NONE;
    }
    return value;
}

static bool
number_of(const part_t *part, const char *key, uint64_t *ret_number)
{
    bus_view_t value = value_of(part, key);
    return value.data != NULL && walk_as_uint(value, ret_number) == BUS_OK;
}

bool
bridge_health_has_bucket(const bridge_health_t *self)
{
    return is_fresh(&self->parts[PART_BUCKET]);
}

bus_view_t
bridge_health_of_bucket(const bridge_health_t *self, const char *key)
{
    return value_of(&self->parts[PART_BUCKET], key);
}

bus_view_t
bridge_health_of_workflow(const bridge_health_t *self, const char *key)
{
    const part_t *part = &self->parts[PART_WORKFLOW];
    return is_fresh(part) ? value_of(part, key) : VIEW_NONE;
}

bus_view_t
bridge_health_of_queue(const bridge_health_t *self, const char *key)
{
    const part_t *part = &self->parts[PART_QUEUE];
    return is_fresh(part) ? value_of(part, key) : VIEW_NONE;
}

bus_view_t
bridge_health_peers(const bridge_health_t *self)
{
    const part_t *part = &self->parts[PART_PEERS];
    return is_fresh(part) ? pack_view(part->body) : VIEW_NONE;
}

// healthy, degraded or unhealthy; a view that lives as long as the cached answer.
static bus_view_t
status_of(const part_t *part)
{
    bus_view_t status;
    bus_view_t value = value_of(part, "status");
    if (!is_fresh(part)) {
        return VIEW_LITERAL("unhealthy");
    }
    return value.data != NULL && walk_as_str(value, &status) == BUS_OK ? status
                                                                       : VIEW_LITERAL("healthy");
}

// What is known of who serves a port; NULL for the console, which is the bridge itself.
static const part_t *
part_of_port(const bridge_health_t *self, bridge_port_id_t port)
{
    switch (port) {
    case BRIDGE_KARMA:
        return &self->parts[PART_KARMA];
    case BRIDGE_BUCKET:
        return &self->parts[PART_BUCKET];
    case BRIDGE_CORE:
        return &self->parts[PART_CORE];
    case BRIDGE_WORKFLOW:
        return &self->parts[PART_WORKFLOW];
    case BRIDGE_CONSOLE:
    case BRIDGE_PORT_COUNT:
        break;
    }
    return NULL;
}

static uint64_t
journal_head(const bridge_health_t *self)
{
    uint64_t head = 0;
    uint64_t heard = client_head(self->bridge->client);
    return number_of(&self->parts[PART_BROKER], "head", &head) && head > heard ? head : heard;
}

static void
pack_broker(const bridge_health_t *self, const part_t *part, pack_t *out)
{
    uint64_t lag = 0;
    pack_text(out, "broker");
    pack_map(out, 3);
    pack_pair_bool(out, "connected", bridge_is_connected(self->bridge));
    pack_pair_uint(out, "head", journal_head(self));
    if (part != NULL && is_fresh(part) && number_of(part, "lag", &lag)) {
        pack_pair_uint(out, "lag", lag);
    } else {
        pack_pair_nil(out, "lag");
    }
}

// --- GET /health --------------------------------------------------------------------------------

static bool
is_ours(bus_view_t key)
{
    static const char *const keys[] = {
        "status", "service", "version", "uptime_seconds", "broker", "head", "lag", "age_seconds"};
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        if (view_is(key, keys[i])) {
            return true;
        }
    }
    return false;
}

// The service's own block, as it last said it.
static uint32_t
pack_block(const part_t *part, pack_t *out)
{
    if (part->heard_us == 0) {
        return 0;
    }
    uint32_t count = 0;
    walk_pairs_t pairs = walk_pairs(pack_view(part->body));
    bus_view_t key;
    bus_view_t value;
    while (walk_pairs_next(&pairs, &key, &value) == BUS_OK) {
        if (key.data != NULL && !is_ours(key)) {
            pack_str(out, key);
            pack_raw(out, value);
            count++;
        }
    }
    return count;
}

// What Bucket's health is promised to have, where Bucket did not say it.
static uint32_t
pack_bucket_gaps(const part_t *part, pack_t *out)
{
    static const char *const keys[] = {
        "core_integration", "prana_telemetry", "governance", "storage"};
    static const char *const fields[][2] = {{"events_received", "agents_tracked"},
                                            {"packets_received", "users_tracked"},
                                            {"refused", NULL},
                                            {"bytes", "quota"}};
    uint32_t count = 0;
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        if (value_of(part, keys[i]).data != NULL) {
            continue;
        }
        pack_text(out, keys[i]);
        pack_map(out, fields[i][1] == NULL ? 2 : 3);
        pack_pair_text(out, "status", is_fresh(part) ? "inactive" : "unknown");
        for (size_t field = 0; field < 2 && fields[i][field] != NULL; field++) {
            pack_pair_nil(out, fields[i][field]);
        }
        count++;
    }
    return count;
}

static void
pack_pair_cached(pack_t *out, const char *key, const part_t *part)
{
    bus_view_t value = value_of(part, key);
    if (value.data != NULL) {
        pack_pair_raw(out, key, value);
    } else {
        pack_pair_nil(out, key);
    }
}

static void
pack_own_health(const bridge_health_t *self, pack_t *out)
{
    bool connected = bridge_is_connected(self->bridge);
    pack_map(out, 5);
    pack_pair_text(out, "status", connected ? "healthy" : "unhealthy");
    pack_pair_text(out, "service", "bridge");
    pack_pair_text(out, "version", BHIV_VERSION);
    pack_pair_real(
        out, "uptime_seconds", (double) (clock_boot_us() - self->bridge->started_us) / 1e6);
    pack_broker(self, NULL, out);
}

void
bridge_health_show(bridge_request_t *request)
{
    const bridge_health_t *self = request->bridge->health;
    assert(self != NULL);
    const part_t *part = part_of_port(self, request->port->id);
    BUS_AUTO(pack_destroy) pack_t *body = pack_new();
    if (part == NULL) {
        pack_own_health(self, body);
        bridge_answer(request, MHD_HTTP_OK, pack_view(body));
        return;
    }
    size_t map = pack_map_begin(body);
    uint32_t count = 6;
    pack_pair_str(body, "status", status_of(part));
    pack_pair_text(body, "service", bridge_server_port_name(request->port->id));
    pack_pair_text(body, "version", BHIV_VERSION);
    pack_pair_cached(body, "uptime_seconds", part);
    pack_broker(self, part, body);
    if (part->heard_us > 0) {
        pack_pair_real(body, "age_seconds", (double) (clock_boot_us() - part->heard_us) / 1e6);
    } else {
        pack_pair_nil(body, "age_seconds"); // it was never heard, or is away
    }
    count += pack_block(part, body);
    if (part->id == PART_BUCKET) {
        count += pack_bucket_gaps(part, body);
    }
    pack_count(body, map, count);
    bridge_answer(request, MHD_HTTP_OK, pack_view(body));
}

void
bridge_health_alive(bridge_request_t *request)
{
    bool is_workflow = request->port->id == BRIDGE_WORKFLOW;
    BUS_AUTO(pack_destroy) pack_t *body = pack_new();
    pack_map(body, 2);
    pack_pair_text(body, "status", "ok");
    pack_pair_text(body,
                   "service",
                   is_workflow ? "workflow-executor" : bridge_server_port_name(request->port->id));
    bridge_answer(request, MHD_HTTP_OK, pack_view(body));
}

void
bridge_health_ready(bridge_request_t *request)
{
    const bridge_health_t *self = request->bridge->health;
    assert(self != NULL);
    const part_t *part = part_of_port(self, request->port->id);
    if (!bridge_is_connected(request->bridge)) {
        bridge_answer_refuse(request, BUS_SERVICE_UNAVAILABLE, "the broker is not there");
        return;
    }
    if (part != NULL && !is_fresh(part)) {
        bridge_answer_refuse(request, BUS_SERVICE_UNAVAILABLE, "the service is not there");
        return;
    }
    if (part != NULL && !view_is(status_of(part), "healthy")) {
        bridge_answer_refuse(request, BUS_SERVICE_UNAVAILABLE, "the service is not well");
        return;
    }
    bus_view_t journal;
    bus_view_t value = value_of(&self->parts[PART_BROKER], "journal");
    if (value.data != NULL && walk_as_str(value, &journal) == BUS_OK && !view_is(journal, "ok")) {
        bridge_answer_refuse(request, BUS_SERVICE_UNAVAILABLE, "the journal cannot be written");
        return;
    }
    BUS_AUTO(pack_destroy) pack_t *body = pack_new();
    pack_map(body, 1);
    pack_pair_text(body, "status", "ready");
    bridge_answer(request, MHD_HTTP_OK, pack_view(body));
}

// --- GET /status --------------------------------------------------------------------------------

typedef struct {
    part_id_t from, to;
    const char *carries;
} link_row_t;

static const link_row_t links[] = {
    {PART_CORE, PART_BUCKET, "events"},
    {PART_BUCKET, PART_CORE, "contexts"},
    {PART_CORE, PART_KARMA, "life events"},
    {PART_BUCKET, PART_KARMA, "forwarded events"},
    {PART_CORE, PART_WORKFLOW, "workflows"},
    {PART_WORKFLOW, PART_BUCKET, "executions"},
    {PART_WORKFLOW, PART_KARMA, "outcomes"},
    {PART_GRACE, PART_CORE, "documents"},
    {PART_BUCKET, PART_GRACE, "audit proofs"},
};

static void
pack_link(const bridge_health_t *self, const link_row_t *link, pack_t *out)
{
    const part_t *from = &self->parts[link->from];
    const part_t *to = &self->parts[link->to];
    bool active = is_fresh(from) && is_fresh(to);
    pack_map(out, 4);
    pack_pair_text(out, "from", rows[link->from].name);
    pack_pair_text(out, "to", rows[link->to].name);
    pack_pair_text(out, "carries", link->carries);
    pack_pair_text(out, "status", active ? "active" : "down");
}

static void
pack_service(const part_t *part, pack_t *out)
{
    uint64_t lag = 0;
    bool fresh = is_fresh(part);
    pack_map(out, 3);
    pack_pair_str(out, "status", status_of(part));
    pack_pair_text(out, "state", fresh ? "up" : "absent");
    if (fresh && number_of(part, "lag", &lag)) {
        pack_pair_uint(out, "lag", lag);
    } else {
        pack_pair_nil(out, "lag");
    }
}

static bridge_grace_t
look_at_grace(const bridge_health_t *self)
{
    const part_t *htm = &self->parts[PART_GRACE];
    bridge_grace_t grace = bridge_grace_look(bridge_health_peers(self));
    grace.has_htm = is_fresh(htm);
    grace.is_htm_well = view_is(status_of(htm), "healthy");
    grace.has_lag = grace.has_htm && number_of(htm, "lag", &grace.lag);
    return grace;
}

void
bridge_health_status(bridge_request_t *request)
{
    const bridge_health_t *self = request->bridge->health;
    bridge_grace_t grace = look_at_grace(self);
    unsigned up = bridge_grace_is_there(&grace) ? 1 : 0;
    unsigned well = bridge_grace_is_well(&grace) ? 1 : 0;
    for (unsigned i = 0; i < PART_GRACE; i++) {
        up += is_fresh(&self->parts[i]) ? 1 : 0;
        well += view_is(status_of(&self->parts[i]), "healthy") ? 1 : 0;
    }
    const char *status = well == PART_BROKER ? "healthy" : up > 0 ? "degraded" : "unhealthy";
    BUS_AUTO(pack_destroy) pack_t *body = pack_new();
    pack_map(body, 4);
    pack_pair_text(body, "status", status);
    pack_broker(self, NULL, body);
    pack_text(body, "services");
    pack_map(body, PART_BROKER);
    for (unsigned i = 0; i < PART_BROKER; i++) {
        pack_text(body, rows[i].name);
        if (i == PART_GRACE) {
            bridge_grace_pack(&grace, body);
        } else {
            pack_service(&self->parts[i], body);
        }
    }
    pack_text(body, "links");
    pack_array(body, sizeof(links) / sizeof(links[0]));
    for (size_t i = 0; i < sizeof(links) / sizeof(links[0]); i++) {
        pack_link(self, &links[i], body);
    }
    bridge_answer(request, MHD_HTTP_OK, pack_view(body));
}

// --- Metrics ------------------------------------------------------------------------------------

void
bridge_health_write_metrics(const bridge_health_t *self, text_t *out)
{
    client_stats_t stats;
    client_stats(self->bridge->client, &stats);
    text_add_format(out,
                    "# TYPE bhiv_broker_connected gauge\nbhiv_broker_connected %d\n"
                    "# TYPE bhiv_journal_head gauge\nbhiv_journal_head %lu\n",
                    bridge_is_connected(self->bridge) ? 1 : 0,
                    (unsigned long) journal_head(self));
    text_add_format(out, "# TYPE bhiv_service_up gauge\n");
    for (unsigned i = 0; i < PART_BROKER; i++) {
        text_add_format(out,
                        "bhiv_service_up{service=\"%s\"} %d\n",
                        rows[i].name,
                        is_fresh(&self->parts[i]) ? 1 : 0);
    }
    text_add_format(out, "# TYPE bhiv_service_lag gauge\n");
    for (unsigned i = 0; i < PART_BROKER; i++) {
        uint64_t lag = 0;
        if (is_fresh(&self->parts[i]) && number_of(&self->parts[i], "lag", &lag)) {
            text_add_format(
                out, "bhiv_service_lag{service=\"%s\"} %lu\n", rows[i].name, (unsigned long) lag);
        }
    }
    text_add_format(out,
                    "# TYPE bhiv_client_total counter\n"
                    "bhiv_client_total{what=\"sent\"} %lu\nbhiv_client_total{what=\"resent\"} %lu\n"
                    "bhiv_client_total{what=\"answered\"} %lu\n"
                    "bhiv_client_total{what=\"timeouts\"} %lu\n"
                    "bhiv_client_total{what=\"refused\"} %lu\n"
                    "bhiv_client_total{what=\"orphans\"} %lu\n"
                    "bhiv_client_total{what=\"welcomes\"} %lu\n"
                    "# TYPE bhiv_client_pending gauge\nbhiv_client_pending %zu\n",
                    (unsigned long) stats.sent,
                    (unsigned long) stats.resent,
                    (unsigned long) stats.answered,
                    (unsigned long) stats.timeouts,
                    (unsigned long) stats.refused,
                    (unsigned long) stats.orphans,
                    (unsigned long) stats.welcomes,
                    client_pending(self->bridge->client));
    if (is_fresh(&self->parts[PART_BROKER])) {
        bridge_metrics_write_bus(pack_view(self->parts[PART_BROKER].body), out);
    }
}
