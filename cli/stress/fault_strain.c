// fault_strain.c - scenarios cpu_stress and memory_stress: a machine that is busy with others, a
// service that gets no more memory.
#include "fault_bus.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

enum {
    WAIT_MS = 15000,
    WARM_EVENTS = 200,
    STRAIN_MS = 3000,
    QUESTIONS = 10,
    ASK_EVERY_MS = 50,
    BUSY_PER_CPU = 4,
    BUSY_MAX = 64,
    LONG_PAGE = 1000,      // events: some 200 KiB
    MANY_EVENTS = 1500,    // so that there is such a page
    HOG_BYTES = 256 << 20, // the most that the hog may take
    HOG_PIECE = 1 << 20
};

// --- cpu_stress --------------------------------------------------------------------------------

static int
be_busy(void *arg BUS_UNUSED)
{
    volatile unsigned long work = 0;
    double until_ms = cli_fault_now_ms() + 2.0 * STRAIN_MS; // should nobody end us
    while (cli_fault_now_ms() < until_ms) {
        for (unsigned i = 0; i < 1000000; ++i) {
            work = work * 3 + i;
        }
    }
    return CLI_DONE;
}

// Asks a few times over the time of the strain. Returns how long the slowest took.
static double
ask_under_strain(cli_fault_t *fault, cli_fault_bus_t *bus)
{
    double slowest_ms = 0;
    for (unsigned i = 0; i < QUESTIONS; ++i) {
        double since_ms = cli_fault_now_ms();
        bus_err_t err = cli_fault_bus_ask(bus, "req.bucket.health", NULL, WAIT_MS, NULL);
        double took_ms = cli_fault_now_ms() - since_ms;
        cli_fault_expect(fault, err == BUS_OK, "Bucket answers (%s)", error_text(err));
        slowest_ms = took_ms > slowest_ms ? took_ms : slowest_ms;
        cli_fault_bus_run(bus, STRAIN_MS / QUESTIONS);
    }
    return slowest_ms;
}

static void
run_busy(cli_fault_t *fault, cli_fault_bus_t *bus, cli_stress_instance_t *system BUS_UNUSED)
{
    cli_fault_process_t busy[BUSY_MAX];
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    size_t wanted = cpus < 1 ? BUSY_PER_CPU : (size_t) cpus * BUSY_PER_CPU;
    size_t count = 0;
    wanted = wanted > BUSY_MAX ? BUSY_MAX : wanted;
    cli_fault_bus_mark(bus);
    while (count < wanted && cli_fault_process_fork(be_busy, NULL, &busy[count])) {
        ++count;
    }
    cli_fault_inject(fault, "%zu busy processes on %ld processors", count, cpus);
    cli_fault_expect(fault, count == wanted, "they can be started");
    double slowest_ms = ask_under_strain(fault, bus);
    cli_fault_load_t load = cli_fault_bus_load_now(bus);
    for (size_t i = 0; i < count; ++i) {
        cli_fault_process_end(&busy[i]);
    }
    cli_fault_expect_soon(fault, slowest_ms, "the slowest answer");
    cli_fault_expect_soon(fault, load.p99_ms, "99 of 100 acks");
    cli_fault_figure(fault, "ack_p50_ms", load.p50_ms);
    cli_fault_figure(fault, "ack_p99_ms", load.p99_ms);
    cli_fault_figure(fault, "answer_slowest_ms", slowest_ms);
}

void
cli_fault_cpu_stress(cli_fault_t *fault)
{
    const cli_stress_instance_options_t options = {.only = "broker,bucket,karma"};
    cli_fault_bus_play(fault, &options, WARM_EVENTS, run_busy);
}

// --- memory_stress -----------------------------------------------------------------------------

// What of RLIMIT_DATA this process uses: data, heap and private mappings, in bytes. 0: unknown.
static uint64_t
data_of_ours(void)
{
    char line[256];
    FILE *file = fopen("/proc/self/status", "re");
    uint64_t kib = 0;
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        if (strncmp(line, "VmData:", 7) == 0) {
            kib = strtoull(line + 7, NULL, 10);
        }
    }
    if (file != NULL) {
        (void) fclose(file);
    }
    return kib * 1024;
}

// Takes what it may, and touches it. Ends with 0 where it was refused in the end.
static int
be_a_hog(void *arg BUS_UNUSED)
{
    uint64_t used = data_of_ours();
    const struct rlimit limit = {.rlim_cur = used + HOG_BYTES, .rlim_max = used + HOG_BYTES};
    if (used == 0 || setrlimit(RLIMIT_DATA, &limit) != 0) {
        return CLI_IO;
    }
    size_t taken = 0;
    for (;;) {
        void *piece =
            mmap(NULL, HOG_PIECE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (piece == MAP_FAILED) {
            return taken > HOG_BYTES / 4 ? CLI_DONE : CLI_NEGATIVE;
        }
        memset(piece, 1, HOG_PIECE);
        taken += HOG_PIECE;
        if (taken > HOG_BYTES) {
            return CLI_NEGATIVE; // nobody stops it
        }
    }
}

// Asks Bucket for a long page, for which it needs more memory than it has at hand. Whether it was
// answered.
static bool
ask_for_much(cli_fault_bus_t *bus)
{
    BUS_AUTO(pack_destroy) pack_t *question = pack_new();
    pack_map(question, 2);
    pack_pair_uint(question, "after_seq", 0);
    pack_pair_uint(question, "limit", LONG_PAGE);
    return cli_fault_bus_ask(bus, "req.bucket.events", question, 500, NULL) == BUS_OK;
}

typedef struct {
    unsigned missed;   // questions without an answer
    double longest_ms; // from the first of some that were missed in a row to the next answer
    bool is_over;      // the last question was answered
} outage_t;

static outage_t
ask_while_short(cli_fault_bus_t *bus)
{
    outage_t outage = {0};
    double until_ms = cli_fault_now_ms() + STRAIN_MS;
    double since_ms = 0; // when the first that was missed was asked; 0: none was
    while (cli_fault_now_ms() < until_ms) {
        double asked_ms = cli_fault_now_ms();
        outage.is_over = ask_for_much(bus);
        outage.missed += !outage.is_over;
        if (!outage.is_over && since_ms == 0) {
            since_ms = asked_ms;
        }
        double lasts_ms = since_ms == 0 ? 0 : cli_fault_now_ms() - since_ms;
        outage.longest_ms = lasts_ms > outage.longest_ms ? lasts_ms : outage.longest_ms;
        since_ms = outage.is_over ? 0 : since_ms;
        cli_fault_bus_run(bus, ASK_EVERY_MS);
    }
    return outage;
}

static void
run_short(cli_fault_t *fault, cli_fault_bus_t *bus, cli_stress_instance_t *system)
{
    cli_fault_process_t hog = CLI_FAULT_PROCESS_NONE;
    pid_t bucket = cli_fault_pid(system, "bucket");
    // All that it asks the kernel for from now on is refused; what it has it keeps. Not 0, by which
    // Linux means something else.
    const struct rlimit nothing = {.rlim_cur = 1, .rlim_max = RLIM_INFINITY};
    cli_fault_inject(
        fault, "a hog that may take %d MiB, and no more memory for Bucket", HOG_BYTES >> 20);
    cli_fault_expect(fault, cli_fault_process_fork(be_a_hog, NULL, &hog), "a hog can be started");
    cli_fault_expect(fault,
                     bucket != 0 && prlimit(bucket, RLIMIT_DATA, &nothing, NULL) == 0,
                     "Bucket's memory can be limited");
    outage_t outage = ask_while_short(bus);
    int status = cli_fault_process_wait(&hog, WAIT_MS);
    cli_fault_process_end(&hog);
    cli_fault_expect(fault, status == CLI_DONE, "the hog is held at its limit: status %d", status);
    bool has_died = cli_fault_pid(system, "bucket") != bucket;
    fault->result->restarts += has_died;
    cli_fault_figure(fault, "died", has_died);
    cli_fault_figure(fault, "unanswered", outage.missed);
    cli_fault_expect(fault, has_died || outage.missed > 0, "the lack of memory is felt");
    cli_fault_expect_soon(fault,
                          outage.longest_ms,
                          "the longest that Bucket, which %s, gave no answer",
                          has_died ? "died and was started again" : "lived");
    cli_fault_expect(fault, outage.is_over, "it answers again");
    if (!has_died) {
        const struct rlimit none = {.rlim_cur = RLIM_INFINITY, .rlim_max = RLIM_INFINITY};
        (void) prlimit(bucket, RLIMIT_DATA, &none, NULL);
    }
}

void
cli_fault_memory_stress(cli_fault_t *fault)
{
    const cli_stress_instance_options_t options = {.only = "broker,bucket,karma"};
    cli_fault_bus_play(fault, &options, MANY_EVENTS, run_short);
}
