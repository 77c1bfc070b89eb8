// kb_rank.h - the passages that fit a question best, by BM25.
//
// S. Robertson, H. Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond" (2009),
// formula 3.15, with k1 1.2 and b 0.75; of a term in n of N passages
//     idf = ln (1 + (N - n + 0.5) / (n + 0.5))
// which is never negative (as Lucene has it). Only passages that can still be among the best are
// looked at: H. Turtle, J. Flood, "Query evaluation: strategies and optimizations" (1995),
// MaxScore. The result is that of looking at all of them, equal scores in the order of their
// passages.
#pragma once
#include "kb_question.h"
#include "runtime/store.h"

enum { CORE_KB_RANK_MAX = 50 }; // passages of one question

typedef struct {
    uint64_t passage;
    double score;
} core_kb_hit_t;

typedef struct {
    core_kb_hit_t hits[CORE_KB_RANK_MAX]; // the best first
    uint32_t count;
    bool is_partial;                        // it ended at asked->steps_max
    uint64_t steps;                         // what it cost
    uint64_t damaged;                       // blocks of the index that were left out
    double idf[CORE_KB_QUESTION_TERMS_MAX]; // of each term; 0: no passage has it
} core_kb_ranking_t;

// The best `limit` (1 to CORE_KB_RANK_MAX). BUS_IO.
BUS_CHECK bus_err_t core_kb_rank(store_txn_t *txn,
                                 const core_kb_asked_t *asked,
                                 uint32_t limit,
                                 core_kb_ranking_t *ret_ranking);
