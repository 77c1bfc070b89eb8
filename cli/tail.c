// tail.c - `bhiv tail`: the last records of the journal, and with -f what follows, like tail -f.
//
// Two passes. The first finds the seq of the last N records that fit, in windows that grow
// backwards from the head, remembering seqs alone; the second prints from there. So memory does not
// depend on how large the records are. Without patterns the first pass is a subtraction: seq has no
// gaps.
#include "connect.h"
#include "output.h"
#include "reader.h"

#include <assert.h>
#include <stddef.h>
#include <stdlib.h>

enum {
    LINES_MAX = 1000000, // seqs remembered: 8 MB
    WINDOW_MIN = 1000,   // records looked at first
    WINDOW_GROWTH = 8
};

typedef struct {
    cli_place_t place;
    uint64_t timeout_ms;
    uint64_t lines;
    bool follow;
    const char *format;
} flags_t;

// clang-format off
static const option_row_t rows[] = {
    CLI_PLACE_ROWS(flags_t, place),
    CLI_TIMEOUT_ROW(flags_t, timeout_ms, "2s"),
    CLI_FORMAT_ROW(flags_t, format),
    {"lines", 'n', OPTION_COUNT, "N", "10", offsetof(flags_t, lines), 0, LINES_MAX,
     "how many of the last records"},
    {"follow", 'f', OPTION_FLAG, NULL, NULL, offsetof(flags_t, follow), 0, 0,
     "goes on with what comes"},
};
// clang-format on

static const option_table_t options = {
    .program = "bhiv tail",
    .arguments = "[PATTERN...]",
    .help =
        "Prints the last records of the journal, of those that fit a pattern where one is given.\v"
        "  bhiv tail -f\n"
        "  bhiv tail 'karma.>' -n 100 --format json",
    .rows = rows,
    .row_count = sizeof rows / sizeof rows[0],
    .arguments_min = 0,
    .arguments_max = CLI_READER_PATTERNS_MAX,
};

typedef struct {
    flags_t flags;
    const char *patterns[CLI_READER_PATTERNS_MAX];
    unsigned pattern_count;
    cli_connect_t *connect;
    cli_output_t out;
    cli_reader_t reader;
    bool is_reading;
    uint64_t head;   // of the journal when we began
    uint64_t window; // records looked at, back from the head
    uint64_t *seqs;  // a ring of the last ones that fit
    uint64_t seen;   // how many fitted in this window
} tail_t;

static void read_from(tail_t *self, uint64_t from);
static void search(tail_t *self);

static bool
print_record(void *arg, const client_heard_t *record)
{
    tail_t *self = arg;
    if (!self->flags.follow && record->header.seq > self->head) {
        return false;
    }
    cli_output_record(&self->out, record);
    return true;
}

static bool
after_printing(void *arg, const client_page_t *page)
{
    tail_t *self = arg;
    if (page->err == BUS_TRIMMED) {
        read_from(self, 0);
        return false;
    }
    if (page->err != BUS_OK) {
        cli_connect_end(self->connect, cli_reader_failed(page));
        return false;
    }
    if (!cli_output_flush(&self->out) || (!self->flags.follow && page->next > self->head)) {
        cli_connect_end(self->connect, CLI_DONE);
        return false;
    }
    return true;
}

static void
start(tail_t *self, const cli_reader_options_t *reading)
{
    if (self->is_reading) {
        cli_reader_clear(&self->reader);
    }
    self->is_reading = true;
    cli_reader_start(&self->reader, reading);
}

static void
read_from(tail_t *self, uint64_t from)
{
    const cli_reader_options_t reading = {
        .client = self->connect->client,
        .patterns = self->patterns,
        .pattern_count = self->pattern_count,
        .from = from,
        .follow = self->flags.follow,
        .take = print_record,
        .after = after_printing,
        .arg = self,
    };
    start(self, &reading);
}

static bool
note_record(void *arg, const client_heard_t *record)
{
    tail_t *self = arg;
    if (record->header.seq > self->head) {
        return false;
    }
    self->seqs[self->seen % self->flags.lines] = record->header.seq;
    ++self->seen;
    return true;
}

static bool
after_noting(void *arg, const client_page_t *page)
{
    tail_t *self = arg;
    if (page->err == BUS_TRIMMED) {
        self->window = UINT64_MAX;
        search(self);
        return false;
    }
    if (page->err != BUS_OK) {
        cli_connect_end(self->connect, cli_reader_failed(page));
        return false;
    }
    if (page->next <= self->head) {
        return true;
    }
    if (self->seen < self->flags.lines && self->window < self->head) {
        self->window =
            self->window > UINT64_MAX / WINDOW_GROWTH ? UINT64_MAX : self->window * WINDOW_GROWTH;
        search(self);
        return false;
    }
    bool is_full = self->seen >= self->flags.lines;
    uint64_t oldest = is_full ? self->seqs[self->seen % self->flags.lines] : self->seqs[0];
    read_from(self, self->seen == 0 ? self->head + 1 : oldest);
    return false;
}

// Looks through the window for what fits.
static void
search(tail_t *self)
{
    self->seen = 0;
    const cli_reader_options_t reading = {
        .client = self->connect->client,
        .patterns = self->patterns,
        .pattern_count = self->pattern_count,
        .from = self->window < self->head ? self->head - self->window + 1 : 0,
        .take = note_record,
        .after = after_noting,
        .arg = self,
    };
    start(self, &reading);
}

static void
begin(void *arg, cli_connect_t *connect)
{
    tail_t *self = arg;
    self->connect = connect;
    self->head = client_head(connect->client);
    if (self->flags.follow) {
        cli_connect_watch_reader(connect);
    }
    bool is_all = self->pattern_count == 0;
    if (is_all) {
        self->patterns[self->pattern_count++] = ">";
    }
    uint64_t lines = self->flags.lines;
    if (self->head == 0 || lines == 0) {
        read_from(self, self->head + 1);
    } else if (is_all) {
        read_from(self, self->head > lines ? self->head - lines + 1 : 1);
    } else {
        self->window = lines > WINDOW_MIN ? lines : WINDOW_MIN;
        search(self);
    }
}

static int
run(int argc, char **argv)
{
    tail_t self = {0};
    option_parse(&options, argc, argv, &self.flags, self.patterns, &self.pattern_count);
    int status = cli_reader_check(self.patterns, self.pattern_count);
    if (status == CLI_DONE) {
        status = cli_output_init(&self.out, self.flags.format);
    }
    if (status != CLI_DONE) {
        return status;
    }
    self.seqs = calloc(self.flags.lines + 1, sizeof *self.seqs);
    assert(self.seqs);
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
    free(self.seqs);
    cli_output_clear(&self.out);
    return status;
}

const cli_command_t cli_tail = {
    .name = "tail",
    .summary = "print the last records of the journal",
    .group = CLI_GROUP_TALK,
    .options = &options,
    .run = run,
};
