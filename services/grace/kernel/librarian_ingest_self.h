// librarian_ingest_self.h - the inside of librarian_ingest.h, for the librarian_ingest*.c alone.
#pragma once
#include "librarian_batch.h"
#include "runtime/id.h"
#include "runtime/sha256.h"

enum {
    KERNEL_LIBRARIAN_ID_SIZE = 129,
    KERNEL_LIBRARIAN_TITLE_SIZE = 256,
    KERNEL_LIBRARIAN_SOURCE_SIZE = 65,
    KERNEL_LIBRARIAN_TRACE_SIZE = 129,
    KERNEL_LIBRARIAN_WHY_SIZE = 400,
    KERNEL_LIBRARIAN_FILE_SIZE = 256, // of a file's name: NAME_MAX and its end
};

typedef enum {
    KERNEL_LIBRARIAN_WAITS,   // for another of the same text or id, or for its turn
    KERNEL_LIBRARIAN_SENDS,   // a part is on its way to Core
    KERNEL_LIBRARIAN_POLLS,   // Core's answer was lost: Core is asked what it has
    KERNEL_LIBRARIAN_REMOVES, // what was joined goes from Core
    KERNEL_LIBRARIAN_SAYS,    // the fact is on its way
    KERNEL_LIBRARIAN_SETTLES, // the fact is to be read back
} kernel_librarian_state_t;

struct kernel_librarian {
    service_t *service;
    kernel_librarian_ingest_t *first; // the oldest first
    size_t count;
    kernel_librarian_batch_t *batches;
    char folder_after[KERNEL_LIBRARIAN_FILE_SIZE]; // the last file of a go that was full; "": none
    uint64_t applied;                              // facts up to here are in the store
    int timer;                                     // those that wait have their turn; 0: none
};

struct kernel_librarian_ingest {
    kernel_librarian_ingest_t *next;
    kernel_librarian_t *owner;
    kernel_librarian_state_t state;
    kernel_librarian_done_fn *fn;
    void *arg;

    char document_id[KERNEL_LIBRARIAN_ID_SIZE];
    char title[KERNEL_LIBRARIAN_TITLE_SIZE];
    char source[KERNEL_LIBRARIAN_SOURCE_SIZE];
    char trace_id[KERNEL_LIBRARIAN_TRACE_SIZE]; // "": none
    char sha256[KERNEL_LIBRARIAN_SHA_SIZE + 1]; // of the text as it was taken in
    text_t *text;                               // cleaned
    bus_view_t sections[KERNEL_LIBRARIAN_SECTIONS_MAX];
    size_t section_count;
    pack_t *members; // as they came; nothing: none
    pack_t *removes;
    schema_real_t before;
    char rejected[KERNEL_LIBRARIAN_WHY_SIZE]; // of one that is mended: why it was; "": it was not
    unsigned steps;

    uint64_t words;
    uint64_t chunks;
    pack_t *chunk_ids; // an array
    double quality;
    double trust;
    bool is_rejected;
    char why[KERNEL_LIBRARIAN_WHY_SIZE]; // of a rejection
    char action[24];                     // Core's word: added, replaced, updated, unchanged

    uint64_t began_us;                                   // boot clock
    uint64_t extract_us, chunk_us, quality_us, trust_us; // how long each stage took
    uint64_t store_began_us;

    size_t sent;                // parts that Core has, or members that are gone
    char send_id[ID_TEXT_SIZE]; // of the message on its way: sent again, it is the same
    bool is_acked;              // it is durable
    uint64_t call;              // 0: none
    int timer;                  // 0: none
    uint64_t give_up_ms;        // boot clock
    uint64_t fact;              // seq of what was said
};

// librarian_ingest.c: the fact is said, which ends it; it is rejected, for the reason in `why`; or
// it cannot go on.
void kernel_librarian_ingest_say_fact(kernel_librarian_ingest_t *self);
void kernel_librarian_ingest_reject(kernel_librarian_ingest_t *self);
void kernel_librarian_ingest_fail(kernel_librarian_ingest_t *self, bus_err_t err, const char *why);

// librarian_ingest_core.c: hands the next part to Core, and so on to the end; then says the fact.
void kernel_librarian_ingest_send(kernel_librarian_ingest_t *self);

// librarian_ingest_look.c: what there is to know of the text.
void kernel_librarian_ingest_look(kernel_librarian_ingest_t *self);

// librarian_ingest_say.c: packing.
void
kernel_librarian_ingest_pack_part(const kernel_librarian_ingest_t *self, size_t index, pack_t *out);
void kernel_librarian_ingest_pack_fact(const kernel_librarian_ingest_t *self, pack_t *out);
void kernel_librarian_ingest_pack_result(const kernel_librarian_ingest_t *self,
                                         const char *status,
                                         pack_t *out);
// Of one whose text is there already, as `row` says, under `document_id`.
void kernel_librarian_ingest_pack_duplicate(const kernel_librarian_ingest_t *self,
                                            bus_view_t document_id,
                                            const schema_librarian_document_t *row,
                                            pack_t *out);
