// peer.h - who said hello, and whose turn it is to answer a request.
//
// Owner: the router; its thread. Pure memory; time is given to it.
#pragma once
#include "proto/auto.h"
#include "proto/error.h"
#include "proto/view.h"
#include <stdint.h>

enum {
    PEERS_MAX = 8192,           // each is some 700 bytes
    PEER_BEAT_MS = 1000,        // a peer says that it lives
    PEER_SILENCE_MS = 3 * 1000, // three missed beats, and it is gone
    // Requests that wait at an instance. A service answers some 20,000 simple ones a second; one
    // that is this far behind would answer the next to somebody who has given up.
    PEER_WAITING_MAX = 2048
};

typedef struct peer_table peer_table_t;

// What a peer says of itself. Views are copied when it registers.
typedef struct {
    bus_view_t service;  // answers req.<service>.*; empty: nothing
    bus_view_t instance; // unique among the living
    bus_view_t inbox;    // where requests are handed to; absent: none
    bus_view_t source;
    bus_view_t version;
    bus_view_t build;
    bus_view_t host;
    int64_t pid;    // 0: not said
    double boot_ms; // from start to ready; 0: not said
    uint64_t since; // microseconds since 1970, when it was first seen by this broker
} peer_t;

// `why`: a literal, for people.
typedef void(peer_down_fn)(void *arg, const peer_t *peer, const char *why);

peer_table_t *peer_table_new(void);
void peer_table_destroy(peer_table_t **self_p);

// Takes a hello or a beat at `now_ms` (boot clock). Sets *ret_new where the instance was not known;
// a known one is replaced by what it says now. BUS_BUSY where PEERS_MAX are known. The text fields
// keep to the limits of the schema `hello` (asserted).
BUS_CHECK bus_err_t peer_register(peer_table_t *self,
                                  const peer_t *peer,
                                  uint64_t now_ms,
                                  bool *ret_new);
// Calls `fn` with the peer and forgets it. Does nothing where it is not known.
void
peer_leave(peer_table_t *self, bus_view_t instance, const char *why, peer_down_fn *fn, void *arg);
// Forgets whoever was silent for PEER_SILENCE_MS, and requests too old to count; to be called each
// second. Where the caller was
// itself stopped for longer than that, nobody is judged by it.
void peer_expire(peer_table_t *self, uint64_t now_ms, peer_down_fn *fn, void *arg);

// The instance whose turn it is to answer `req.<asked>`, of the longest registered service name
// that is a run of whole tokens at its start. `usable` says whether an instance can be reached: one
// that is not loses its turn. NULL where there is none. Valid until the next call that changes the
// table.
typedef bool(peer_usable_fn)(void *arg, const peer_t *peer);
const peer_t *peer_choose(peer_table_t *self, bus_view_t asked, peer_usable_fn *usable, void *arg);

// Requests that were handed to the instance and not answered, at most: see asked.h. A peer that
// peer_choose gives, or shows to `usable`.
uint32_t peer_waiting(const peer_table_t *self, const peer_t *peer);
// The instance was handed this request, and an answer to one came.
void peer_asked(
    peer_table_t *self, const peer_t *peer, bus_view_t reply_to, bus_view_t id, uint64_t now_ms);
void peer_answered(peer_table_t *self, bus_view_t reply_to, bus_view_t id);
// What waited at the instance is lost: it said hello, anew.
void peer_began(peer_table_t *self, bus_view_t instance);

// The source that an instance said hello as; absent where it is not known. Valid until the next
// call that changes the table.
bus_view_t peer_source(const peer_table_t *self, bus_view_t instance);
uint32_t peer_count(const peer_table_t *self);
// How many of them said hello as `source`.
uint32_t peer_count_of(const peer_table_t *self, bus_view_t source);
// Calls `fn` for each, in no order.
typedef void(peer_each_fn)(void *arg, const peer_t *peer);
void peer_each(const peer_table_t *self, peer_each_fn *fn, void *arg);
