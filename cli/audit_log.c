// audit_log.c - `bhiv audit log` and `bhiv audit show`: the entries themselves.
#include "audit.h"

#include "proto/walk.h"

#include <stdio.h>
#include <string.h>

enum { LIMIT_MAX = 1000 }; // as in proto/schema/bucket.def

// --- log -----------------------------------------------------------------------------------------

typedef struct {
    cli_audit_place_t asked; // first: CLI_AUDIT_PLACE_ROWS
    const char *format;
    const char *product;
    const char *event_type;
    const char *severity;
    const char *after;
    uint64_t limit;
} log_flags_t;

// clang-format off
static const option_row_t log_rows[] = {
    CLI_AUDIT_PLACE_ROWS,
    CLI_FORMAT_ROW(log_flags_t, format),
    {"product", 'p', OPTION_TEXT, "NAME", NULL, offsetof(log_flags_t, product), 0, 0,
     "only what it did"},
    {"event-type", 'e', OPTION_TEXT, "TYPE", NULL, offsetof(log_flags_t, event_type), 0, 0,
     "read, write, query, error, escalation, governance, owner, retention or key"},
    {"severity", 0, OPTION_TEXT, "LEVEL", NULL, offsetof(log_flags_t, severity), 0, 0,
     "INFO, WARNING, ERROR or CRITICAL"},
    {"after", 0, OPTION_TEXT, "INDEX", NULL, offsetof(log_flags_t, after), 0, 0,
     "only entries behind this leaf index, the oldest first; default: the last ones"},
    {"limit", 'n', OPTION_COUNT, "N", "20", offsetof(log_flags_t, limit), 1, LIMIT_MAX,
     "most entries to show"},
};
// clang-format on

static const option_table_t log_options = {
    .program = "bhiv audit log",
    .arguments = "",
    .help = "Lists entries of the audit log in their order: a table, or a JSON line each. To go "
            "on behind a page, give the last leaf index to --after.",
    .rows = log_rows,
    .row_count = sizeof log_rows / sizeof log_rows[0],
};

static const char *const keys[] = {"leaf_index",
                                   "audit_id",
                                   "logged_at",
                                   "operation",
                                   "product",
                                   "requester_id",
                                   "decision",
                                   "subject"};
enum { COLUMNS = sizeof keys / sizeof keys[0] };

static void
add_row(cli_table_t *table, bus_view_t entry)
{
    for (size_t i = 0; i < COLUMNS; ++i) {
        bus_view_t value;
        if (walk_find(entry, keys[i], &value) == BUS_OK) {
            cli_table_add_value(table, value);
        } else {
            cli_table_add(table, VIEW_LITERAL("-"));
        }
    }
}

static int
print_log(void *arg, bus_view_t answer)
{
    static const char *const titles[] = {
        "LEAF", "AUDIT ID", "TIME", "OPERATION", "PRODUCT", "REQUESTER", "DECISION", "SUBJECT"};
    cli_output_t *out = arg;
    bus_view_t entries = VIEW_NONE;
    if (walk_find(answer, "entries", &entries) != BUS_OK) {
        return cli_fail(CLI_BAD_DATA, "req.bucket.audit_log: the answer has no entries");
    }
    cli_table_t table;
    cli_table_init(&table, titles, COLUMNS);
    walk_t walk = walk_from(entries);
    walk_item_t head;
    bus_view_t entry;
    if (walk_next(&walk, &head) == BUS_OK && head.type == WALK_ARRAY) {
        for (uint32_t i = 0; i < head.count && walk_skip(&walk, &entry) == BUS_OK; ++i) {
            if (out->format == CLI_FORMAT_LINE) {
                add_row(&table, entry);
            } else {
                cli_output_value(out, entry);
            }
        }
    }
    if (out->format == CLI_FORMAT_LINE) {
        cli_table_print(&table, out);
    }
    bus_view_t from;
    uint64_t leaf;
    if (walk_find(answer, "searched_from", &from) == BUS_OK &&
        walk_as_uint(from, &leaf) == BUS_OK) {
        fprintf(stderr,
                "bhiv: entries before leaf %llu were not looked at: see --after\n",
                (unsigned long long) leaf);
    }
    cli_table_clear(&table);
    return cli_output_flush(out) ? CLI_DONE : CLI_IO;
}

static void
pack_filter(pack_t *body, uint32_t *count, const char *key, const char *value)
{
    if (value != NULL) {
        pack_pair_text(body, key, value);
        ++*count;
    }
}

static int
run_log(int argc, char **argv)
{
    log_flags_t flags = {0};
    uint64_t after = 0;
    option_parse(&log_options, argc, argv, &flags, NULL, NULL);
    if (flags.after != NULL &&
        (option_value(OPTION_COUNT, flags.after, &after) != BUS_OK || after > INT64_MAX)) {
        return cli_fail(CLI_USAGE, "--after: `%s` is no leaf index", flags.after);
    }
    BUS_AUTO(pack_destroy) pack_t *body = pack_new();
    size_t map = pack_map_begin(body);
    uint32_t count = 1;
    pack_pair_uint(body, "limit", flags.limit);
    pack_filter(body, &count, "product", flags.product);
    pack_filter(body, &count, "event_type", flags.event_type);
    pack_filter(body, &count, "severity", flags.severity);
    if (flags.after != NULL) {
        pack_pair_uint(body, "after", after);
        ++count;
    }
    pack_count(body, map, count);
    cli_output_t out;
    int status = cli_output_init(&out, flags.format);
    if (status != CLI_DONE) {
        return status;
    }
    const cli_audit_question_t question = {.place = &flags.asked,
                                           .topic = "req.bucket.audit_log",
                                           .body = pack_view(body),
                                           .print = print_log,
                                           .arg = &out};
    status = cli_audit_ask(&question);
    cli_output_clear(&out);
    return status;
}

const cli_command_t cli_audit_log = {
    .name = "log",
    .summary = "list entries",
    .group = CLI_GROUP_KEEP,
    .options = &log_options,
    .run = run_log,
};

// --- show ----------------------------------------------------------------------------------------

typedef struct {
    cli_audit_place_t asked; // first: CLI_AUDIT_PLACE_ROWS
    const char *format;
} show_flags_t;

// clang-format off
static const option_row_t show_rows[] = {
    CLI_AUDIT_PLACE_ROWS,
    CLI_FORMAT_ROW(show_flags_t, format),
};
// clang-format on

static const option_table_t show_options = {
    .program = "bhiv audit show",
    .arguments = "AUDIT_ID",
    .help = "Shows one entry, its place in the tree and its hash. JSON has the leaf's bytes in "
            "base64, too: SHA-256 of a zero byte and these is the hash.",
    .rows = show_rows,
    .row_count = sizeof show_rows / sizeof show_rows[0],
    .arguments_min = 1,
    .arguments_max = 1,
};

static void
add_fields(cli_table_t *table, bus_view_t map)
{
    walk_pairs_t pairs = walk_pairs(map);
    bus_view_t key, value;
    while (walk_pairs_next(&pairs, &key, &value) == BUS_OK) {
        if (!view_is(key, "entry") && !view_is(key, "leaf")) {
            cli_table_add(table, key);
            cli_table_add_value(table, value);
        }
    }
}

static int
print_entry(void *arg, bus_view_t answer)
{
    static const char *const titles[] = {"FIELD", "VALUE"};
    cli_output_t *out = arg;
    bus_view_t entry;
    if (walk_find(answer, "entry", &entry) != BUS_OK) {
        return cli_fail(CLI_BAD_DATA, "req.bucket.audit_entry: the answer has no entry");
    }
    if (out->format != CLI_FORMAT_LINE) {
        cli_output_value(out, answer);
        return cli_output_flush(out) ? CLI_DONE : CLI_IO;
    }
    cli_table_t table;
    cli_table_init(&table, titles, sizeof titles / sizeof titles[0]);
    add_fields(&table, entry);
    add_fields(&table, answer);
    cli_table_print(&table, out);
    cli_table_clear(&table);
    return cli_output_flush(out) ? CLI_DONE : CLI_IO;
}

static int
run_show(int argc, char **argv)
{
    show_flags_t flags = {0};
    const char *words[1] = {NULL};
    unsigned word_count = 0;
    option_parse(&show_options, argc, argv, &flags, words, &word_count);
    cli_output_t out;
    int status = cli_output_init(&out, flags.format);
    if (status != CLI_DONE) {
        return status;
    }
    BUS_AUTO(pack_destroy) pack_t *body = pack_new();
    pack_map(body, 1);
    pack_pair_text(body, "audit_id", words[0]);
    const cli_audit_question_t question = {.place = &flags.asked,
                                           .topic = "req.bucket.audit_entry",
                                           .body = pack_view(body),
                                           .print = print_entry,
                                           .arg = &out};
    status = cli_audit_ask(&question);
    cli_output_clear(&out);
    return status;
}

const cli_command_t cli_audit_show = {
    .name = "show",
    .summary = "show one entry",
    .group = CLI_GROUP_KEEP,
    .options = &show_options,
    .run = run_show,
};
