// kb_text.c - characters and words.
//
// What a character is to a word, and what it is folded to, was computed once from Unicode 14 for
// the scripts that have cases and marks; every other letter stands for itself. A text in Devanagari
// or Arabic is found by its words as they are written, one in Latin letters however it is accented.
#include "kb_text_self.h"

#include <assert.h>

// --- Characters ----------------------------------------------------------------------------------

size_t
core_kb_text_decode(const char *at, const char *end, uint32_t *ret_character)
{
    const unsigned char *bytes = (const unsigned char *) at;
    size_t left = (size_t) (end - at);
    assert(left > 0);
    size_t size = bytes[0] < 0x80   ? 1
                  : bytes[0] < 0xc2 ? 0
                  : bytes[0] < 0xe0 ? 2
                  : bytes[0] < 0xf0 ? 3
                  : bytes[0] < 0xf5 ? 4
                                    : 0;
    if (size == 0 || size > left) {
        *ret_character = 0xfffd;
        return 1;
    }
    static const uint32_t masks[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
    uint32_t character = bytes[0] & masks[size];
    for (size_t i = 1; i < size; i++) {
        if ((bytes[i] & 0xc0) != 0x80) {
            *ret_character = 0xfffd;
            return 1;
        }
        character = character << 6 | (bytes[i] & 0x3f);
    }
    *ret_character = character;
    return size;
}

typedef struct {
    uint32_t first;
    uint32_t last;
} span_t;

// What parts words, above U+007F and below the scripts' letters: punctuation, symbols, spaces.
static const span_t parting[] = {
    {0x80, 0xa9},       {0xab, 0xac},       {0xae, 0xb4},       {0xb6, 0xb9},
    {0xbb, 0xbf},       {0xd7, 0xd7},       {0xf7, 0xf7},       {0x2c2, 0x2c5},
    {0x2d2, 0x2df},     {0x37e, 0x37e},     {0x387, 0x387},     {0x55a, 0x55f},
    {0x589, 0x58a},     {0x5be, 0x5be},     {0x5c0, 0x5c0},     {0x5c3, 0x5c3},
    {0x5f3, 0x5f4},     {0x600, 0x60f},     {0x61b, 0x61f},     {0x66a, 0x66d},
    {0x6d4, 0x6d4},     {0x700, 0x70d},     {0x964, 0x965},     {0x970, 0x970},
    {0xdf4, 0xdf4},     {0xe4f, 0xe4f},     {0xe5a, 0xe5b},     {0xf04, 0xf14},
    {0x104a, 0x104f},   {0x10fb, 0x10fb},   {0x1360, 0x1368},   {0x166d, 0x166e},
    {0x1680, 0x1680},   {0x16eb, 0x16ed},   {0x17d4, 0x17da},   {0x1800, 0x180a},
    {0x2000, 0x200b},   {0x200e, 0x2018},   {0x201a, 0x205f},   {0x2066, 0x206f},
    {0x207a, 0x207e},   {0x208a, 0x208e},   {0x20a0, 0x20cf},   {0x2190, 0x245f},
    {0x2500, 0x2bff},   {0x2e00, 0x2e7f},   {0x3000, 0x3004},   {0x3008, 0x3020},
    {0x3030, 0x3030},   {0x303d, 0x303f},   {0x30fb, 0x30fb},   {0xd800, 0xf8ff},
    {0xfd3e, 0xfd3f},   {0xfe10, 0xfe1f},   {0xfe30, 0xfe6f},   {0xff00, 0xff0f},
    {0xff1a, 0xff20},   {0xff3b, 0xff40},   {0xff5b, 0xff65},   {0xffe0, 0xffff},
    {0x10100, 0x10102}, {0x1f000, 0x1faff}, {0xe0000, 0xfffff}, {0x100000, 0x10ffff},
};

// What is written between or above letters and makes no other word: combining marks of Latin,
// Hebrew points, Arabic vowels, soft hyphens, joiners, variation selectors.
static const span_t joining[] = {
    {0xad, 0xad},     {0x300, 0x36f},   {0x483, 0x489},   {0x591, 0x5bd},   {0x5bf, 0x5bf},
    {0x5c1, 0x5c2},   {0x5c4, 0x5c7},   {0x610, 0x61a},   {0x640, 0x640},   {0x64b, 0x65f},
    {0x670, 0x670},   {0x6d6, 0x6ed},   {0x180b, 0x180f}, {0x1ab0, 0x1aff}, {0x1dc0, 0x1dff},
    {0x200c, 0x200d}, {0x2060, 0x2065}, {0x20d0, 0x20ff}, {0xfe00, 0xfe0f}, {0xfe20, 0xfe2f},
};

// Characters that are words, in texts without spaces: Kana and Han.
static const span_t lone[] = {
    {0x3005, 0x3007},
    {0x3021, 0x302f},
    {0x3041, 0x30fa},
    {0x30fc, 0x30ff},
    {0x31f0, 0x31ff},
    {0x3400, 0x4dbf},
    {0x4e00, 0x9fff},
    {0xf900, 0xfaff},
    {0xff66, 0xff9d},
    {0x1b000, 0x1b16f},
    {0x20000, 0x3ffff},
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static bool
is_in(const span_t *spans, size_t count, uint32_t character)
{
    size_t low = 0;
    size_t high = count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (character > spans[middle].last) {
            low = middle + 1;
        } else if (character < spans[middle].first) {
            high = middle;
        } else {
            return true;
        }
    }
    return false;
}

static bool
is_ascii_word(uint32_t character)
{
    return (character >= '0' && character <= '9') || (character >= 'A' && character <= 'Z') ||
           (character >= 'a' && character <= 'z');
}

core_kb_text_class_t
core_kb_text_class(uint32_t character)
{
    if (character < 0x80) {
        return is_ascii_word(character) ? CORE_KB_TEXT_LETTER
               : character == '\''      ? CORE_KB_TEXT_APOSTROPHE
                                        : CORE_KB_TEXT_PARTING;
    }
    if (character == 0x2019 || character == 0x2bc) {
        return CORE_KB_TEXT_APOSTROPHE;
    }
    if (is_in(parting, COUNT(parting), character)) {
        return CORE_KB_TEXT_PARTING;
    }
    if (is_in(joining, COUNT(joining), character)) {
        return CORE_KB_TEXT_JOINING;
    }
    return is_in(lone, COUNT(lone), character) ? CORE_KB_TEXT_LONE : CORE_KB_TEXT_LETTER;
}

// --- Folding -------------------------------------------------------------------------------------

// Latin letters with marks, as the ASCII letter under them; `2`: as two letters, in `pairs`; `.`:
// as they are. From NFKD without combining marks, in lower case.
static const char latin[] = // U+00C0 to U+024F
    "aaaaaa2ceeeeiiiidnooooo.ouuuuy22aaaaaa2ceeeeiiiidnooooo.ouuuuy2y"
    "aaaaaaccccccccddddeeeeeeeeeegggggggghhhhiiiiiiiiii22jjkkkllllll."
    ".llnnnnnnnnnoooooo22rrrrrrssssssssttttttuuuuuuuuuuuuwwyyyzzzzzzs"
    "bb...............ff.............oo.............uu..............."
    "....222222222aaiioouuuuuuuuuu.aaaa22..ggkkoooo..j222gg..nnaa22oo"
    "aaaaeeeeiiiioooorrrruuuusstt..hh......aaeeooooooooyy............"
    "...b............";
static const char latin_additional[] = // U+1E00 to U+1EFF
    "aabbbbbbccddddddddddeeeeeeeeeeffgghhhhhhhhhhiiiikkkkkkllllllllmm"
    "mmmmnnnnnnnnoooooooopppprrrrrrrrssssssssssttttttttuuuuuuuuuuvvvv"
    "wwwwwwwwwwxxxxyyzzzzzzhtwy.s..2.aaaaaaaaaaaaaaaaaaaaaaaaeeeeeeee"
    "eeeeeeeeiiiioooooooooooooooooooooooouuuuuuuuuuuuuuyyyyyyyy......";

static const struct {
    uint16_t character;
    char letters[3];
} pairs[] = {
    {0xc6, "ae"},  {0xde, "th"},   {0xdf, "ss"},   {0xe6, "ae"},   {0xfe, "th"},   {0x132, "ij"},
    {0x133, "ij"}, {0x152, "oe"},  {0x153, "oe"},  {0x1c4, "dz"},  {0x1c5, "dz"},  {0x1c6, "dz"},
    {0x1c7, "lj"}, {0x1c8, "lj"},  {0x1c9, "lj"},  {0x1ca, "nj"},  {0x1cb, "nj"},  {0x1cc, "nj"},
    {0x1e2, "ae"}, {0x1e3, "ae"},  {0x1f1, "dz"},  {0x1f2, "dz"},  {0x1f3, "dz"},  {0x1fc, "ae"},
    {0x1fd, "ae"}, {0x1e9e, "ss"}, {0xfb00, "ff"}, {0xfb01, "fi"}, {0xfb02, "fl"},
};

static size_t
put(char *out, const char *letters, size_t size)
{
    memcpy(out, letters, size);
    return size;
}

static size_t
fold_pair(uint32_t character, char *out)
{
    for (size_t i = 0; i < COUNT(pairs); i++) {
        if (pairs[i].character == character) {
            return put(out, pairs[i].letters, 2);
        }
    }
    return 0;
}

// The lower case of Greek and Cyrillic, without accents.
static uint32_t
fold_eastern(uint32_t character)
{
    static const struct {
        uint16_t from;
        uint16_t to;
    } marked[] = {
        {0x386, 0x3b1}, {0x388, 0x3b5}, {0x389, 0x3b7}, {0x38a, 0x3b9}, {0x38c, 0x3bf},
        {0x38e, 0x3c5}, {0x38f, 0x3c9}, {0x390, 0x3b9}, {0x3aa, 0x3b9}, {0x3ab, 0x3c5},
        {0x3ac, 0x3b1}, {0x3ad, 0x3b5}, {0x3ae, 0x3b7}, {0x3af, 0x3b9}, {0x3b0, 0x3c5},
        {0x3c2, 0x3c3}, {0x3ca, 0x3b9}, {0x3cb, 0x3c5}, {0x3cc, 0x3bf}, {0x3cd, 0x3c5},
        {0x3ce, 0x3c9}, {0x401, 0x435}, {0x419, 0x438}, {0x439, 0x438}, {0x451, 0x435},
    };
    for (size_t i = 0; i < COUNT(marked); i++) {
        if (marked[i].from == character) {
            return marked[i].to;
        }
    }
    if ((character >= 0x391 && character <= 0x3a9) || (character >= 0x410 && character <= 0x42f)) {
        return character + 0x20;
    }
    if (character >= 0x400 && character <= 0x40f) {
        return character + 0x50;
    }
    if (character >= 0x4c0 && character <= 0x4ce) { // odd capitals among even ones
        return character == 0x4c0 ? 0x4cf : character + (character & 1);
    }
    if (character >= 0x460 && character <= 0x52f) { // capitals stand before their small letters
        return character >= 0x48a || character <= 0x481 ? character | 1 : character;
    }
    return character >= 0x531 && character <= 0x556 ? character + 0x30 : character; // Armenian
}

static size_t
encode(uint32_t character, char *out)
{
    if (character < 0x80) {
        out[0] = (char) character;
        return 1;
    }
    if (character < 0x800) {
        out[0] = (char) (0xc0 | character >> 6);
        out[1] = (char) (0x80 | (character & 0x3f));
        return 2;
    }
    if (character < 0x10000) {
        out[0] = (char) (0xe0 | character >> 12);
        out[1] = (char) (0x80 | (character >> 6 & 0x3f));
        out[2] = (char) (0x80 | (character & 0x3f));
        return 3;
    }
    out[0] = (char) (0xf0 | character >> 18);
    out[1] = (char) (0x80 | (character >> 12 & 0x3f));
    out[2] = (char) (0x80 | (character >> 6 & 0x3f));
    out[3] = (char) (0x80 | (character & 0x3f));
    return 4;
}

enum { FOLDED_MAX = 4 }; // bytes of one character

// Writes at most FOLDED_MAX bytes; returns how many.
static size_t
fold(uint32_t character, char *out)
{
    if (character >= 0xff10 && character <= 0xff5a) { // fullwidth ASCII
        character -= 0xfee0;
    }
    if (character < 0x80) {
        bool is_capital = character >= 'A' && character <= 'Z';
        out[0] = (char) (is_capital ? character + 0x20 : character);
        return 1;
    }
    char letter = '.';
    if (character >= 0xc0 && character <= 0x24f) {
        letter = latin[character - 0xc0];
    } else if (character >= 0x1e00 && character <= 0x1eff) {
        letter = latin_additional[character - 0x1e00];
    } else if (character >= 0xfb00 && character <= 0xfb02) {
        letter = '2';
    }
    if (letter == '2') {
        return fold_pair(character, out);
    }
    if (letter != '.') {
        return put(out, &letter, 1);
    }
    bool is_eastern = character >= 0x370 && character <= 0x58f;
    return encode(is_eastern ? fold_eastern(character) : character, out);
}

// --- Words ---------------------------------------------------------------------------------------

core_kb_words_t
core_kb_text_words(bus_view_t text)
{
    const char *at = text.size == 0 ? "" : text.data;
    return (core_kb_words_t){.at = at, .end = at + text.size};
}

// Adds what fits whole.
static void
add_folded(core_kb_word_t *word, uint32_t character)
{
    char bytes[FOLDED_MAX];
    size_t size = fold(character, bytes);
    if (word->folded_size + size <= sizeof word->folded) {
        memcpy(word->folded + word->folded_size, bytes, size);
        word->folded_size += size;
    }
}

// Takes the 's off: `apostrophe` is how many folded bytes stand before the word's last one.
static void
drop_genitive(core_kb_word_t *word, size_t apostrophe)
{
    if (apostrophe > 0 && word->folded_size == apostrophe + 1 &&
        word->folded[word->folded_size - 1] == 's') {
        word->folded_size = apostrophe;
    }
}

// Goes to the first letter; its class, or CORE_KB_TEXT_PARTING at the end.
static core_kb_text_class_t
find_word(core_kb_words_t *self)
{
    while (self->at < self->end) {
        uint32_t character;
        size_t size = core_kb_text_decode(self->at, self->end, &character);
        core_kb_text_class_t class_ = core_kb_text_class(character);
        if (class_ == CORE_KB_TEXT_LETTER || class_ == CORE_KB_TEXT_LONE) {
            return class_;
        }
        self->at += size;
    }
    return CORE_KB_TEXT_PARTING;
}

bool
core_kb_text_next_word(core_kb_words_t *self, core_kb_word_t *ret_word)
{
    core_kb_text_class_t first = find_word(self);
    if (first == CORE_KB_TEXT_PARTING) {
        return false;
    }
    const char *start = self->at;
    size_t apostrophe = 0;
    ret_word->folded_size = 0;
    const char *end = start; // behind the last letter
    while (self->at < self->end) {
        uint32_t character;
        size_t size = core_kb_text_decode(self->at, self->end, &character);
        core_kb_text_class_t class_ = core_kb_text_class(character);
        bool goes_on = class_ == CORE_KB_TEXT_LETTER
                           ? first == CORE_KB_TEXT_LETTER || end == start
                           : class_ == CORE_KB_TEXT_JOINING ||
                                 (class_ == CORE_KB_TEXT_APOSTROPHE && self->at == end &&
                                  first == CORE_KB_TEXT_LETTER) ||
                                 (class_ == CORE_KB_TEXT_LONE && end == start);
        if (!goes_on) {
            break;
        }
        self->at += size;
        if (class_ == CORE_KB_TEXT_APOSTROPHE) {
            apostrophe = ret_word->folded_size;
        } else {
            end = self->at;
        }
        if (class_ == CORE_KB_TEXT_LETTER || class_ == CORE_KB_TEXT_LONE) {
            add_folded(ret_word, character);
        }
    }
    self->at = end;
    drop_genitive(ret_word, apostrophe);
    ret_word->source = view_from(start, (size_t) (end - start));
    assert(ret_word->folded_size > 0);
    return true;
}

size_t
core_kb_text_fold(bus_view_t text, char *ret_folded, size_t size_max)
{
    core_kb_words_t words = core_kb_text_words(text);
    core_kb_word_t word;
    size_t size = 0;
    while (core_kb_text_next_word(&words, &word)) {
        size_t gap = size > 0 ? 1 : 0;
        if (size + gap + word.folded_size > size_max) {
            break;
        }
        if (gap > 0) {
            ret_folded[size++] = ' ';
        }
        memcpy(ret_folded + size, word.folded, word.folded_size);
        size += word.folded_size;
    }
    return size;
}

// In the order of their bytes. English function words and the words that make a question one.
static const char *const stops[] = {
    "a",    "about", "after", "all",    "also",  "am",    "an",    "and",  "any",   "are",  "as",
    "at",   "be",    "been",  "but",    "by",    "can",   "could", "did",  "do",    "does", "for",
    "from", "had",   "has",   "have",   "he",    "her",   "here",  "his",  "how",   "i",    "if",
    "in",   "into",  "is",    "it",     "its",   "me",    "my",    "no",   "not",   "of",   "on",
    "or",   "our",   "she",   "should", "so",    "some",  "such",  "than", "that",  "the",  "their",
    "them", "then",  "there", "these",  "they",  "this",  "those", "to",   "us",    "was",  "we",
    "were", "what",  "when",  "where",  "which", "while", "who",   "whom", "whose", "why",  "will",
    "with", "would", "you",   "your",
};

bool
core_kb_text_is_stop(bus_view_t folded)
{
    size_t low = 0;
    size_t high = COUNT(stops);
    while (low < high) {
        size_t middle = (low + high) / 2;
        size_t size = strlen(stops[middle]);
        size_t common = size < folded.size ? size : folded.size;
        int order = memcmp(folded.data, stops[middle], common);
        order = order != 0 ? order : (folded.size > size) - (folded.size < size);
        if (order == 0) {
            return true;
        }
        if (order > 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return false;
}
