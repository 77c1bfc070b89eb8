// fault_kill.c - scenarios kill_process, pause_process and multi_fault: processes that end, or
// stand still, under a load of acknowledged events.
#include "fault_bus.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    WAIT_MS = 10000, // for what should take a fraction of it: a slow machine fails by the limit
    WARM_EVENTS = 200,
    CONSOLE_PORT = 80, // above a system's first
    LOOK_MS = 5,
    NOISE_RATE = 4000, // events a second of a flood of our own
    PAUSE_MS = 1500    // that Karma stands still beside other faults
};

// --- Being back ----------------------------------------------------------------------------------

// Whether the bridge takes a connection, and answers that it is there.
static bool
is_bridge_there(unsigned port)
{
    static const char question[] = "GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n"
                                   "Connection: close\r\n\r\n";
    const struct sockaddr_in address = {.sin_family = AF_INET,
                                        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                                        .sin_port = htons((uint16_t) port)};
    const struct timeval patience = {.tv_sec = 1};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    char answer[16] = "";
    bool is_there =
        fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) == 0 &&
        connect(fd, (const struct sockaddr *) &address, sizeof address) == 0 &&
        send(fd, question, sizeof question - 1, MSG_NOSIGNAL) == (ssize_t) sizeof question - 1 &&
        recv(fd, answer, sizeof answer - 1, MSG_WAITALL) > 0 &&
        strncmp(answer, "HTTP/1.1 200", 12) == 0;
    if (fd >= 0) {
        close(fd);
    }
    return is_there;
}

// Milliseconds from `since_ms` until the part does again what it is there for.
static double
wait_back(cli_fault_bus_t *bus,
          const cli_stress_instance_t *system,
          const char *part,
          double since_ms)
{
    if (strcmp(part, "broker") == 0) {
        return cli_fault_bus_flows(bus, since_ms, WAIT_MS);
    }
    if (strcmp(part, "bridge") != 0) {
        return cli_fault_bus_back(bus, part, since_ms, WAIT_MS);
    }
    unsigned port = cli_stress_instance_port_base(system) + CONSOLE_PORT;
    while (!is_bridge_there(port) && cli_fault_now_ms() < since_ms + WAIT_MS) {
        cli_fault_bus_run(bus, LOOK_MS);
    }
    return cli_fault_now_ms() - since_ms;
}

// --- kill_process --------------------------------------------------------------------------------

static void
kill_part(cli_fault_t *fault, cli_fault_bus_t *bus, cli_stress_instance_t *system, const char *part)
{
    pid_t before = cli_fault_pid(system, part);
    double since_ms = cli_fault_now_ms();
    cli_fault_inject(fault, "SIGKILL of %s, process %d", part, (int) before);
    if (before == 0 || kill(before, SIGKILL) != 0 || !cli_fault_gone(before, WAIT_MS)) {
        cli_fault_expect(fault, false, "%s can be killed", part);
        return;
    }
    pid_t after = cli_fault_pid_after(system, part, before, WAIT_MS);
    if (!cli_fault_expect(fault, after != 0, "%s is started again", part)) {
        return;
    }
    fault->result->restarts++;
    double took_ms = wait_back(bus, system, part, since_ms);
    cli_fault_expect_soon(fault, took_ms, "%s is back", part);
    char name[CLI_FAULT_NAME_SIZE];
    snprintf(name, sizeof name, "%.32s_ms", part);
    cli_fault_figure(fault, name, took_ms);
}

static void
kill_each(cli_fault_t *fault, cli_fault_bus_t *bus, cli_stress_instance_t *system)
{
    cli_stress_part_t parts[CLI_STRESS_PARTS_MAX];
    size_t count = cli_stress_instance_parts(system, parts);
    cli_fault_expect(fault, count > 0, "the system has parts");
    for (size_t i = 0; i < count; ++i) {
        kill_part(fault, bus, system, parts[i].name);
    }
    cli_fault_expect(fault, cli_fault_bus_acked(bus, WARM_EVENTS, WAIT_MS), "events flow on");
}

void
cli_fault_kill_process(cli_fault_t *fault)
{
    const cli_stress_instance_options_t options = {0};
    cli_fault_bus_play(fault, &options, WARM_EVENTS, kill_each);
}

// --- pause_process -------------------------------------------------------------------------------

static void
pause_part(cli_fault_t *fault,
           cli_fault_bus_t *bus,
           cli_stress_instance_t *system,
           const char *part)
{
    pid_t pid = cli_fault_pid(system, part);
    cli_fault_bus_mark(bus);
    double since_ms = cli_fault_now_ms();
    cli_fault_inject(fault, "SIGSTOP of %s, process %d", part, (int) pid);
    if (!cli_fault_expect(fault, pid != 0 && kill(pid, SIGSTOP) == 0, "%s can be stopped", part)) {
        return;
    }
    double noticed_ms = cli_fault_bus_heard(bus, part, false, since_ms, CLI_FAULT_NOTICE_MS + 1000);
    cli_fault_expect_soon(fault, noticed_ms, "$bus.peer.down of %s", part);
    cli_fault_figure(fault, "noticed_ms", noticed_ms);
    char topic[96];
    snprintf(topic, sizeof topic, "req.%s.health", part);
    bus_err_t err = cli_fault_bus_ask(bus, topic, NULL, 1000, NULL);
    cli_fault_expect(fault,
                     err == BUS_NO_RESPONDERS,
                     "who asks it is told at once that nobody is there (%s)",
                     error_text(err));
    double gap_ms = cli_fault_bus_load_now(bus).gap_ms;
    cli_fault_figure(fault, "longest_gap_ms", gap_ms);
    cli_fault_expect(fault, gap_ms < 2000, "others' events flow on: no gap over %.0f ms", gap_ms);
    double again_ms = cli_fault_now_ms();
    cli_fault_inject(fault, "SIGCONT of %s", part);
    (void) kill(pid, SIGCONT);
    double back_ms = cli_fault_bus_back(bus, part, again_ms, CLI_FAULT_NOTICE_MS);
    cli_fault_expect_soon(fault, back_ms, "%s answers again", part);
    cli_fault_figure(fault, "back_ms", back_ms);
    cli_fault_expect(fault, cli_fault_pid(system, part) == pid, "it is the same process");
}

static void
pause_karma(cli_fault_t *fault, cli_fault_bus_t *bus, cli_stress_instance_t *system)
{
    cli_fault_bus_watch(bus);
    pause_part(fault, bus, system, "karma");
}

void
cli_fault_pause_process(cli_fault_t *fault)
{
    const cli_stress_instance_options_t options = {.only = "broker,bucket,karma"};
    cli_fault_bus_play(fault, &options, WARM_EVENTS, pause_karma);
}

// --- multi_fault ---------------------------------------------------------------------------------

static void
strike_all(cli_fault_t *fault, cli_fault_bus_t *bus, cli_stress_instance_t *system)
{
    static const char *const killed[] = {"broker", "bucket", "bridge"};
    enum { KILLED = sizeof killed / sizeof killed[0] };
    pid_t pids[KILLED];
    pid_t karma = cli_fault_pid(system, "karma");
    double since_ms = cli_fault_now_ms();
    cli_fault_inject(fault, "SIGSTOP of karma, SIGKILL of broker, bucket and bridge, a flood");
    cli_fault_bus_load(bus, NOISE_RATE);
    (void) kill(karma, SIGSTOP);
    for (size_t i = 0; i < KILLED; ++i) {
        pids[i] = cli_fault_pid(system, killed[i]);
        cli_fault_expect(
            fault, pids[i] != 0 && kill(pids[i], SIGKILL) == 0, "%s can be killed", killed[i]);
    }
    for (size_t i = 0; i < KILLED; ++i) {
        pid_t after = cli_fault_pid_after(system, killed[i], pids[i], WAIT_MS);
        if (cli_fault_expect(fault, after != 0, "%s is started again", killed[i])) {
            fault->result->restarts++;
            double took_ms = wait_back(bus, system, killed[i], since_ms);
            cli_fault_expect_soon(fault, took_ms, "%s is back", killed[i]);
        }
    }
    cli_fault_bus_run(bus, PAUSE_MS);
    double again_ms = cli_fault_now_ms();
    (void) kill(karma, SIGCONT);
    cli_fault_expect_soon(
        fault, cli_fault_bus_back(bus, "karma", again_ms, WAIT_MS), "karma answers again");
    cli_fault_bus_load(bus, CLI_FAULT_RATE);
    cli_fault_expect(fault, cli_fault_bus_acked(bus, WARM_EVENTS, WAIT_MS), "events flow on");
}

void
cli_fault_multi(cli_fault_t *fault)
{
    const cli_stress_instance_options_t options = {.only = "broker,bucket,karma,core,bridge"};
    cli_fault_bus_play(fault, &options, WARM_EVENTS, strike_all);
}
