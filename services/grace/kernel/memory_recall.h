// memory_recall.h - what was done before about something like this.
#pragma once
#include "memory_episode.h"

// Packs {episodes, count, matched, actions}: the episodes that fit all that is asked for, those
// that are over first, by their score, then the latest; and per handler and task type how they
// went. At most `size_max` bytes of episodes. BUS_BUSY, BUS_IO.
BUS_CHECK bus_err_t kernel_memory_recall_pack(store_txn_t *txn,
                                              const schema_memory_recall_t *asked,
                                              size_t size_max,
                                              pack_t *out);

// req.kernel-memory.recall
bus_err_t kernel_memory_recall(service_query_t *self, const void *message);
