// librarian_text.c - documents as text: cleaned, counted, scored, cut into chunks. See
// librarian_text.h.
#include "librarian_text.h"

static bool
is_space(char byte)
{
    return byte == ' ' || (byte >= '\t' && byte <= '\r');
}

static bool
is_middle(char byte) // of a character of several bytes
{
    return ((unsigned char) byte & 0xc0) == 0x80;
}

// --- Cleaning ------------------------------------------------------------------------------------

typedef enum { KEEP, DROP, SPACE, LINE } what_t;

typedef struct {
    what_t what;
    size_t size; // bytes of it
} character_t;

// Characters of more than one byte that are no more than noise, or another space.
static const struct {
    const char *bytes;
    what_t what;
} strange[] = {
    {"\xc2\xa0", SPACE},    // no-break space
    {"\xc2\xad", DROP},     // soft hyphen
    {"\xc2\x85", LINE},     // next line
    {"\xe2\x80\x8b", DROP}, // zero-width space
    {"\xe2\x80\x8c", KEEP}, // a non-joiner: scripts of India and Persia need it
    {"\xe2\x80\x8d", KEEP}, // a joiner: likewise
    {"\xe2\x80\xa8", LINE}, // line separator
    {"\xe2\x80\xa9", LINE}, // paragraph separator
    {"\xe2\x81\xa0", DROP}, // word joiner
    {"\xef\xbb\xbf", DROP}, // byte order mark
};

static character_t
look_at(bus_view_t text, size_t at)
{
    unsigned char byte = (unsigned char) text.data[at];
    bool has_next = at + 1 < text.size;
    if (byte == '\r') {
        bool is_pair = has_next && text.data[at + 1] == '\n';
        return (character_t){LINE, is_pair ? 2 : 1};
    }
    if (byte == '\n' || byte == '\f' || byte == '\v') {
        return (character_t){LINE, 1};
    }
    if (byte == '\t' || byte == ' ') {
        return (character_t){SPACE, 1};
    }
    if (byte < 0x20 || byte == 0x7f) {
        return (character_t){DROP, 1};
    }
    if (byte < 0x80) {
        return (character_t){KEEP, 1};
    }
    bus_view_t rest = view_from(text.data + at, text.size - at);
    for (size_t i = 0; i < sizeof strange / sizeof strange[0]; i++) {
        if (view_starts(rest, view_from_text(strange[i].bytes))) {
            return (character_t){strange[i].what, strlen(strange[i].bytes)};
        }
    }
    size_t size = 1;
    while (size < rest.size && is_middle(rest.data[size])) {
        size++;
    }
    bool is_c1 = byte == 0xc2 && size == 2 && (unsigned char) rest.data[1] < 0xa0;
    return (character_t){is_c1 ? DROP : KEEP, size};
}

// Spaces and line ends wait until something stands behind them.
typedef struct {
    text_t *out;
    size_t spaces;
    size_t lines;
    bool has_begun;
} cleaner_t;

static void
let_wait(cleaner_t *self, what_t what)
{
    if (what == LINE) {
        self->lines++;
        self->spaces = 0; // at the end of a line
    } else {
        self->spaces++;
    }
}

static void
put(cleaner_t *self, bus_view_t bytes)
{
    size_t lines = self->lines > 2 ? 2 : self->lines;
    if (self->has_begun) {
        text_add(self->out, view_from("\n\n", lines));
    }
    for (size_t i = 0; i < self->spaces && self->has_begun; i++) {
        text_add(self->out, VIEW_LITERAL(" "));
    }
    text_add(self->out, bytes);
    self->spaces = 0;
    self->lines = 0;
    self->has_begun = true;
}

void
kernel_librarian_text_clean(bus_view_t raw, text_t *out)
{
    cleaner_t cleaner = {.out = out};
    size_t kept = 0; // the run of bytes before `at` that are kept as they are
    size_t at = 0;
    while (at < raw.size) {
        character_t character = look_at(raw, at);
        if (character.what != KEEP) {
            if (kept > 0) {
                put(&cleaner, view_from(raw.data + at - kept, kept));
            }
            kept = 0;
            if (character.what != DROP) {
                let_wait(&cleaner, character.what);
            }
        } else {
            kept += character.size;
        }
        at += character.size;
    }
    if (kept > 0) {
        put(&cleaner, view_from(raw.data + at - kept, kept));
    }
}

// --- Counting and scoring ------------------------------------------------------------------------

bool
kernel_librarian_text_word(bus_view_t text, size_t *at, bus_view_t *ret_word)
{
    size_t start = *at;
    while (start < text.size && is_space(text.data[start])) {
        start++;
    }
    size_t end = start;
    while (end < text.size && !is_space(text.data[end])) {
        end++;
    }
    *at = end;
    *ret_word = view_from(text.data + start, end - start);
    return end > start;
}

uint64_t
kernel_librarian_text_characters(bus_view_t text)
{
    uint64_t count = 0;
    for (size_t i = 0; i < text.size; i++) {
        count += is_middle(text.data[i]) ? 0 : 1;
    }
    return count;
}

kernel_librarian_measure_t
kernel_librarian_text_measure(bus_view_t text)
{
    kernel_librarian_measure_t measure = {.characters = kernel_librarian_text_characters(text)};
    size_t at = 0;
    bus_view_t word;
    while (text.size > 0 && kernel_librarian_text_word(text, &at, &word)) {
        measure.words++;
        measure.letters += kernel_librarian_text_characters(word);
    }
    return measure;
}

unsigned
kernel_librarian_text_quality(const kernel_librarian_measure_t *measure)
{
    unsigned tenths = 10;
    tenths -= measure->words < KERNEL_LIBRARIAN_SHORT_WORDS ? 3 : 0;
    tenths -= measure->words > KERNEL_LIBRARIAN_LONG_WORDS ? 2 : 0;
    tenths -= measure->words == 0 || measure->letters < 4 * measure->words ? 2 : 0;
    return tenths;
}

unsigned
kernel_librarian_text_trust(bus_view_t source, uint64_t characters)
{
    unsigned tenths = 8;
    tenths += view_is(source, "filesystem") ? 1 : 0;
    tenths -= view_is(source, "external") ? 2 : 0;
    tenths -= characters < KERNEL_LIBRARIAN_SHORT_CHARACTERS ? 2 : 0;
    return tenths;
}

// --- Chunks --------------------------------------------------------------------------------------

bool
kernel_librarian_text_chunk(bus_view_t text,
                            const kernel_librarian_chunk_t *previous,
                            kernel_librarian_chunk_t *ret_chunk)
{
    enum { STEP = KERNEL_LIBRARIAN_CHUNK_WORDS - KERNEL_LIBRARIAN_OVERLAP_WORDS };
    size_t at = previous->next;
    bus_view_t word;
    if (previous->is_last || text.size == 0 || !kernel_librarian_text_word(text, &at, &word)) {
        return false;
    }
    kernel_librarian_chunk_t chunk = {.start = at - word.size, .end = at, .words = 1};
    bool has_word = kernel_librarian_text_word(text, &at, &word);
    while (has_word && chunk.words < KERNEL_LIBRARIAN_CHUNK_WORDS) {
        chunk.next = chunk.words == STEP ? at - word.size : chunk.next;
        chunk.words++;
        chunk.end = at;
        has_word = kernel_librarian_text_word(text, &at, &word);
    }
    chunk.is_last = !has_word;
    *ret_chunk = chunk;
    return true;
}
