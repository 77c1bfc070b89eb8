// fault_net.c - scenarios cut_network and block_heartbeats: a service, and a publisher, that the
// broker cannot be reached from for a while.
#include "fault_bus.h"

#include "proto/walk.h"

#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum {
    WAIT_MS = 20000,
    WARM_EVENTS = 200,
    CUT_MS = 3000,
    BLOCK_MS = 13000, // longer than the broker is patient with a connection, which it then closes
    DRAIN_MS = 200,   // acks that were on their way when the cable was pulled, or not read yet
    DRAINS_MAX = 10,
    BUS_IN = 50, // above a system's first port
    BUS_OUT = 51
};

// --- A service by tcp ----------------------------------------------------------------------------

// Starts `part` in a folder of its own, where it reaches the broker at these ports of `host`.
static bool
start_part(cli_fault_t *fault,
           const char *part,
           const char *host,
           const unsigned ports[2],
           cli_fault_process_t *ret_process)
{
    char dir[CLI_PATH_SIZE + 16];
    char in[CLI_ENDPOINT_SIZE];
    char out[CLI_ENDPOINT_SIZE];
    snprintf(dir, sizeof dir, "--dir=%s/part", fault->dir);
    snprintf(in, sizeof in, "--ingress=tcp://%s:%u", host, ports[0]);
    snprintf(out, sizeof out, "--egress=tcp://%s:%u", host, ports[1]);
    const char *argv[] = {"bhiv", part, dir, in, out, NULL};
    const cli_fault_command_t command = {.argv = argv, .err = -1, .net = -1};
    return cli_fault_expect(fault,
                            cli_fault_process_start(&command, ret_process) &&
                                cli_fault_process_ready(ret_process, CLI_FAULT_READY_MS),
                            "%s starts, its broker behind tcp",
                            part);
}

// Waits until the service has applied all that is in the journal.
static bool
wait_caught_up(cli_fault_t *fault, cli_fault_bus_t *bus, const char *topic, double since_ms)
{
    uint64_t lag = UINT64_MAX;
    while (lag != 0 && cli_fault_now_ms() < since_ms + WAIT_MS) {
        bus_view_t health, value;
        bool is_told = cli_fault_bus_ask(bus, topic, NULL, 1000, &health) == BUS_OK &&
                       walk_find(health, "lag", &value) == BUS_OK &&
                       walk_as_uint(value, &lag) == BUS_OK;
        lag = is_told ? lag : UINT64_MAX;
        cli_fault_bus_run(bus, 10);
    }
    return cli_fault_expect(fault, lag == 0, "it has applied all that it missed");
}

// --- cut_network ---------------------------------------------------------------------------------

static int
enter_far(void *arg)
{
    const cli_fault_link_t *link = arg;
    return setns(link->far, CLONE_NEWNET) == 0 ? 0 : CLI_IO;
}

static void
cut(cli_fault_t *fault, cli_fault_bus_t *bus, const cli_fault_link_t *link)
{
    cli_fault_inject(fault, "the cable is pulled out");
    if (!cli_fault_expect(
            fault, cli_fault_space_set_link(link, false), "the cable can be pulled")) {
        return;
    }
    uint64_t before = cli_fault_bus_load_now(bus).acked;
    uint64_t drained = UINT64_MAX;
    for (int i = 0; i < DRAINS_MAX && drained != before; ++i) {
        drained = before;
        cli_fault_bus_run(bus, DRAIN_MS);
        before = cli_fault_bus_load_now(bus).acked;
    }
    cli_fault_bus_run(bus, CUT_MS - DRAIN_MS);
    uint64_t during = cli_fault_bus_load_now(bus).acked - before;
    cli_fault_expect(fault,
                     during == 0,
                     "nothing comes through meanwhile: %llu acks",
                     (unsigned long long) during);
    cli_fault_inject(fault, "the cable is put back");
    double since_ms = cli_fault_now_ms();
    cli_fault_expect(fault, cli_fault_space_set_link(link, true), "the cable can be put back");
    cli_fault_expect_soon(
        fault, cli_fault_bus_flows(bus, since_ms, WAIT_MS), "events are acknowledged again");
    cli_fault_expect_soon(
        fault, cli_fault_bus_back(bus, "bucket", since_ms, WAIT_MS), "the service answers again");
}

static void
run_cut(cli_fault_t *fault, const cli_fault_link_t *link, cli_stress_instance_t *system)
{
    unsigned base = cli_stress_instance_port_base(system);
    const unsigned ports[] = {base + BUS_IN, base + BUS_OUT};
    char in[CLI_ENDPOINT_SIZE];
    char out[CLI_ENDPOINT_SIZE];
    snprintf(in, sizeof in, "tcp://" CLI_FAULT_FAR ":%u", ports[0]);
    snprintf(out, sizeof out, "tcp://" CLI_FAULT_FAR ":%u", ports[1]);
    cli_fault_process_t bucket = CLI_FAULT_PROCESS_NONE;
    if (start_part(fault, "bucket", CLI_FAULT_FAR, ports, &bucket)) {
        BUS_AUTO(cli_fault_bus_destroy) cli_fault_bus_t *bus = cli_fault_bus_open(fault, in, out);
        if (bus != NULL) {
            cli_fault_bus_load(bus, CLI_FAULT_RATE);
            cli_fault_expect(fault, cli_fault_bus_acked(bus, WARM_EVENTS, WAIT_MS), "events flow");
            cut(fault, bus, link);
            cli_fault_expect(
                fault, cli_fault_bus_acked(bus, WARM_EVENTS, WAIT_MS), "events flow on");
            (void) cli_fault_bus_verify(bus, true);
        }
    }
    cli_fault_process_end(&bucket);
}

void
cli_fault_cut_network(cli_fault_t *fault)
{
    cli_fault_link_t link;
    if (!cli_fault_space_link(fault, &link)) {
        return;
    }
    static const char *const settings[] = {"BHIV_BUS_BIND=" CLI_FAULT_FAR, NULL};
    const cli_stress_instance_options_t options = {
        .only = "broker", .prepare = enter_far, .prepare_arg = &link, .settings = settings};
    BUS_AUTO(cli_stress_instance_destroy)
    cli_stress_instance_t *system = cli_fault_system(fault, &options);
    if (system != NULL) {
        run_cut(fault, &link, system);
    }
}

// --- block_heartbeats ----------------------------------------------------------------------------

static void
block(cli_fault_t *fault, cli_fault_bus_t *bus, cli_fault_relay_t *relay)
{
    cli_fault_bus_mark(bus);
    double since_ms = cli_fault_now_ms();
    cli_fault_inject(fault, "the relay holds back all that karma and the broker say");
    cli_fault_expect(fault, cli_fault_relay_hold(relay, true), "the relay is told so");
    double noticed_ms =
        cli_fault_bus_heard(bus, "karma", false, since_ms, CLI_FAULT_NOTICE_MS + 1000);
    cli_fault_expect_soon(fault, noticed_ms, "$bus.peer.down of karma");
    cli_fault_figure(fault, "noticed_ms", noticed_ms);
    double gap_ms = cli_fault_bus_load_now(bus).gap_ms;
    cli_fault_expect(fault, gap_ms < 2000, "others' events flow on: no gap over %.0f ms", gap_ms);
    double left_ms = since_ms + BLOCK_MS - cli_fault_now_ms();
    cli_fault_bus_run(bus, left_ms > 0 ? (unsigned) left_ms : 0);
    double again_ms = cli_fault_now_ms();
    cli_fault_inject(fault, "the relay passes everything on again");
    cli_fault_expect(fault, cli_fault_relay_hold(relay, false), "the relay is told so");
    double back_ms = cli_fault_bus_back(bus, "karma", again_ms, CLI_FAULT_NOTICE_MS);
    cli_fault_expect_soon(fault, back_ms, "karma answers again");
    cli_fault_figure(fault, "back_ms", back_ms);
    cli_fault_expect(fault, cli_fault_relay_lives(relay), "the relay itself lives through it");
}

static void
run_block(cli_fault_t *fault, cli_stress_instance_t *system, cli_fault_relay_t *relay)
{
    cli_fault_process_t karma = CLI_FAULT_PROCESS_NONE;
    if (start_part(fault, "karma", "127.0.0.1", relay->ports, &karma)) {
        BUS_AUTO(cli_fault_bus_destroy)
        cli_fault_bus_t *bus = cli_fault_bus_open_system(fault, system);
        if (bus != NULL) {
            cli_fault_bus_watch(bus);
            cli_fault_bus_load(bus, CLI_FAULT_RATE);
            cli_fault_expect(fault, cli_fault_bus_acked(bus, WARM_EVENTS, WAIT_MS), "events flow");
            block(fault, bus, relay);
            (void) cli_fault_bus_verify(bus, true);
            (void) wait_caught_up(fault, bus, "req.karma.health", cli_fault_now_ms());
        }
    }
    cli_fault_process_end(&karma);
}

void
cli_fault_block_heartbeats(cli_fault_t *fault)
{
    const cli_stress_instance_options_t options = {.only = "broker,bucket"};
    BUS_AUTO(cli_stress_instance_destroy)
    cli_stress_instance_t *system = cli_fault_system(fault, &options);
    if (system == NULL) {
        return;
    }
    unsigned base = cli_stress_instance_port_base(system);
    const unsigned ports[] = {base + BUS_IN, base + BUS_OUT};
    cli_fault_relay_t relay;
    if (cli_fault_expect(fault, cli_fault_relay_start(ports, &relay), "a relay can be started")) {
        run_block(fault, system, &relay);
    }
    cli_fault_relay_end(&relay);
}
