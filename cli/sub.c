// sub.c - `bhiv sub`: prints what comes by patterns, live or from a place in the journal.
//
// Without --from and --since it is a live subscription: what a slow reader misses is gone, and the
// header's `prev` shows it (gap.h confirms it, so that a narrow pattern raises no false alarm).
// With either, journaled messages are fetched, which has no gap and no double whatever happens, and
// only live ones, which no journal has, come by subscription.
#include "connect.h"
#include "gap.h"
#include "output.h"
#include "reader.h"

#include <stddef.h>

typedef struct {
    cli_place_t place;
    uint64_t timeout_ms;
    const char *from;
    const char *since;
    uint64_t count;
    const char *format;
} flags_t;

// clang-format off
static const option_row_t rows[] = {
    CLI_PLACE_ROWS(flags_t, place),
    CLI_TIMEOUT_ROW(flags_t, timeout_ms, "2s"),
    CLI_FORMAT_ROW(flags_t, format),
    {"from", 0, OPTION_TEXT, "SEQ", NULL, offsetof(flags_t, from), 0, 0,
     "journaled messages from this place on; 0: all that is kept"},
    {"since", 0, OPTION_TEXT, "TIME", NULL, offsetof(flags_t, since), 0, 0,
     "the same from a time on: 2026-11-20T16:00:00Z, or 10m"},
    {"count", 'n', OPTION_COUNT, "N", NULL, offsetof(flags_t, count), 1, 0,
     "ends after N messages"},
};
// clang-format on

static const option_table_t options = {
    .program = "bhiv sub",
    .arguments = "PATTERN...",
    .help =
        "Prints messages as they come: one line each, or as JSON. A pattern is a topic, a prefix "
        "that ends in a dot, or has * for one token and > for the rest.\v"
        "  bhiv sub 'core.event.>'\n"
        "  bhiv sub '>' --since 10m --format json | jq .body\n"
        "  bhiv sub karma. --from 1 --count 100",
    .rows = rows,
    .row_count = sizeof rows / sizeof rows[0],
    .arguments_min = 1,
    .arguments_max = CLI_READER_PATTERNS_MAX,
};

typedef struct sub sub_t;

// One subscription: a message that fits several patterns is printed by the first.
typedef struct {
    sub_t *sub;
    size_t index;
} heard_t;

struct sub {
    flags_t flags;
    const char *patterns[CLI_READER_PATTERNS_MAX];
    unsigned pattern_count;
    heard_t heard[CLI_READER_PATTERNS_MAX];
    cli_connect_t *connect;
    cli_output_t out;
    cli_reader_t reader;
    cli_seek_t seek;
    cli_gap_t gap;
    bool is_journal; // --from or --since
    bool is_reading; // the reader was started
    uint64_t from;
    uint64_t printed;
    bool ended;
};

static void
end(sub_t *self, int status)
{
    self->ended = true;
    cli_connect_end(self->connect, status);
}

// Prints one. False where that was the last.
static bool
print(sub_t *self, const client_heard_t *message)
{
    if (self->ended) {
        return false;
    }
    cli_output_record(&self->out, message);
    ++self->printed;
    if (self->flags.count != 0 && self->printed == self->flags.count) {
        end(self, cli_output_flush(&self->out) ? CLI_DONE : CLI_IO);
        return false;
    }
    return true;
}

static void
on_heard(void *arg, const client_heard_t *message)
{
    const heard_t *heard = arg;
    sub_t *self = heard->sub;
    if (cli_reader_fits(self->patterns, heard->index, message->topic)) {
        return; // printed for that one
    }
    if (message->header.seq != 0 && self->is_journal) {
        return; // comes by fetch
    }
    if (message->header.seq != 0) {
        cli_gap_heard(&self->gap, message);
    }
    if (print(self, message) && !cli_output_flush(&self->out)) {
        end(self, CLI_DONE); // nobody reads any more
    }
}

static bool
on_record(void *arg, const client_heard_t *record)
{
    return print(arg, record);
}

static bool
after_page(void *arg, const client_page_t *page)
{
    sub_t *self = arg;
    if (self->ended) {
        return false;
    }
    if (page->err != BUS_OK) {
        end(self, cli_reader_failed(page));
        return false;
    }
    if (!cli_output_flush(&self->out)) {
        end(self, CLI_DONE);
        return false;
    }
    return true;
}

static void
read_from(sub_t *self, uint64_t from)
{
    const cli_reader_options_t reading = {
        .client = self->connect->client,
        .patterns = self->patterns,
        .pattern_count = self->pattern_count,
        .from = from,
        .follow = true,
        .take = on_record,
        .after = after_page,
        .arg = self,
    };
    self->is_reading = true;
    cli_reader_start(&self->reader, &reading);
}

static void
on_found(void *arg, const client_page_t *page, uint64_t seq)
{
    sub_t *self = arg;
    if (page->err != BUS_OK) {
        end(self, cli_reader_failed(page));
        return;
    }
    read_from(self, seq);
}

static void
begin(void *arg, cli_connect_t *connect)
{
    sub_t *self = arg;
    self->connect = connect;
    cli_connect_watch_reader(connect);
    cli_gap_start(&self->gap, connect->client, self->patterns, self->pattern_count);
    for (unsigned i = 0; i < self->pattern_count; ++i) {
        self->heard[i] = (heard_t){.sub = self, .index = i};
        bus_err_t err =
            client_subscribe(connect->client, self->patterns[i], on_heard, &self->heard[i]);
        if (err != BUS_OK) {
            end(self, cli_fail(cli_exit_of(err), "%s: %s", self->patterns[i], error_meaning(err)));
            return;
        }
    }
    if (self->flags.since != NULL) {
        self->seek.client = connect->client;
        self->seek.found = on_found;
        self->seek.arg = self;
        cli_seek_start(&self->seek);
    } else if (self->is_journal) {
        read_from(self, self->from);
    }
}

static int
check_flags(sub_t *self)
{
    int status = cli_reader_check(self->patterns, self->pattern_count);
    if (status != CLI_DONE) {
        return status;
    }
    self->is_journal = self->flags.from != NULL || self->flags.since != NULL;
    if (self->flags.from != NULL && self->flags.since != NULL) {
        return cli_fail(CLI_USAGE, "--from or --since, not both");
    }
    if (self->flags.since != NULL) {
        return cli_seek_time(self->flags.since, &self->seek.time_us);
    }
    if (self->flags.from != NULL &&
        option_value(OPTION_COUNT, self->flags.from, &self->from) != BUS_OK) {
        return cli_fail(CLI_USAGE, "--from: `%s` is no place in the journal", self->flags.from);
    }
    return CLI_DONE;
}

static int
run(int argc, char **argv)
{
    sub_t self = {0};
    option_parse(&options, argc, argv, &self.flags, self.patterns, &self.pattern_count);
    int status = check_flags(&self);
    if (status == CLI_DONE) {
        status = cli_output_init(&self.out, self.flags.format);
    }
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
    if (self.is_reading) {
        cli_reader_clear(&self.reader);
    }
    cli_gap_clear(&self.gap);
    cli_output_clear(&self.out);
    return status;
}

const cli_command_t cli_sub = {
    .name = "sub",
    .summary = "print messages as they come, or from the journal",
    .group = CLI_GROUP_TALK,
    .options = &options,
    .run = run,
};
