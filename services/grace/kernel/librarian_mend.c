// librarian_mend.c - what can be done for a document of low quality. See librarian_mend.h.
//
// A text goes through line by line: what a line's end cut is joined, lines that say nothing and
// repeats go, and within a line letters that were set apart become words and lone marks go.
#include "librarian_mend.h"

#include <assert.h>
#include <stdlib.h>
#include <xxhash.h>

enum {
    SPACED_MIN = 4, // letters in a row, each set apart, are one word: "a b" is none
};

static bool
is_digit(char byte)
{
    return byte >= '0' && byte <= '9';
}

// Of any script: everything above ASCII counts.
static bool
is_letter(char byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
           ((unsigned char) byte & 0x80) != 0;
}

static bool
has_letter_or_digit(bus_view_t text)
{
    for (size_t i = 0; i < text.size; i++) {
        if (is_letter(text.data[i]) || is_digit(text.data[i])) {
            return true;
        }
    }
    return false;
}

// --- Lines ---------------------------------------------------------------------------------------

static bus_view_t
trim(bus_view_t line)
{
    while (line.size > 0 && line.data[0] == ' ') {
        line = view_from(line.data + 1, line.size - 1);
    }
    while (line.size > 0 && line.data[line.size - 1] == ' ') {
        line.size--;
    }
    return line;
}

static bool
next_line(bus_view_t text, size_t *at, bus_view_t *ret_line)
{
    if (*at > text.size || text.size == 0) {
        return false;
    }
    const char *start = text.data + *at;
    const char *end = *at < text.size ? memchr(start, '\n', text.size - *at) : NULL;
    size_t size = end != NULL ? (size_t) (end - start) : text.size - *at;
    *ret_line = view_from(start, size);
    *at += size + 1;
    return true;
}

// "12", "- 12 -", "Page 3", "page 3 of 10", "3/10".
static bool
is_page_number(bus_view_t line)
{
    char kept[24];
    size_t size = 0;
    for (size_t i = 0; i < line.size; i++) {
        char byte = line.data[i];
        if (is_digit(byte)) {
            byte = '0';
        } else if (byte >= 'A' && byte <= 'Z') {
            byte = (char) (byte - 'A' + 'a');
        } else if (!is_letter(byte)) {
            continue; // dashes, slashes, spaces
        }
        if (byte == '0' && size > 0 && kept[size - 1] == '0') {
            continue;
        }
        if (size == sizeof kept) {
            return false;
        }
        kept[size++] = byte;
    }
    bus_view_t shape = view_from(kept, size);
    return view_is(shape, "0") || view_is(shape, "page0") || view_is(shape, "page0of0");
}

// By which a line is known again on another page: a number in it is as good as any other.
static uint64_t
hash_line(bus_view_t line)
{
    char masked[KERNEL_LIBRARIAN_REPEAT_BYTES_MAX];
    size_t size = 0;
    for (size_t i = 0; i < line.size; i++) {
        bool goes_on = i > 0 && is_digit(line.data[i]) && is_digit(line.data[i - 1]);
        if (!goes_on) {
            masked[size] = line.data[i];
            if (is_digit(line.data[i])) {
                masked[size] = '0';
            }
            size++;
        }
    }
    return XXH3_64bits(masked, size);
}

static bool
may_repeat(bus_view_t line)
{
    return line.size > 0 && line.size <= KERNEL_LIBRARIAN_REPEAT_BYTES_MAX;
}

static int
compare_hashes(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *) a;
    uint64_t right = *(const uint64_t *) b;
    return left < right ? -1 : left > right ? 1 : 0;
}

// The hashes of lines that stand there often enough, in order, each once; *ret_count of them.
static uint64_t *
find_repeats(bus_view_t text, size_t *ret_count)
{
    uint64_t *hashes = NULL;
    size_t count = 0;
    size_t room = 0;
    size_t at = 0;
    bus_view_t line;
    while (next_line(text, &at, &line)) {
        line = trim(line);
        if (!may_repeat(line)) {
            continue;
        }
        if (count == room) {
            room = room * 2 + 64;
            uint64_t *more = reallocarray(hashes, room, sizeof hashes[0]);
            assert(more);
            hashes = more;
        }
        hashes[count++] = hash_line(line);
    }
    if (count > 0) {
        qsort(hashes, count, sizeof hashes[0], compare_hashes);
    }
    size_t kept = 0;
    for (size_t i = 0, end = 0; i < count; i = end) {
        uint64_t hash = hashes[i];
        while (end < count && hashes[end] == hash) {
            end++;
        }
        if (end - i >= KERNEL_LIBRARIAN_REPEATS_MIN) {
            hashes[kept++] = hash;
        }
    }
    *ret_count = kept;
    return hashes;
}

// --- Within a line -------------------------------------------------------------------------------

typedef struct {
    text_t *out;
    unsigned done;     // of kernel_librarian_mend_t
    uint64_t *repeats; // in order
    bool *is_seen;     // of each: the first of them stays
    size_t repeat_count;
    size_t blank; // empty lines that wait
    bool is_cut;  // the last line ended within a word
    bool has_begun;
} mender_t;

// A single letter, and one space behind it or the line's end: how many of them follow each other.
static size_t
count_spaced(bus_view_t line, size_t at)
{
    size_t count = 0;
    while (at < line.size && is_letter(line.data[at])) {
        size_t end = at + 1;
        while (end < line.size && ((unsigned char) line.data[end] & 0xc0) == 0x80) {
            end++;
        }
        bool is_alone = end == line.size || line.data[end] == ' ';
        if (!is_alone) {
            return count;
        }
        count++;
        bool goes_on = end + 1 < line.size && line.data[end + 1] != ' ';
        if (!goes_on) {
            return count;
        }
        at = end + 1;
    }
    return count;
}

// Joins `count` letters, each set apart, from `at`; returns what stands behind the last.
static size_t
join_spaced(mender_t *self, bus_view_t line, size_t at, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        size_t end = at + 1;
        while (end < line.size && ((unsigned char) line.data[end] & 0xc0) == 0x80) {
            end++;
        }
        text_add(self->out, view_from(line.data + at, end - at));
        at = i + 1 < count ? end + 1 : end;
    }
    self->done |= KERNEL_LIBRARIAN_MEND_LETTERS;
    return at;
}

// A line's words, with one space between them.
static void
put_words(mender_t *self, bus_view_t line)
{
    size_t at = 0;
    bool is_first = true;
    while (at < line.size) {
        if (line.data[at] == ' ') {
            at++;
            continue;
        }
        size_t spaced = count_spaced(line, at);
        size_t end = at;
        bus_view_t word;
        bool has_word = kernel_librarian_text_word(line, &end, &word);
        assert(has_word); // what stands here is no space
        if (spaced < SPACED_MIN && !has_letter_or_digit(word)) {
            self->done |= KERNEL_LIBRARIAN_MEND_MARKS;
            at = end;
            continue;
        }
        if (!is_first) {
            text_add(self->out, VIEW_LITERAL(" "));
        }
        is_first = false;
        if (spaced >= SPACED_MIN) {
            at = join_spaced(self, line, at, spaced);
        } else {
            text_add(self->out, word);
            at = end;
        }
    }
}

// --- The whole -----------------------------------------------------------------------------------

static bool
is_repeat(mender_t *self, bus_view_t line)
{
    if (!may_repeat(line) || self->repeat_count == 0) {
        return false;
    }
    uint64_t hash = hash_line(line);
    const uint64_t *found =
        bsearch(&hash, self->repeats, self->repeat_count, sizeof self->repeats[0], compare_hashes);
    if (found == NULL) {
        return false;
    }
    bool *is_seen = &self->is_seen[found - self->repeats];
    bool was_seen = *is_seen;
    *is_seen = true;
    return was_seen;
}

// Whether the line ends within a word: "exam-", and what follows begins with a small letter.
static bool
is_cut_off(bus_view_t text, bus_view_t line, size_t next)
{
    return line.size >= 2 && line.data[line.size - 1] == '-' &&
           is_letter(line.data[line.size - 2]) && next < text.size && text.data[next] >= 'a' &&
           text.data[next] <= 'z';
}

static void
put_line(mender_t *self, bus_view_t line, bool is_cut)
{
    if (self->has_begun && !self->is_cut) {
        text_add(self->out, view_from("\n\n", self->blank > 0 ? 2 : 1));
    }
    put_words(self, is_cut ? view_from(line.data, line.size - 1) : line);
    self->done |= is_cut ? KERNEL_LIBRARIAN_MEND_HYPHENS : 0;
    self->is_cut = is_cut;
    self->has_begun = true;
    self->blank = 0;
}

unsigned
kernel_librarian_mend_text(bus_view_t text, text_t *out)
{
    mender_t mender = {.out = out};
    mender.repeats = find_repeats(text, &mender.repeat_count);
    mender.is_seen = calloc(mender.repeat_count + 1, sizeof mender.is_seen[0]);
    assert(mender.is_seen);
    size_t at = 0;
    bus_view_t line;
    while (next_line(text, &at, &line)) {
        bus_view_t words = trim(line);
        if (words.size == 0) {
            mender.blank++;
        } else if (!has_letter_or_digit(words) || is_page_number(words)) {
            mender.done |= KERNEL_LIBRARIAN_MEND_LINES;
        } else if (is_repeat(&mender, words)) {
            mender.done |= KERNEL_LIBRARIAN_MEND_REPEATS;
        } else {
            put_line(&mender, words, is_cut_off(text, words, at));
        }
    }
    free(mender.repeats);
    free(mender.is_seen);
    return mender.done;
}

// --- Sections ------------------------------------------------------------------------------------

static bool
ends_sentence(bus_view_t text, bus_view_t word)
{
    const char *behind = word.data + word.size;
    const char *end = text.data + text.size;
    char last = word.data[word.size - 1];
    bool is_blank = end - behind >= 2 && behind[0] == '\n' && behind[1] == '\n';
    return last == '.' || last == '!' || last == '?' || is_blank;
}

size_t
kernel_librarian_mend_split(bus_view_t text, bus_view_t ret_sections[KERNEL_LIBRARIAN_SECTIONS_MAX])
{
    uint64_t words = kernel_librarian_text_measure(text).words;
    ret_sections[0] = text;
    if (words <= KERNEL_LIBRARIAN_LONG_WORDS) {
        return 1;
    }
    // With at least 4/5 of `most` words in each but the last, 50 times `most` fit into 64.
    uint64_t most = words / 50 + 1;
    most = most < KERNEL_LIBRARIAN_CHUNK_WORDS ? KERNEL_LIBRARIAN_CHUNK_WORDS : most;
    size_t count = 0;
    size_t start = 0;
    size_t at = 0;
    uint64_t taken = 0;
    bus_view_t word;
    while (kernel_librarian_text_word(text, &at, &word)) {
        start = taken == 0 ? at - word.size : start;
        taken++;
        bool is_full = taken == most || (taken >= most * 4 / 5 && ends_sentence(text, word));
        words--;
        if (words == 0 || (is_full && words >= KERNEL_LIBRARIAN_SHORT_WORDS)) {
            assert(count < KERNEL_LIBRARIAN_SECTIONS_MAX);
            ret_sections[count++] = view_from(text.data + start, at - start);
            taken = 0;
        }
    }
    return count;
}

const char *
kernel_librarian_mend_name(kernel_librarian_mend_t step)
{
    switch (step) {
    case KERNEL_LIBRARIAN_MEND_HYPHENS:
        return "joined hyphenated words";
    case KERNEL_LIBRARIAN_MEND_LETTERS:
        return "joined spaced letters";
    case KERNEL_LIBRARIAN_MEND_LINES:
        return "removed rules and page numbers";
    case KERNEL_LIBRARIAN_MEND_REPEATS:
        return "removed repeated lines";
    case KERNEL_LIBRARIAN_MEND_MARKS:
        return "removed lone marks";
    case KERNEL_LIBRARIAN_MEND_SPLIT:
        return "split into sections";
    case KERNEL_LIBRARIAN_MEND_JOIN:
        return "joined short documents";
    }
    return "";
}
