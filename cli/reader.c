// reader.c - see reader.h.
#include "reader.h"

#include "broker/access.h"
#include "proto/topic.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { WAIT_MS = 30000 }; // how long a fetch stays parked at the head

int
cli_reader_check(const char *const *patterns, size_t count)
{
    if (count > CLI_READER_PATTERNS_MAX) {
        return cli_fail(CLI_USAGE, "at most %d patterns", CLI_READER_PATTERNS_MAX);
    }
    for (size_t i = 0; i < count; ++i) {
        if (!topic_pattern_is_legal(view_from_text(patterns[i]))) {
            return cli_fail(CLI_BAD_DATA,
                            "`%s` is no pattern: tokens joined by dots, * for one, > for the rest",
                            patterns[i]);
        }
        bus_view_t prefix = topic_pattern_prefix(view_from_text(patterns[i]));
        if (access_hear(prefix) == ACCESS_REFUSED) {
            return cli_fail(CLI_BAD_DATA,
                            "`%s` is not for hearing: of the bus's own topics only $bus.peer., "
                            "and no inbox but one's own",
                            patterns[i]);
        }
    }
    return CLI_DONE;
}

bool
cli_reader_fits(const char *const *patterns, size_t count, bus_view_t topic)
{
    for (size_t i = 0; i < count; ++i) {
        if (topic_pattern_matches(view_from_text(patterns[i]), topic)) {
            return true;
        }
    }
    return false;
}

static void on_page(void *arg, const client_page_t *page);

static void
fetch(cli_reader_t *self)
{
    const client_fetch_t wanted = {
        .consumer = client_instance(self->options.client),
        .filters = self->filters,
        .filter_count = self->options.pattern_count,
        .from = self->next,
        .wait_ms = self->options.follow ? WAIT_MS : 0,
    };
    bus_err_t err = client_fetch(self->options.client, &wanted, on_page, self);
    assert(err == BUS_OK); // its owner has one fetch at a time, and checked the patterns
}

// False where the taker has enough.
static bool
take_records(cli_reader_t *self, const client_page_t *page)
{
    const cli_reader_options_t *options = &self->options;
    client_records_t records = client_records(page);
    client_heard_t record;
    while (client_next_record(&records, &record) == BUS_OK) {
        if (cli_reader_fits(options->patterns, options->pattern_count, record.topic) &&
            !options->take(options->arg, &record)) {
            return false;
        }
    }
    return true;
}

static void
on_page(void *arg, const client_page_t *page)
{
    cli_reader_t *self = arg;
    if (page->err == BUS_ABORTED) {
        return;
    }
    bool wants_more = page->err != BUS_OK || take_records(self, page);
    bool goes_on = self->options.after(self->options.arg, page);
    if (wants_more && goes_on && page->err == BUS_OK) {
        self->next = page->next;
        fetch(self);
    }
}

void
cli_reader_start(cli_reader_t *self, const cli_reader_options_t *options)
{
    assert(options->pattern_count > 0 && options->pattern_count <= CLI_READER_PATTERNS_MAX);
    *self = (cli_reader_t){.options = *options, .next = options->from};
    for (size_t i = 0; i < options->pattern_count; ++i) {
        bus_view_t prefix = topic_pattern_prefix(view_from_text(options->patterns[i]));
        self->filters[i] = strndup(prefix.size == 0 ? "" : prefix.data, prefix.size);
        assert(self->filters[i]);
    }
    fetch(self);
}

void
cli_reader_clear(cli_reader_t *self)
{
    for (size_t i = 0; i < self->options.pattern_count; ++i) {
        free((char *) self->filters[i]);
        self->filters[i] = NULL;
    }
}

int
cli_reader_failed(const client_page_t *page)
{
    int status = cli_exit_of(page->err);
    if (page->err == BUS_TRIMMED && page->first != 0) {
        return cli_fail(status,
                        "the journal no longer keeps that: it begins at %llu",
                        (unsigned long long) page->first);
    }
    if (page->err == BUS_AHEAD) {
        return cli_fail(status, "the journal does not reach that far; its end: bhiv tail -n 1");
    }
    if (page->err == BUS_UNAUTHORIZED_ACCESS) {
        return cli_fail(status,
                        "your certificate's rules do not let you read all of this: ask for "
                        "patterns that its `fetch` covers");
    }
    return cli_fail(status, "$bus.fetch: %s", error_meaning(page->err));
}
