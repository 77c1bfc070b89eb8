// librarian_batch.h - several documents, one after the other.
//
// What there is to be done is known by its kind; here is the walk through it, a turn of the loop
// each. Owner: the loop's thread.
#pragma once
#include "librarian_ingest.h"

typedef struct kernel_librarian_batch kernel_librarian_batch_t;

typedef struct {
    // The next document; its views live until `take` is called for it. False: none is left.
    bool (*next)(void *own, kernel_librarian_ask_t *ret_ask);
    // What came of it.
    void (*take)(void *own, const kernel_librarian_outcome_t *outcome);
    // What came of all of them: one whole map.
    void (*pack)(void *own, pack_t *out);
    void (*destroy)(void *own);
} kernel_librarian_batch_kind_t;

enum { KERNEL_LIBRARIAN_BATCHES_MAX = 8 }; // at once: each may hold a text

// Begins; `own` is the batch's from here on, also where it fails. `fn` is called once, not before
// it returns, with the status `completed`. BUS_BUSY.
BUS_CHECK bus_err_t kernel_librarian_batch_start(kernel_librarian_t *self,
                                                 const kernel_librarian_batch_kind_t *kind,
                                                 void *own,
                                                 kernel_librarian_done_fn *fn,
                                                 void *arg);
// Ends all of them; nobody is told.
void kernel_librarian_batch_clear(kernel_librarian_t *self);
