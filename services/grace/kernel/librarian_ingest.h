// librarian_ingest.h - one document, from its text to Core's knowledge base.
//
// It is extracted, cut into chunks, scored, and held against what is known; what is good enough
// goes to Core as kb.document, whose answer is awaited; what came of it is a journaled fact,
// kb.ingested, and it is over once the librarian itself has read that back. Killed anywhere on that
// way it can be done again: the document's id is its text's, Core takes the same text once, and a
// fact says what is. Two of the same text or id wait for each other.
//
// Owner: the loop's thread. Nothing blocks.
#pragma once
#include "librarian_mend.h"
#include "librarian_record.h"

enum {
    KERNEL_LIBRARIAN_INGESTS_MAX = 32,      // at once: each has a text of up to 768 KiB
    KERNEL_LIBRARIAN_TEXT_MAX = 768 * 1024, // bytes of a text: the schema's limit
};

typedef struct kernel_librarian kernel_librarian_t;               // all that goes on in the process
typedef struct kernel_librarian_ingest kernel_librarian_ingest_t; // one document

// Views need only live during the call.
typedef struct {
    bus_view_t document_id; // absent: made of its sha256
    bus_view_t title;
    bus_view_t text;
    bus_view_t source;
    bus_view_t trace_id; // what is said carries it
    // Of one that is mended: the hash that it was taken in by, its quality then, what was done to
    // it (of kernel_librarian_mend_t), and, where others are joined in it, an array of their ids
    // and one of those of them that Core has.
    bus_view_t sha256;
    schema_real_t before;
    unsigned steps;
    bus_view_t rejected; // why it was rejected then; absent: it was not
    bus_view_t members;
    bus_view_t removes;
} kernel_librarian_ask_t;

typedef struct {
    bus_err_t err;      // BUS_OK: the result says what came of it
    const char *why;    // of an error, for a person
    const char *status; // completed, duplicate or rejected
    bus_view_t document_id;
    double quality; // of it as it is
    double trust;
    uint64_t chunks;   // that were made
    bus_view_t result; // one whole map
} kernel_librarian_outcome_t;
// Called once; views live during the call. It may begin the next.
typedef void(kernel_librarian_done_fn)(void *arg, const kernel_librarian_outcome_t *outcome);

kernel_librarian_t *kernel_librarian_new(service_t *service);
// Nobody is told of what is still open: their callers go, too.
void kernel_librarian_destroy(kernel_librarian_t **self_p);

// Begins. BUS_BUSY where as many are under way as may be, BUS_VALIDATION_FAILED where the id is
// none, BUS_PAYLOAD_TOO_LARGE. `fn` is never called before it returns.
BUS_CHECK bus_err_t kernel_librarian_ingest(kernel_librarian_t *self,
                                            const kernel_librarian_ask_t *ask,
                                            kernel_librarian_done_fn *fn,
                                            void *arg);

// Facts up to this place of the journal are in the store.
void kernel_librarian_applied(kernel_librarian_t *self, uint64_t seq);
// How many are under way.
size_t kernel_librarian_open(const kernel_librarian_t *self);
service_t *kernel_librarian_service(const kernel_librarian_t *self);
