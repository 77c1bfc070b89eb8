// librarian_text.h - documents as text: cleaned, counted, scored, cut into chunks. Pure functions,
// any thread. The figures are the originals' (reference: their ingestion pipeline).
//
// A word is a run of bytes that are no white space; its length is in characters. Texts are UTF-8.
#pragma once
#include "proto/text.h"
#include "proto/view.h"
#include <stdbool.h>
#include <stdint.h>

enum {
    KERNEL_LIBRARIAN_CHUNK_WORDS = 1000,     // of a chunk
    KERNEL_LIBRARIAN_OVERLAP_WORDS = 200,    // of them the end of the one before
    KERNEL_LIBRARIAN_SHORT_WORDS = 50,       // fewer are too few
    KERNEL_LIBRARIAN_LONG_WORDS = 2000,      // more are too many
    KERNEL_LIBRARIAN_SHORT_CHARACTERS = 100, // fewer are hard to trust
    KERNEL_LIBRARIAN_GOOD_QUALITY = 6,       // tenths: enough to be accepted
    KERNEL_LIBRARIAN_GOOD_TRUST = 7,         // tenths: likewise
    // Tenths: a document below it is kept to be mended: the brain's baseline of chunk quality is
    // .85, and there is no score between .8 and 1.
    KERNEL_LIBRARIAN_FINE_QUALITY = 9,
};

// Appends the text as it is taken in: line ends are \n alone, a no-break space is a space, other
// control and zero-width characters are gone, no line ends in white space, no two empty lines
// follow each other, none begins or ends the text.
void kernel_librarian_text_clean(bus_view_t raw, text_t *out);

// The next word at or behind *at, which steps behind it. False where there is none.
bool kernel_librarian_text_word(bus_view_t text, size_t *at, bus_view_t *ret_word);
// How many characters there are.
uint64_t kernel_librarian_text_characters(bus_view_t text);

typedef struct {
    uint64_t words;
    uint64_t letters;    // characters of all words
    uint64_t characters; // of the text
} kernel_librarian_measure_t;
kernel_librarian_measure_t kernel_librarian_text_measure(bus_view_t text);

// In tenths, so that no rounding decides: 10, less 3 for under 50 words, 2 for over 2,000, and 2
// where words are shorter than 4 characters on average.
unsigned kernel_librarian_text_quality(const kernel_librarian_measure_t *measure);
// In tenths: 8, plus 1 from `filesystem`, less 2 from `external` and 2 for under 100 characters.
unsigned kernel_librarian_text_trust(bus_view_t source, uint64_t characters);

// A chunk: text[start, end), from its first word to its last.
typedef struct {
    size_t start;
    size_t end;
    uint64_t words;
    size_t next; // where the chunk behind it starts
    bool is_last;
} kernel_librarian_chunk_t;
// The chunk behind `previous` (zeros: the first). Each begins 800 words behind the one before, and
// the first that reaches the text's end is the last. False where there is none.
bool kernel_librarian_text_chunk(bus_view_t text,
                                 const kernel_librarian_chunk_t *previous,
                                 kernel_librarian_chunk_t *ret_chunk);
