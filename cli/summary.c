// summary.c - see summary.h.
#include "summary.h"

#include "proto/topic.h"
#include "proto/walk.h"

#include <stdarg.h>
#include <stdio.h>

enum {
    CELL_SIZE = 96,
    CONSUMERS_SHOWN = 6, // the others are a number, and all in `bhiv stats --all`
    BREACHES_SHOWN = 8,  // the same
};

static bus_view_t
word(bus_view_t body, const char *path)
{
    bus_view_t value;
    bus_view_t text;
    if (walk_find_path(body, path, &value) != BUS_OK || walk_as_str(value, &text) != BUS_OK) {
        return VIEW_LITERAL("-");
    }
    return text;
}

cli_summary_t
cli_summary_read(bus_view_t body)
{
    cli_summary_t read = {
        .uptime_ms = walk_uint_at(body, "uptime_ms", 0),
        .head = walk_uint_at(body, "head", 0),
        .journaled = walk_uint_at(body, "in.journaled.messages", 0),
        .live = walk_uint_at(body, "in.live.messages", 0),
        .requests = walk_uint_at(body, "in.request.messages", 0),
        .refused = walk_uint_at(body, "refused_total", 0),
    };
    for (int i = TOPIC_JOURNALED; i <= TOPIC_INBOX; ++i) {
        char path[CELL_SIZE];
        snprintf(path, sizeof path, "out.%s.messages", topic_class_text((topic_class_t) i));
        read.out += walk_uint_at(body, path, 0);
    }
    return read;
}

// --- Rows --------------------------------------------------------------------------------------

typedef struct {
    cli_table_t table;
    bool has_rates;
    double seconds; // between the two samples; 0: no rate can be told
} rows_t;

static void add_row(rows_t *self, const char *name, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void
add_row(rows_t *self, const char *name, const char *format, ...)
{
    char text[CELL_SIZE];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    cli_table_add(&self->table, view_from_text(name));
    cli_table_add(&self->table, view_from_text(text));
    if (self->has_rates) {
        cli_table_add(&self->table, VIEW_NONE);
    }
}

static void
add_count(rows_t *self, const char *name, uint64_t now, uint64_t before)
{
    char text[CELL_SIZE];
    snprintf(text, sizeof text, "%llu", (unsigned long long) now);
    cli_table_add(&self->table, view_from_text(name));
    cli_table_add(&self->table, view_from_text(text));
    if (self->has_rates) {
        text[0] = '\0';
        if (self->seconds > 0 && now >= before) {
            snprintf(text, sizeof text, "%.0f", (double) (now - before) / self->seconds);
        }
        cli_table_add(&self->table, view_from_text(text));
    }
}

static void
add_bytes(rows_t *self, const char *name, uint64_t bytes)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    double shown = (double) bytes;
    size_t unit = 0;
    while (shown >= 1024 && unit + 1 < sizeof units / sizeof units[0]) {
        shown /= 1024;
        ++unit;
    }
    add_row(self, name, unit == 0 ? "%.0f %s" : "%.1f %s", shown, units[unit]);
}

static void
add_consumers(rows_t *self, bus_view_t body)
{
    walk_items_t items = walk_items_at(body, "consumers");
    bus_view_t consumer;
    for (unsigned shown = 0; shown < CONSUMERS_SHOWN && walk_items_next(&items, &consumer);
         ++shown) {
        char name[CELL_SIZE];
        bus_view_t text = word(consumer, "consumer");
        snprintf(name, sizeof name, "lag of %.*s", (int) text.size, text.data);
        add_row(self, name, "%llu", (unsigned long long) walk_uint_at(consumer, "lag", 0));
    }
    if (items.left > 0) {
        add_row(self, "more consumers", "%u", items.left);
    }
}

// Who tried what it may not, on a bus behind CURVE.
static void
add_breaches(rows_t *self, bus_view_t body)
{
    walk_items_t items = walk_items_at(body, "access.refused");
    bus_view_t row;
    for (unsigned shown = 0; shown < BREACHES_SHOWN && walk_items_next(&items, &row); ++shown) {
        char name[CELL_SIZE];
        bus_view_t who = word(row, "name");
        bus_view_t reason = word(row, "reason");
        who = who.size == 0 ? VIEW_LITERAL("(unknown)") : who;
        snprintf(name,
                 sizeof name,
                 "refused %.*s: %.*s",
                 (int) who.size,
                 who.data,
                 (int) reason.size,
                 reason.data);
        add_row(self, name, "%llu", (unsigned long long) walk_uint_at(row, "count", 0));
    }
    if (items.left > 0) {
        add_row(self, "more refused", "%u", items.left);
    }
}

void
cli_summary_print(bus_view_t body, const cli_summary_t *before, cli_output_t *out)
{
    static const char *const titles[] = {"FIGURE", "VALUE", "PER SECOND"};
    cli_summary_t now = cli_summary_read(body);
    cli_summary_t then = before != NULL ? *before : now;
    rows_t rows = {.has_rates = before != NULL};
    // A broker that began anew has nothing to compare with.
    if (now.uptime_ms > then.uptime_ms) {
        rows.seconds = (double) (now.uptime_ms - then.uptime_ms) / 1000.0;
    }
    cli_table_init(&rows.table, titles, rows.has_rates ? 3 : 2);
    add_row(&rows, "uptime", "%llu s", (unsigned long long) (now.uptime_ms / 1000));
    add_count(&rows, "head", now.head, then.head);
    add_bytes(&rows, "journal", walk_uint_at(body, "bytes", 0));
    bus_view_t state = word(body, "journal");
    add_row(&rows, "journal state", "%.*s", (int) state.size, state.data);
    add_bytes(&rows, "pending", walk_uint_at(body, "pending_bytes", 0));
    add_count(&rows, "in, journaled", now.journaled, then.journaled);
    add_count(&rows, "in, live", now.live, then.live);
    add_count(&rows, "in, requests", now.requests, then.requests);
    add_count(&rows, "out", now.out, then.out);
    add_count(&rows, "refused", now.refused, then.refused);
    add_row(&rows,
            "commit latency",
            "p50 %.2f ms, p99 %.2f ms",
            (double) walk_uint_at(body, "commits.latency_us.p50", 0) / 1000.0,
            (double) walk_uint_at(body, "commits.latency_us.p99", 0) / 1000.0);
    add_row(&rows,
            "peers",
            "%llu, of %llu connections",
            (unsigned long long) walk_uint_at(body, "peers", 0),
            (unsigned long long) walk_uint_at(body, "connections", 0));
    add_consumers(&rows, body);
    add_breaches(&rows, body);
    cli_table_print(&rows.table, out);
    cli_table_clear(&rows.table);
}
