// kb_document.h - the documents of the knowledge base: added, replaced, removed, listed.
//
// A document is one to CORE_KB_DOCUMENT_PARTS_MAX parts, each a command of its own, so that a book
// may be larger than a message. The same part with the same text again changes nothing; another
// text takes its place; the last part takes away what an older, longer version had behind it. While
// the parts of a new version come in, the document is partly old. docs/contract.md section 8.
#pragma once
#include "kb_row.h"
#include "proto/schema.h"
#include "runtime/service.h"

enum {
    CORE_KB_DOCUMENTS_PAGE = 100, // rows of a list where no limit is given
};

// kb.document (schema kb_document). Answers {status, document_id, action, part, parts, chunks,
// sha256}; action: added, replaced, updated (only what is said about it) or unchanged.
// BUS_VALIDATION_FAILED; BUS_QUOTA_EXCEEDED where there is no room for more passages; the store's.
BUS_CHECK bus_err_t core_kb_document_add(service_apply_t *self, const void *message);

// kb.remove (schema kb_remove). Answers {status, document_id, action: removed, chunks}.
// BUS_NOT_FOUND; the store's.
BUS_CHECK bus_err_t core_kb_document_remove(service_apply_t *self, const void *message);

// req.core.documents (schema kb_documents_query). Answers {documents: [{document_id, title, …}],
// count, next: the id to go on after, or nil, totals: {documents, chunks, words, bytes}}.
BUS_CHECK bus_err_t core_kb_document_list(service_query_t *self, const void *message);

// Adds `knowledge_base: {documents, chunks, words, bytes}` to the open map of the service's health.
// Returns how many pairs.
unsigned core_kb_document_health(store_txn_t *txn, pack_t *out);
