// fault_bus.c - see fault_bus.h. The comparison is in fault_verify.c.
#include "fault_bus.h"

#include "proto/walk.h"
#include "runtime/loop.h"

#include <assert.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    WELCOME_MS = 10000,
    WARM_MS = 30000,  // for a load to begin to flow
    LOOK_MS = 2,      // between two looks at a condition
    BEAT_MS = 5,      // between two handfuls of the load
    FLYING_MAX = 500, // events on their way: a bus that stands still gets no more
    TRY_MS = 250,     // for one question of many about health
    EVENT_PAIRS = 5   // of an event's body
};

typedef struct {
    cli_fault_bus_t *bus;
    uint64_t seq;   // of its ack; 0: none
    double sent_ms; // when it was handed over
    double took_ms; // to its ack
    bool is_refused;
} event_t;

typedef struct {
    char service[64];
    bool is_up;
    double at_ms;
} word_t;

struct cli_fault_bus {
    cli_fault_t *fault;
    loop_t *loop;
    client_t *client;
    bool is_welcomed;
    pack_t *body;
    bool (*is_true)(void *arg); // what is waited for
    void *arg;
    bool is_met;
    event_t *events; // event n is at n - 1
    uint64_t sent, acked, refused;
    uint64_t marked; // times are of events above it
    bus_err_t error;
    unsigned rate;
    int timer; // of the load; 0: none
    double begun_ms;
    uint64_t begun_at; // events before the load began last
    double last_ms;    // of the last ack
    uint64_t last_seq; // the highest that was acknowledged
    uint64_t last_at;  // its time by the journal
    bool is_at_back;
    double gap_ms;
    word_t words[CLI_FAULT_PEERS_MAX];
    size_t word_count;
    pack_t *answer;
    bus_err_t answer_err;
    bool is_answered;
};

// --- Being there -------------------------------------------------------------------------------

static void
on_welcome(void *arg, const client_welcome_t *welcome BUS_UNUSED)
{
    cli_fault_bus_t *self = arg;
    self->is_welcomed = true;
}

static bool
is_welcomed(void *arg)
{
    const cli_fault_bus_t *self = arg;
    return self->is_welcomed;
}

cli_fault_bus_t *
cli_fault_bus_open(cli_fault_t *fault, const char *ingress, const char *egress)
{
    cli_fault_bus_t *self = calloc(1, sizeof *self);
    assert(self);
    self->fault = fault;
    self->loop = loop_new();
    self->body = pack_new();
    self->answer = pack_new();
    self->events = calloc(CLI_FAULT_LOAD_MAX, sizeof *self->events);
    assert(self->events);
    const client_options_t speaking = {
        .source = "fault_drill", .ingress = ingress, .egress = egress};
    self->client = client_new(self->loop, &speaking);
    if (self->client != NULL) {
        client_on_welcome(self->client, on_welcome, self);
    }
    if (self->client == NULL || !cli_fault_bus_until(self, is_welcomed, self, WELCOME_MS)) {
        cli_fault_expect(fault, false, "no broker answers at %s", ingress);
        cli_fault_bus_destroy(&self);
    }
    return self;
}

cli_fault_bus_t *
cli_fault_bus_open_system(cli_fault_t *fault, const cli_stress_instance_t *system)
{
    return cli_fault_bus_open(
        fault, cli_stress_instance_ingress(system), cli_stress_instance_egress(system));
}

void
cli_fault_bus_destroy(cli_fault_bus_t **self_p)
{
    cli_fault_bus_t *self = *self_p;
    if (self == NULL) {
        return;
    }
    *self_p = NULL;
    client_destroy(&self->client);
    loop_destroy(&self->loop);
    pack_destroy(&self->body);
    pack_destroy(&self->answer);
    free(self->events);
    free(self);
}

cli_fault_t *
cli_fault_bus_fault(const cli_fault_bus_t *self)
{
    return self->fault;
}

client_t *
cli_fault_bus_client(const cli_fault_bus_t *self)
{
    return self->client;
}

// --- Waiting -----------------------------------------------------------------------------------

static void
look(void *arg)
{
    cli_fault_bus_t *self = arg;
    if (self->is_true(self->arg)) {
        self->is_met = true;
        loop_stop(self->loop);
    }
}

static void
give_up(void *arg)
{
    cli_fault_bus_t *self = arg;
    loop_stop(self->loop);
}

bool
cli_fault_bus_until(cli_fault_bus_t *self,
                    bool (*is_true)(void *arg),
                    void *arg,
                    unsigned timeout_ms)
{
    if (is_true(arg)) {
        return true;
    }
    self->is_true = is_true;
    self->arg = arg;
    self->is_met = false;
    int often = loop_add_timer(self->loop, LOOK_MS, 0, look, self);
    int late = loop_add_timer(self->loop, timeout_ms, 1, give_up, self);
    (void) loop_run(self->loop); // who stops us does it by SIGKILL
    loop_cancel_timer(self->loop, often);
    loop_cancel_timer(self->loop, late);
    return self->is_met;
}

static bool
is_never(void *arg BUS_UNUSED)
{
    return false;
}

void
cli_fault_bus_run(cli_fault_bus_t *self, unsigned ms)
{
    (void) cli_fault_bus_until(self, is_never, NULL, ms);
}

// --- Questions ---------------------------------------------------------------------------------

static void
on_answer(void *arg, const client_answer_t *answer)
{
    cli_fault_bus_t *self = arg;
    self->is_answered = true;
    self->answer_err = answer->err;
    pack_clear(self->answer);
    if (answer->body.data != NULL) {
        pack_raw(self->answer, answer->body);
    } else {
        pack_map(self->answer, 0);
    }
}

static bool
is_answered(void *arg)
{
    const cli_fault_bus_t *self = arg;
    return self->is_answered;
}

bus_err_t
cli_fault_bus_ask(cli_fault_bus_t *self,
                  const char *topic,
                  pack_t *body,
                  unsigned timeout_ms,
                  bus_view_t *ret_body)
{
    const client_message_t message = {
        .topic = topic,
        .body = body == NULL ? PACK_EMPTY_MAP : pack_view(body),
        .want = CLIENT_WANT_REPLY,
        .timeout_ms = timeout_ms,
    };
    uint64_t call = 0;
    self->is_answered = false;
    bus_err_t err = client_send(self->client, &message, on_answer, self, &call);
    if (err != BUS_OK) {
        return err;
    }
    if (!cli_fault_bus_until(self, is_answered, self, timeout_ms + 1000)) {
        client_cancel(self->client, call);
        return BUS_TIMEOUT;
    }
    if (ret_body != NULL) {
        *ret_body = pack_view(self->answer);
    }
    return self->answer_err;
}

double
cli_fault_bus_back(cli_fault_bus_t *self, const char *service, double since_ms, unsigned timeout_ms)
{
    char topic[96];
    snprintf(topic, sizeof topic, "req.%s.health", service);
    double late_ms = since_ms + timeout_ms;
    while (cli_fault_now_ms() <= late_ms) {
        if (cli_fault_bus_ask(self, topic, NULL, TRY_MS, NULL) == BUS_OK) {
            break;
        }
        cli_fault_bus_run(self, LOOK_MS); // NO_RESPONDERS comes at once
    }
    return cli_fault_now_ms() - since_ms;
}

// --- The load ----------------------------------------------------------------------------------

static void
on_event_answer(void *arg, const client_answer_t *answer)
{
    event_t *event = arg;
    cli_fault_bus_t *self = event->bus;
    if (answer->event == CLIENT_FAILED) {
        if (answer->err != BUS_ABORTED) {
            event->is_refused = true;
            self->refused++;
            self->error = answer->err;
        }
        return;
    }
    double now_ms = cli_fault_now_ms();
    event->seq = answer->seq;
    event->took_ms = now_ms - event->sent_ms;
    self->acked++;
    if (now_ms - self->last_ms > self->gap_ms) {
        self->gap_ms = now_ms - self->last_ms;
    }
    self->last_ms = now_ms;
    if (answer->seq > self->last_seq && answer->at != 0) {
        self->is_at_back = self->is_at_back || answer->at < self->last_at;
        self->last_seq = answer->seq;
        self->last_at = answer->at;
    }
}

static void
pack_event(cli_fault_bus_t *self, uint64_t n)
{
    char agent[32];
    snprintf(agent, sizeof agent, "drill_%u", (unsigned) (n % 7));
    pack_clear(self->body);
    pack_map(self->body, EVENT_PAIRS);
    pack_pair_text(self->body, "requester_id", "bhiv_core");
    pack_pair_text(self->body, "event_type", CLI_FAULT_EVENT);
    pack_pair_text(self->body, "agent_id", agent);
    pack_pair_text(self->body, "user_id", agent);
    pack_pair_uint(self->body, "n", n);
}

// One more. False where the client takes no more for now.
static bool
publish(cli_fault_bus_t *self)
{
    event_t *event = &self->events[self->sent];
    pack_event(self, self->sent + 1);
    const client_message_t message = {
        .topic = "core.event." CLI_FAULT_EVENT,
        .body = pack_view(self->body),
        .want = CLIENT_WANT_ACK,
    };
    *event = (event_t){.bus = self, .sent_ms = cli_fault_now_ms()};
    if (self->sent == self->acked + self->refused) {
        self->last_ms = event->sent_ms; // nothing was on its way: no gap before it
    }
    if (client_send(self->client, &message, on_event_answer, event, NULL) != BUS_OK) {
        return false;
    }
    self->sent++;
    return true;
}

// As many as are due by now. What the window kept back is not made up for.
static void
publish_due(void *arg)
{
    cli_fault_bus_t *self = arg;
    double due = (cli_fault_now_ms() - self->begun_ms) * self->rate / 1000;
    client_hold(self->client);
    while ((double) (self->sent - self->begun_at) < due && self->sent < CLI_FAULT_LOAD_MAX &&
           self->sent - self->acked - self->refused < FLYING_MAX && publish(self)) {
    }
    client_release(self->client);
    if ((double) (self->sent - self->begun_at) < due) {
        self->begun_ms = cli_fault_now_ms();
        self->begun_at = self->sent;
    }
}

void
cli_fault_bus_load(cli_fault_bus_t *self, unsigned rate)
{
    self->rate = rate;
    self->begun_ms = cli_fault_now_ms();
    self->begun_at = self->sent;
    if (self->timer == 0) {
        self->timer = loop_add_timer(self->loop, BEAT_MS, 0, publish_due, self);
    }
}

static bool
is_landed(void *arg)
{
    const cli_fault_bus_t *self = arg;
    return self->sent == self->acked + self->refused;
}

bool
cli_fault_bus_load_end(cli_fault_bus_t *self, unsigned timeout_ms)
{
    if (self->timer != 0) {
        loop_cancel_timer(self->loop, self->timer);
        self->timer = 0;
    }
    return cli_fault_bus_until(self, is_landed, self, timeout_ms);
}

cli_fault_load_t
cli_fault_bus_load_now(const cli_fault_bus_t *self)
{
    cli_fault_load_t load = {
        .sent = self->sent,
        .acked = self->acked,
        .refused = self->refused,
        .error = self->error,
        .gap_ms = self->gap_ms,
        .at_us = self->last_at,
        .is_at_back = self->is_at_back,
    };
    double *samples = malloc((self->sent + 1) * sizeof *samples);
    assert(samples);
    size_t count = 0;
    for (uint64_t i = self->marked; i < self->sent; ++i) {
        if (self->events[i].seq != 0) {
            samples[count++] = self->events[i].took_ms;
        }
    }
    load.p50_ms = cli_stress_run_percentile(samples, count, 0.50);
    load.p99_ms = cli_stress_run_percentile(samples, count, 0.99);
    load.longest_ms = cli_stress_run_percentile(samples, count, 1.0);
    free(samples);
    return load;
}

void
cli_fault_bus_mark(cli_fault_bus_t *self)
{
    self->marked = self->sent;
    self->gap_ms = 0;
}

typedef struct {
    const cli_fault_bus_t *bus;
    uint64_t goal; // of acks, or of the event's number
} goal_t;

static bool
is_acked(void *arg)
{
    const goal_t *goal = arg;
    return goal->bus->acked >= goal->goal;
}

bool
cli_fault_bus_acked(cli_fault_bus_t *self, uint64_t more, unsigned timeout_ms)
{
    goal_t goal = {.bus = self, .goal = self->acked + more};
    return cli_fault_bus_until(self, is_acked, &goal, timeout_ms);
}

// Whether an event from this number on is acknowledged.
static bool
is_flowing(void *arg)
{
    const goal_t *goal = arg;
    for (uint64_t i = goal->goal; i < goal->bus->sent; ++i) {
        if (goal->bus->events[i].seq != 0) {
            return true;
        }
    }
    return false;
}

double
cli_fault_bus_flows(cli_fault_bus_t *self, double since_ms, unsigned timeout_ms)
{
    // Where the window is full nothing new would begin: the oldest on its way counts as well.
    goal_t goal = {.bus = self, .goal = self->sent};
    if (self->sent - self->acked - self->refused >= FLYING_MAX) {
        goal.goal = self->sent - FLYING_MAX;
        while (goal.goal < self->sent &&
               (self->events[goal.goal].seq != 0 || self->events[goal.goal].is_refused)) {
            goal.goal++;
        }
    }
    (void) cli_fault_bus_until(self, is_flowing, &goal, timeout_ms);
    double took_ms = cli_fault_now_ms() - since_ms;
    return is_flowing(&goal) || took_ms > timeout_ms ? took_ms : timeout_ms + 1.0;
}

uint64_t
cli_fault_bus_seq(const cli_fault_bus_t *self, uint64_t n)
{
    return self->events[n - 1].seq;
}

bool
cli_fault_bus_is_refused(const cli_fault_bus_t *self, uint64_t n)
{
    return self->events[n - 1].is_refused;
}

// --- Peers -------------------------------------------------------------------------------------

static void
on_peer(void *arg, const client_heard_t *heard)
{
    cli_fault_bus_t *self = arg;
    bus_view_t value, service;
    if (self->word_count == CLI_FAULT_PEERS_MAX ||
        walk_find(heard->body, "service", &value) != BUS_OK ||
        walk_as_str(value, &service) != BUS_OK) {
        return;
    }
    word_t *word = &self->words[self->word_count++];
    snprintf(word->service, sizeof word->service, "%.*s", (int) service.size, service.data);
    word->is_up = view_is(heard->topic, "$bus.peer.up");
    word->at_ms = cli_fault_now_ms();
}

void
cli_fault_bus_watch(cli_fault_bus_t *self)
{
    if (client_subscribe(self->client, "$bus.peer.>", on_peer, self) != BUS_OK) {
        cli_fault_expect(self->fault, false, "cannot hear $bus.peer.");
    }
    // A question behind it in the same socket's wake: by its answer the subscription is there.
    (void) cli_fault_bus_ask(self, "$bus.peers", NULL, TRY_MS, NULL);
    cli_fault_bus_run(self, TRY_MS);
}

typedef struct {
    const cli_fault_bus_t *bus;
    const char *service;
    bool is_up;
    double since_ms;
    double at_ms; // found
} wanted_t;

static bool
is_heard(void *arg)
{
    wanted_t *wanted = arg;
    for (size_t i = 0; i < wanted->bus->word_count; ++i) {
        const word_t *word = &wanted->bus->words[i];
        if (word->is_up == wanted->is_up && word->at_ms > wanted->since_ms &&
            strcmp(word->service, wanted->service) == 0) {
            wanted->at_ms = word->at_ms;
            return true;
        }
    }
    return false;
}

double
cli_fault_bus_heard(
    cli_fault_bus_t *self, const char *service, bool is_up, double since_ms, unsigned timeout_ms)
{
    wanted_t wanted = {.bus = self, .service = service, .is_up = is_up, .since_ms = since_ms};
    bool is_there = cli_fault_bus_until(self, is_heard, &wanted, timeout_ms);
    return is_there ? wanted.at_ms - since_ms : timeout_ms + 1.0;
}

// --- A whole scenario ----------------------------------------------------------------------------

void
cli_fault_bus_play(cli_fault_t *fault,
                   const cli_stress_instance_options_t *options,
                   uint64_t warm_events,
                   cli_fault_act_fn *act)
{
    BUS_AUTO(cli_stress_instance_destroy)
    cli_stress_instance_t *system = cli_fault_system(fault, options);
    if (system == NULL) {
        return;
    }
    BUS_AUTO(cli_fault_bus_destroy)
    cli_fault_bus_t *bus = cli_fault_bus_open_system(fault, system);
    if (bus == NULL) {
        return;
    }
    cli_fault_bus_load(bus, CLI_FAULT_RATE);
    cli_fault_expect(fault, cli_fault_bus_acked(bus, warm_events, WARM_MS), "events flow");
    act(fault, bus, system);
    (void) cli_fault_bus_verify(bus, true);
}
