// kb_question.h - a question to the knowledge base, understood: which terms, which filters.
//
// Pure functions, any thread.
#pragma once
#include "kb_passage.h"
#include "kb_text.h"

enum {
    CORE_KB_QUESTION_TERMS_MAX = 32,  // different words of a question; the rest is not looked for
    CORE_KB_QUESTION_FILTERS_MAX = 8, // of one question: the rest is refused
};

// Postings decoded for one question: what it may cost of the service's loop. Reached only by dozens
// of common words in a knowledge base of many hundred thousand passages.
#define CORE_KB_QUESTION_STEPS_MAX UINT64_C(2000000)

// A term that is looked for.
typedef struct {
    char term[CORE_KB_TEXT_TERM_MAX];
    size_t size;
    uint32_t count; // how often it was asked for
} core_kb_wanted_t;

typedef struct {
    core_kb_attribute_t attribute;
    char folded[CORE_KB_PASSAGE_VALUE_MAX];
    size_t size; // above 0
} core_kb_filter_t;

typedef struct {
    core_kb_wanted_t terms[CORE_KB_QUESTION_TERMS_MAX];
    uint32_t term_count;
    uint32_t terms_left_out; // beyond the most
    core_kb_filter_t filters[CORE_KB_QUESTION_FILTERS_MAX];
    uint32_t filter_count;
    uint64_t steps_max; // CORE_KB_QUESTION_STEPS_MAX
} core_kb_asked_t;

// Reads the text: words, and @book:x @type:y @version:z anywhere among them (a value with spaces in
// double quotes). Words that say nothing are left out, unless there are no others. `filters`: one
// msgpack map, or absent. BUS_VALIDATION_FAILED: *reterr_field and *reterr_problem say why
// (literals).
BUS_CHECK bus_err_t core_kb_question_read(bus_view_t text,
                                          bus_view_t filters,
                                          core_kb_asked_t *ret_asked,
                                          const char **reterr_field,
                                          const char **reterr_problem);

// The term that a word is looked up by: its stem, into `ret_term`; its size.
size_t core_kb_question_term(const core_kb_word_t *word, char ret_term[CORE_KB_TEXT_TERM_MAX]);
// The place of a term among those that are looked for; -1: it is not.
int core_kb_question_find(const core_kb_asked_t *self, bus_view_t term);
