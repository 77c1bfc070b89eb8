// kb_chunk.h - a text cut into sentences and passages. Pure functions over UTF-8, any thread; a
// change here raises Core's rules_version.
#pragma once
#include "proto/view.h"
#include <stdint.h>

enum {
    CORE_KB_CHUNK_CHARS_MAX = 400,   // characters of a passage: the originals' figure
    CORE_KB_CHUNK_OVERLAP_WORDS = 5, // of a passage that begin the next one: likewise
};

// One passage: text[start, end), whose first `overlap` bytes are the last words of the one before,
// and what stands between. Neither begins nor ends with white space.
typedef struct {
    size_t start;
    size_t overlap;
    size_t end;
} core_kb_chunk_t;

// The passage behind `previous` (zeros: the first). Whole sentences, as many as fit; a sentence
// longer than a passage is cut between words, a word longer than one between characters. Together
// they cover every word of the text, and none is without one. False where there is none.
bool
core_kb_chunk_next(bus_view_t text, const core_kb_chunk_t *previous, core_kb_chunk_t *ret_next);

// The end of the sentence that begins at `from` (an offset at or below text.size): behind its full
// stop, or its kin of other scripts, and the quotes and brackets that close with it; or before an
// empty line; or the text's end. At most CORE_KB_CHUNK_CHARS_MAX characters are looked at: a longer
// sentence ends there.
size_t core_kb_chunk_sentence_end(bus_view_t text, size_t from);
// The first offset at or behind `from` that is no white space.
size_t core_kb_chunk_skip_space(bus_view_t text, size_t from);
