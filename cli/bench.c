// bench.c - `bhiv bench`: what this machine's bus carries, beside the same work on bare libraries.
//
// Each case is run on our broker and on the bare server of bench_bare.c, in turn, in this run, so
// that the ratio means something on a machine whose speed changes by the hour; several rounds, and
// the median of each. The cases of the whole system have nothing bare beside them. Figures that no
// case asserts: they are for reading.
#include "bench.h"
#include "output.h"

#include "proto/transcode.h"
#include "runtime/clock.h"
#include "runtime/owner.h"

#include <assert.h>
#include <lmdb.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zmq.h>

enum {
    ROUNDS_MAX = 99,
    COUNT_DEFAULT = 200000,
    COUNT_QUICK = 20000,
    COUNT_MIN = 1000, // of a case, whatever its divisor
    MACHINE_SIZE = 256
};

static const cli_bench_case_t cases[] = {
    {.name = "durable_each",
     .meaning = "durable, an ack each, window 1000",
     .kind = CLI_BENCH_PUBLISH,
     .ack = CLI_BENCH_ACK_EACH,
     .window = 1000,
     .divisor = 1,
     .has_rate = true},
    {.name = "durable_batch",
     .meaning = "durable, $bus.batch of 100, window 1000",
     .kind = CLI_BENCH_PUBLISH,
     .ack = CLI_BENCH_ACK_EACH,
     .window = 1000,
     .batch = 100,
     .divisor = 1,
     .has_rate = true},
    {.name = "durable_last",
     .meaning = "durable, ack \"last\", window 1000",
     .kind = CLI_BENCH_PUBLISH,
     .ack = CLI_BENCH_ACK_LAST,
     .window = 1000,
     .divisor = 1,
     .has_rate = true},
    {.name = "durable_one",
     .meaning = "durable, one at a time",
     .kind = CLI_BENCH_PUBLISH,
     .ack = CLI_BENCH_ACK_EACH,
     .window = 1,
     .divisor = 40,
     .has_rate = true,
     .has_latency = true},
    {.name = "live",
     .meaning = "live, heard by one subscriber",
     .kind = CLI_BENCH_LIVE_FLOW,
     .window = 1000,
     .divisor = 1,
     .has_rate = true},
    {.name = "live_latency",
     .meaning = "live, publish to subscriber, one core",
     .kind = CLI_BENCH_LATENCY,
     .divisor = 20,
     .has_latency = true,
     .is_pinned = true},
    {.name = "fan_out_1",
     .meaning = "durable, heard by 1 subscriber",
     .kind = CLI_BENCH_FAN_OUT,
     .window = 1000,
     .subscribers = 1,
     .divisor = 1,
     .has_rate = true},
    {.name = "fan_out_4",
     .meaning = "durable, heard by 4 subscribers",
     .kind = CLI_BENCH_FAN_OUT,
     .window = 1000,
     .subscribers = 4,
     .divisor = 2,
     .has_rate = true},
    {.name = "fetch",
     .meaning = "fetched from the journal",
     .kind = CLI_BENCH_FETCH,
     .divisor = 1,
     .has_rate = true},
    {.name = "restart",
     .meaning = "killed with 5 times the messages journaled, started again",
     .kind = CLI_BENCH_RESTART,
     .ack = CLI_BENCH_ACK_EACH,
     .window = 1000,
     .batch = 100,
     .divisor = 1,
     .multiple = 5,
     .has_ready = true},
    {.name = "http",
     .meaning = "POST /core/write-event, durable, 64 connections",
     .kind = CLI_BENCH_HTTP,
     .window = 64,
     .divisor = 2,
     .has_rate = true,
     .has_latency = true,
     .is_system = true},
    {.name = "http_write",
     .meaning = "POST /bucket/artifact/write, 1 KiB, audited, 64 connections",
     .kind = CLI_BENCH_HTTP,
     .request = CLI_BENCH_ARTIFACT_WRITE,
     .window = 64,
     .divisor = 4,
     .has_rate = true,
     .has_latency = true,
     .is_system = true},
    {.name = "http_read",
     .meaning = "GET /bucket/artifact/read, 1 KiB, audited, 64 connections",
     .kind = CLI_BENCH_HTTP,
     .request = CLI_BENCH_ARTIFACT_READ,
     .window = 64,
     .divisor = 4,
     .has_rate = true,
     .has_latency = true,
     .is_system = true},
    {.name = "http_task",
     .meaning = "POST /handle_task, built-in agent, 64 connections",
     .kind = CLI_BENCH_HTTP,
     .request = CLI_BENCH_TASK,
     .window = 64,
     .divisor = 10,
     .has_rate = true,
     .has_latency = true,
     .is_system = true},
    {.name = "http_task_one",
     .meaning = "POST /handle_task, built-in agent, one at a time",
     .kind = CLI_BENCH_HTTP,
     .request = CLI_BENCH_TASK,
     .window = 1,
     .divisor = 100,
     .has_rate = true,
     .has_latency = true,
     .is_system = true},
    {.name = "start",
     .meaning = "bhiv up in an empty folder",
     .kind = CLI_BENCH_START,
     .divisor = 1,
     .has_ready = true,
     .has_memory = true,
     .is_system = true},
};
enum { CASES = sizeof cases / sizeof cases[0] };

typedef struct {
    cli_place_t place;
    bool json;
    const char *format;
    bool quick;
    uint64_t count;
    uint64_t rounds;
    bool tcp;
    bool secure;
    bool against;
    const char *only;
    const char *scratch;
} flags_t;

// clang-format off
static const option_row_t rows[] = {
    CLI_PLACE_ROWS(flags_t, place),
    CLI_FORMAT_ROW(flags_t, format),
    {"json", 0, OPTION_FLAG, NULL, NULL, offsetof(flags_t, json), 0, 0,
     "the same as --format json"},
    {"quick", 0, OPTION_FLAG, NULL, NULL, offsetof(flags_t, quick), 0, 0,
     "one round of a tenth: seconds, not minutes"},
    {"count", 'n', OPTION_COUNT, "N", NULL, offsetof(flags_t, count), COUNT_MIN, 100000000,
     "messages of a case; default 200000, slow cases take fewer"},
    {"rounds", 'r', OPTION_COUNT, "N", NULL, offsetof(flags_t, rounds), 1, ROUNDS_MAX,
     "of each case, of which the median counts; default 3"},
    {"tcp", 0, OPTION_FLAG, NULL, NULL, offsetof(flags_t, tcp), 0, 0,
     "over tcp on loopback; else over ipc"},
    {"secure", 0, OPTION_FLAG, NULL, NULL, offsetof(flags_t, secure), 0, 0,
     "over tcp with CURVE and rules; the whole system behind tokens"},
    {"case", 'c', OPTION_TEXT, "NAMES", NULL, offsetof(flags_t, only), 0, 0,
     "these alone: durable_each,fetch"},
    {"against", 0, OPTION_FLAG, NULL, NULL, offsetof(flags_t, against), 0, 0,
     "the running broker of --dir, which keeps the records"},
    {"scratch", 0, OPTION_TEXT, "DIR", NULL, offsetof(flags_t, scratch), 0, 0,
     "where the journals go for now; default TMPDIR or /var/tmp"},
};
// clang-format on

static const option_table_t options = {
    .program = "bhiv bench",
    .arguments = "",
    .help =
        "Measures publishing, latency, fan-out and fetching with bodies of 256 bytes, each beside "
        "the same work on bare libzmq and LMDB speaking the same frames, in the same run.\v"
        "Cases: durable_each durable_batch durable_last durable_one live live_latency fan_out_1 "
        "fan_out_4 fetch restart http http_write http_read start; the last four are of the whole "
        "system, alone. A ratio "
        "is ours divided by bare: for rates more is better, for "
        "latencies less.\n\n"
        "  bhiv bench --quick\n"
        "  bhiv bench --case durable_each,fetch --rounds 5 --json",
    .rows = rows,
    .row_count = sizeof rows / sizeof rows[0],
};

typedef struct {
    flags_t flags;
    const char *scratch;
    uint64_t count;
    uint64_t rounds;
    cli_output_t out;
    cli_table_t table;
    cli_endpoints_t running; // with --against
} bench_t;

// --- Running -----------------------------------------------------------------------------------

static cli_bench_transport_t
transport_of(const flags_t *flags)
{
    cli_bench_transport_t plain = flags->tcp ? CLI_BENCH_TCP : CLI_BENCH_IPC;
    return flags->secure ? CLI_BENCH_CURVE : plain;
}

static void
pin(bool pinned, const cpu_set_t *all)
{
    cpu_set_t one;
    CPU_ZERO(&one);
    for (size_t cpu = 0; cpu < CPU_SETSIZE && CPU_COUNT(&one) == 0; ++cpu) {
        if (CPU_ISSET(cpu, all)) {
            CPU_SET(cpu, &one);
        }
    }
    (void) sched_setaffinity(0, sizeof one, pinned ? &one : all);
}

static int
run_system(const bench_t *self,
           const cli_bench_case_t *case_,
           uint64_t count,
           cli_bench_result_t *ret)
{
    cli_bench_server_t server;
    uint64_t began_us = clock_boot_us();
    int status = cli_bench_server_up(self->scratch, self->flags.secure, &server);
    double ready_ms = (double) (clock_boot_us() - began_us) / 1e3;
    char token[OWNER_TOKEN_SIZE_MAX + 1];
    *ret = (cli_bench_result_t){0};
    if (status == CLI_DONE && self->flags.secure && owner_read_token(server.dir, token) != BUS_OK) {
        status = cli_fail(CLI_IO, "bench: cannot read %s/owner.token", server.dir);
    }
    if (status == CLI_DONE && case_->kind == CLI_BENCH_HTTP &&
        !cli_bench_http(server.http_port,
                        self->flags.secure ? token : NULL,
                        case_->request,
                        case_->window,
                        count,
                        ret)) {
        status = CLI_NEGATIVE;
    }
    ret->ready_ms = ready_ms;
    ret->memory_mib = status == CLI_DONE ? cli_bench_server_memory(&server) : 0;
    cli_bench_server_stop(&server);
    return status;
}

static int
run_once(const bench_t *self, const cli_bench_case_t *case_, bool bare, cli_bench_result_t *ret)
{
    uint64_t count = self->count / case_->divisor * (case_->multiple == 0 ? 1 : case_->multiple);
    count = count < COUNT_MIN ? COUNT_MIN : count;
    if (case_->is_system) {
        return run_system(self, case_, count, ret);
    }
    if (self->flags.against && !bare) {
        return cli_bench_run(case_, &self->running, count, ret) ? CLI_DONE : CLI_NEGATIVE;
    }
    cli_bench_server_t server;
    int status = cli_bench_server_start(self->scratch, bare, transport_of(&self->flags), &server);
    if (status == CLI_DONE && !cli_bench_run(case_, &server.bus, count, ret)) {
        status = CLI_NEGATIVE;
    }
    if (status == CLI_DONE && case_->kind == CLI_BENCH_RESTART) {
        status = cli_bench_server_again(&server, &ret->ready_ms);
    }
    cli_bench_server_stop(&server);
    return status;
}

static int
compare_doubles(const void *a, const void *b)
{
    double left = *(const double *) a;
    double right = *(const double *) b;
    return (left > right) - (left < right);
}

// Of the field at `offset` of each result.
static double
median(const cli_bench_result_t *results, uint64_t count, size_t offset)
{
    double values[ROUNDS_MAX] = {0};
    for (uint64_t i = 0; i < count; ++i) {
        memcpy(&values[i], (const char *) &results[i] + offset, sizeof values[i]);
    }
    qsort(values, count, sizeof values[0], compare_doubles);
    return values[count / 2];
}

// --- Printing ----------------------------------------------------------------------------------

static void
add_cell(cli_table_t *table, const char *format, double value)
{
    char text[32];
    snprintf(text, sizeof text, format, value); // a literal of print_figure's
    cli_table_add(table, view_from_text(text));
}

typedef struct {
    const char *suffix; // of the case's name
    const char *words;  // behind its meaning
    const char *unit;
    size_t offset;   // in the result
    size_t wanted;   // where the case says whether it has it
    const char *how; // its format in the table
} figure_t;

#define RESULT(field) offsetof(cli_bench_result_t, field)
#define WANTED(field) offsetof(cli_bench_case_t, field)
static const figure_t figures[] = {
    {"", "", "msg/s", RESULT(rate), WANTED(has_rate), "%.0f/s"},
    {"_p50", ", p50", "us", RESULT(p50_us), WANTED(has_latency), "%.1f us"},
    {"_p99", ", p99", "us", RESULT(p99_us), WANTED(has_latency), "%.1f us"},
    {"_p999", ", p99.9", "us", RESULT(p999_us), WANTED(has_latency), "%.1f us"},
    {"_ready", ", ready", "ms", RESULT(ready_ms), WANTED(has_ready), "%.1f ms"},
    {"_memory", ", memory", "MiB", RESULT(memory_mib), WANTED(has_memory), "%.1f MiB"},
};
#undef RESULT
#undef WANTED

static void
print_figure(
    bench_t *self, const cli_bench_case_t *case_, const figure_t *figure, double ours, double bare)
{
    if (self->out.format != CLI_FORMAT_LINE) {
        text_add_format(self->out.text,
                        "{\"figure\":\"%s%s\",\"unit\":\"%s\",\"bhiv\":%.1f,",
                        case_->name,
                        figure->suffix,
                        figure->unit,
                        ours);
        if (case_->is_system) {
            text_add_format(self->out.text, "\"bare\":null,\"ratio\":null}\n");
        } else {
            text_add_format(self->out.text,
                            "\"bare\":%.1f,\"ratio\":%.3f}\n",
                            bare,
                            bare > 0 ? ours / bare : 0.0);
        }
        cli_output_text(&self->out);
        (void) fflush(stdout); // a long run shows what it has
        return;
    }
    char what[96];
    snprintf(what, sizeof what, "%s%s", case_->meaning, figure->words);
    cli_table_add(&self->table, view_from_text(what));
    add_cell(&self->table, figure->how, ours);
    if (case_->is_system) {
        cli_table_add(&self->table, VIEW_LITERAL("-"));
        cli_table_add(&self->table, VIEW_LITERAL("-"));
    } else {
        add_cell(&self->table, figure->how, bare);
        add_cell(&self->table, "%.2f", bare > 0 ? ours / bare : 0.0);
    }
}

static void
print_case(bench_t *self,
           const cli_bench_case_t *case_,
           const cli_bench_result_t *ours,
           const cli_bench_result_t *bare)
{
    for (size_t i = 0; i < sizeof figures / sizeof figures[0]; ++i) {
        const figure_t *figure = &figures[i];
        if (*(const bool *) ((const char *) case_ + figure->wanted)) {
            print_figure(self,
                         case_,
                         figure,
                         median(ours, self->rounds, figure->offset),
                         median(bare, self->rounds, figure->offset));
        }
    }
}

static void
print_machine(bench_t *self)
{
    char machine[MACHINE_SIZE];
    int major = 0;
    int minor = 0;
    int patch = 0;
    cli_bench_server_machine(self->scratch, machine, sizeof machine);
    zmq_version(&major, &minor, &patch);
    static const char *const names[] = {
        [CLI_BENCH_IPC] = "ipc", [CLI_BENCH_TCP] = "tcp", [CLI_BENCH_CURVE] = "tcp with CURVE"};
    const char *transport = names[transport_of(&self->flags)];
    if (self->out.format != CLI_FORMAT_LINE) {
        text_add(self->out.text, VIEW_LITERAL("{\"machine\":"));
        transcode_json_string(view_from_text(machine), self->out.text);
        text_add_format(self->out.text,
                        ",\"version\":\"%s\",\"build\":\"%s\",\"libzmq\":\"%d.%d.%d\","
                        "\"transport\":\"%s\",\"body_bytes\":%d,\"count\":%llu,\"rounds\":%llu}\n",
                        BHIV_VERSION,
                        BHIV_BUILD,
                        major,
                        minor,
                        patch,
                        transport,
                        CLI_BENCH_BODY_SIZE,
                        (unsigned long long) self->count,
                        (unsigned long long) self->rounds);
    } else {
        text_add_format(self->out.text,
                        "%s\nbhiv %s (%s), libzmq %d.%d.%d, lmdb %d.%d.%d, over %s, bodies of %d "
                        "bytes, median of %llu\n\n",
                        machine,
                        BHIV_VERSION,
                        BHIV_BUILD,
                        major,
                        minor,
                        patch,
                        MDB_VERSION_MAJOR,
                        MDB_VERSION_MINOR,
                        MDB_VERSION_PATCH,
                        transport,
                        CLI_BENCH_BODY_SIZE,
                        (unsigned long long) self->rounds);
    }
    cli_output_text(&self->out);
    (void) fflush(stdout);
}

// --- The verb ----------------------------------------------------------------------------------

static bool
is_chosen(const char *list, const char *name)
{
    size_t size = strlen(name);
    const char *at = list;
    while (at != NULL && *at != '\0') {
        size_t word = strcspn(at, ",");
        if (word == size && strncmp(at, name, size) == 0) {
            return true;
        }
        at += word + (at[word] == ',');
    }
    return list == NULL;
}

static int
run_case(bench_t *self, const cli_bench_case_t *case_, const cpu_set_t *all)
{
    cli_bench_result_t ours[ROUNDS_MAX];
    cli_bench_result_t bare[ROUNDS_MAX] = {{0}};
    bool shows_progress = isatty(STDERR_FILENO) == 1;
    pin(case_->is_pinned, all);
    int status = CLI_DONE;
    for (uint64_t round = 0; round < self->rounds && status == CLI_DONE; ++round) {
        if (shows_progress) {
            fprintf(stderr,
                    "\r\033[K%s, round %llu of %llu",
                    case_->meaning,
                    (unsigned long long) round + 1,
                    (unsigned long long) self->rounds);
        }
        status = run_once(self, case_, false, &ours[round]);
        if (status == CLI_DONE && !case_->is_system) {
            status = run_once(self, case_, true, &bare[round]);
        }
    }
    if (shows_progress) {
        fputs("\r\033[K", stderr);
    }
    pin(false, all);
    if (status == CLI_DONE) {
        print_case(self, case_, ours, bare);
    }
    return status;
}

static int
run_all(bench_t *self)
{
    static const char *const titles[] = {"WHAT", "BHIV", "BARE", "RATIO"};
    cpu_set_t all;
    CPU_ZERO(&all);
    if (sched_getaffinity(0, sizeof all, &all) != 0) {
        return cli_fail(CLI_IO, "bench: cannot read the processors");
    }
    cli_table_init(&self->table, titles, sizeof titles / sizeof titles[0]);
    print_machine(self);
    int status = CLI_DONE;
    for (size_t i = 0; i < CASES; ++i) {
        bool starts_servers = cases[i].is_system || cases[i].kind == CLI_BENCH_RESTART;
        if (is_chosen(self->flags.only, cases[i].name) &&
            !(self->flags.against && starts_servers)) {
            int one = run_case(self, &cases[i], &all);
            status = status == CLI_DONE ? one : status;
        }
    }
    if (self->out.format == CLI_FORMAT_LINE) {
        cli_table_print(&self->table, &self->out);
    }
    cli_table_clear(&self->table);
    return status;
}

static int
run(int argc, char **argv)
{
    bench_t self = {0};
    option_parse(&options, argc, argv, &self.flags, NULL, NULL);
    const char *scratch = self.flags.scratch != NULL ? self.flags.scratch : getenv("TMPDIR");
    self.scratch = scratch != NULL && scratch[0] != '\0' ? scratch : "/var/tmp";
    uint64_t count = self.flags.quick ? COUNT_QUICK : COUNT_DEFAULT;
    uint64_t rounds = self.flags.quick ? 1 : 3;
    self.count = self.flags.count != 0 ? self.flags.count : count;
    self.rounds = self.flags.rounds != 0 ? self.flags.rounds : rounds;
    int status = cli_output_init(&self.out, self.flags.json ? "json" : self.flags.format);
    if (status != CLI_DONE) {
        return status;
    }
    if (self.flags.against) {
        status = cli_connect_tool(&self.flags.place, &self.running);
    }
    // The parts' messages would stand between the figures.
    if (setenv("BHIV_LOG_LEVEL", "error", 0) != 0 || setenv("BHIV_HINTS", "0", 1) != 0) {
        status = cli_fail(CLI_IO, "out of memory");
    }
    if (status == CLI_DONE) {
        status = run_all(&self);
    }
    cli_output_clear(&self.out);
    return status;
}

const cli_command_t cli_bench = {
    .name = "bench",
    .summary = "measure this machine's bus beside the bare libraries",
    .group = CLI_GROUP_LOOK,
    .options = &options,
    .run = run,
};
