// consumer.h - the consumers whose `ack` holds retention back.
//
// Owner: the router; its thread. A fetch with an ack above 0 makes its consumer known; $bus.forget
// removes it. The journal keeps the acks; this table is what it had at start plus what was heard
// since, and says what is to be written. Pure memory.
#pragma once
#include "journal.h"
#include "proto/auto.h"
#include "proto/error.h"
#include "proto/pack.h"
#include "proto/view.h"
#include <stdint.h>

typedef struct consumer_table consumer_table_t;

consumer_table_t *consumer_table_new(void);
void consumer_table_destroy(consumer_table_t **self_p);

// Whether `name` is known, or there is room for it among CONSUMERS_MAX.
bool consumer_fits(const consumer_table_t *self, bus_view_t name);
// Takes what a consumer said; `next` 0: unknown. An ack never goes back. `is_stored`: the journal
// has it already. BUS_FULL where it does not fit.
BUS_CHECK bus_err_t consumer_heard(
    consumer_table_t *self, bus_view_t name, uint64_t next, uint64_t ack, bool is_stored);
void consumer_forget(consumer_table_t *self, bus_view_t name);

// Calls `fn` for each whose ack is not stored yet, which then counts as stored where it says true.
typedef bool(consumer_store_fn)(void *arg, bus_view_t name, uint64_t ack);
void consumer_store(consumer_table_t *self, consumer_store_fn *fn, void *arg);
// The journal did not take it after all: it comes up again.
void consumer_not_stored(consumer_table_t *self, bus_view_t name);

// Below which seq every known consumer has all: records at and above it must stay. UINT64_MAX where
// none is known.
uint64_t consumer_floor(const consumer_table_t *self);
uint32_t consumer_count(const consumer_table_t *self);
// One array of {consumer, next, ack, lag}, lag being the records up to `head` it has not acked.
void consumer_pack(const consumer_table_t *self, uint64_t head, pack_t *out);
