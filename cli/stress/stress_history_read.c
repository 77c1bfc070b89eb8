// stress_history_read.c - the history of a running bus, read from its journal; and
// `bhiv stress-check`, which does that for any of them.
#include "output.h"
#include "stress_history.h"

#include <stdio.h>

enum { PAGE_RECORDS = 10000, WELCOME_MS = 5000 };

typedef struct {
    cli_stress_history_t *history;
    cli_connect_t *connect;
    uint64_t next, head; // seq to fetch from, and the last
} reading_t;

static void on_page(void *arg, const client_page_t *page);

static void
fetch(reading_t *self)
{
    static const char *const filters[] = {"task."};
    const client_fetch_t wanted = {.consumer = client_instance(self->connect->client),
                                   .filters = filters,
                                   .filter_count = 1,
                                   .from = self->next,
                                   .max = PAGE_RECORDS};
    bus_err_t err = client_fetch(self->connect->client, &wanted, on_page, self);
    if (err != BUS_OK) {
        cli_connect_end(self->connect, cli_fail(cli_exit_of(err), "fetch: %s", error_meaning(err)));
    }
}

static void
on_page(void *arg, const client_page_t *page)
{
    reading_t *self = arg;
    if (page->err == BUS_ABORTED) {
        return;
    }
    if (page->err != BUS_OK) {
        cli_connect_end(self->connect,
                        cli_fail(cli_exit_of(page->err), "fetch: %s", error_meaning(page->err)));
        return;
    }
    client_records_t records = client_records(page);
    client_heard_t record;
    while (client_next_record(&records, &record) == BUS_OK) {
        cli_stress_history_take(self->history, &record);
    }
    self->next = page->next;
    if (self->next > self->head) {
        cli_connect_end(self->connect, CLI_DONE);
    } else {
        fetch(self);
    }
}

static void
begin(void *arg, cli_connect_t *connect)
{
    reading_t *self = arg;
    self->connect = connect;
    self->head = client_head(connect->client);
    if (self->head == 0) {
        cli_connect_end(connect, CLI_DONE);
        return;
    }
    fetch(self);
}

int
cli_stress_history_read(const cli_place_t *place, cli_stress_findings_t *ret_findings)
{
    BUS_AUTO(cli_stress_history_destroy) cli_stress_history_t *history = cli_stress_history_new();
    reading_t self = {.history = history, .next = 1};
    const cli_connect_options_t options = {
        .place = place,
        .source = "bhiv_stress",
        .timeout_ms = WELCOME_MS,
        .ready = begin,
        .arg = &self,
    };
    int status = cli_connect_run(&options);
    cli_stress_history_end(history, ret_findings);
    return status;
}

// --- The verb ----------------------------------------------------------------------------------

typedef struct {
    cli_place_t place;
} flags_t;

static const option_row_t rows[] = {CLI_PLACE_ROWS(flags_t, place)};

static const option_table_t options = {
    .program = "bhiv stress-check",
    .arguments = "",
    .help = "Holds the whole recorded history of the task queue against a model of its own: order, "
            "slots, each task over once. Prints what it found as JSON; exit status 1 where a rule "
            "was broken.",
    .rows = rows,
    .row_count = sizeof rows / sizeof rows[0],
};

static int
run(int argc, char **argv)
{
    flags_t flags = {.place = {0}};
    option_parse(&options, argc, argv, &flags, NULL, NULL);
    cli_stress_findings_t found = {0};
    int status = cli_stress_history_read(&flags.place, &found);
    if (status != CLI_DONE) {
        return status;
    }
    printf("{\"tasks\":%llu,\"completed\":%llu,\"dead\":%llu,\"cancelled\":%llu,\"left\":%llu,"
           "\"starts\":%llu,\"retries\":%llu,\"duplicates\":%llu,\"violations\":%llu}\n",
           (unsigned long long) found.tasks,
           (unsigned long long) found.completed,
           (unsigned long long) found.dead,
           (unsigned long long) found.cancelled,
           (unsigned long long) found.left,
           (unsigned long long) found.starts,
           (unsigned long long) found.retries,
           (unsigned long long) found.duplicates,
           (unsigned long long) found.violations);
    return found.violations == 0 ? CLI_DONE : cli_fail(CLI_NEGATIVE, "%s", found.first_violation);
}

const cli_command_t cli_stress_check = {
    .name = "stress-check",
    .summary = "the task queue's history against a model",
    .group = CLI_GROUP_HIDDEN,
    .options = &options,
    .run = run,
};
