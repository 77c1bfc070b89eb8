// service.c - a service's life: its store, its place on the bus, its end; and what `apply` may do.
//
// Everything runs in one thread: a page is applied, committed and answered before the next question
// is looked at, and SIGTERM is read between two of them. So there is nothing to lock, and a stop is
// never in the middle of anything.
#include "service.h"
#include "clock.h"
#include "log.h"
#include "proto/topic.h"
#include "proto/walk.h"
#include "service_self.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>

enum {
    ALONE_MS = 200,         // without a broker it is ready after this, where nobody says otherwise
    HOUSEKEEPING_MS = 1000, // flushes when idle
    DRAIN_LOOK_MS = 50,     // how often what is waited for is looked at
    REAP_EVERY = 10,        // of these: clears reader slots of dead processes
    SIGNAL_STATUS = 128,    // and the signal: a rebuild that was ended by it, as shells say it
};

// --- Life ----------------------------------------------------------------------------------------

void
service_ready(service_t *self)
{
    self->is_ready = true;
    printf("ready %s\n", self->definition->name);
    fflush(stdout);
    log_info("ready",
             "cursor=%llu connected=%d",
             (unsigned long long) self->committed.cursor - 1,
             (int) client_is_connected(self->client));
}

void
service_stop(service_t *self, int status)
{
    self->status = status;
    loop_stop(self->loop);
}

static void on_alone(void *arg);

static void
look_whether_alone(service_t *self)
{
    unsigned wait_ms = self->options->alone_ms == 0 ? ALONE_MS : self->options->alone_ms;
    (void) loop_add_timer(self->loop, wait_ms, 1, on_alone, self);
}

static void
on_alone(void *arg)
{
    service_t *self = arg;
    if (self->is_ready || self->knows_goal) {
        return;
    }
    if (client_is_awaiting_welcome(self->client)) { // it is there, and busy
        look_whether_alone(self);
        return;
    }
    service_ready(self);
}

// Whether what the service began in the world is to be waited for.
static bool
is_busy(service_t *self)
{
    return self->definition->drain != NULL && self->is_started && !self->is_failing &&
           client_is_connected(self->client) && self->definition->drain(self->state);
}

static void
on_drain(void *arg)
{
    service_t *self = arg;
    if (clock_boot_ms() >= self->drain_until_ms || !is_busy(self)) {
        loop_stop(self->loop);
    }
}

static void
on_stop_signal(void *arg, int signal_number)
{
    service_t *self = arg;
    bool waits = !self->is_draining && is_busy(self);
    log_info("stopping", "signal=%d waits=%d", signal_number, (int) waits);
    if (!waits) {
        loop_stop(self->loop);
        return;
    }
    self->is_draining = true;
    self->drain_until_ms = clock_boot_ms() + SERVICE_DRAIN_MS;
    (void) loop_add_timer(self->loop, DRAIN_LOOK_MS, 0, on_drain, self);
}

// Flushes what a power cut could take, once nothing more came for a while; so `ack` can follow.
static void
on_housekeeping(void *arg)
{
    service_t *self = arg;
    if (self->needs_sync && !self->is_failing) {
        self->needs_sync = false;
        uint64_t cursor = self->committed.cursor;
        if (store_sync(self->store) == BUS_OK) {
            self->durable = cursor;
        }
    }
    if (++self->housekeepings % REAP_EVERY == 0) {
        int reaped = store_reap_readers(self->store);
        if (reaped > 0) {
            log_info("readers_reaped", "count=%d", reaped);
        }
    }
    service_read_more(self); // a fetch that could not be sent; busy otherwise
    service_read_check_ready(self);
    self->tick.is_due = true;
    service_tick_look(self);
}

// The topics that are fetched: each row's, unless a shorter one has them already.
static void
make_filters(service_t *self)
{
    const service_definition_t *definition = self->definition;
    for (size_t i = 0; i < definition->apply_count; i++) {
        bus_view_t prefix = view_from_text(definition->applies[i].prefix);
        bool is_covered = false;
        for (size_t j = 0; j < definition->apply_count && !is_covered; j++) {
            bus_view_t other = view_from_text(definition->applies[j].prefix);
            is_covered =
                view_starts(prefix, other) && (other.size < prefix.size || j < i) && j != i;
        }
        if (!is_covered) {
            assert(self->filter_count < CLIENT_FILTERS_MAX);
            self->filters[self->filter_count++] = definition->applies[i].prefix;
        }
    }
    if (definition->config != NULL) {
        assert(self->filter_count < CLIENT_FILTERS_MAX);
        const char *own = definition->config_topic;
        int size = own != NULL ? asprintf(&self->config_filter, "%s", own)
                               : asprintf(&self->config_filter, "%s.config", definition->name);
        assert(size > 0);
        self->filters[self->filter_count++] = self->config_filter;
    }
}

static size_t
largest_query(const service_query_row_t *rows, size_t count)
{
    size_t largest = 0;
    for (size_t i = 0; i < count; i++) {
        const schema_t *schema = rows[i].schema;
        largest = schema != NULL && schema->size > largest ? schema->size : largest;
    }
    return largest;
}

static size_t
largest_message(const service_definition_t *definition)
{
    size_t largest = 1;
    for (size_t i = 0; i < definition->apply_count; i++) {
        const schema_t *schema = definition->applies[i].schema;
        largest = schema != NULL && schema->size > largest ? schema->size : largest;
    }
    size_t query = largest_query(definition->queries, definition->query_count);
    size_t alias = largest_query(definition->alias.queries, definition->alias.query_count);
    largest = query > largest ? query : largest;
    return alias > largest ? alias : largest;
}

static void
init(service_t *self, const service_definition_t *definition, const service_options_t *options)
{
    *self = (service_t){.definition = definition, .options = options};
    self->start_ms = clock_boot_ms();
    identity_read(&self->identity);
    self->loop = loop_new();
    self->message = calloc(1, largest_message(definition));
    assert(self->message != NULL);
    self->answer = pack_new();
    self->details = pack_new();
    self->body = pack_new();
    self->value = pack_new();
    self->effects = pack_new();
    self->sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
    self->digest = EVP_MD_CTX_new();
    assert(self->sha256 != NULL && self->digest != NULL);
    int size = asprintf(&self->consumer,
                        options->rebuild ? "%s.rebuild-%d" : "%s",
                        definition->name,
                        (int) getpid());
    assert(size > 0);
    make_filters(self);
}

static void
clear(service_t *self)
{
    if (self->is_started && self->definition->stop != NULL) {
        self->definition->stop(self->state);
    }
    service_act_stop(self);
    client_destroy(&self->client); // first: what is held goes out, through either
    client_destroy(&self->alias.client);
    if (self->definition->close != NULL && self->state != NULL) {
        self->definition->close(&self->state);
    }
    service_store_close(self);
    service_config_clear(self);
    loop_destroy(&self->loop);
    EVP_MD_CTX_free(self->digest);
    EVP_MD_free(self->sha256);
    pack_destroy(&self->answer);
    pack_destroy(&self->details);
    pack_destroy(&self->body);
    pack_destroy(&self->value);
    pack_destroy(&self->effects);
    free(self->message);
    free(self->config_filter);
    free(self->consumer);
}

// What it writes is durable before it is used: it may be a key.
static bus_err_t
make_state(service_t *self)
{
    BUS_AUTO(store_rollback) store_txn_t *txn = NULL;
    bus_err_t err = store_begin(self->store, STORE_RESERVE, &txn);
    if (err == BUS_OK) {
        err = self->definition->open(self->options, txn, &self->state);
    }
    if (err == BUS_OK) {
        err = store_commit(&txn);
    }
    return err == BUS_OK ? store_sync(self->store) : err;
}

static bus_err_t
open_state(service_t *self)
{
    bus_err_t err = service_store_open(self);
    if (err == BUS_OK && self->definition->open != NULL) {
        err = make_state(self);
    }
    if (err == BUS_OK) {
        service_config_make(self);
    }
    return err;
}

static void
on_alias_hello(void *arg, const client_outbox_t *where BUS_UNUSED)
{
    service_ear_t *ear = arg;
    ear->is_known = true;
    service_read_check_ready(ear->service);
}

// A client that hears the questions asked by this name.
static bool
listen(service_ear_t *ear, const char *name, const service_query_row_t *rows, size_t row_count)
{
    const service_t *self = ear->service;
    client_options_t options = {
        .source = self->definition->source,
        .ingress = self->options->ingress,
        .egress = self->options->egress,
        .service = name,
        .cert = self->options->cert,
    };
    ear->name = name;
    ear->rows = rows;
    ear->row_count = row_count;
    ear->client = client_new(self->loop, &options);
    if (ear->client == NULL) {
        log_error("endpoint_invalid", "in=%s out=%s", options.ingress, options.egress);
        return false;
    }
    client_on_request(ear->client, service_query_on_request, ear);
    return true;
}

// Connects, and returns whether the endpoints make sense.
static bool
join(service_t *self)
{
    const service_definition_t *definition = self->definition;
    const service_alias_t *alias = &definition->alias;
    self->ear.service = self;
    if (!listen(&self->ear, definition->name, definition->queries, definition->query_count)) {
        return false;
    }
    self->client = self->ear.client;
    client_on_welcome(self->client, service_read_on_welcome, self);
    client_on_hello(self->client, service_outbox_on_hello, self);
    client_on_outbox_ack(self->client, service_outbox_on_ack, self);
    self->alias.service = self;
    if (alias->name == NULL) {
        return true;
    }
    if (!listen(&self->alias, alias->name, alias->queries, alias->query_count)) {
        return false;
    }
    client_on_hello(self->alias.client, on_alias_hello, &self->alias);
    return true;
}

bus_err_t
service_keep(service_t *self)
{
    BUS_AUTO(store_rollback) store_txn_t *txn = NULL;
    bus_err_t err = store_begin(self->store, STORE_RESERVE, &txn);
    return err == BUS_OK ? service_read_commit(self, &txn) : err;
}

// Lets the service write what it counted since the last commit.
static void
save(service_t *self)
{
    if (self->definition->save == NULL || store_is_failed(self->store)) {
        return;
    }
    bus_err_t err = service_keep(self);
    if (err != BUS_OK) {
        log_error("not_saved", "error=%s", error_text(err));
    }
}

// Of a state that cannot be opened.
static int
status_of(bus_err_t err)
{
    if (err == BUS_CONFLICT) {
        return EX_TEMPFAIL;
    }
    bool is_configuration = err == BUS_FORBIDDEN || err == BUS_VALIDATION_FAILED;
    return is_configuration ? EX_CONFIG : EX_IOERR;
}

// Lets a service with effects make what it acts with.
static bool
start(service_t *self)
{
    if (self->options->rebuild || self->definition->start == NULL) {
        return true;
    }
    bus_err_t err = self->definition->start(self, self->state);
    self->is_started = err == BUS_OK;
    if (!self->is_started) {
        log_error("not_started", "error=%s", error_text(err));
        self->status = status_of(err);
    }
    return self->is_started;
}

// Answers, reads and applies until it is told to stop.
static void
serve(service_t *self)
{
    if (self->options->rebuild) {
        int signal_number = loop_run(self->loop);
        self->status = signal_number == 0 ? self->status : SIGNAL_STATUS + signal_number;
        return;
    }
    loop_on_stop(self->loop, on_stop_signal, self);
    look_whether_alone(self);
    (void) loop_add_timer(self->loop, HOUSEKEEPING_MS, 0, on_housekeeping, self);
    loop_run(self->loop);
    save(self);
}

int
service_run(const service_definition_t *definition, const service_options_t *options)
{
    service_t *self = malloc(sizeof(*self));
    assert(self != NULL);
    init(self, definition, options);
    bus_err_t err = open_state(self);
    if (err != BUS_OK) {
        log_error("store_not_open",
                  "path=%s error=%s%s",
                  self->path,
                  error_text(err),
                  err == BUS_CONFLICT ? " hint=\"it runs already\"" : "");
        self->status = status_of(err);
    } else if (!(options->rebuild ? service_rebuild_start(self) : join(self))) {
        self->status = EX_CONFIG;
    } else if (start(self)) {
        log_info("start",
                 "cursor=%llu rules=%u",
                 (unsigned long long) self->committed.cursor - 1,
                 definition->rules_version);
        serve(self);
    }
    int status = self->status;
    clear(self);
    free(self);
    log_info("stopped", "status=%d", status);
    return status;
}

// --- What `apply` may do -------------------------------------------------------------------------

void
service_refuse_with(service_t *self, const char *message, bus_view_t details)
{
    service_hand_t *hand = &self->hand;
    hand->message = NULL;
    if (message != NULL) {
        snprintf(hand->text, sizeof(hand->text), "%s", message);
        hand->text[walk_utf8_size(view_from_text(hand->text))] = '\0';
        hand->message = hand->text;
    }
    hand->has_details = details.data != NULL;
    pack_clear(self->details);
    if (hand->has_details) {
        pack_raw(self->details, details);
    }
}

bus_err_t
service_refuse(service_apply_t *apply, bus_err_t err, const char *message, bus_view_t details)
{
    assert(err != BUS_OK);
    service_refuse_with(apply->service, message, details);
    return err;
}

bus_err_t
service_say(service_apply_t *apply, const char *topic, bus_view_t body)
{
    bus_view_t view = view_from_text(topic);
    assert(topic_is_legal(view, NULL) && topic_class(view) == TOPIC_JOURNALED);
    if (body.size > BODY_SIZE_MAX) {
        return BUS_PAYLOAD_TOO_LARGE;
    }
    bus_err_t err = service_outbox_put(apply->service, apply->txn, view, body);
    if (err != BUS_OK) {
        apply->service->hand.store_err = err;
    }
    return err;
}

void
service_trace(service_apply_t *apply, bus_view_t trace_id)
{
    apply->service->hand.has_trace = true;
    apply->service->hand.trace_id = trace_id;
}

void
service_tell(service_apply_t *apply, const char *topic, bus_view_t body)
{
    bus_view_t view = view_from_text(topic);
    assert(topic_is_legal(view, NULL) && topic_class(view) == TOPIC_LIVE);
    service_apply_tell(apply->service, view, body);
}
