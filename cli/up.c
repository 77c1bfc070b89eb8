// up.c - `bhiv up`: the whole system on this machine, as one process a part.
//
// The folder is private (0700) and guarded by two locks, both let go by the kernel alone. up.lock
// is held by this process: a second `bhiv up` is told so at once. parts.lock is held by this
// process and, inherited, by every part: after a SIGKILL of `bhiv up` its parts are killed by the
// kernel too, but not in the same instant, and the next `bhiv up` waits for the last of them rather
// than find a port or a store still taken.
#include "bridge-http/tls.h"
#include "cli.h"
#include "connect.h"
#include "hints.h"
#include "kernel/kernel.h"
#include "port.h"
#include "runtime/address.h"
#include "runtime/clock.h"
#include "runtime/log.h"
#include "runtime/secret.h"
#include "secure.h"
#include "supervise.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    ARGS_MAX = 20,           // words of one part's command, with its NULL
    LEFTOVER_WAIT_MS = 5000, // for the parts of an earlier `bhiv up` to be gone
    LEFTOVER_POLL_MS = 5,
    PORT_WAIT_MS = 300, // for the kernel to free the ports of what was killed
    PORT_MAX = 65535,
    PORT_SPAN = 80 // the highest port above --port-base
};

typedef struct {
    const char *dir;
    uint64_t port_base; // 0: the well-known ports
    const char *http_bind;
    bool dev;
    bool allow_anonymous;
    bool secure;
    const char *tls_cert;
    const char *tls_key;
    const char *only;
    const char *without;
} flags_t;

#define AT(field) offsetof(flags_t, field)
// clang-format off
static const option_row_t rows[] = {
    {"dir", 'd', OPTION_TEXT, "DIR", NULL, AT(dir), 0, 0,
     "the system's folder; default ~/.local/state/bhiv"},
    {"port-base", 'p', OPTION_COUNT, "N", NULL, AT(port_base), 1, PORT_MAX - PORT_SPAN,
     "HTTP on N to N+3 and N+80, bus on N+50 and N+51"},
    {"http-bind", 0, OPTION_TEXT, "ADDRESS", "127.0.0.1", AT(http_bind), 0, 0,
     "address that HTTP listens on"},
    {"dev", 0, OPTION_FLAG, NULL, NULL, AT(dev), 0, 0, "test helpers on, no rate limits"},
    {"allow-anonymous", 0, OPTION_FLAG, NULL, NULL, AT(allow_anonymous), 0, 0,
     "serve beyond loopback although anybody may then do anything"},
    {"secure", 0, OPTION_FLAG, NULL, NULL, AT(secure), 0, 0,
     "certificates on tcp, tokens for HTTP; what is missing is made once"},
    {"tls-cert", 0, OPTION_TEXT, "FILE", NULL, AT(tls_cert), 0, 0,
     "HTTP speaks TLS, with this certificate (PEM, with its chain)"},
    {"tls-key", 0, OPTION_TEXT, "FILE", NULL, AT(tls_key), 0, 0, "and its key (PEM, mode 0600)"},
    {"only", 0, OPTION_TEXT, "PARTS", NULL, AT(only), 0, 0, "these parts alone: broker,bucket"},
    {"without", 0, OPTION_TEXT, "PARTS", NULL, AT(without), 0, 0, "all parts but these"},
};
// clang-format on
#undef AT

static const option_table_t options = {
    .program = "bhiv up",
    .arguments = "",
    .help =
        "Starts broker, bucket, karma, workflow, core, htm, brain, the seven kernels and bridge as "
        "processes in a private folder and keeps them running: what dies is started again. Prints "
        "one line `ready http://ADDRESS:PORT` when all "
        "are ready, and stops all of them on SIGTERM or Ctrl-C.\v"
        "Without --port-base: Karma on 8000, Bucket 8001, Core 8002, Workflow 8003, the console "
        "8080, the bus on tcp 5550 and 5551 and on the sockets bus.in and bus.out in the folder.\n"
        "Its owner's token is in DIR/owner.token, process ids are in DIR/run/<part>.pid.\n"
        "With --secure peers on tcp need a certificate of DIR/certs (bhiv keys cert NAME) and may "
        "do "
        "what DIR/access.zpl or the built-in rules say, and HTTP asks for a token (bhiv token "
        "create -r bhiv_core -p gurukul); the sockets in DIR stay as they are, for who may open "
        "them.\n\n"
        "  bhiv up --dir ./state --port-base 9000\n"
        "  bhiv up --secure\n"
        "  bhiv up --only broker,bucket",
    .rows = rows,
    .row_count = sizeof rows / sizeof rows[0],
};

// --- Which parts -------------------------------------------------------------------------------

typedef enum {
    PART_BROKER,
    PART_BUCKET,
    PART_KARMA,
    PART_WORKFLOW,
    PART_CORE,
    PART_HTM,
    PART_BRAIN,
    PART_KERNEL, // the first of KERNEL_COUNT, in the order of kernel_rows
    PART_BRIDGE = PART_KERNEL + KERNEL_COUNT,
    PART_COUNT
} part_id_t;

typedef struct {
    const char *name;
    unsigned stage; // of stopping: who takes work in first, who keeps it last
} part_row_t;

static const part_row_t parts[PART_COUNT] = {
    [PART_BROKER] = {"broker", 2},
    [PART_BUCKET] = {"bucket", 1},
    [PART_KARMA] = {"karma", 1},
    [PART_WORKFLOW] = {"workflow", 1},
    [PART_CORE] = {"core", 1},
    [PART_HTM] = {"htm", 1},
    [PART_BRAIN] = {"brain", 1},
// The kernels, from PART_KERNEL on.
#define KERNEL(name, meaning) {"kernel-" #name, 1},
#include "proto/kernel.def"
#undef KERNEL
    [PART_BRIDGE] = {"bridge", 0},
};

// Several parts by one word of --only and --without.
static const char GROUP_KERNELS[] = "kernels";
static const char GROUP_GRACE[] = "grace"; // htm, brain and the kernels

static bool
is_word(const char *word, const char *at, size_t size)
{
    return strlen(word) == size && strncmp(word, at, size) == 0;
}

static bool
is_named(part_id_t part, const char *at, size_t size)
{
    bool is_kernel = part >= PART_KERNEL && part < PART_BRIDGE;
    bool is_grace = is_kernel || part == PART_HTM || part == PART_BRAIN;
    return is_word(parts[part].name, at, size) || (is_kernel && is_word(GROUP_KERNELS, at, size)) ||
           (is_grace && is_word(GROUP_GRACE, at, size));
}

// Reads "a,b": sets what is named to `value`.
static int
mark_parts(const char *flag, const char *list, bool value, bool ret_chosen[PART_COUNT])
{
    const char *at = list;
    while (*at != '\0') {
        size_t size = strcspn(at, ",");
        bool found = size == 0;
        for (part_id_t i = PART_BROKER; i < PART_COUNT; ++i) {
            if (is_named(i, at, size)) {
                ret_chosen[i] = value;
                found = true;
            }
        }
        if (!found) {
            return cli_fail(
                CLI_USAGE,
                "--%s: no part `%.*s`; there are broker, bucket, karma, workflow, core, "
                "htm, brain, kernel-<name>, kernels, grace, bridge",
                flag,
                (int) size,
                at);
        }
        at += size;
        at += *at == ',';
    }
    return CLI_DONE;
}

static int
choose_parts(const flags_t *flags, bool ret_chosen[PART_COUNT])
{
    for (size_t i = 0; i < PART_COUNT; ++i) {
        ret_chosen[i] = flags->only == NULL;
    }
    int status = CLI_DONE;
    if (flags->only != NULL) {
        status = mark_parts("only", flags->only, true, ret_chosen);
    }
    if (status == CLI_DONE && flags->without != NULL) {
        status = mark_parts("without", flags->without, false, ret_chosen);
    }
    if (status != CLI_DONE) {
        return status;
    }
    for (size_t i = 0; i < PART_COUNT; ++i) {
        if (ret_chosen[i]) {
            return CLI_DONE;
        }
    }
    return cli_fail(CLI_USAGE, "--only and --without leave no part to run");
}

// --- Ports -------------------------------------------------------------------------------------

typedef struct {
    unsigned karma, bucket, core, workflow, console, bus_in, bus_out;
} ports_t;

static ports_t
ports_from(uint64_t base)
{
    if (base == 0) {
        return (ports_t){.karma = 8000,
                         .bucket = 8001,
                         .core = 8002,
                         .workflow = 8003,
                         .console = 8080,
                         .bus_in = 5550,
                         .bus_out = 5551};
    }
    unsigned n = (unsigned) base;
    return (ports_t){.karma = n,
                     .bucket = n + 1,
                     .core = n + 2,
                     .workflow = n + 3,
                     .console = n + 80,
                     .bus_in = n + 50,
                     .bus_out = n + 51};
}

// One sentence, before anything runs: a part that finds its port taken can say less.
static int
check_ports(const flags_t *flags, const ports_t *ports, const bool chosen[PART_COUNT])
{
    // Its twin in the environment reaches the broker, whom we tell only ports.
    const char *bus_bind = getenv("BHIV_BUS_BIND");
    bus_bind = bus_bind == NULL ? "127.0.0.1" : bus_bind;
    const struct {
        const char *address;
        unsigned port;
        part_id_t part;
    } wanted[] = {
        {flags->http_bind, ports->karma, PART_BRIDGE},
        {flags->http_bind, ports->bucket, PART_BRIDGE},
        {flags->http_bind, ports->core, PART_BRIDGE},
        {flags->http_bind, ports->workflow, PART_BRIDGE},
        {flags->http_bind, ports->console, PART_BRIDGE},
        {bus_bind, ports->bus_in, PART_BROKER},
        {bus_bind, ports->bus_out, PART_BROKER},
    };
    uint64_t deadline_ms = clock_boot_ms() + PORT_WAIT_MS;
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; ++i) {
        while (chosen[wanted[i].part] && cli_port_is_taken(wanted[i].address, wanted[i].port)) {
            if (clock_boot_ms() > deadline_ms) {
                return cli_fail(CLI_TRY_AGAIN,
                                "port %u is taken: is another bhiv up running? try --port-base %u",
                                wanted[i].port,
                                flags->port_base == 9000 ? 9200 : 9000);
            }
            (void) poll(NULL, 0, LEFTOVER_POLL_MS);
        }
    }
    return CLI_DONE;
}

// --- Commands of the parts ---------------------------------------------------------------------

typedef struct {
    char *words[ARGS_MAX]; // owned; ends with NULL
    size_t count;
} command_t;

static void add_word(command_t *self, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void
add_word(command_t *self, const char *format, ...)
{
    assert(self->count + 1 < ARGS_MAX);
    va_list arguments;
    va_start(arguments, format);
    int size = vasprintf(&self->words[self->count], format, arguments);
    va_end(arguments);
    assert(size >= 0);
    ++self->count;
}

static void
clear_command(command_t *self)
{
    for (size_t i = 0; i < self->count; ++i) {
        free(self->words[i]);
    }
}

typedef struct {
    flags_t flags;
    ports_t ports;
    cli_dir_t dir;
    cli_endpoints_t bus;
    char run_dir[CLI_PATH_SIZE];
    uint64_t started_ms; // boot clock
    int up_lock;
    int parts_lock;
} plan_t;

static void
command_of_part(const plan_t *plan, part_id_t part, bool has_broker, command_t *ret_command)
{
    const ports_t *ports = &plan->ports;
    add_word(ret_command, "bhiv");
    bool is_kernel = part >= PART_KERNEL && part < PART_BRIDGE;
    add_word(ret_command, "%s", is_kernel ? "kernel" : parts[part].name);
    if (is_kernel) {
        add_word(ret_command, "%s", kernel_rows[part - PART_KERNEL].name);
    }
    add_word(ret_command, "--dir=%s", plan->dir.path);
    if (part == PART_BROKER) {
        add_word(ret_command, "--bus-in=%u", ports->bus_in);
        add_word(ret_command, "--bus-out=%u", ports->bus_out);
        if (plan->flags.secure) {
            add_word(ret_command, "--secure");
        }
        return;
    }
    add_word(ret_command, "--ingress=%s", plan->bus.ingress);
    add_word(ret_command, "--egress=%s", plan->bus.egress);
    if (part == PART_KARMA && plan->flags.dev) {
        add_word(ret_command, "--karma-test-helpers");
    }
    if (part != PART_BRIDGE) {
        if (has_broker) {
            add_word(ret_command, "--alone-after=%dms", CLI_SUPERVISE_BACKOFF_MAX_MS);
        }
        return;
    }
    add_word(ret_command, "--http-bind=%s", plan->flags.http_bind);
    add_word(ret_command, "--karma-port=%u", ports->karma);
    add_word(ret_command, "--bucket-port=%u", ports->bucket);
    add_word(ret_command, "--core-port=%u", ports->core);
    add_word(ret_command, "--workflow-port=%u", ports->workflow);
    add_word(ret_command, "--console-port=%u", ports->console);
    if (plan->flags.dev) {
        add_word(ret_command, "--dev");
    }
    if (plan->flags.allow_anonymous) {
        add_word(ret_command, "--allow-anonymous");
    }
    if (plan->flags.secure) {
        add_word(ret_command, "--secure");
    }
    if (plan->flags.tls_cert != NULL) {
        add_word(ret_command, "--tls-cert=%s", plan->flags.tls_cert);
    }
    if (plan->flags.tls_key != NULL) {
        add_word(ret_command, "--tls-key=%s", plan->flags.tls_key);
    }
}

static void
ready_line(const plan_t *plan, bool has_bridge, char *ret_line, size_t size)
{
    if (!has_bridge) {
        snprintf(ret_line, size, "ready tcp://127.0.0.1:%u", plan->ports.bus_in);
        return;
    }
    const char *address = plan->flags.http_bind;
    bool is_v6 = strchr(address, ':') != NULL;
    snprintf(ret_line,
             size,
             is_v6 ? "ready %s://[%s]:%u" : "ready %s://%s:%u",
             plan->flags.tls_cert != NULL ? "https" : "http",
             address,
             plan->ports.console);
}

// --- The folder --------------------------------------------------------------------------------

static int
open_lock(const plan_t *plan, const char *leaf)
{
    char path[CLI_PATH_SIZE];
    if ((size_t) snprintf(path, sizeof path, "%s/%s", plan->run_dir, leaf) >= sizeof path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    return open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
}

static int
take_locks(plan_t *plan)
{
    plan->up_lock = open_lock(plan, "up.lock");
    plan->parts_lock = open_lock(plan, "parts.lock");
    if (plan->up_lock < 0 || plan->parts_lock < 0) {
        return cli_fail(CLI_CONFIG, "cannot write in %s: %s", plan->run_dir, strerror(errno));
    }
    if (flock(plan->up_lock, LOCK_EX | LOCK_NB) != 0) {
        return cli_fail(CLI_TRY_AGAIN, "a bhiv up runs in %s already", plan->dir.path);
    }
    uint64_t deadline_ms = clock_boot_ms() + LEFTOVER_WAIT_MS;
    while (flock(plan->parts_lock, LOCK_EX | LOCK_NB) != 0) {
        if (clock_boot_ms() > deadline_ms) {
            return cli_fail(CLI_TRY_AGAIN,
                            "parts of an earlier bhiv up in %s are still stopping",
                            plan->dir.path);
        }
        (void) poll(NULL, 0, LEFTOVER_POLL_MS);
    }
    return CLI_DONE;
}

static int
prepare_dir(plan_t *plan)
{
    // First whether its sockets can have a path at all: what is refused leaves no folder behind.
    const cli_place_t nowhere = {0};
    int status = cli_dir_find(plan->flags.dir, &plan->dir);
    if (status == CLI_DONE) {
        status = cli_connect_part(&nowhere, &plan->dir, &plan->bus);
    }
    if (status == CLI_DONE) {
        status = cli_dir_make(plan->flags.dir, &plan->dir);
    }
    if (status == CLI_DONE) {
        status = cli_connect_part(&nowhere, &plan->dir, &plan->bus); // now by its absolute path
    }
    if (status == CLI_DONE) {
        status = cli_dir_join(&plan->dir, "run", plan->run_dir);
    }
    if (status != CLI_DONE) {
        return status;
    }
    // Also one that was made by somebody else: what is in it is nobody else's business.
    if (chmod(plan->dir.path, 0700) != 0) {
        return cli_fail(CLI_CONFIG, "cannot make %s private: %s", plan->dir.path, strerror(errno));
    }
    if (mkdir(plan->run_dir, 0700) != 0 && errno != EEXIST) {
        return cli_fail(CLI_CONFIG, "cannot make %s: %s", plan->run_dir, strerror(errno));
    }
    status = take_locks(plan);
    if (status == CLI_DONE) {
        status = cli_secure_owner_token(&plan->dir);
    }
    bool is_made = false;
    if (status == CLI_DONE && plan->flags.secure) {
        status = cli_secure_certificates(&plan->dir, &is_made);
    }
    if (is_made) {
        log_info("certificates_made", "dir=%s/certs", plan->dir.path);
    }
    return status;
}

// --- Hints -------------------------------------------------------------------------------------

// What to try next, for a person: where stderr is a terminal, or BHIV_HINTS asks for it. With
// BHIV_HINTS=0 nothing at all.
static void
add_hints(const plan_t *plan, bool has_bridge, text_t *text)
{
    const char *asked = getenv("BHIV_HINTS");
    if (asked != NULL && strcmp(asked, "0") == 0) {
        return;
    }
    if (plan->flags.secure && has_bridge) {
        cli_hints_add_token(&plan->dir, text);
    } else if (!plan->flags.secure) {
        cli_hints_add_open(&plan->dir, text);
    }
    if (asked == NULL ? isatty(STDERR_FILENO) != 1 : strcmp(asked, "1") != 0) {
        return;
    }
    const char *host = plan->flags.http_bind;
    bool is_v6 = strchr(host, ':') != NULL;
    bool is_any = strcmp(host, "0.0.0.0") == 0 || strcmp(host, "::") == 0;
    char url_host[CLI_ENDPOINT_SIZE];
    snprintf(url_host, sizeof url_host, is_v6 ? "[%s]" : "%s", host);
    const cli_hints_t hints = {
        .dir = plan->flags.dir != NULL && plan->flags.dir[0] != '\0' ? plan->dir.path : NULL,
        .host = !has_bridge || plan->flags.secure ? NULL
                : is_any                          ? "localhost"
                                                  : url_host,
        .karma_port = plan->ports.karma,
        .bucket_port = plan->ports.bucket,
    };
    cli_hints_add(&hints, text);
}

// --- The verb ----------------------------------------------------------------------------------

static int
supervise(const plan_t *plan, const bool chosen[PART_COUNT])
{
    command_t commands[PART_COUNT] = {0};
    cli_supervise_child_t children[PART_COUNT];
    size_t count = 0;
    for (part_id_t part = PART_BROKER; part < PART_COUNT; ++part) {
        if (chosen[part]) {
            command_of_part(plan, part, chosen[PART_BROKER], &commands[part]);
            children[count++] = (cli_supervise_child_t){
                .name = parts[part].name,
                .argv = commands[part].words,
                .stage = parts[part].stage,
            };
        }
    }
    char ready[CLI_ENDPOINT_SIZE];
    ready_line(plan, chosen[PART_BRIDGE], ready, sizeof ready);
    BUS_AUTO(text_destroy) text_t *hints = text_new();
    add_hints(plan, chosen[PART_BRIDGE], hints);
    bool has_hints = text_view(hints).size > 0;
    text_add(hints, view_from("", 1)); // its NUL
    const cli_supervise_t supervision = {
        .children = children,
        .count = count,
        .run_dir = plan->run_dir,
        .ready = ready,
        .hints = has_hints ? text_view(hints).data : NULL,
        .started_ms = plan->started_ms,
        .held_fd = plan->parts_lock,
        .ingress = plan->bus.ingress,
        .egress = plan->bus.egress,
    };
    int status = cli_supervise_run(&supervision);
    for (size_t i = 0; i < PART_COUNT; ++i) {
        clear_command(&commands[i]);
    }
    return status;
}

static int
run(int argc, char **argv)
{
    plan_t plan = {.up_lock = -1, .parts_lock = -1, .started_ms = clock_boot_ms()};
    option_parse(&options, argc, argv, &plan.flags, NULL, NULL);
    log_start("up");
    if (secret_is_in_environment()) {
        secret_guard();
    }
    bool chosen[PART_COUNT] = {0};
    int status = choose_parts(&plan.flags, chosen);
    if (status == CLI_DONE && chosen[PART_BRIDGE]) { // among what all parts say it would be lost
        status = bridge_tls_check(plan.flags.tls_cert, plan.flags.tls_key);
    }
    if (status != CLI_DONE) {
        return status;
    }
    if (!address_is_loopback(plan.flags.http_bind) && !plan.flags.allow_anonymous &&
        !plan.flags.secure) {
        return cli_fail(CLI_CONFIG,
                        "everything would be open to anybody on %s: keep to loopback, ask for "
                        "tokens with --secure, or set BHIV_ALLOW_ANONYMOUS=1",
                        plan.flags.http_bind);
    }
    // The parts are on the sockets in the folder, and a drill's instance is not behind our gate.
    (void) unsetenv("BHIV_CERT");
    (void) unsetenv("BHIV_SECURE");
    plan.ports = ports_from(plan.flags.port_base);
    status = prepare_dir(&plan);
    if (status == CLI_DONE) {
        log_info("folder", "dir=%s", plan.dir.path);
        status = check_ports(&plan.flags, &plan.ports, chosen);
    }
    if (status == CLI_DONE) {
        status = supervise(&plan, chosen);
    }
    if (plan.parts_lock >= 0) {
        close(plan.parts_lock);
    }
    if (plan.up_lock >= 0) {
        close(plan.up_lock);
    }
    return status;
}

const cli_command_t cli_up = {
    .name = "up",
    .summary = "start and supervise the whole system on this machine",
    .group = CLI_GROUP_RUN,
    .options = &options,
    .run = run,
};
