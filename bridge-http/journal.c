// journal.c - a queue of fetches.
#include "journal.h"
#include "runtime/clock.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

struct bridge_journal {
    bridge_t *bridge;
    char consumer[64];
    bridge_journal_job_t *first, **last_p; // waiting, in order
    unsigned count;                        // of them
    bridge_journal_job_t *current;         // in flight; NULL: none, or its reader is gone
    bool in_flight;
};

bridge_journal_t *
bridge_journal_new(bridge_t *bridge)
{
    bridge_journal_t *self = calloc(1, sizeof(*self));
    assert(self != NULL);
    self->bridge = bridge;
    self->last_p = &self->first;
    (void) snprintf(
        self->consumer, sizeof(self->consumer), "bridge-%s", client_instance(bridge->client));
    return self;
}

void
bridge_journal_destroy(bridge_journal_t **self_p)
{
    free(*self_p);
    *self_p = NULL;
}

static void pump(bridge_journal_t *self);

static void
finish(bridge_journal_job_t *job, const client_page_t *page)
{
    job->is_queued = false;
    job->fn(job->arg, page);
}

static void
on_page(void *arg, const client_page_t *page)
{
    bridge_journal_t *self = arg;
    bridge_journal_job_t *job = self->current;
    self->current = NULL;
    self->in_flight = false;
    if (job != NULL) {
        finish(job, page);
    }
    pump(self);
}

static bridge_journal_job_t *
take_first(bridge_journal_t *self)
{
    bridge_journal_job_t *job = self->first;
    self->first = job->next;
    if (self->first == NULL) {
        self->last_p = &self->first;
    }
    self->count--;
    job->next = NULL;
    return job;
}

static void
pump(bridge_journal_t *self)
{
    if (self->in_flight || self->first == NULL) {
        return;
    }
    bridge_journal_job_t *job = self->first;
    const char *const filters[] = {job->prefix};
    const client_fetch_t fetch = {.consumer = self->consumer,
                                  .filters = filters,
                                  .filter_count = 1,
                                  .trace_id = job->trace_id,
                                  .from = job->from,
                                  .max = job->max,
                                  .max_bytes = BRIDGE_JOURNAL_PAGE_BYTES};
    if (client_fetch(self->bridge->client, &fetch, on_page, self) != BUS_OK) {
        return; // the sweep tries again
    }
    self->in_flight = true;
    self->current = take_first(self);
}

bus_err_t
bridge_journal_read(bridge_journal_t *self, bridge_journal_job_t *job)
{
    assert(!job->is_queued);
    if (self->count >= BRIDGE_JOURNAL_JOBS_MAX) {
        return BUS_BUSY;
    }
    job->deadline_us = clock_boot_us() + BRIDGE_WAIT_MS * 1000ULL;
    job->is_queued = true;
    job->next = NULL;
    *self->last_p = job;
    self->last_p = &job->next;
    self->count++;
    pump(self);
    return BUS_OK;
}

void
bridge_journal_cancel(bridge_journal_t *self, bridge_journal_job_t *job)
{
    if (!job->is_queued) {
        return;
    }
    job->is_queued = false;
    if (self->current == job) {
        self->current = NULL; // its page comes for nobody
        return;
    }
    bridge_journal_job_t **at = &self->first;
    while (*at != job) {
        assert(*at != NULL);
        at = &(*at)->next;
    }
    *at = job->next;
    if (*at == NULL) {
        self->last_p = at;
    }
    self->count--;
}

void
bridge_journal_sweep(bridge_journal_t *self, uint64_t now_us)
{
    const client_page_t late = {.err = BUS_TIMEOUT};
    if (self->current != NULL && now_us >= self->current->deadline_us) {
        bridge_journal_job_t *job = self->current;
        self->current = NULL;
        finish(job, &late);
    }
    // A job that is asked again goes to the end, with a later deadline.
    while (self->first != NULL && now_us >= self->first->deadline_us) {
        finish(take_first(self), &late);
    }
    pump(self);
}
