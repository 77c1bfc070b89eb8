// stats.h - what the router counts, and the answer to $bus.stats.
//
// Owner: the router; its thread. Plain counters that its files add to; every one only grows, so
// that a reader can take differences.
#pragma once
#include "proto/error.h"
#include "proto/pack.h"
#include "proto/topic.h"
#include <stdint.h>

enum {
    STATS_CLASSES = TOPIC_INBOX + 1,
    STATS_LATENCIES = 1024,      // latest commits that percentiles are taken from
    STATS_JOURNAL_ERR_MS = 5000, // how long the journal's last error is told where none follows
};

typedef struct {
    uint64_t messages;
    uint64_t bytes; // of topic, header and body
} stats_flow_t;

typedef struct {
    stats_flow_t in[STATS_CLASSES];    // taken from peers, by class; refused ones are not in it
    stats_flow_t out[STATS_CLASSES];   // given to the egress, once each, however many hear it
    uint64_t refused[BUS_ERROR_COUNT]; // messages refused, by error
    uint64_t orphans;                  // answers to an inbox that nobody listens on
    uint64_t subscriptions;            // granted
    uint64_t subscriptions_refused;    // not granted
    uint64_t upstream_dropped;         // what came up the XPUB and is no subscription
    uint64_t connections_reset;        // ended by us for what came up them
    uint64_t connections_accepted;     // on both sockets
    uint64_t connections_closed;
    uint64_t connections_refused;           // ended at the limit, right after they were accepted
    uint64_t handshakes_refused;            // no certificate, or none that is known
    uint64_t sources_replaced;              // messages that claimed another name than their key's
    uint64_t connections_clogged;           // ended because they did not read, see clog.h
    uint64_t held_dropped;                  // messages not sent while too much was held
    uint64_t commits;                       // batches made durable
    uint64_t commit_items;                  // items in them
    uint32_t commit_items_max;              // of one batch
    uint64_t journaled;                     // records
    uint64_t duplicates;                    // known by their pseq, not journaled again
    bus_err_t journal_err;                  // why the last record was not journaled; BUS_OK: it was
    uint64_t journal_err_ms;                // boot clock, of that
    uint32_t latencies_us[STATS_LATENCIES]; // a ring: from handing a batch over to having it back
} stats_t;

// Counts one commit of `items` that took `latency_us`.
void stats_add_commit(stats_t *self, uint32_t items, uint64_t latency_us);

static inline void
stats_add(stats_flow_t *flow, uint64_t bytes)
{
    flow->messages++;
    flow->bytes += bytes;
}

// Notes that a record could not be journaled: BUS_JOURNAL_FULL, BUS_IO. Other errors are not the
// journal's, and ignored.
void stats_journal_failed(stats_t *self, bus_err_t err);

// Writes its pairs into an open map; returns how many.
uint32_t stats_pack(const stats_t *self, pack_t *out);
