// bridge.c - the bridge's process: starts, listens, stops.
//
// It holds no state that matters: any number of bridges can run, and one that dies takes nothing
// with it but the answers that it was waiting for, which a retry with the same Idempotency-Key
// gets.
#include "bridge.h"
#include "ask.h"
#include "denials.h"
#include "handler.h"
#include "health.h"
#include "hub.h"
#include "journal.h"
#include "link.h"
#include "metrics.h"
#include "openapi.h"
#include "probe.h"
#include "runtime/address.h"
#include "runtime/clock.h"
#include "runtime/log.h"
#include "server.h"
#include "tokens.h"
#include "trace_recent.h"
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sysexits.h>

enum {
    SWEEP_MS = 250, // how late a deadline may be noticed
    SWEEP_MS_MIN = 20,
    HEALTH_MS = 1000,
    READY_MS = 1000, // a bridge without a broker is ready too: it says so to everybody
    PATH_SIZE = 4096,
    FILES_MAX = 16384, // descriptors: 5 ports of 1,000 connections, and room
};

static void
raise_file_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= FILES_MAX) {
        return;
    }
    limit.rlim_cur = limit.rlim_max < FILES_MAX ? limit.rlim_max : FILES_MAX;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur < FILES_MAX) {
        log_warning(
            "few_descriptors", "limit=%lu wanted=%d", (unsigned long) limit.rlim_cur, FILES_MAX);
    }
}

// Once: where the broker is there, everything works now.
static void
say_ready(void *arg)
{
    bridge_t *self = arg;
    if (self->said_ready) {
        return;
    }
    self->said_ready = true;
    bool is_v6 = strchr(self->options->http_bind, ':') != NULL;
    printf("ready %s://%s%s%s:%lu\n",
           self->tls.cert != NULL ? "https" : "http",
           is_v6 ? "[" : "",
           self->options->http_bind,
           is_v6 ? "]" : "",
           (unsigned long) self->ready_port);
    (void) fflush(stdout);
}

static void
on_welcome(void *arg, const client_welcome_t *welcome)
{
    bridge_t *self = arg;
    log_info("connected", "head=%lu again=%d", (unsigned long) welcome->head, welcome->again);
    bridge_ask_connected(self);
    bridge_health_refresh(self->health);
    say_ready(self);
}

// Somebody came or went.
static void
on_peer(void *arg, const client_heard_t *heard BUS_UNUSED)
{
    bridge_t *self = arg;
    bridge_health_refresh(self->health);
}

static void
on_health_due(void *arg)
{
    bridge_t *self = arg;
    bridge_health_refresh(self->health);
}

static void
on_sweep_due(void *arg)
{
    bridge_t *self = arg;
    uint64_t now_us = clock_boot_us();
    bridge_ask_sweep(self, now_us);
    bridge_core_sweep(self, now_us);
    bridge_journal_sweep(self->journal, now_us);
    bridge_hub_sweep(self->hub, now_us);
    bridge_denials_sweep(self->denials, now_us);
    if (self->tokens != NULL) {
        bridge_tokens_sweep(self->tokens, self, now_us);
    }
    for (unsigned i = 0; i < BRIDGE_PORT_COUNT; i++) {
        if (self->ports[i].daemon != NULL) {
            bridge_link_sweep(&self->ports[i], now_us);
            bridge_server_turn(&self->ports[i]);
        }
    }
    if (self->is_stopping && (self->active == 0 || now_us >= self->stop_us)) {
        loop_stop(self->loop);
    }
}

static void
on_stop(void *arg, int signal_number)
{
    bridge_t *self = arg;
    if (self->is_stopping) {
        return;
    }
    log_info("stopping", "signal=%d active=%u", signal_number, self->active);
    self->is_stopping = true;
    self->stop_us = clock_boot_us() + BRIDGE_STOP_MS * 1000ULL;
    for (unsigned i = 0; i < BRIDGE_PORT_COUNT; i++) {
        bridge_server_quiet(&self->ports[i]);
    }
    bridge_hub_end(self->hub);
    on_sweep_due(self);
}

// Listens on every port that is on. Returns 0, or the exit status.
static int
listen_all(bridge_t *self)
{
    const uint64_t numbers[BRIDGE_PORT_COUNT] = {
        [BRIDGE_KARMA] = self->options->karma_port,
        [BRIDGE_BUCKET] = self->options->bucket_port,
        [BRIDGE_CORE] = self->options->core_port,
        [BRIDGE_WORKFLOW] = self->options->workflow_port,
        [BRIDGE_CONSOLE] = self->options->console_port,
    };
    uint64_t first = 0;
    for (unsigned i = 0; i < BRIDGE_PORT_COUNT; i++) {
        bridge_port_t *port = &self->ports[i];
        port->bridge = self;
        port->id = (bridge_port_id_t) i;
        if (numbers[i] == 0) {
            continue;
        }
        first = first == 0 ? numbers[i] : first;
        port->openapi = bridge_openapi_make(port->id);
        int status = bridge_server_listen(port, numbers[i]);
        if (status != 0) {
            return status;
        }
    }
    self->ready_port = numbers[BRIDGE_CONSOLE] != 0 ? numbers[BRIDGE_CONSOLE] : first;
    return 0;
}

bool
bridge_is_connected(const bridge_t *self)
{
    return self->client != NULL && !self->is_stopping && client_is_connected(self->client);
}

// Whoever still waits is answered, so that no connection is left suspended.
static void
give_up_all(bridge_t *self)
{
    self->is_stopping = true;
    bridge_ask_sweep(self, UINT64_MAX);
    bridge_hub_end(self->hub);
    bridge_journal_sweep(self->journal, UINT64_MAX);
    bridge_health_stop(self->health);
    bridge_probe_stop(self->probe);
    client_destroy(&self->client); // what it awaits is answered as aborted
}

static void
clear(bridge_t *self)
{
    for (unsigned i = 0; i < BRIDGE_PORT_COUNT; i++) {
        bridge_server_close(&self->ports[i]);
        free(self->ports[i].openapi);
    }
    bridge_probe_destroy(&self->probe);
    bridge_trace_recent_destroy(&self->recent);
    bridge_hub_destroy(&self->hub);
    bridge_journal_destroy(&self->journal);
    bridge_health_destroy(&self->health);
    bridge_metrics_destroy(&self->metrics);
    bridge_limit_destroy(&self->limit);
    bridge_denials_destroy(&self->denials);
    bridge_tokens_destroy(&self->tokens);
    bridge_tls_clear(&self->tls);
    loop_destroy(&self->loop);
}

static int
run(bridge_t *self)
{
    int status = listen_all(self);
    if (status != 0) {
        return status;
    }
    uint64_t sweep_ms = self->request_timeout_us / 1000 / 8;
    sweep_ms = sweep_ms > SWEEP_MS ? SWEEP_MS : sweep_ms < SWEEP_MS_MIN ? SWEEP_MS_MIN : sweep_ms;
    (void) loop_add_timer(self->loop, (unsigned) sweep_ms, 0, on_sweep_due, self);
    (void) loop_add_timer(self->loop, HEALTH_MS, 0, on_health_due, self);
    loop_on_stop(self->loop, on_stop, self);
    (void) loop_add_timer(self->loop, READY_MS, 1, say_ready, self);
    client_on_welcome(self->client, on_welcome, self);
    client_on_request(self->client, bridge_trace_recent_on_request, self);
    if (client_subscribe(self->client, "$bus.peer.>", on_peer, self) != BUS_OK) {
        log_warning("no_presence", "topic=%s", "$bus.peer.>");
    }
    (void) loop_run(self->loop);
    return 0;
}

// Who may be let in at all: reads tokens, certificate and key. Returns 0, or the exit status after
// having said why.
static int
prepare_access(bridge_t *self)
{
    const bridge_options_t *options = self->options;
    bool asks_for_tokens = options->secure || options->tokens != NULL;
    if (!address_is_loopback(options->http_bind) && !options->allow_anonymous && !asks_for_tokens) {
        fprintf(stderr,
                "bhiv bridge: there are no credentials, and %s is not loopback: anybody could "
                "write. Ask for tokens with --secure, or set BHIV_ALLOW_ANONYMOUS=1 to allow it.\n",
                options->http_bind);
        return EX_CONFIG;
    }
    int status = bridge_tls_load(options->tls_cert, options->tls_key, &self->tls);
    if (status != 0 || !asks_for_tokens) {
        return status;
    }
    char path[PATH_SIZE];
    (void) snprintf(path, sizeof(path), "%s/tokens", options->dir);
    self->tokens =
        bridge_tokens_new(options->tokens != NULL ? options->tokens : path, options->dir);
    return self->tokens != NULL ? 0 : EX_CONFIG;
}

int
bridge_run(const bridge_options_t *options)
{
    bridge_t self = {.options = options, .started_us = clock_boot_us()};
    int status = prepare_access(&self);
    if (status != 0) {
        bridge_tls_clear(&self.tls);
        return status;
    }
    if (sodium_init() < 0) {
        fprintf(stderr, "bhiv bridge: libsodium does not start\n");
        return EX_CONFIG;
    }
    raise_file_limit();
    uint64_t timeout_ms = options->request_timeout_ms;
    self.request_timeout_us = (timeout_ms == 0 ? BRIDGE_REQUEST_TIMEOUT_MS : timeout_ms) * 1000;
    self.loop = loop_new();
    const client_options_t client = {.source = "bhiv_bridge",
                                     .ingress = options->ingress,
                                     .egress = options->egress,
                                     .cert = options->cert,
                                     .service = "bridge"}; // for req.bridge.requests
    self.client = client_new(self.loop, &client);
    self.metrics = bridge_metrics_new();
    self.limit = options->dev ? NULL : bridge_limit_new();
    self.denials = bridge_denials_new(&self);
    self.health = bridge_health_new(&self);
    self.journal = bridge_journal_new(&self);
    self.hub = bridge_hub_new(&self);
    self.probe = bridge_probe_new(&self);
    self.recent = bridge_trace_recent_new();
    status = run(&self);
    give_up_all(&self);
    clear(&self);
    return status;
}
