// stats.c - `bhiv stats`: the broker's counters, once or every second with rates.
#include "connect.h"
#include "output.h"
#include "summary.h"

#include "proto/walk.h"

#include <assert.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    KEY_SIZE = 128,     // of a dotted path; a longer one is cut
    FIGURES_MAX = 4096, // shown at once
    DEPTH_MAX = 8       // of maps in the answer; deeper ones are shown as JSON
};

typedef struct {
    cli_place_t place;
    uint64_t timeout_ms;
    const char *format;
    bool watch;
    bool all;
    uint64_t interval_ms;
} flags_t;

// clang-format off
static const option_row_t rows[] = {
    CLI_PLACE_ROWS(flags_t, place),
    CLI_TIMEOUT_ROW(flags_t, timeout_ms, "2s"),
    CLI_FORMAT_ROW(flags_t, format),
    {"watch", 'w', OPTION_FLAG, NULL, NULL, offsetof(flags_t, watch), 0, 0,
     "again and again, with rates"},
    {"all", 'a', OPTION_FLAG, NULL, NULL, offsetof(flags_t, all), 0, 0,
     "every counter of the table, not the dozen that matter first"},
    {"interval", 'i', OPTION_MS, "TIME", "1s", offsetof(flags_t, interval_ms), 100, 3600000,
     "of --watch"},
};
// clang-format on

static const option_table_t options = {
    .program = "bhiv stats",
    .arguments = "",
    .help =
        "Prints the broker's counters: the journal's head and size, what came in and went out "
        "by class, the lag of every consumer, what was refused, how long commits take. A table has "
        "the dozen that matter first, --all and JSON have all of them.",
    .rows = rows,
    .row_count = sizeof rows / sizeof rows[0],
};

typedef struct {
    char key[KEY_SIZE]; // dotted path
    bus_view_t value;   // in the answer's body
    bool is_counter;    // an integer
    int64_t counter;
} figure_t;

typedef struct {
    figure_t *at; // FIGURES_MAX of them
    size_t count;
} figures_t;

typedef struct {
    flags_t flags;
    cli_connect_t *connect;
    cli_output_t out;
    figures_t now;
    figures_t before;      // only keys and counters are valid
    cli_summary_t summary; // of the answer before
    bool has_summary;
    bool is_clearing; // the screen, between samples
    bool is_asking;
    int status;
} stats_t;

// --- The answer as figures ---------------------------------------------------------------------

// An open container on the way down.
typedef struct {
    walk_type_t type;
    uint32_t left;   // members to go
    uint32_t index;  // of an array's next
    size_t key_size; // of the path before a member
} level_t;

static void
add_figure(figures_t *self, const char *key, bus_view_t value)
{
    if (self->count == FIGURES_MAX) {
        return;
    }
    figure_t *figure = &self->at[self->count++];
    snprintf(figure->key, sizeof figure->key, "%s", key);
    figure->value = value;
    figure->is_counter = walk_as_int(value, &figure->counter) == BUS_OK;
}

// Puts the name of the level's next member behind its path.
static void
name_member(level_t *level, walk_t *walk, char key[KEY_SIZE])
{
    size_t size = level->key_size;
    const char *dot = size == 0 ? "" : ".";
    bus_view_t name;
    bus_view_t text;
    if (level->type == WALK_ARRAY) {
        snprintf(key + size, KEY_SIZE - size, "%s%u", dot, level->index++);
    } else if (walk_skip(walk, &name) == BUS_OK && walk_as_str(name, &text) == BUS_OK) {
        snprintf(key + size, KEY_SIZE - size, "%s%.*s", dot, (int) text.size, text.data);
    }
}

static bool
opens(bus_view_t value, walk_t *ret_inside, walk_item_t *ret_head)
{
    *ret_inside = walk_from(value);
    return walk_next(ret_inside, ret_head) == BUS_OK &&
           (ret_head->type == WALK_MAP || ret_head->type == WALK_ARRAY) && ret_head->count > 0;
}

// Flattens nested maps and arrays into dotted paths, with a stack of its own.
static void
take_figures(figures_t *self, bus_view_t body)
{
    level_t levels[DEPTH_MAX];
    size_t depth = 0;
    char key[KEY_SIZE] = "";
    walk_t walk;
    walk_item_t head;
    self->count = 0;
    if (!opens(body, &walk, &head)) {
        return;
    }
    levels[depth++] = (level_t){.type = head.type, .left = head.count};
    while (depth > 0) {
        level_t *level = &levels[depth - 1];
        if (level->left == 0) {
            --depth;
            continue;
        }
        --level->left;
        name_member(level, &walk, key);
        walk_t inside = walk;
        bus_view_t value;
        if (walk_skip(&walk, &value) != BUS_OK) {
            return;
        }
        if (depth < DEPTH_MAX && opens(value, &inside, &head)) {
            walk.at = inside.at; // its members come next
            levels[depth++] =
                (level_t){.type = head.type, .left = head.count, .key_size = strlen(key)};
        } else {
            add_figure(self, key, value);
        }
    }
}

// --- Printing ----------------------------------------------------------------------------------

static const figure_t *
find_before(const stats_t *self, size_t index)
{
    const char *key = self->now.at[index].key;
    if (index < self->before.count && strcmp(self->before.at[index].key, key) == 0) {
        return &self->before.at[index];
    }
    for (size_t i = 0; i < self->before.count; ++i) {
        if (strcmp(self->before.at[i].key, key) == 0) {
            return &self->before.at[i];
        }
    }
    return NULL;
}

static void
add_rate(const stats_t *self, cli_table_t *table, size_t index)
{
    const figure_t *now = &self->now.at[index];
    const figure_t *before = find_before(self, index);
    char text[32] = "";
    if (now->is_counter && before != NULL && before->is_counter &&
        now->counter != before->counter) {
        double change = (double) (now->counter - before->counter);
        snprintf(text, sizeof text, "%+.0f", change * 1000.0 / (double) self->flags.interval_ms);
    }
    cli_table_add(table, view_from_text(text));
}

static void
print_table(stats_t *self)
{
    static const char *const titles[] = {"FIGURE", "VALUE", "PER SECOND"};
    size_t columns = self->flags.watch ? 3 : 2;
    cli_table_t table;
    cli_table_init(&table, titles, columns);
    for (size_t i = 0; i < self->now.count; ++i) {
        cli_table_add(&table, view_from_text(self->now.at[i].key));
        cli_table_add_value(&table, self->now.at[i].value);
        if (self->flags.watch) {
            add_rate(self, &table, i);
        }
    }
    cli_table_print(&table, &self->out);
    cli_table_clear(&table);
}

static void
print_summary(stats_t *self, bus_view_t body)
{
    cli_summary_t now = cli_summary_read(body);
    const cli_summary_t *before = self->has_summary ? &self->summary : &now;
    cli_summary_print(body, self->flags.watch ? before : NULL, &self->out);
    self->summary = now;
    self->has_summary = true;
}

static void
on_answer(void *arg, const client_answer_t *answer)
{
    stats_t *self = arg;
    self->is_asking = false;
    if (answer->err == BUS_ABORTED) {
        return;
    }
    if (answer->err != BUS_OK) {
        cli_connect_end(self->connect, cli_connect_refused("$bus.stats", answer));
        return;
    }
    if (self->is_clearing) {
        text_add(self->out.text, VIEW_LITERAL("\033[H\033[2J"));
    }
    if (self->out.format == CLI_FORMAT_LINE && self->flags.all) {
        figures_t older = self->before;
        self->before = self->now;
        self->now = older;
        take_figures(&self->now, answer->body);
        print_table(self);
    } else if (self->out.format == CLI_FORMAT_LINE) {
        print_summary(self, answer->body);
    } else {
        cli_output_value(&self->out, answer->body);
    }
    if (!cli_output_flush(&self->out) || !self->flags.watch) {
        cli_connect_end(self->connect, CLI_DONE);
    }
}

static void
ask(void *arg)
{
    stats_t *self = arg;
    if (self->is_asking) {
        return; // the broker is slower than the interval
    }
    BUS_AUTO(pack_destroy) pack_t *body = pack_new();
    pack_map(body, 0);
    const client_message_t message = {
        .topic = "$bus.stats",
        .body = pack_view(body),
        .want = CLIENT_WANT_REPLY,
        .timeout_ms = (unsigned) self->flags.timeout_ms,
    };
    self->is_asking = true;
    bus_err_t err = client_send(self->connect->client, &message, on_answer, self, NULL);
    if (err != BUS_OK) {
        int status = cli_fail(cli_exit_of(err), "$bus.stats: %s", error_meaning(err));
        cli_connect_end(self->connect, status);
    }
}

static void
begin(void *arg, cli_connect_t *connect)
{
    stats_t *self = arg;
    self->connect = connect;
    self->is_clearing = self->flags.watch && self->out.color && self->out.format == CLI_FORMAT_LINE;
    if (self->flags.watch) {
        cli_connect_watch_reader(connect);
        loop_add_timer(connect->loop, (unsigned) self->flags.interval_ms, 0, ask, self);
    }
    ask(self);
}

static int
run(int argc, char **argv)
{
    stats_t self = {0};
    option_parse(&options, argc, argv, &self.flags, NULL, NULL);
    int status = cli_output_init(&self.out, self.flags.format);
    if (status != CLI_DONE) {
        return status;
    }
    self.now.at = calloc(FIGURES_MAX, sizeof *self.now.at);
    self.before.at = calloc(FIGURES_MAX, sizeof *self.before.at);
    assert(self.now.at && self.before.at);
    const cli_connect_options_t connecting = {
        .place = &self.flags.place,
        .timeout_ms = self.flags.timeout_ms,
        .ready = begin,
        .arg = &self,
    };
    status = cli_connect_run(&connecting);
    free(self.now.at);
    free(self.before.at);
    cli_output_clear(&self.out);
    return status;
}

const cli_command_t cli_stats = {
    .name = "stats",
    .summary = "print the broker's counters",
    .group = CLI_GROUP_LOOK,
    .options = &options,
    .run = run,
};
