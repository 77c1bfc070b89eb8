// issue.c - whether something may be done about an issue now. See issue.h.
#include "issue.h"

#include <assert.h>
#include <stdio.h>

bus_view_t
brain_issue_key(brain_issue_key_t *ret_key, const char *intent, bus_view_t issue_type)
{
    assert(strlen(intent) <= 64 && issue_type.size <= 64);
    size_t size = strlen(intent);
    memcpy(ret_key->text, intent, size);
    if (issue_type.size > 0) {
        ret_key->text[size++] = ' ';
        memcpy(ret_key->text + size, issue_type.data, issue_type.size);
        size += issue_type.size;
    }
    ret_key->size = size;
    return view_from(ret_key->text, size);
}

static bool
is_open(const brain_issue_t *self, uint64_t at)
{
    return self->open_at != 0 && at < self->until;
}

uint64_t
brain_issue_pause_us(const brain_issue_t *self, const brain_config_t *config)
{
    uint64_t times = 1;
    for (uint64_t row = config->depth_max; row <= self->row && times < BRAIN_ISSUE_PAUSE_MAX;
         row++) {
        times *= 2;
    }
    return config->cooldown_us * times;
}

brain_issue_verdict_t
brain_issue_decide(const brain_issue_t *self,
                   const brain_config_t *config,
                   uint64_t at,
                   uint64_t depth)
{
    if (depth >= config->depth_max) {
        return BRAIN_ISSUE_TOO_DEEP;
    }
    if (is_open(self, at)) {
        return BRAIN_ISSUE_IS_OPEN;
    }
    uint64_t last = self->ended_at > self->acted_at ? self->ended_at : self->acted_at;
    if (last != 0 && at < last + brain_issue_pause_us(self, config)) {
        return BRAIN_ISSUE_COOLS_DOWN;
    }
    return BRAIN_ISSUE_ACT;
}

void
brain_issue_see(brain_issue_t *self, const brain_config_t *config, uint64_t at)
{
    if (self->seen_at != 0 && at - self->seen_at >= BRAIN_ISSUE_QUIET * config->cooldown_us) {
        self->row = 0;
    }
    self->seen_at = at;
    self->seen++;
}

void
brain_issue_open(brain_issue_t *self, uint64_t at, uint64_t sla_us, bus_view_t trace)
{
    assert(trace.size <= sizeof self->trace); // the header's limit
    self->open_at = at;
    self->until = at + sla_us;
    self->acted_at = at;
    self->row++;
    self->acted++;
    memset(self->trace, 0, sizeof self->trace);
    memcpy(self->trace, trace.data, trace.size);
    self->trace_size = trace.size;
}

void
brain_issue_end(brain_issue_t *self, uint64_t at)
{
    self->open_at = 0;
    self->ended_at = at;
}

bus_err_t
brain_issue_load(store_txn_t *txn, bus_view_t key, brain_issue_t *ret_issue)
{
    return brain_tables_get(txn, BRAIN_ISSUES, key, ret_issue, sizeof *ret_issue);
}

bus_err_t
brain_issue_save(store_txn_t *txn, bus_view_t key, const brain_issue_t *issue)
{
    return store_put(txn, BRAIN_ISSUES, key, view_from(issue, sizeof *issue));
}
