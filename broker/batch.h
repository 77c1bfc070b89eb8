// batch.h - what the router gathers while the committer is busy: one block of memory, many items.
//
// The router appends items, hands the block over as one ZeroMQ message (the memory travels, nothing
// is copied), the committer writes results into the items and sends the same block back. So at each
// moment one thread owns it, and no pointer is shared. A record's payload is the exact msgpack that
// the journal stores and a fetch serves: [topic, header, body], whose header ends in seq, at and
// prev for the committer to fill in.
#pragma once
#include "proto/auto.h"
#include "proto/error.h"
#include "proto/header.h"
#include "proto/pack.h"
#include "proto/view.h"
#include <stdbool.h>
#include <stdint.h>

typedef enum {
    BATCH_RECORD,   // one message for the journal
    BATCH_GROUP,    // head of a $bus.batch: the next `count` items are its records
    BATCH_HELLO,    // asks where a stream stands; answered in order with what came before it
    BATCH_CONSUMER, // a consumer's ack to keep
    BATCH_FORGET,   // a consumer to forget
    BATCH_TRIM // records below `floor` may go, by retention. Results: `first` is the lowest seq
               // kept now, `count` how many went; at JOURNAL_TRIM_MAX of them there may be more
} batch_kind_t;

// A piece of the item's own payload. size 0: absent.
typedef struct {
    uint32_t offset; // from the item's start
    uint32_t size;
} batch_piece_t;

typedef struct {
    uint32_t size;   // of the whole item, a multiple of 8
    uint8_t kind;    // batch_kind_t
    uint8_t ack;     // header_ack_t: which answer is wanted
    bool grouped;    // a record of the group before it
    bool duplicate;  // result: its pseq was journaled before, seq and at are the original's (or 0)
    uint32_t family; // records: topic_family
    uint32_t count;  // groups: records that follow; result of a hello: 1 where the stream is known
    uint32_t err;    // result: bus_err_t
    uint64_t pseq;   // 0: none
    uint64_t seq;    // result: its place; of a group the last one's. Consumer: its ack. Trim: floor
    uint64_t at;     // result
    uint64_t first;  // result of a group: the first one's place
    uint64_t expected;  // result of PSEQ_GAP; of a hello: the last pseq; of a trim: bytes kept
    uint64_t cause_seq; // of a record: its header's; result of a hello
    uint64_t cause_n;
    uint32_t trace;       // of a record: record_trace_hash of its trace_id
    batch_piece_t record; // records: the whole [topic, header, body]
    batch_piece_t topic;  // within the record, without its msgpack head
    batch_piece_t header; // within the record
    batch_piece_t body;   // within the record
    batch_piece_t id;     // of the message that is to be answered
    batch_piece_t source; // consumer items: the consumer's name
    batch_piece_t pstream;
    batch_piece_t reply_to;
    batch_piece_t trace_id;
} batch_item_t;

typedef struct batch batch_t;

enum { BATCH_ITEMS_MAX = 65536, BATCH_BYTES_MAX = 16 * 1024 * 1024 }; // of one commit

batch_t *batch_new(void);
void batch_destroy(batch_t **self_p);
bool batch_is_empty(const batch_t *self);
uint32_t batch_count(const batch_t *self);
size_t batch_bytes(const batch_t *self);

// What an item is made of. Views are copied.
typedef struct {
    batch_kind_t kind;
    bool grouped;
    uint32_t count;
    uint64_t seq;
    bus_view_t topic;        // records
    bus_view_t header_bytes; // records: stamped as journaled
    bus_view_t body;         // records: checked msgpack
    header_t header;         // decoded, of the message to be answered: id, source, pstream, pseq,
                             // ack, reply_to, trace_id, cause. Of a grouped record, which is not
                             // answered, trace_id and cause alone
} batch_entry_t;

// Appends one item. Its result fields are zero.
void batch_add(batch_t *self, const batch_entry_t *entry);

// Gives the block away as a ZeroMQ message (a zmq_msg_t *, uninitialised before), leaving the batch
// empty. Takes one back with batch_first on the message's bytes.
void batch_release(batch_t *self, void *ret_msg);

// Walking the items of a block.
batch_item_t *batch_first(void *data, size_t size);
batch_item_t *batch_next(void *data, size_t size, batch_item_t *item);
static inline bus_view_t
batch_piece(const batch_item_t *item, batch_piece_t piece)
{
    return view_from(piece.size == 0 ? NULL : (const char *) item + piece.offset, piece.size);
}
