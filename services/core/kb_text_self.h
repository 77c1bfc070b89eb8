// kb_text_self.h - what kb_text.c and kb_chunk.c share: characters. Inner to them.
#pragma once
#include "kb_text.h"

// What a character is to a word.
typedef enum {
    CORE_KB_TEXT_PARTING,    // ends it
    CORE_KB_TEXT_LETTER,     // is of it: letters, digits, the marks of Indic scripts
    CORE_KB_TEXT_JOINING,    // is within it, and nothing of it
    CORE_KB_TEXT_APOSTROPHE, // the same between two letters, else it ends it
    CORE_KB_TEXT_LONE        // is a word by itself
} core_kb_text_class_t;

core_kb_text_class_t core_kb_text_class(uint32_t character);

// One character of at least one byte; returns its size. A byte that begins none is U+FFFD, size 1.
size_t core_kb_text_decode(const char *at, const char *end, uint32_t *ret_character);
