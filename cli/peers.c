// peers.c - `bhiv peers`: who is on the bus and said hello.
#include "connect.h"
#include "output.h"

#include "proto/rfc3339.h"
#include "proto/walk.h"

#include <stddef.h>
#include <stdio.h>
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
    CLI_FORMAT_ROW(flags_t, format),
};
// clang-format on

static const option_table_t options = {
    .program = "bhiv peers",
    .arguments = "",
    .help = "Lists the peers that the broker knows: those that answer requests or keep an outbox.",
    .rows = rows,
    .row_count = sizeof rows / sizeof rows[0],
};

static const char *const titles[] = {
    "SERVICE", "INSTANCE", "SOURCE", "SINCE", "BOOT_MS", "VERSION"};
static const char *const keys[] = {"service", "instance", "source", "since", "boot_ms", "version"};
enum { COLUMNS = sizeof titles / sizeof titles[0] };

// A cell for a person: a time as a time, milliseconds without their last digits.
static void
add_cell(cli_table_t *table, const char *key, bus_view_t value)
{
    char text[RFC3339_SIZE];
    uint64_t since_us = 0;
    double boot_ms = 0;
    if (strcmp(key, "since") == 0 && walk_as_uint(value, &since_us) == BUS_OK) {
        rfc3339_format(since_us, text);
        cli_table_add(table, view_from_text(text));
    } else if (strcmp(key, "boot_ms") == 0 && walk_as_real(value, &boot_ms) == BUS_OK) {
        snprintf(text, sizeof text, "%.1f", boot_ms);
        cli_table_add(table, view_from_text(text));
    } else {
        cli_table_add_value(table, value);
    }
}

static void
add_row(cli_table_t *table, bus_view_t peer)
{
    for (size_t i = 0; i < COLUMNS; ++i) {
        bus_view_t value;
        if (walk_find(peer, keys[i], &value) == BUS_OK) {
            add_cell(table, keys[i], value);
        } else {
            cli_table_add(table, VIEW_LITERAL("-"));
        }
    }
}

static void
print_peers(cli_output_t *out, bus_view_t peers)
{
    cli_table_t table;
    cli_table_init(&table, titles, COLUMNS);
    walk_t walk = walk_from(peers);
    walk_item_t head;
    if (walk_next(&walk, &head) == BUS_OK && head.type == WALK_ARRAY) {
        bus_view_t peer;
        for (uint32_t i = 0; i < head.count && walk_skip(&walk, &peer) == BUS_OK; ++i) {
            if (out->format == CLI_FORMAT_LINE) {
                add_row(&table, peer);
            } else {
                cli_output_value(out, peer);
            }
        }
    }
    if (out->format == CLI_FORMAT_LINE) {
        cli_table_print(&table, out);
    }
    cli_table_clear(&table);
}

static int
take(void *arg, const client_answer_t *answer)
{
    cli_output_t *out = arg;
    bus_view_t peers;
    if (answer->err != BUS_OK) {
        return cli_connect_refused("$bus.peers", answer);
    }
    if (walk_find(answer->body, "peers", &peers) != BUS_OK) {
        return cli_fail(CLI_BAD_DATA, "$bus.peers: the answer has no peers");
    }
    print_peers(out, peers);
    return cli_output_flush(out) ? CLI_DONE : CLI_IO;
}

static int
run(int argc, char **argv)
{
    flags_t flags = {0};
    option_parse(&options, argc, argv, &flags, NULL, NULL);
    cli_output_t out;
    int status = cli_output_init(&out, flags.format);
    if (status != CLI_DONE) {
        return status;
    }
    BUS_AUTO(pack_destroy) pack_t *body = pack_new();
    pack_map(body, 0);
    const cli_ask_t ask = {
        .place = &flags.place,
        .timeout_ms = flags.timeout_ms,
        .topic = "$bus.peers",
        .body = pack_view(body),
        .want = CLIENT_WANT_REPLY,
        .take = take,
        .arg = &out,
    };
    status = cli_connect_ask(&ask);
    cli_output_clear(&out);
    return status;
}

const cli_command_t cli_peers = {
    .name = "peers",
    .summary = "list who is on the bus",
    .group = CLI_GROUP_LOOK,
    .options = &options,
    .run = run,
};
