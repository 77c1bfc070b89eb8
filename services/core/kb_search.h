// kb_search.h - asking the knowledge base: the passages that fit a question best, and an answer
// made of their sentences.
//
// Passages are ranked by BM25 (kb_rank.h). A question is words, among which @book:x @type:y
// @version:z narrow it (a value with spaces in double quotes); `filters` says the same as a map,
// and all of them must hold. Everything is read in one transaction; nothing is written, and what it
// costs is bounded.
#pragma once
#include "kb_rank.h"
#include "proto/pack.h"
#include "runtime/service.h"

enum {
    CORE_KB_SEARCH_LIMIT = 5,                    // passages where no limit is given: top_k
    CORE_KB_SEARCH_LIMIT_MAX = CORE_KB_RANK_MAX, // passages of one answer
    CORE_KB_SEARCH_QUERY_MAX = 4096,             // bytes of a question that are read
};

typedef struct {
    bus_view_t query;    // as it was asked, with its @filters; cut at CORE_KB_SEARCH_QUERY_MAX
    bus_view_t filters;  // one msgpack map of book, type, version; absent: none
    int64_t limit;       // most passages; 0: CORE_KB_SEARCH_LIMIT
    bus_view_t query_id; // echoed; absent: nil
    bus_view_t tags;     // one msgpack array, echoed in the metadata; absent: an empty one
    uint64_t at;         // microseconds since 1970, for the answer's timestamp
} core_kb_question_t;

// What knowledge_agent answers, as one map (docs/originals.md 3.6):
//   {response, query_id, query, sources: [{document_id, title, book, version, source, score,
//    chunks}], knowledge_base_results: [{document_id, title, book, type, version, source, chunk,
//    offset, length, score, text}], metadata: {retriever, tags, total_results, …}, timestamp,
//    status: 200 | 404, model, endpoint: "knowledge_agent"}
// Nothing found is an answer too: status 404, empty lists, and BUS_OK. BUS_VALIDATION_FAILED where
// the question makes none: *reterr_field and *reterr_problem say why (literals). BUS_IO.
BUS_CHECK bus_err_t core_kb_search_answer(store_txn_t *txn,
                                          const core_kb_question_t *question,
                                          pack_t *out,
                                          const char **reterr_field,
                                          const char **reterr_problem);

// req.core.kb_search (schema kb_search): the same answer, as a question of its own.
BUS_CHECK bus_err_t core_kb_search_query(service_query_t *self, const void *message);
