// fault_flood.c - scenarios flood_topic and spam_refused: one peer that says far too much, beside
// others who want to work.
#include "fault_bus.h"

#include "proto/walk.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <zmq.h>

enum {
    WAIT_MS = 30000,
    WARM_EVENTS = 200,
    LOOK_MS = 20, // between two looks at the broker's memory
    SUBSCRIBED_MS = 500,
    MEMORY_MAX = 512 << 20, // HELD_MAX of the broker's held.h, what waits for the disk, the rest
    SPAM_COUNT = 20000,
    SPAM_HWM = 50000
};
#define FLOOD_COUNT "200000"
#define FLOOD_BODY                                                                                 \
    "{\"flood\":true,\"pad\":"                                                                     \
    "\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\"}"

// --- flood_topic -------------------------------------------------------------------------------

typedef struct {
    cli_fault_t *fault;
    cli_fault_bus_t *bus;
    cli_stress_instance_t *system;
    char dir[CLI_PATH_SIZE + 16]; // as a flag
    uint64_t memory;              // of the broker, at its peak
} flood_t;

static bool
start(const flood_t *self, const char *const *argv, cli_fault_process_t *ret_process)
{
    const cli_fault_command_t command = {.argv = argv, .err = -1, .net = -1};
    return cli_fault_expect(self->fault,
                            cli_fault_process_start(&command, ret_process),
                            "bhiv %s can be started",
                            argv[1]);
}

// Until it has ended, others' events and the broker's memory are looked at.
static void
attend(flood_t *self, cli_fault_process_t *process, const char *what)
{
    pid_t broker = cli_fault_pid(self->system, "broker");
    double since_ms = cli_fault_now_ms();
    int status = -1;
    while (status < 0 && cli_fault_now_ms() < since_ms + WAIT_MS) {
        cli_fault_bus_run(self->bus, LOOK_MS);
        uint64_t memory = cli_fault_memory(broker);
        self->memory = memory > self->memory ? memory : self->memory;
        status = cli_fault_process_wait(process, 0);
    }
    double took_ms = cli_fault_now_ms() - since_ms;
    cli_fault_load_t load = cli_fault_bus_load_now(self->bus);
    cli_fault_expect(self->fault, status == CLI_DONE, "the %s flood ends: status %d", what, status);
    cli_fault_expect_soon(
        self->fault, load.longest_ms, "others' slowest ack beside the %s flood", what);
    char name[CLI_FAULT_NAME_SIZE];
    snprintf(name, sizeof name, "%s_flood_ms", what);
    cli_fault_figure(self->fault, name, took_ms);
    snprintf(name, sizeof name, "%s_flood_ack_p99_ms", what);
    cli_fault_figure(self->fault, name, load.p99_ms);
}

static void
run_floods(flood_t *self)
{
    const char *listen[] = {"bhiv", "sub", "flood.>", self->dir, NULL};
    const char *live[] = {
        "bhiv", "pub", "flood.noise", FLOOD_BODY, "--count=" FLOOD_COUNT, self->dir, NULL};
    const char *kept[] = {"bhiv",
                          "pub",
                          "agent.flood",
                          FLOOD_BODY,
                          "--count=" FLOOD_COUNT,
                          "--batch",
                          self->dir,
                          NULL};
    cli_fault_process_t deaf = CLI_FAULT_PROCESS_NONE;
    cli_fault_process_t flood = CLI_FAULT_PROCESS_NONE;
    if (start(self, listen, &deaf)) {
        cli_fault_bus_run(self->bus, SUBSCRIBED_MS);
        (void) kill(deaf.pid, SIGSTOP);
        cli_fault_inject(self->fault, FLOOD_COUNT " live messages, whose subscriber stands still");
        cli_fault_bus_mark(self->bus);
        if (start(self, live, &flood)) {
            attend(self, &flood, "live");
        }
        cli_fault_process_end(&flood);
        cli_fault_inject(self->fault, FLOOD_COUNT " journaled messages");
        cli_fault_bus_mark(self->bus);
        if (start(self, kept, &flood)) {
            attend(self, &flood, "journaled");
        }
        cli_fault_process_end(&flood);
    }
    cli_fault_process_end(&deaf);
    cli_fault_figure(self->fault, "broker_memory_mib", (double) (self->memory >> 20));
    cli_fault_expect(self->fault,
                     self->memory > 0 && self->memory < MEMORY_MAX,
                     "the broker's own memory stays under %d MiB: %llu",
                     MEMORY_MAX >> 20,
                     (unsigned long long) self->memory >> 20);
}

static void
flood_system(cli_fault_t *fault, cli_fault_bus_t *bus, cli_stress_instance_t *system)
{
    flood_t flood = {.fault = fault, .bus = bus, .system = system};
    snprintf(flood.dir, sizeof flood.dir, "--dir=%s", cli_stress_instance_dir(system));
    pid_t broker = cli_fault_pid(system, "broker");
    run_floods(&flood);
    cli_fault_expect(fault, cli_fault_pid(system, "broker") == broker, "the broker has not ended");
}

void
cli_fault_flood_topic(cli_fault_t *fault)
{
    const cli_stress_instance_options_t options = {.only = "broker,bucket,karma"};
    cli_fault_bus_play(fault, &options, WARM_EVENTS, flood_system);
}

// --- spam_refused ------------------------------------------------------------------------------

// What no peer may send; the header is msgpack, with its size.
static const struct {
    const char *topic;
    const char *header;
    size_t header_size;
} spam[] = {
    {"$bus.peer.down", "\x80", 1},      // the broker's own word
    {"$bus.nothing", "\x80", 1},        // no such question
    {"core..event", "\x80", 1},         // an empty token
    {"core.event.>", "\x80", 1},        // a wildcard
    {"_inbox.karma.forged", "\x80", 1}, // an answer to nothing
    {"core.event.note",
     "\x81\xa6source\xd9\xff"
     "x",
     10}, // a header that breaks off
};
enum { SPAM_KINDS = sizeof spam / sizeof spam[0] };

static uint64_t
refused_total(cli_fault_bus_t *bus)
{
    bus_view_t stats, value;
    uint64_t total = 0;
    if (cli_fault_bus_ask(bus, "$bus.stats", NULL, WAIT_MS, &stats) != BUS_OK ||
        walk_find(stats, "refused_total", &value) != BUS_OK ||
        walk_as_uint(value, &total) != BUS_OK) {
        return 0;
    }
    return total;
}

// A peer that only speaks. It stays connected until all is counted: of one that leaves libzmq does
// not read what is still in the kernel's buffer.
typedef struct {
    void *context;
    void *push;
} spammer_t;

static bool
spammer_start(spammer_t *self, const char *ingress)
{
    const int linger_ms = 0;
    const int hwm = SPAM_HWM;
    self->context = zmq_ctx_new();
    self->push = self->context == NULL ? NULL : zmq_socket(self->context, ZMQ_PUSH);
    return self->push != NULL &&
           zmq_setsockopt(self->push, ZMQ_LINGER, &linger_ms, sizeof linger_ms) == 0 &&
           zmq_setsockopt(self->push, ZMQ_SNDHWM, &hwm, sizeof hwm) == 0 &&
           zmq_connect(self->push, ingress) == 0;
}

static void
spammer_end(spammer_t *self)
{
    if (self->push != NULL) {
        zmq_close(self->push);
    }
    if (self->context != NULL) {
        zmq_ctx_term(self->context);
    }
}

// Returns how many were handed over.
static unsigned
spam_all(const spammer_t *self)
{
    unsigned sent = 0;
    for (bool is_taken = true; sent < SPAM_COUNT && is_taken; sent += is_taken) {
        size_t kind = sent % SPAM_KINDS;
        const char *topic = spam[kind].topic;
        is_taken =
            zmq_send(self->push, topic, strlen(topic), ZMQ_SNDMORE) >= 0 &&
            zmq_send(self->push, spam[kind].header, spam[kind].header_size, ZMQ_SNDMORE) >= 0 &&
            zmq_send(self->push, "\x80", 1, 0) >= 0;
    }
    return sent;
}

static void
run_spam(cli_fault_t *fault, cli_fault_bus_t *bus, cli_stress_instance_t *system)
{
    uint64_t before = refused_total(bus);
    cli_fault_bus_mark(bus);
    cli_fault_inject(fault, "%d messages that no peer may send", SPAM_COUNT);
    spammer_t spammer = {0};
    bool is_there = spammer_start(&spammer, cli_stress_instance_ingress(system));
    unsigned sent = is_there ? spam_all(&spammer) : 0;
    cli_fault_expect(fault, sent == SPAM_COUNT, "they can be sent: %u", sent);
    cli_fault_expect(fault, cli_fault_bus_acked(bus, WARM_EVENTS, WAIT_MS), "events flow on");
    uint64_t refused = 0;
    double until_ms = cli_fault_now_ms() + WAIT_MS;
    while (refused < sent && cli_fault_now_ms() < until_ms) {
        refused = refused_total(bus) - before;
        cli_fault_bus_run(bus, LOOK_MS);
    }
    spammer_end(&spammer);
    cli_fault_expect(fault,
                     refused == sent,
                     "each is refused and counted: %llu of %u",
                     (unsigned long long) refused,
                     sent);
    cli_fault_expect_soon(
        fault, cli_fault_bus_load_now(bus).longest_ms, "others' slowest ack meanwhile");
}

void
cli_fault_spam_refused(cli_fault_t *fault)
{
    const cli_stress_instance_options_t options = {.only = "broker,bucket"};
    cli_fault_bus_play(fault, &options, WARM_EVENTS, run_spam);
}
