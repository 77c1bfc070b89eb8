// seek.c - the place of a time in the journal, whose own clock never goes backwards. See reader.h.
#include "reader.h"

#include "proto/rfc3339.h"
#include "runtime/clock.h"

#include <assert.h>
#include <string.h>

static void on_page(void *arg, const client_page_t *page);

static void
fetch_one(cli_seek_t *self, uint64_t from)
{
    static const char *const all[] = {""};
    const client_fetch_t wanted = {
        .consumer = client_instance(self->client),
        .filters = all,
        .filter_count = 1,
        .from = from,
        .max = 1,
    };
    bus_err_t err = client_fetch(self->client, &wanted, on_page, self);
    assert(err == BUS_OK); // one at a time
}

static void
on_page(void *arg, const client_page_t *page)
{
    cli_seek_t *self = arg;
    if (page->err == BUS_ABORTED) {
        return;
    }
    uint64_t middle = self->low + (self->high - self->low) / 2;
    if (page->err == BUS_TRIMMED && self->began) {
        self->low = middle + 1; // retention passed by meanwhile
    } else if (page->err != BUS_OK) {
        self->found(self->arg, page, 0);
        return;
    } else if (!self->began) {
        self->began = true;
        self->low = page->first;
        self->high = page->head + 1;
    } else {
        client_records_t records = client_records(page);
        client_heard_t record;
        bool is_there = client_next_record(&records, &record) == BUS_OK;
        if (is_there && record.header.at < self->time_us) {
            self->low = middle + 1;
        } else {
            self->high = middle;
        }
    }
    if (self->low >= self->high) {
        self->found(self->arg, page, self->low);
        return;
    }
    fetch_one(self, self->low + (self->high - self->low) / 2);
}

void
cli_seek_start(cli_seek_t *self)
{
    self->began = false;
    fetch_one(self, 0);
}

int
cli_seek_time(const char *text, uint64_t *ret_time_us)
{
    uint64_t ago_ms = 0;
    bool is_age = text[0] != '\0' && strchr("smhd", text[strlen(text) - 1]) != NULL &&
                  option_value(OPTION_MS, text, &ago_ms) == BUS_OK;
    uint64_t now_us = clock_wall_us();
    if (is_age) {
        *ret_time_us = ago_ms < now_us / 1000 ? now_us - ago_ms * 1000 : 0;
        return CLI_DONE;
    }
    if (rfc3339_parse(view_from_text(text), ret_time_us) != BUS_OK) {
        return cli_fail(CLI_BAD_DATA,
                        "`%s` is no time: 2026-11-20T16:00:00Z, or 10m for ten minutes ago",
                        text);
    }
    return CLI_DONE;
}
