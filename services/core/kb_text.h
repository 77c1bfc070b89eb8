// kb_text.h - text as the knowledge base reads it: words. Sentences and passages are kb_chunk.h's.
//
// Pure functions over UTF-8, any thread. No locale and no library's Unicode tables: what a word is
// must be the same on every machine and for ever, or a rebuilt index would not fit its journal. A
// change here raises Core's rules_version.
#pragma once
#include "proto/view.h"
#include <stdint.h>

enum {
    CORE_KB_TEXT_TERM_MAX = 64, // bytes of a word as it is looked up; longer ones are cut
};

// --- Words ---------------------------------------------------------------------------------------

// A run of letters, digits and marks. Folded: in lower case, Latin letters without their marks
// (Kṛṣṇa: krsna), without what joins (soft hyphens, zero-width joiners, apostrophes: don't: dont)
// and without an English genitive. A Han or Kana character is a word of its own.
typedef struct {
    bus_view_t source;                  // in the text
    char folded[CORE_KB_TEXT_TERM_MAX]; // UTF-8
    size_t folded_size;                 // bytes; above 0
} core_kb_word_t;

// Where a walk over the words of a text stands.
typedef struct {
    const char *at;
    const char *end;
} core_kb_words_t;

core_kb_words_t core_kb_text_words(bus_view_t text);
// False at the end. What is not UTF-8 separates words.
bool core_kb_text_next_word(core_kb_words_t *self, core_kb_word_t *ret_word);

// Folds a whole name, for comparing: its words with one space between them, cut at `size_max`.
// Returns how many bytes.
size_t core_kb_text_fold(bus_view_t text, char *ret_folded, size_t size_max);

// Whether it is a word that says nothing about what a text is about: the, of, which, …
bool core_kb_text_is_stop(bus_view_t folded);
