// librarian_record.h - what the librarian knows of documents: a reducer over kb.ingested.
//
// A document is known by its id, and its text by its sha256, so that it is taken in once. The texts
// of those of low quality are kept to be mended, within a bound. What somebody else adds to or
// removes from the knowledge base under the same id is no longer the librarian's. Owner: the
// service's thread.
#pragma once
#include "runtime/service.h"

typedef enum {
    KERNEL_LIBRARIAN_DOCUMENTS, // document_id -> librarian_document
    KERNEL_LIBRARIAN_HASHES,    // sha256 in hex -> document_id
    KERNEL_LIBRARIAN_LOW,       // seq of the fact -> kb_ingested, with its text
    KERNEL_LIBRARIAN_REJECTED,  // seq of the fact -> document_id
    KERNEL_LIBRARIAN_TOTALS,    // "totals" -> kernel_librarian_totals_t
    KERNEL_LIBRARIAN_TABLE_COUNT
} kernel_librarian_table_t;

extern const store_table_t kernel_librarian_tables[KERNEL_LIBRARIAN_TABLE_COUNT];

enum {
    KERNEL_LIBRARIAN_DOCUMENTS_MAX = 1000000, // 300 MiB of rows; beyond it nothing more is taken in
    KERNEL_LIBRARIAN_REJECTED_MAX = 10000, // the oldest are forgotten, and would be looked at anew
    KERNEL_LIBRARIAN_LOW_MAX = 500,        // texts: the oldest are given up
    KERNEL_LIBRARIAN_LOW_BYTES_MAX = 64 * 1024 * 1024, // likewise
    KERNEL_LIBRARIAN_SHA_SIZE = 64,                    // hex digits of a SHA-256
};

typedef struct {
    uint64_t accepted;
    uint64_t rejected;
    uint64_t joined;
    uint64_t quality;   // thousandths, of all that is accepted
    uint64_t low_bytes; // of texts that are kept
    uint64_t mended;    // facts that said so
} kernel_librarian_totals_t;

// Each applies one message: kb.ingested (the librarian's own alone), kb.document, kb.remove (of
// others). BUS_FULL, BUS_IO, or what service_refuse returns.
bus_err_t kernel_librarian_record_ingested(service_apply_t *self, const void *message);
bus_err_t kernel_librarian_record_replaced(service_apply_t *self, const void *message);
bus_err_t kernel_librarian_record_removed(service_apply_t *self, const void *message);

// What is known of a document; views live as the transaction does, or until its next write.
// BUS_NOT_FOUND, BUS_CORRUPT, BUS_IO.
BUS_CHECK bus_err_t kernel_librarian_record_get(store_txn_t *txn,
                                                bus_view_t document_id,
                                                schema_librarian_document_t *ret_row);
// Whose text has this hash. BUS_NOT_FOUND, BUS_CORRUPT, BUS_IO.
BUS_CHECK bus_err_t kernel_librarian_record_find(store_txn_t *txn,
                                                 bus_view_t sha256,
                                                 bus_view_t *ret_document_id);
// Zeros where there is nothing yet. BUS_IO.
BUS_CHECK bus_err_t kernel_librarian_record_totals(store_txn_t *txn,
                                                   kernel_librarian_totals_t *ret_totals);
// Packs a document as it is shown: one map.
void kernel_librarian_record_pack(bus_view_t document_id,
                                  const schema_librarian_document_t *row,
                                  pack_t *out);

// req.kernel-librarian.documents
bus_err_t kernel_librarian_record_list(service_query_t *self, const void *message);
