// journal.h - the one ordered log: append a batch, read from, head, trim. Kept by LMDB here; the
// interface is all that another engine would have to give.
//
// Threads: the committer appends, the reader reads, and journal_open runs before both. Values lie
// in the store as the msgpack that fetches serve, then a trailer {stream_prev u64, span u32, zero
// u32} by which a stream's records can be walked backwards, then the store's checksum. An append
// touches the end of the log, one state record, and the streams that spoke; one in some hundreds
// also adds to the table by which a trace's records are found (journal_trace.h).
#pragma once
#include "batch.h"
#include "proto/auto.h"
#include "proto/error.h"
#include "proto/view.h"
#include <stdint.h>

enum {
    STREAMS_MAX = 65536,  // publishers whose last pseq is kept
    CONSUMERS_MAX = 1024, // known consumers, whose ack holds retention back
    JOURNAL_EPOCH_SIZE = 37,
    JOURNAL_TRIM_MAX = 10000, // records that one trim removes, so that publishing goes on
};

#define JOURNAL_LOG_TABLE "log" // its store's table of records, by seq: for tools

typedef struct journal journal_t;

typedef struct {
    const char *path;         // folder of its store
    uint64_t size_max;        // bytes of the map; 0: 256 GiB
    uint64_t retention_bytes; // 0: keeps everything
    uint64_t retention_ms;    // 0: keeps everything
} journal_options_t;

BUS_CHECK bus_err_t journal_open(const journal_options_t *options, journal_t **ret_self);
void journal_destroy(journal_t **self_p);

typedef struct {
    char epoch[JOURNAL_EPOCH_SIZE]; // made with the journal
    uint64_t first;                 // lowest seq kept; head + 1 where it is empty
    uint64_t head;                  // highest; 0: nothing was ever journaled
    uint64_t at;                    // of the head
    uint64_t bytes;                 // in use
} journal_info_t;
// As of the last commit; any thread. Each number is right by itself, together they may be of two
// commits.
void journal_info(const journal_t *self, journal_info_t *ret_info);
// Whether the wall clock at start was more than a day ahead of the last record.
bool journal_clock_jumped(const journal_t *self);

// Known consumers, at start. Calls `fn` for each.
typedef void(journal_consumer_fn)(void *arg, bus_view_t consumer, uint64_t ack);
BUS_CHECK bus_err_t journal_consumers(journal_t *self, journal_consumer_fn *fn, void *arg);

// Appends every record of the block in one transaction, in order, deciding duplicates and gaps by
// pseq, and writes the results into its items. All records of one call share one `at`. On BUS_FULL
// or BUS_IO nothing of it is journaled and every item says so (JOURNAL_FULL, IO_ERROR); but where
// it is full, consumers' acks and trims, which make room, are done all the same. After an IO_ERROR
// the store is closed and opened again; it may then hold what was refused, and a retry with its
// pseq is a duplicate. Besides BUS_PSEQ_GAP an item may be refused BUS_BUSY: there are too many
// streams or consumers, or too many duplicates had to be looked up for one commit.
void journal_append(journal_t *self, void *block, size_t size);

// --- The reader's side --------------------------------------------------------------------------

typedef struct {
    uint64_t from; // first seq wanted
    uint64_t head; // not beyond: what the router has answered for
    const bus_view_t *filters;
    size_t filter_count; // 0: all
    bus_view_t trace_id; // only records of this trace; absent: of any
    uint32_t max;
    uint32_t max_bytes;
    uint32_t scan_max; // records looked at before it gives up for this time; of
                       // a trace: those, and blocks of the table that says where they are
} journal_scan_t;

typedef struct {
    uint64_t first; // lowest kept
    uint64_t next;  // where the following scan goes on
    uint32_t count; // records appended to `out`
} journal_page_t;
// Appends matching records, each a whole [topic, header, body], to `out`. At least one that
// matches, whatever max_bytes. BUS_TRIMMED, BUS_AHEAD, BUS_CORRUPT (with *ret_page up to before the
// bad record; a scan from behind it goes on), BUS_IO.
BUS_CHECK bus_err_t journal_scan(journal_t *self,
                                 const journal_scan_t *scan,
                                 pack_t *out,
                                 journal_page_t *ret_page);
