// stats.c - counters as msgpack.
#include "stats.h"
#include "runtime/clock.h"
#include <stdlib.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

void
stats_add_commit(stats_t *self, uint32_t items, uint64_t latency_us)
{
    self->latencies_us[self->commits % STATS_LATENCIES] =
        latency_us > UINT32_MAX ? UINT32_MAX : (uint32_t) latency_us;
    self->commits++;
    self->commit_items += items;
    if (items > self->commit_items_max) {
        self->commit_items_max = items;
    }
}

void
stats_journal_failed(stats_t *self, bus_err_t err)
{
    if (err == BUS_JOURNAL_FULL || err == BUS_IO) {
        self->journal_err = err;
        self->journal_err_ms = clock_boot_ms();
    }
}

// "ok", or the error that the journal gave lately: who is kept away by it is let in again to try.
static const char *
journal_text(const stats_t *self)
{
    bool is_failing = self->journal_err != BUS_OK &&
                      clock_boot_ms() - self->journal_err_ms < STATS_JOURNAL_ERR_MS;
    return is_failing ? error_text(self->journal_err) : "ok";
}

static void
pack_flows(const char *key, const stats_flow_t *flows, pack_t *out)
{
    pack_text(out, key);
    pack_map(out, STATS_CLASSES);
    for (unsigned i = 0; i < STATS_CLASSES; i++) {
        pack_text(out, topic_class_text((topic_class_t) i));
        pack_map(out, 2);
        pack_pair_uint(out, "messages", flows[i].messages);
        pack_pair_uint(out, "bytes", flows[i].bytes);
    }
}

static void
pack_refused(const stats_t *self, pack_t *out)
{
    uint64_t total = 0;
    for (unsigned i = 0; i < BUS_ERROR_COUNT; i++) {
        total += self->refused[i];
    }
    pack_pair_uint(out, "refused_total", total);
    pack_text(out, "refused");
    size_t place = pack_map_begin(out);
    uint32_t count = 0;
    for (unsigned i = 0; i < BUS_ERROR_COUNT; i++) {
        if (self->refused[i] > 0) {
            pack_pair_uint(out, error_text((bus_err_t) i), self->refused[i]);
            count++;
        }
    }
    pack_count(out, place, count);
}

static int
compare_u32(const void *a, const void *b)
{
    uint32_t left = *(const uint32_t *) a;
    uint32_t right = *(const uint32_t *) b;
    return left < right ? -1 : left > right;
}

static void
pack_commits(const stats_t *self, pack_t *out)
{
    uint32_t sorted[STATS_LATENCIES];
    uint32_t count =
        self->commits < STATS_LATENCIES ? (uint32_t) self->commits : (uint32_t) STATS_LATENCIES;
    memcpy(sorted, self->latencies_us, sizeof(sorted));
    qsort(sorted, count, sizeof(sorted[0]), compare_u32);
    pack_text(out, "commits");
    pack_map(out, 7);
    pack_pair_uint(out, "count", self->commits);
    pack_pair_uint(out, "records", self->journaled);
    pack_pair_uint(out, "duplicates", self->duplicates);
    double mean = self->commits == 0 ? 0.0 : (double) self->commit_items / (double) self->commits;
    pack_pair_real(out, "items_mean", mean);
    pack_pair_uint(out, "items_max", self->commit_items_max);
    pack_pair_uint(out, "latency_samples", count);
    pack_text(out, "latency_us");
    pack_map(out, 3);
    pack_pair_uint(out, "p50", count == 0 ? 0 : sorted[count / 2]);
    pack_pair_uint(out, "p99", count == 0 ? 0 : sorted[count * 99 / 100]);
    pack_pair_uint(out, "max", count == 0 ? 0 : sorted[count - 1]);
}

uint32_t
stats_pack(const stats_t *self, pack_t *out)
{
    const struct {
        const char *key;
        uint64_t value;
    } counters[] = {
        {"orphans", self->orphans},
        {"subscriptions", self->subscriptions},
        {"subscriptions_refused", self->subscriptions_refused},
        {"upstream_dropped", self->upstream_dropped},
        {"connections_reset", self->connections_reset},
        {"connections_accepted", self->connections_accepted},
        {"connections_closed", self->connections_closed},
        {"connections_refused", self->connections_refused},
        {"connections_clogged", self->connections_clogged},
        {"held_dropped", self->held_dropped},
    };
    for (size_t i = 0; i < COUNT(counters); i++) {
        pack_pair_uint(out, counters[i].key, counters[i].value);
    }
    pack_flows("in", self->in, out);
    pack_flows("out", self->out, out);
    pack_refused(self, out);
    pack_commits(self, out);
    pack_pair_text(out, "journal", journal_text(self));
    return (uint32_t) COUNT(counters) + 6;
}
