// gap.c - see gap.h.
#include "gap.h"

#include "proto/topic.h"
#include "runtime/clock.h"

#include <stdio.h>
#include <string.h>

void
cli_gap_start(cli_gap_t *self, client_t *client, const char *const *patterns, size_t pattern_count)
{
    *self = (cli_gap_t){
        .client = client,
        .patterns = patterns,
        .pattern_count = pattern_count,
        .head = client_head(client),
        .started_ms = clock_boot_ms(),
    };
}

void
cli_gap_clear(cli_gap_t *self)
{
    if (self->is_reading) {
        cli_reader_clear(&self->reader);
        self->is_reading = false;
    }
}

static bool
was_missed(const cli_gap_t *self, uint64_t seq, uint32_t family)
{
    for (size_t i = 0; i < self->looked_count; ++i) {
        const cli_gap_interval_t *interval = &self->looked[i];
        if (interval->family == family && seq >= interval->first && seq <= interval->last) {
            return true;
        }
    }
    return false;
}

static bool
on_record(void *arg, const client_heard_t *record)
{
    cli_gap_t *self = arg;
    uint64_t seq = record->header.seq;
    if (seq > self->end) {
        return false;
    }
    if (was_missed(self, seq, topic_family(record->topic))) {
        self->first_missed = self->missed == 0 ? seq : self->first_missed;
        self->last_missed = seq;
        ++self->missed;
    }
    return true;
}

static void look(cli_gap_t *self);

static bool
after_page(void *arg, const client_page_t *page)
{
    cli_gap_t *self = arg;
    if (page->err == BUS_OK && page->next <= self->end) {
        return true;
    }
    if (self->missed > 0) {
        fprintf(stderr,
                "bhiv: missed %llu between %llu and %llu; confirm with --from %llu\n",
                (unsigned long long) self->missed,
                (unsigned long long) self->first_missed,
                (unsigned long long) self->last_missed,
                (unsigned long long) self->first_missed);
    }
    cli_gap_clear(self);
    if (self->count > 0) {
        look(self);
    }
    return false;
}

static void
look(cli_gap_t *self)
{
    memcpy(self->looked, self->intervals, self->count * sizeof self->intervals[0]);
    self->looked_count = self->count;
    self->count = 0;
    self->missed = 0;
    uint64_t from = UINT64_MAX;
    self->end = 0;
    for (size_t i = 0; i < self->looked_count; ++i) {
        const cli_gap_interval_t *interval = &self->looked[i];
        from = interval->first < from ? interval->first : from;
        self->end = interval->last > self->end ? interval->last : self->end;
    }
    const cli_reader_options_t reading = {
        .client = self->client,
        .patterns = self->patterns,
        .pattern_count = self->pattern_count,
        .from = from,
        .take = on_record,
        .after = after_page,
        .arg = self,
    };
    self->is_reading = true;
    cli_reader_start(&self->reader, &reading);
}

static void
suspect(cli_gap_t *self, cli_gap_interval_t interval)
{
    if (self->count == CLI_GAP_INTERVALS_MAX) {
        // So many at once are one flood: the last grows, and may count what was heard.
        cli_gap_interval_t *last = &self->intervals[self->count - 1];
        last->last = interval.last > last->last ? interval.last : last->last;
        return;
    }
    self->intervals[self->count++] = interval;
}

void
cli_gap_heard(cli_gap_t *self, const client_heard_t *message)
{
    uint32_t family = topic_family(message->topic);
    if (family >= CLI_GAP_FAMILIES_MAX) {
        return;
    }
    uint64_t before = self->heard[family];
    uint64_t prev = message->header.prev;
    bool is_first = before == 0;
    self->heard[family] = message->header.seq;
    if (is_first && clock_boot_ms() - self->started_ms < CLI_GAP_SETTLE_MS) {
        return; // what went by before we could hear was never ours
    }
    before = is_first ? self->head : before;
    if (prev <= before) {
        return;
    }
    suspect(self, (cli_gap_interval_t){.first = before + 1, .last = prev, .family = family});
    if (!self->is_reading) {
        look(self);
    }
}
