// measure.c - how long the last starts took.
#include "measure.h"

#include <assert.h>
#include <stdlib.h>

struct htm_measure {
    uint64_t count;                      // ever
    uint32_t last_us[HTM_MEASURE_COUNT]; // a ring
};

htm_measure_t *
htm_measure_new(void)
{
    htm_measure_t *self = calloc(1, sizeof *self);
    assert(self);
    return self;
}

void
htm_measure_destroy(htm_measure_t **self_p)
{
    free(*self_p);
    *self_p = NULL;
}

bus_err_t
htm_measure_started(service_apply_t *apply, const void *message)
{
    const schema_task_started_t *started = message;
    const htm_state_t *state = apply->state;
    htm_measure_t *self = state->measure;
    uint64_t at = apply->header->at;
    uint64_t decided = (uint64_t) started->at.value;
    if (!view_is(apply->header->source, "htm") || at < decided) {
        return BUS_OK;
    }
    uint64_t took_us = at - decided + (uint64_t) started->dispatch_us.value;
    self->last_us[self->count++ % HTM_MEASURE_COUNT] =
        took_us < UINT32_MAX ? (uint32_t) took_us : UINT32_MAX;
    return BUS_OK;
}

static int
compare(const void *a_p, const void *b_p)
{
    const uint32_t *a = a_p, *b = b_p;
    return *a < *b ? -1 : *a > *b;
}

void
htm_measure_pack(const htm_measure_t *self, pack_t *out)
{
    static const struct {
        const char *name;
        size_t percent;
    } shares[] = {{"p50_us", 50}, {"p90_us", 90}, {"p99_us", 99}, {"max_us", 100}};
    uint32_t sorted[HTM_MEASURE_COUNT];
    size_t count = self->count < HTM_MEASURE_COUNT ? (size_t) self->count : HTM_MEASURE_COUNT;
    memcpy(sorted, self->last_us, count * sizeof *sorted);
    qsort(sorted, count, sizeof *sorted, compare);
    pack_map(out, 1 + sizeof shares / sizeof *shares);
    pack_pair_uint(out, "count", count);
    for (size_t i = 0; i < sizeof shares / sizeof *shares; i++) {
        size_t place = (count * shares[i].percent + 99) / 100;
        pack_pair_uint(out, shares[i].name, count == 0 ? 0 : sorted[place > 0 ? place - 1 : 0]);
    }
}
