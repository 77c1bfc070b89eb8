// kb_chunk.c - a text cut into sentences and passages.
#include "kb_chunk.h"

#include "kb_text_self.h"

#include <assert.h>

enum { CLOSERS_MAX = 16 }; // what closes with one sentence: quotes, brackets, more stops
enum {
    OVERLAP_CHARS_MAX = CORE_KB_CHUNK_CHARS_MAX / 2, // the rest is for what is new
    OVERLAP_BYTES_MAX = 4 * OVERLAP_CHARS_MAX
};

// --- Characters ----------------------------------------------------------------------------------

static bool
is_space(uint32_t character)
{
    return character == ' ' || (character >= '\t' && character <= '\r') || character == 0x85 ||
           character == 0xa0 || (character >= 0x2000 && character <= 0x200a) ||
           character == 0x2028 || character == 0x2029 || character == 0x3000;
}

// The character at `at`, and its size; a space of size 0 at the end.
static uint32_t
peek(bus_view_t text, size_t at, size_t *ret_size)
{
    uint32_t character = ' ';
    *ret_size = 0;
    if (at < text.size) {
        *ret_size = core_kb_text_decode(text.data + at, text.data + text.size, &character);
    }
    return character;
}

static size_t
count_chars(bus_view_t text, size_t from, size_t end)
{
    size_t count = 0;
    while (from < end) {
        size_t size;
        (void) peek(text, from, &size);
        from += size;
        count++;
    }
    return count;
}

size_t
core_kb_chunk_skip_space(bus_view_t text, size_t from)
{
    size_t size;
    while (from < text.size && is_space(peek(text, from, &size))) {
        from += size;
    }
    return from;
}

// --- Sentences -----------------------------------------------------------------------------------

// Danda, ideographic and fullwidth stops, and those of Arabic, Armenian, Ethiopic and Urdu.
static bool
is_stop_anywhere(uint32_t character)
{
    return character == '!' || character == '?' || character == 0x2026 || character == 0x964 ||
           character == 0x965 || character == 0x3002 || character == 0xff01 ||
           character == 0xff0e || character == 0xff1f || character == 0x61f || character == 0x6d4 ||
           character == 0x589 || character == 0x1362;
}

// Those behind which no space is written.
static bool
is_stop_without_space(uint32_t character)
{
    return character == 0x3002 || character == 0xff01 || character == 0xff0e || character == 0xff1f;
}

static bool
is_closing(uint32_t character)
{
    return character == ')' || character == ']' || character == '"' || character == '\'' ||
           character == 0xbb || character == 0x2019 || character == 0x201d || character == 0x300d ||
           character == 0x300f;
}

// Whether the full stop at `at` only shortens a word: one letter (J. Smith, i.e.), or one of these.
static bool
is_abbreviation(bus_view_t text, size_t from, size_t at)
{
    static const char *const known[] = {
        "dr", "mr", "mrs", "ms", "st", "vs", "cf", "fig", "no", "vol", "ch", "pp", "prof", "etc"};
    size_t start = at;
    while (start > from &&
           core_kb_text_class((unsigned char) text.data[start - 1]) == CORE_KB_TEXT_LETTER &&
           (unsigned char) text.data[start - 1] < 0x80) {
        start--;
    }
    char folded[CORE_KB_TEXT_TERM_MAX];
    size_t size = core_kb_text_fold(view_from(text.data + start, at - start), folded, 5);
    if (at - start == 1 && (folded[0] < '0' || folded[0] > '9')) {
        return true;
    }
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (at - start == strlen(known[i]) && view_is(view_from(folded, size), known[i])) {
            return true;
        }
    }
    return false;
}

// Whether what stands at `next`, behind white space, can begin a sentence: no small letter.
static bool
can_begin(bus_view_t text, size_t next)
{
    size_t size;
    uint32_t character = peek(text, core_kb_chunk_skip_space(text, next), &size);
    return size == 0 || character >= 0x80 || character < 'a' || character > 'z';
}

// Whether an empty line begins at the line break `at`.
static bool
is_paragraph_end(bus_view_t text, size_t at)
{
    for (size_t i = at + 1; i < text.size; i++) {
        char byte = text.data[i];
        if (byte == '\n') {
            return true;
        }
        if (byte != ' ' && byte != '\t' && byte != '\r') {
            return false;
        }
    }
    return false;
}

// Whether the stop `character` at `at` ends its sentence; *ret_end: behind what closes with it.
static bool
ends_sentence(bus_view_t text, size_t from, size_t at, uint32_t character, size_t *ret_end)
{
    if (character != '.' && !is_stop_anywhere(character)) {
        return false;
    }
    size_t size;
    (void) peek(text, at, &size);
    size_t end = at + size;
    uint32_t next = peek(text, end, &size);
    // More are a line of dots, in which each would look through all that follow.
    for (unsigned count = 0; count < CLOSERS_MAX && size > 0 &&
                             (is_closing(next) || next == '.' || is_stop_anywhere(next));
         count++) {
        end += size;
        next = peek(text, end, &size);
    }
    *ret_end = end;
    if (is_stop_without_space(character)) {
        return true;
    }
    if (size > 0 && !is_space(next)) {
        return false;
    }
    return character != '.' ||
           (can_begin(text, end) && (size == 0 || !is_abbreviation(text, from, at)));
}

// The same as sentence_end, with at most `chars` characters. *ret_is_whole: it ends by itself.
static size_t
find_end(bus_view_t text, size_t from, size_t chars, bool *ret_is_whole)
{
    size_t at = from;
    *ret_is_whole = true;
    for (size_t count = 0; count < chars && at < text.size; count++) {
        size_t size;
        size_t end;
        uint32_t character = peek(text, at, &size);
        if (character == '\n' && is_paragraph_end(text, at)) {
            return at;
        }
        if (ends_sentence(text, from, at, character, &end)) {
            *ret_is_whole = count_chars(text, at, end) + count <= chars;
            return *ret_is_whole ? end : at;
        }
        at += size;
    }
    *ret_is_whole = at == text.size;
    return at;
}

size_t
core_kb_chunk_sentence_end(bus_view_t text, size_t from)
{
    bool is_whole;
    size_t end = find_end(text, from, CORE_KB_CHUNK_CHARS_MAX, &is_whole);
    size_t size;
    (void) peek(text, end, &size);
    return end > from ? end : from + size;
}

// --- Passages ------------------------------------------------------------------------------------

// Behind the last word that ends before the `chars`th character; else there.
static size_t
cut_between_words(bus_view_t text, size_t from, size_t chars)
{
    size_t at = from;
    size_t space = from;
    for (size_t count = 0; count < chars && at < text.size; count++) {
        size_t size;
        uint32_t character = peek(text, at, &size);
        space = is_space(character) ? at : space;
        at += size;
    }
    size_t size;
    bool is_between = at == text.size || is_space(peek(text, at, &size));
    return is_between || space == from ? at : space;
}

static size_t
trim(bus_view_t text, size_t from, size_t end)
{
    size_t last = from;
    while (from < end) {
        size_t size;
        uint32_t character = peek(text, from, &size);
        from += size;
        last = is_space(character) ? last : from;
    }
    return last;
}

// Where the last words of `previous` begin; its end where they are all of it.
static size_t
find_overlap(bus_view_t text, const core_kb_chunk_t *previous)
{
    bus_view_t passage = view_from(text.data + previous->start, previous->end - previous->start);
    core_kb_words_t words = core_kb_text_words(passage);
    core_kb_word_t word;
    const char *starts[CORE_KB_CHUNK_OVERLAP_WORDS];
    size_t count = 0;
    while (core_kb_text_next_word(&words, &word)) {
        starts[count % CORE_KB_CHUNK_OVERLAP_WORDS] = word.source.data;
        count++;
    }
    return count <= CORE_KB_CHUNK_OVERLAP_WORDS
               ? previous->end
               : (size_t) (starts[count % CORE_KB_CHUNK_OVERLAP_WORDS] - text.data);
}

// As many sentences from `from` on as `chars` characters hold.
static size_t
take_sentences(bus_view_t text, size_t from, size_t chars)
{
    size_t end = from;
    size_t used = 0;
    while (used < chars) {
        size_t next = core_kb_chunk_skip_space(text, end);
        used += count_chars(text, end, next);
        if (next == text.size || used >= chars) {
            break;
        }
        bool is_whole;
        size_t sentence = find_end(text, next, chars - used, &is_whole);
        if (!is_whole) {
            break;
        }
        used += count_chars(text, next, sentence);
        end = sentence;
    }
    return end > from ? end : cut_between_words(text, from, chars);
}

static bool
has_word(bus_view_t text, size_t from, size_t end)
{
    core_kb_words_t words = core_kb_text_words(view_from(text.data + from, end - from));
    core_kb_word_t word;
    return core_kb_text_next_word(&words, &word);
}

bool
core_kb_chunk_next(bus_view_t text, const core_kb_chunk_t *previous, core_kb_chunk_t *ret_next)
{
    size_t overlap = previous->end == 0 ? 0 : find_overlap(text, previous);
    size_t from = core_kb_chunk_skip_space(text, previous->end);
    while (from < text.size) {
        size_t chars = 0;
        if (overlap < previous->end) {
            chars = from - overlap <= OVERLAP_BYTES_MAX ? count_chars(text, overlap, from)
                                                        : CORE_KB_CHUNK_CHARS_MAX;
        }
        if (chars == 0 || chars > OVERLAP_CHARS_MAX) {
            overlap = from;
            chars = 0;
        }
        size_t end = take_sentences(text, from, CORE_KB_CHUNK_CHARS_MAX - chars);
        assert(end > from);
        if (has_word(text, from, end)) {
            *ret_next = (core_kb_chunk_t){
                .start = overlap, .overlap = from - overlap, .end = trim(text, from, end)};
            return true;
        }
        from = core_kb_chunk_skip_space(text, end);
    }
    return false;
}
