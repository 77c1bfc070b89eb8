// librarian_mend.h - what can be done for a document of low quality. Pure functions, any thread.
//
// Nothing is made up: what the text says stays, what a scanner or a page's layout put into it goes.
#pragma once
#include "librarian_text.h"

typedef enum {
    KERNEL_LIBRARIAN_MEND_HYPHENS = 1, // words that a line's end cut in two are one
    KERNEL_LIBRARIAN_MEND_LETTERS = 2, // l e t t e r s  set apart are words
    KERNEL_LIBRARIAN_MEND_LINES = 4,   // lines that say nothing went: rules, page numbers
    KERNEL_LIBRARIAN_MEND_REPEATS = 8, // of lines that stand on every page one is left
    KERNEL_LIBRARIAN_MEND_MARKS = 16,  // dots and dashes that stood for words went
    KERNEL_LIBRARIAN_MEND_SPLIT = 32,  // a long text is in sections
    KERNEL_LIBRARIAN_MEND_JOIN = 64,   // short texts are one
} kernel_librarian_mend_t;

enum {
    KERNEL_LIBRARIAN_SECTIONS_MAX = 64,     // the knowledge base's limit of a document's parts
    KERNEL_LIBRARIAN_REPEATS_MIN = 3,       // a short line that stands there so often is a page's
    KERNEL_LIBRARIAN_REPEAT_BYTES_MAX = 80, // of such a line
};

// Appends the text (a cleaned one) with all of this done but splitting and joining. Returns what
// was done, of kernel_librarian_mend_t.
unsigned kernel_librarian_mend_text(bus_view_t text, text_t *out);

// Cuts a text of over 2,000 words into sections of 800 to 1,000, at ends of sentences where there
// are any; longer ones where 64 would not be enough; a tail of under 50 words is its neighbour's.
// Returns how many: 1 for any other text.
size_t kernel_librarian_mend_split(bus_view_t text,
                                   bus_view_t ret_sections[KERNEL_LIBRARIAN_SECTIONS_MAX]);

// The name of one step, for a person and for the journal.
const char *kernel_librarian_mend_name(kernel_librarian_mend_t step);
