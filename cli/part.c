// part.c - `bhiv broker`, `bhiv bucket`, `bhiv karma`, `bhiv core`, `bhiv workflow`, `bhiv htm`,
// `bhiv brain`, `bhiv kernel`, `bhiv bridge`: one part in this process.
//
// What `bhiv up` starts as children, and containers as their command. A part finds the bus by the
// sockets in the system's folder, which need not exist yet: start order does not matter.
#include "brain/brain.h"
#include "bridge-http/bridge.h"
#include "broker/broker.h"
#include "bucket/bucket.h"
#include "cli.h"
#include "connect.h"
#include "core/core.h"
#include "htm/htm.h"
#include "karma/karma.h"
#include "kernel/kernel.h"
#include "runtime/log.h"
#include "runtime/secret.h"
#include "runtime/service.h"
#include "workflow/workflow.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

// Whoever holds a secret, or was only given one with its settings, leaves none behind.
static void
guard(bool has_secret)
{
    if (has_secret || secret_is_in_environment()) {
        secret_guard();
    }
}

// --- The broker --------------------------------------------------------------------------------

#define AT(field) offsetof(broker_options_t, field)
// clang-format off
static const option_row_t broker_rows[] = {
    {"dir", 'd', OPTION_TEXT, "DIR", NULL, AT(dir), 0, 0,
     "the system's folder; default ~/.local/state/bhiv"},
    {"bus-bind", 0, OPTION_TEXT, "ADDRESS", "127.0.0.1", AT(tcp_bind), 0, 0,
     "address for tcp; empty: ipc alone"},
    {"bus-in", 0, OPTION_COUNT, "PORT", "5550", AT(tcp_in), 0, 65535,
     "tcp port that peers speak to; 0: none"},
    {"bus-out", 0, OPTION_COUNT, "PORT", "5551", AT(tcp_out), 0, 65535,
     "tcp port that peers hear from; 0: none"},
    {"journal-bytes", 0, OPTION_BYTES, "BYTES", NULL, AT(journal_bytes), 0, 0,
     "the most that the journal may hold; default 256g"},
    {"retention-bytes", 0, OPTION_BYTES, "BYTES", NULL, AT(retention_bytes), 0, 0,
     "lets old records go beyond this size; default: keeps all"},
    {"retention", 0, OPTION_MS, "TIME", NULL, AT(retention_ms), 0, 0,
     "lets records go beyond this age; default: keeps all"},
    {"pending-bytes", 0, OPTION_BYTES, "BYTES", NULL, AT(pending_bytes), 0, 0,
     "what may wait for the disk before BUSY; default 64m"},
    {"secure", 0, OPTION_FLAG, NULL, NULL, AT(is_secure), 0, 0,
     "CURVE on tcp: by the certificates of DIR/certs, and rules, DIR/access.zpl"},
};
// clang-format on
#undef AT

static const option_table_t broker_options = {
    .program = "bhiv broker",
    .arguments = "",
    .help = "Runs the broker: takes messages in, keeps the journal, fans out. It prints "
            "`ready <endpoint>` when peers can connect, and stops on SIGTERM.",
    .rows = broker_rows,
    .row_count = sizeof broker_rows / sizeof broker_rows[0],
};

static int
run_broker(int argc, char **argv)
{
    broker_options_t flags = {0};
    option_parse(&broker_options, argc, argv, &flags, NULL, NULL);
    log_start("broker");
    guard(flags.is_secure);
    cli_dir_t dir;
    char endpoint[CLI_ENDPOINT_SIZE];
    int status = cli_dir_make(flags.dir, &dir);
    if (status == CLI_DONE) {
        status = cli_dir_endpoint(&dir, "bus.out", endpoint);
    }
    if (status != CLI_DONE) {
        return status;
    }
    flags.dir = dir.path;
    return broker_run(&flags);
}

const cli_command_t cli_part_broker = {
    .name = "broker",
    .summary = "run the broker alone",
    .group = CLI_GROUP_RUN,
    .options = &broker_options,
    .run = run_broker,
};

// --- The services ------------------------------------------------------------------------------

typedef struct {
    cli_place_t place;
    uint64_t store_bytes;
    uint64_t alone_ms;
    bool rebuild;
    bool karma_test_helpers; // Karma's alone
    const char *core_agents; // Core's alone
    const char *core_seed;   // likewise
} service_flags_t;

// clang-format off
#define SERVICE_ROWS \
    CLI_PLACE_ROWS(service_flags_t, place), \
    {"store-bytes", 0, OPTION_BYTES, "BYTES", NULL, offsetof(service_flags_t, store_bytes), 0, 0, \
     "the most that the store may hold; default 64g"}, \
    {"alone-after", 0, OPTION_MS, "TIME", "200ms", offsetof(service_flags_t, alone_ms), 1, 60000, \
     "without a broker it is ready after this"}, \
    {"rebuild", 0, OPTION_FLAG, NULL, NULL, offsetof(service_flags_t, rebuild), 0, 0, \
     "only makes the state anew, aside, from the whole journal, prints its hash and ends"}

static const option_row_t bucket_rows[] = {SERVICE_ROWS};
static const option_row_t karma_rows[] = {
    SERVICE_ROWS,
    {"karma-test-helpers", 0, OPTION_FLAG, NULL, NULL,
     offsetof(service_flags_t, karma_test_helpers), 0, 0,
     "takes karma.test. commands and effective_at"},
};
static const option_row_t core_rows[] = {
    SERVICE_ROWS,
    {"core-agents", 0, OPTION_TEXT, "FILE", NULL, offsetof(service_flags_t, core_agents), 0, 0,
     "names agents: JSON, {\"agents\": [{\"id\": ...}]}"},
    {"core-seed", 0, OPTION_TEXT, "N", NULL, offsetof(service_flags_t, core_seed), 0, 0,
     "where the selector's dice begin: the same choices again"},
};
// clang-format on

static int
run_definition(const service_definition_t *definition, service_flags_t flags)
{
    log_start(definition->name);
    cli_dir_t dir;
    cli_endpoints_t bus;
    int status = cli_dir_make(flags.place.dir, &dir);
    if (status == CLI_DONE) {
        status = cli_connect_part(&flags.place, &dir, &bus);
    }
    if (status != CLI_DONE) {
        return status;
    }
    if (bus.has_cert && strcmp(bus.cert.name, definition->source) != 0) {
        return cli_fail(CLI_CONFIG,
                        "the certificate is %s's: %s speaks as %s",
                        bus.cert.name,
                        definition->name,
                        definition->source);
    }
    guard(bus.has_cert || definition == &bucket_definition); // which has signing keys
    // By the environment, because that is where a service's configuration comes from.
    if ((flags.karma_test_helpers && setenv("BHIV_KARMA_TEST_HELPERS", "1", 1) != 0) ||
        (flags.core_agents != NULL && setenv("BHIV_CORE_AGENTS", flags.core_agents, 1) != 0) ||
        (flags.core_seed != NULL && setenv("BHIV_CORE_SEED", flags.core_seed, 1) != 0)) {
        return cli_fail(CLI_IO, "out of memory");
    }
    service_options_t options = {
        .dir = dir.path,
        .ingress = bus.ingress,
        .egress = bus.egress,
        .cert = cli_connect_cert(&bus),
        .store_bytes = flags.store_bytes,
        .alone_ms = (unsigned) flags.alone_ms,
        .rebuild = flags.rebuild,
    };
    return service_run(definition, &options);
}

static int
run_service(const service_definition_t *definition,
            const option_table_t *table,
            int argc,
            char **argv)
{
    service_flags_t flags = {0};
    option_parse(table, argc, argv, &flags, NULL, NULL);
    return run_definition(definition, flags);
}

static const option_table_t bucket_options = {
    .program = "bhiv bucket",
    .arguments = "",
    .help = "Runs Bucket, the custodian: keeps events and artifacts, audits whatever is done or "
            "refused, and forwards events to Karma. It prints `ready bucket` when it has caught up "
            "with the journal, and stops on SIGTERM.\v"
            "BHIV_KEY_PASSPHRASE has its signing keys lie under a passphrase instead of "
            "DIR/bucket.key. BHIV_BUCKET_QUOTAS=ai_assistant=400GB,gurukul=1TB gives quotas; "
            "BHIV_ADVISOR_EMAIL, BHIV_EXECUTOR_EMAIL and BHIV_OWNER_EMAIL say whom to write to.\n\n"
            "  bhiv bucket --rebuild --dir ./state    # beside a running one",
    .rows = bucket_rows,
    .row_count = sizeof bucket_rows / sizeof bucket_rows[0],
};

static int
run_bucket(int argc, char **argv)
{
    return run_service(&bucket_definition, &bucket_options, argc, argv);
}

const cli_command_t cli_part_bucket = {
    .name = "bucket",
    .summary = "run Bucket alone",
    .group = CLI_GROUP_RUN,
    .options = &bucket_options,
    .run = run_bucket,
};

static const option_table_t karma_options = {
    .program = "bhiv karma",
    .arguments = "",
    .help = "Runs Karma, the ledger: tokens, merit, roles. It prints `ready karma` when it has "
            "caught up with the journal, and stops on SIGTERM.\v"
            "With a verb it asks the Karma that runs, and each has its own --help:\n\n"
            "  bhiv karma show USER    a user's role, scores and tokens\n"
            "  bhiv karma top          the users with the most\n"
            "  bhiv karma replay USER  a user's karma made anew, and compared\n"
            "  bhiv karma policy       what was learned: the Q-table",
    .rows = karma_rows,
    .row_count = sizeof karma_rows / sizeof karma_rows[0],
};

static int
run_karma(int argc, char **argv)
{
    return run_service(&karma_definition, &karma_options, argc, argv);
}

const cli_command_t cli_part_karma = {
    .name = "karma",
    .summary = "run Karma alone; show, top, replay, policy ask it",
    .group = CLI_GROUP_RUN,
    .options = &karma_options,
    .run = run_karma,
    .verbs = cli_karma_verbs,
};

static const option_row_t workflow_rows[] = {SERVICE_ROWS};
static const option_row_t grace_rows[] = {SERVICE_ROWS};

static const option_table_t core_options = {
    .program = "bhiv core",
    .arguments = "",
    .help = "Runs Core: chooses an agent for each task, learns from what came of it, "
            "knows documents. It prints `ready core` when it has caught up with the journal, and "
            "stops on SIGTERM.\v"
            "Agents behind an OpenAI-compatible endpoint are found by BHIV_AI_URL, BHIV_AI_MODEL "
            "and BHIV_AI_KEY; any peer that answers req.agent.<id> is one.",
    .rows = core_rows,
    .row_count = sizeof core_rows / sizeof core_rows[0],
};

static int
run_core(int argc, char **argv)
{
    return run_service(&core_definition, &core_options, argc, argv);
}

const cli_command_t cli_part_core = {
    .name = "core",
    .summary = "run Core alone",
    .group = CLI_GROUP_RUN,
    .options = &core_options,
    .run = run_core,
};

static const option_table_t workflow_options = {
    .program = "bhiv workflow",
    .arguments = "",
    .help = "Runs the Workflow Executor, which acts in the world: tasks, e-mail, WhatsApp, AI "
            "calls, each at most once. It prints `ready workflow` when it has caught up with the "
            "journal, and stops on SIGTERM.\v"
            "Its servers come from the environment: BHIV_SMTP_URL, BHIV_SMTP_FROM, BHIV_SMTP_USER, "
            "BHIV_SMTP_PASSWORD, BHIV_WHATSAPP_URL, BHIV_WHATSAPP_PHONE_ID, BHIV_WHATSAPP_TOKEN, "
            "BHIV_AI_URL, BHIV_AI_MODEL, BHIV_AI_KEY; WORKFLOW_TIMEOUT is seconds, 2.0.\n\n"
            "With a verb it asks the executor that runs, and each has its own --help:\n\n"
            "  bhiv workflow run ACTION [JSON|-]  act, and print what came of it\n"
            "  bhiv workflow list                 executions, the latest first\n"
            "  bhiv workflow show TRACE           what became of a trace's executions\n"
            "  bhiv workflow tasks                tasks, the latest first\n"
            "  bhiv workflow complete TASK        a task is done",
    .rows = workflow_rows,
    .row_count = sizeof workflow_rows / sizeof workflow_rows[0],
};

static int
run_workflow(int argc, char **argv)
{
    return run_service(&workflow_definition, &workflow_options, argc, argv);
}

const cli_command_t cli_part_workflow = {
    .name = "workflow",
    .summary = "run the Workflow Executor alone; run, list, show, tasks, complete ask it",
    .group = CLI_GROUP_RUN,
    .options = &workflow_options,
    .run = run_workflow,
    .verbs = cli_workflow_verbs,
};

// --- Grace -------------------------------------------------------------------------------------

static const option_table_t htm_options = {
    .program = "bhiv htm",
    .arguments = "",
    .help = "Runs HTM, the task queue: by priority, then deadline, then arrival, with leases, "
            "retries and dead letters. It prints `ready htm` when it has caught up with the "
            "journal, and stops on SIGTERM.\v"
            "With a verb it asks the queue that runs, and each has its own --help:\n\n"
            "  bhiv htm status               how full it is, how fast, how well\n"
            "  bhiv htm list                 tasks, in the order in which they would start\n"
            "  bhiv htm show TASK            one task, with its context and result\n"
            "  bhiv htm enqueue TYPE [JSON]  a task more, and what comes of it\n"
            "  bhiv htm cancel TASK          one less\n"
            "  bhiv htm dead                 dead letters, and how one lives again\n"
            "  bhiv htm workers              who takes tasks",
    .rows = grace_rows,
    .row_count = sizeof grace_rows / sizeof grace_rows[0],
};

static int
run_htm(int argc, char **argv)
{
    return run_service(&htm_definition, &htm_options, argc, argv);
}

const cli_command_t cli_part_htm = {
    .name = "htm",
    .summary = "run the task queue alone; enqueue, list, show, cancel, dead, … ask it",
    .group = CLI_GROUP_RUN,
    .options = &htm_options,
    .run = run_htm,
    .verbs = cli_htm_verbs,
};

static const option_table_t brain_options = {
    .program = "bhiv brain",
    .arguments = "",
    .help = "Runs the brain of the autonomous loop: sees drift, says what is to be done about it, "
            "and learns from what came of it. It prints `ready brain` when it has caught up with "
            "the journal, and stops on SIGTERM.\v"
            "With a verb it asks the brain that runs, and each has its own --help:\n\n"
            "  bhiv brain status     baselines, open remediations, scores\n"
            "  bhiv brain drifts     metrics that left their baselines\n"
            "  bhiv brain why ISSUE  what it would do about an issue, and why\n"
            "  bhiv brain scores     how well each kind of task did",
    .rows = grace_rows,
    .row_count = sizeof grace_rows / sizeof grace_rows[0],
};

static int
run_brain(int argc, char **argv)
{
    return run_service(&brain_definition, &brain_options, argc, argv);
}

const cli_command_t cli_part_brain = {
    .name = "brain",
    .summary = "run the brain alone; status, drifts, why, scores ask it",
    .group = CLI_GROUP_RUN,
    .options = &brain_options,
    .run = run_brain,
    .verbs = cli_brain_verbs,
};

static const option_table_t kernel_options = {
    .program = "bhiv kernel",
    .arguments = "NAME",
    .help = "Runs one of the seven kernels: infrastructure, governance, memory, librarian, "
            "verification, self_healing or code. It prints `ready kernel-NAME` when it has caught "
            "up with the journal, and stops on SIGTERM.\v"
            "  bhiv kernel memory",
    .rows = grace_rows,
    .row_count = sizeof grace_rows / sizeof grace_rows[0],
    .arguments_min = 1,
    .arguments_max = 1,
};

static int
run_kernel(int argc, char **argv)
{
    service_flags_t flags = {0};
    const char *names[1] = {NULL};
    unsigned name_count = 0;
    option_parse(&kernel_options, argc, argv, &flags, names, &name_count);
    const kernel_row_t *kernel = kernel_find(names[0]);
    if (kernel == NULL) {
        return cli_fail(CLI_USAGE,
                        "no kernel `%s`; there are infrastructure, governance, memory, librarian, "
                        "verification, self_healing, code",
                        names[0]);
    }
    return run_definition(kernel->definition, flags);
}

const cli_command_t cli_part_kernel = {
    .name = "kernel",
    .summary = "run one of the seven kernels alone",
    .group = CLI_GROUP_RUN,
    .options = &kernel_options,
    .run = run_kernel,
};

// --- The bridge --------------------------------------------------------------------------------

typedef struct {
    cli_place_t place;
    bridge_options_t bridge;
} bridge_flags_t;

#define AT(field) offsetof(bridge_flags_t, bridge.field)
// clang-format off
static const option_row_t bridge_rows[] = {
    CLI_PLACE_ROWS(bridge_flags_t, place),
    {"http-bind", 0, OPTION_TEXT, "ADDRESS", "127.0.0.1", AT(http_bind), 0, 0,
     "address to listen on"},
    {"karma-port", 0, OPTION_COUNT, "PORT", "8000", AT(karma_port), 0, 65535, "0: off"},
    {"bucket-port", 0, OPTION_COUNT, "PORT", "8001", AT(bucket_port), 0, 65535, "0: off"},
    {"core-port", 0, OPTION_COUNT, "PORT", "8002", AT(core_port), 0, 65535, "0: off"},
    {"workflow-port", 0, OPTION_COUNT, "PORT", "8003", AT(workflow_port), 0, 65535, "0: off"},
    {"console-port", 0, OPTION_COUNT, "PORT", "8080", AT(console_port), 0, 65535, "0: off"},
    {"karma-test-helpers", 0, OPTION_FLAG, NULL, NULL, AT(karma_test_helpers), 0, 0,
     "serves Karma's /v1/test/ and takes effective_at"},
    {"allow-anonymous", 0, OPTION_FLAG, NULL, NULL, AT(allow_anonymous), 0, 0,
     "may listen beyond loopback without credentials"},
    {"secure", 0, OPTION_FLAG, NULL, NULL, AT(secure), 0, 0,
     "asks for bearer tokens: those of DIR/tokens (bhiv token)"},
    {"tokens", 0, OPTION_TEXT, "FILE", NULL, AT(tokens), 0, 0,
     "asks for bearer tokens: those of FILE"},
    {"tls-cert", 0, OPTION_TEXT, "FILE", NULL, AT(tls_cert), 0, 0,
     "speaks TLS, with this certificate (PEM, with its chain)"},
    {"tls-key", 0, OPTION_TEXT, "FILE", NULL, AT(tls_key), 0, 0, "and its key (PEM, mode 0600)"},
    {"address-connections", 0, OPTION_COUNT, "COUNT", NULL, AT(address_connections), 1, 1000,
     "connections from one address, a port; default 1000, or 200 where tokens are asked for"},
    {"request-timeout", 0, OPTION_MS, "TIME", "10s", AT(request_timeout_ms), 100, 600000,
     "for a client to send a request"},
    {"dev", 0, OPTION_FLAG, NULL, NULL, AT(dev), 0, 0, "test helpers on, no rate limits"},
};
// clang-format on
#undef AT

static const option_table_t bridge_options = {
    .program = "bhiv bridge",
    .arguments = "",
    .help = "Runs the HTTP bridge: JSON in, messages on the bus, JSON out. It prints "
            "`ready http://<address>:<port>` when it listens, and stops on SIGTERM.",
    .rows = bridge_rows,
    .row_count = sizeof bridge_rows / sizeof bridge_rows[0],
};

static int
run_bridge(int argc, char **argv)
{
    bridge_flags_t flags = {0};
    option_parse(&bridge_options, argc, argv, &flags, NULL, NULL);
    log_start("bridge");
    guard(true); // owner's token and bearer tokens go through it
    bridge_options_t *options = &flags.bridge;
    cli_dir_t dir;
    cli_endpoints_t bus;
    int status = cli_dir_make(flags.place.dir, &dir);
    if (status == CLI_DONE) {
        status = cli_connect_part(&flags.place, &dir, &bus);
    }
    if (status != CLI_DONE) {
        return status;
    }
    options->dir = dir.path;
    options->ingress = bus.ingress;
    options->egress = bus.egress;
    options->cert = cli_connect_cert(&bus);
    options->karma_test_helpers = options->karma_test_helpers || options->dev;
    return bridge_run(options);
}

const cli_command_t cli_part_bridge = {
    .name = "bridge",
    .summary = "run the HTTP bridge alone",
    .group = CLI_GROUP_RUN,
    .options = &bridge_options,
    .run = run_bridge,
};
