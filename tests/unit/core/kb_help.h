// kb_help.h - the knowledge base in tests: documents put in by their texts, and a ranking that
// looks at everything, to compare with.
#pragma once
#include "core/kb_document.h"
#include "core/kb_rank.h"
#include "help.h"

// Adds a document as the next record; the answer's action ("" where it was refused).
const char *kb_help_add(help_t *help, const schema_kb_document_t *message);
const char *kb_help_add_text(help_t *help, const char *document_id, const char *text);
bus_err_t kb_help_remove(help_t *help, const char *document_id);

// Ranks in a transaction of its own.
core_kb_ranking_t kb_help_rank(help_t *help, const char *query, uint32_t limit);
// The same by going over every passage that there is, with nothing but the formula. For few terms.
core_kb_ranking_t kb_help_rank_all(help_t *help, const char *query, uint32_t limit);

// Checks the index against the passages: every posting, count, bound and total. Fails the test
// where it is not exactly what they make.
void kb_help_check(help_t *help);
// How many records of a table there are.
uint64_t kb_help_count(help_t *help, unsigned table);
