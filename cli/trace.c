// trace.c - `bhiv trace`: all that one request caused, as one tree.
#include "trace.h"
#include "bridge-http/trace_gather.h"
#include "connect.h"

#include "proto/limits.h"
#include "proto/walk.h"

#include <assert.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    cli_place_t place;
    uint64_t timeout_ms;
    const char *format;
} flags_t;

// clang-format off
static const option_row_t rows[] = {
    CLI_PLACE_ROWS(flags_t, place),
    CLI_TIMEOUT_ROW(flags_t, timeout_ms, "2s"),
    {"format", 'F', OPTION_TEXT, "FORMAT", "auto", offsetof(flags_t, format), 0, 0,
     "tree or json; auto is tree on a terminal, json when piped"},
};
// clang-format on

static const option_table_t options = {
    .program = "bhiv trace",
    .arguments = "TRACE_ID",
    .help =
        "Draws all that one request caused as one tree, in order: requests over HTTP, records of "
        "the journal, agents, effects in the world, what it did to karma, and where each step "
        "stands in the audit log.\v"
        "The trace_id is what X-Trace-Id answered, or what was given. As JSON the first line tells "
        "of the trace as a whole, and of who answered; then comes a line a step, each parent "
        "before its children. What could not be had is said on stderr.\n\n"
        "  curl -si localhost:8001/core/write-event -d @event.json | grep -i x-trace-id\n"
        "  bhiv trace 019a9b3e5c7d7f3a8b2c4d6e8f901234",
    .rows = rows,
    .row_count = sizeof rows / sizeof rows[0],
    .arguments_min = 1,
    .arguments_max = 1,
};

typedef struct {
    flags_t flags;
    const char *trace_id;
    cli_connect_t *connect;
    cli_output_t out;
    bridge_trace_gather_t *gather;
} trace_t;

static bus_err_t
read_page(void *arg, const bridge_trace_page_t *page, client_page_fn *fn, void *fn_arg)
{
    trace_t *self = arg;
    const client_fetch_t fetch = {.consumer = client_instance(self->connect->client),
                                  .trace_id = page->trace_id,
                                  .from = page->from,
                                  .max = page->max};
    return client_fetch(self->connect->client, &fetch, fn, fn_arg);
}

static void
cancel_page(void *arg)
{
    trace_t *self = arg;
    client_fetch_cancel(self->connect->client);
}

// The pairs of the tree but its steps.
static void
pack_summary(bus_view_t tree, pack_t *out)
{
    walk_pairs_t pairs = walk_pairs(tree);
    bus_view_t key;
    bus_view_t value;
    uint32_t count = 0;
    size_t map = pack_map_begin(out);
    while (walk_pairs_next(&pairs, &key, &value) == BUS_OK) {
        if (!view_is(key, "steps")) {
            pack_str(out, key);
            pack_raw(out, value);
            count++;
        }
    }
    pack_count(out, map, count);
}

static void
print_json(trace_t *self, bus_view_t tree)
{
    BUS_AUTO(pack_destroy) pack_t *summary = pack_new();
    pack_summary(tree, summary);
    cli_output_value(&self->out, pack_view(summary));
    bus_view_t steps;
    walk_item_t head;
    bus_err_t err = walk_find(tree, "steps", &steps);
    assert(err == BUS_OK);
    walk_t walk = walk_from(steps);
    err = walk_next(&walk, &head);
    assert(err == BUS_OK && head.type == WALK_ARRAY);
    for (uint32_t i = 0; i < head.count; ++i) {
        bus_view_t step;
        err = walk_skip(&walk, &step);
        assert(err == BUS_OK);
        cli_output_value(&self->out, step);
    }
}

// Prints it. Returns the exit status.
static int
print_tree(trace_t *self, bus_view_t tree, uint32_t count)
{
    cli_trace_tell_gaps(tree);
    if (count == 0) {
        return cli_fail(CLI_NOT_FOUND, "nobody knows of the trace %s", self->trace_id);
    }
    if (self->out.format == CLI_FORMAT_JSON) {
        print_json(self, tree);
    } else {
        cli_trace_draw(&self->out, tree);
        cli_output_text(&self->out);
    }
    return cli_output_flush(&self->out) ? CLI_DONE : CLI_IO;
}

static void
on_tree(void *arg, bus_view_t tree, uint32_t count)
{
    trace_t *self = arg;
    if (tree.data != NULL) { // else it was interrupted
        cli_connect_end(self->connect, print_tree(self, tree, count));
    }
    bridge_trace_gather_destroy(&self->gather);
}

static void
begin(void *arg, cli_connect_t *connect)
{
    trace_t *self = arg;
    self->connect = connect;
    self->gather =
        bridge_trace_gather_new(&(bridge_trace_gather_options_t){.loop = connect->loop,
                                                                 .client = connect->client,
                                                                 .trace_id = self->trace_id,
                                                                 .read = read_page,
                                                                 .cancel = cancel_page,
                                                                 .read_arg = self,
                                                                 .done = on_tree,
                                                                 .arg = self});
    bridge_trace_gather_start(self->gather);
}

static int
run(int argc, char **argv)
{
    trace_t self = {0};
    unsigned word_count = 0;
    option_parse(&options, argc, argv, &self.flags, &self.trace_id, &word_count);
    size_t size = strlen(self.trace_id);
    if (size == 0 || size > NAME_SIZE_MAX) {
        return cli_fail(CLI_BAD_DATA, "a trace_id has 1 to %d bytes", NAME_SIZE_MAX);
    }
    const char *format = self.flags.format;
    if (format != NULL && strcmp(format, "tree") == 0) {
        format = "line";
    } else if (format != NULL && strcmp(format, "json") != 0 && strcmp(format, "auto") != 0) {
        return cli_fail(CLI_USAGE, "--format: `%s` is none of tree, json", format);
    }
    int status = cli_output_init(&self.out, format);
    if (status != CLI_DONE) {
        return status;
    }
    const cli_connect_options_t connecting = {
        .place = &self.flags.place,
        .timeout_ms = self.flags.timeout_ms,
        .ready = begin,
        .arg = &self,
    };
    status = cli_connect_run(&connecting);
    cli_output_clear(&self.out);
    return status;
}

const cli_command_t cli_trace = {
    .name = "trace",
    .summary = "draw all that one request caused",
    .group = CLI_GROUP_LOOK,
    .options = &options,
    .run = run,
};
