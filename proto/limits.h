// limits.h - every limit of the wire, with its reason. docs/protocol.md section 2 fixes them.
#pragma once

enum {
    TOPIC_SIZE_MAX = 255,        // bytes of a topic
    HEADER_SIZE_MAX = 4096,      // bytes of an encoded header, as a peer sends it
    HEADER_STAMP_SIZE_MAX = 512, // what the broker may add: id, source, time, seq, at, prev, topic
    BODY_SIZE_MAX = 1024 * 1024, // bytes of an encoded body
    INBOX_BODY_SIZE_MAX = 4 * 1024 * 1024,     // bytes of a body on an inbox: a page of records
    BODY_DEPTH_MAX = 24,                       // nested maps and arrays in a body
    INBOX_BODY_DEPTH_MAX = BODY_DEPTH_MAX + 4, // on an inbox: what was kept, in lists
    JSON_DEPTH_MAX = 20,               // the same for JSON from outside: leaves room for envelopes
    ID_SIZE_MAX = 64,                  // bytes of id, source, pstream
    NAME_SIZE_MAX = 128,               // bytes of reply_to, trace_id
    IDEM_SIZE_MAX = 384,               // bytes of idem: a caller and its Idempotency-Key
    INBOX_OUTSTANDING_MAX = 8192,      // answers a peer may wait for on one inbox
    PSEQ_MEMORY = 8192,                // pseqs of a stream whose original seq is still answered
    FETCH_FILTERS_MAX = 32,            // prefixes in one fetch
    FETCH_WAIT_MS_MAX = 60000,         // longest a fetch is parked
    FETCH_COUNT_MAX = 100000,          // records in one page
    FETCH_BYTES_MAX = 3 * 1024 * 1024, // of them: with its envelope below INBOX_BODY_SIZE_MAX
    BATCH_COUNT_MAX = 10000,           // messages in one $bus.batch
};
