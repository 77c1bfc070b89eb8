// journal_trim.h - retention: letting old records go. For journal_append.c alone.
#pragma once
#include "batch.h"
#include "journal.h"

// Deletes records from the first on that are past retention, below item->seq, at most
// JOURNAL_TRIM_MAX, in a transaction that may use the store's reserve. Results: item->err,
// item->first (the lowest seq that is kept now), item->count (how many went), item->expected (bytes
// of records that are kept).
void journal_trim(journal_t *self, batch_item_t *item);
