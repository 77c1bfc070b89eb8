// check.c - `bhiv check`: reads every record of every store and compares it with its checksum.
#include "output.h"
#include "progress.h"
#include "stores.h"

#include "proto/transcode.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

typedef struct {
    const char *dir;
    const char *format;
} flags_t;

// clang-format off
static const option_row_t rows[] = {
    {"dir", 'd', OPTION_TEXT, "DIR", NULL, offsetof(flags_t, dir), 0, 0,
     "the system's folder, or a backup; default ~/.local/state/bhiv"},
    CLI_FORMAT_ROW(flags_t, format),
};
// clang-format on

static const option_table_t options = {
    .program = "bhiv check",
    .arguments = "",
    .help =
        "Reads every record of every store in the folder and verifies its checksum. The parts "
        "must be stopped; of a running system, check a backup. Exit status 1: something is bad.",
    .rows = rows,
    .row_count = sizeof rows / sizeof rows[0],
};

// What a person may do about it; NULL where it is good.
static const char *
advice_of(bus_err_t err)
{
    return err == BUS_OK         ? "ok"
           : err == BUS_CONFLICT ? "in use: stop the part, or check a backup"
           : err == BUS_CORRUPT  ? "DAMAGED: restore it from a backup"
                                 : error_meaning(err);
}

static void
add_json(text_t *text, const char *name, bus_err_t err, const cli_stores_report_t *report)
{
    text_add(text, VIEW_LITERAL("{\"store\":"));
    transcode_json_string(view_from_text(name), text);
    text_add_format(text,
                    ",\"status\":\"%s\",\"tables\":%llu,\"records\":%llu,\"bad\":%llu,"
                    "\"bad_table\":",
                    err == BUS_OK ? "ok" : error_text(err),
                    (unsigned long long) report->tables,
                    (unsigned long long) report->records,
                    (unsigned long long) report->bad);
    transcode_json_string(view_from_text(report->bad_table), text);
    text_add(text, VIEW_LITERAL("}\n"));
}

static void
add_number(cli_table_t *table, uint64_t number)
{
    char text[32];
    snprintf(text, sizeof text, "%llu", (unsigned long long) number);
    cli_table_add(table, view_from_text(text));
}

static void
add_row(cli_table_t *table, const char *name, bus_err_t err, const cli_stores_report_t *report)
{
    cli_table_add(table, view_from_text(name));
    add_number(table, report->tables);
    add_number(table, report->records);
    add_number(table, report->bad);
    cli_table_add(table, view_from_text(advice_of(err)));
}

// The graver of two: damage before a store that could not be looked at.
static int
graver(int status, bus_err_t err)
{
    if (err == BUS_OK || status == CLI_NEGATIVE) {
        return status;
    }
    return err == BUS_CONFLICT ? CLI_TRY_AGAIN : cli_exit_of(err);
}

static int
check_all(const cli_dir_t *dir, const cli_stores_t *stores, cli_output_t *out)
{
    static const char *const titles[] = {"STORE", "TABLES", "RECORDS", "BAD", "STATE"};
    cli_table_t table;
    cli_table_init(&table, titles, sizeof titles / sizeof titles[0]);
    int status = CLI_DONE;
    for (size_t i = 0; i < stores->count; ++i) {
        const char *name = stores->names[i];
        char path[CLI_PATH_SIZE];
        if (cli_dir_join(dir, name, path) != CLI_DONE) {
            status = CLI_CONFIG;
            break;
        }
        cli_stores_report_t report;
        cli_progress_show("checking", name);
        bus_err_t err = cli_stores_check(path, &report);
        cli_progress_clear();
        status = graver(status, err);
        if (out->format == CLI_FORMAT_LINE) {
            add_row(&table, name, err, &report);
        } else {
            add_json(out->text, name, err, &report);
        }
    }
    if (out->format == CLI_FORMAT_LINE) {
        cli_table_print(&table, out);
    } else {
        cli_output_text(out);
    }
    cli_table_clear(&table);
    return status;
}

static int
run(int argc, char **argv)
{
    flags_t flags = {0};
    option_parse(&options, argc, argv, &flags, NULL, NULL);
    cli_dir_t dir;
    cli_stores_t stores;
    cli_output_t out;
    int status = cli_dir_find(flags.dir, &dir);
    if (status == CLI_DONE) {
        status = cli_stores_find(dir.path, &stores);
    }
    if (status == CLI_DONE && stores.count == 0) {
        status = cli_fail(CLI_NOT_FOUND, "%s has no stores", dir.path);
    }
    if (status == CLI_DONE) {
        status = cli_output_init(&out, flags.format);
    }
    if (status != CLI_DONE) {
        return status;
    }
    status = check_all(&dir, &stores, &out);
    if (status == CLI_TRY_AGAIN) {
        status = cli_fail(status,
                          "%s is in use: stop it first, or check a backup (bhiv backup DEST, "
                          "bhiv check --dir DEST)",
                          dir.path);
    }
    cli_output_clear(&out);
    return status;
}

const cli_command_t cli_check = {
    .name = "check",
    .summary = "verify the checksum of every stored record",
    .group = CLI_GROUP_KEEP,
    .options = &options,
    .run = run,
};
