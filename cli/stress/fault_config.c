// fault_config.c - scenario flip_config: settings that cannot be, in a system that has data.
#include "fault_bus.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum {
    WAIT_MS = 10000,
    EVENTS = 200,
    SAID_SIZE = 8192 // of what a part says before it gives up
};

typedef struct {
    const char *part;
    const char *setting; // NAME=VALUE
    const char *word;    // that it says in its refusal
} setting_row_t;

static const setting_row_t settings[] = {
    {"broker", "BHIV_BUS_BIND=0.0.0.0", "CURVE"},
    {"broker", "BHIV_JOURNAL_BYTES=much", "BHIV_JOURNAL_BYTES"},
    {"bucket", "BHIV_STORE_BYTES=banana", "BHIV_STORE_BYTES"},
    {"bucket", "BHIV_BUCKET_QUOTAS=everything", "BHIV_BUCKET_QUOTAS"},
    {"workflow", "WORKFLOW_TIMEOUT=never", "WORKFLOW_TIMEOUT"},
    {"core", "BHIV_AI_URL=somewhere", "BHIV_AI_URL"},
    {"bridge", "BHIV_HTTP_BIND=0.0.0.0", "BHIV_ALLOW_ANONYMOUS"},
    {"up", "BHIV_BUCKET_QUOTAS=everything", "BHIV_BUCKET_QUOTAS"},
};

// Whether the file has this word.
static bool
has_word(const char *path, const char *word)
{
    char said[SAID_SIZE + 1];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t size = fd < 0 ? 0 : read(fd, said, SAID_SIZE);
    if (fd >= 0) {
        close(fd);
    }
    said[size > 0 ? size : 0] = '\0';
    return strstr(said, word) != NULL;
}

static void
try_setting(cli_fault_t *fault, unsigned port_base, const setting_row_t *row)
{
    char dir[CLI_PATH_SIZE + 16];
    char said[CLI_PATH_SIZE + 16];
    char base[32];
    snprintf(dir, sizeof dir, "--dir=%s/d", fault->dir);
    snprintf(said, sizeof said, "%s/said", fault->dir);
    snprintf(base, sizeof base, "--port-base=%u", port_base);
    bool is_up = strcmp(row->part, "up") == 0;
    const char *argv[] = {"bhiv", row->part, dir, is_up ? base : NULL, NULL};
    const char *environment[] = {row->setting, NULL};
    int err = open(said, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    const cli_fault_command_t command = {
        .argv = argv, .settings = environment, .err = err, .net = -1};
    cli_fault_process_t process = CLI_FAULT_PROCESS_NONE;
    double since_ms = cli_fault_now_ms();
    cli_fault_inject(fault, "bhiv %s with %s", row->part, row->setting);
    int status = cli_fault_process_start(&command, &process)
                     ? cli_fault_process_wait(&process, WAIT_MS)
                     : CLI_IO;
    double took_ms = cli_fault_now_ms() - since_ms;
    cli_fault_process_end(&process);
    if (err >= 0) {
        close(err);
    }
    cli_fault_expect_soon(fault, took_ms, "bhiv %s ends", row->part);
    cli_fault_expect(fault,
                     status == CLI_CONFIG,
                     "bhiv %s with %s ends with status %d: %d",
                     row->part,
                     row->setting,
                     CLI_CONFIG,
                     status);
    cli_fault_expect(fault, has_word(said, row->word), "bhiv %s names %s", row->part, row->word);
}

void
cli_fault_flip_config(cli_fault_t *fault)
{
    const cli_stress_instance_options_t options = {.only = "broker,bucket"};
    BUS_AUTO(cli_stress_instance_destroy)
    cli_stress_instance_t *system = cli_fault_system(fault, &options);
    if (system == NULL) {
        return;
    }
    // Its sockets have the same paths in every life of the system.
    BUS_AUTO(cli_fault_bus_destroy)
    cli_fault_bus_t *bus = cli_fault_bus_open_system(fault, system);
    if (bus == NULL) {
        return;
    }
    cli_fault_bus_load(bus, CLI_FAULT_RATE);
    cli_fault_expect(fault,
                     cli_fault_bus_acked(bus, EVENTS, WAIT_MS) &&
                         cli_fault_bus_load_end(bus, WAIT_MS),
                     "events flow");
    unsigned base = cli_stress_instance_port_base(system);
    cli_stress_instance_destroy(&system);
    for (size_t i = 0; i < sizeof settings / sizeof settings[0]; ++i) {
        try_setting(fault, base, &settings[i]);
    }
    cli_fault_inject(fault, "the settings are right again");
    double since_ms = cli_fault_now_ms();
    system = cli_fault_system(fault, &options);
    if (system != NULL) {
        cli_fault_expect_soon(
            fault, cli_fault_bus_back(bus, "bucket", since_ms, WAIT_MS), "it works again");
        (void) cli_fault_bus_verify(bus, true);
    }
}
