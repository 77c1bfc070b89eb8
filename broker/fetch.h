// fetch.h - one $bus.fetch, as the reader keeps it while it is parked.
//
// Owner: the reader's thread. It holds copies of what it needs and nothing else of the message: at
// most some 17 KiB, whatever else a peer put into the body.
#pragma once
#include "proto/auto.h"
#include "proto/error.h"
#include "proto/limits.h"
#include "proto/pack.h"
#include "proto/view.h"
#include <stdint.h>

enum {
    FETCH_COUNT_PRESET = 1000,        // records of a page, where `max` is absent
    FETCH_BYTES_PRESET = 1024 * 1024, // bytes of a page, where `max_bytes` is absent
};

typedef struct {
    bus_view_t reply_to;
    bus_view_t id;
    bus_view_t trace_id; // may be absent
    bus_view_t consumer;
    bus_view_t filters[FETCH_FILTERS_MAX];
    size_t filter_count;   // 0: all
    bus_view_t only_trace; // records of this trace alone; absent: of any
    uint64_t families;     // what its filters can match, see journal_scan_filter_families
    uint64_t from;         // where it stands: moved on while it is parked
    uint64_t ack;          // 0: says nothing
    uint64_t deadline_ms;  // boot clock
    uint32_t max;
    uint32_t max_bytes;
    char bytes[]; // what the views point into
} fetch_t;

// What the router hands over. Views are copied.
typedef struct {
    bus_view_t reply_to;
    bus_view_t id;
    bus_view_t trace_id;
    bus_view_t body; // passed walk_check
} fetch_frames_t;

// BUS_VALIDATION_FAILED, with the problems as whole msgpack appended to `reterr_details`.
BUS_CHECK bus_err_t fetch_new(const fetch_frames_t *frames,
                              uint64_t now_ms,
                              pack_t *reterr_details,
                              fetch_t **ret_self);
void fetch_destroy(fetch_t **self_p);
