// agent_text.c - the built-in agent for text: without a model, it says what a text says.
//
// An extractive summary in the manner of Luhn (1958): the words that carry a text are those that it
// repeats and that are not small talk; a sentence is worth the mean of its words' weights; the best
// three are told in their order. A text of three sentences or less is told as it is. Its keywords
// are the words that carry it. One pass over the bytes and one over the words; what is beyond
// WORDS_MAX words is not looked at.
#include "attempt.h"
#include "proto/text.h"

#include <assert.h>
#include <ctype.h>
#include <stdlib.h>
#include <strings.h>
#include <xxhash.h>

enum {
    WORDS_MAX = 131072,    // of the 512 KiB that a task may bring
    SENTENCES_MAX = 8192,  // likewise
    SUMMARY_SENTENCES = 3, // told
    KEYWORDS_MAX = 5,      // told
    WORD_SIZE_MIN = 3,     // bytes: shorter ones carry nothing
    WORD_SIZE_MAX = 40,    // longer ones are no words
    TABLE_SIZE_MIN = 16,   // slots of the table of words
};

typedef struct {
    bus_view_t text;   // as it stands first
    uint64_t hash;     // of its lower case; 0: free
    uint32_t count;    // how often
    uint32_t sentence; // that it stands first in
} word_t;

typedef struct {
    bus_view_t text;
    double weight;  // sum over its words
    uint32_t words; // that carry
    bool chosen;
} sentence_t;

typedef struct {
    word_t *table;
    size_t mask; // its slots less one: a power of two less one
    uint32_t words_max;
    uint32_t sentences_max;
    uint32_t *order; // slots of the words, in the order of their first place
    uint32_t distinct;
    uint32_t words; // all that were looked at
    sentence_t *sentences;
    uint32_t count; // of sentences
} reading_t;

static const char *const small_talk[] = {
    "the",   "and",     "for",   "are",   "was",    "were",    "that", "this",  "with",  "from",
    "have",  "has",     "had",   "not",   "but",    "you",     "your", "they",  "their", "them",
    "there", "then",    "than",  "his",   "her",    "its",     "our",  "who",   "what",  "when",
    "where", "which",   "why",   "how",   "all",    "any",     "can",  "could", "would", "should",
    "will",  "may",     "might", "must",  "been",   "being",   "into", "out",   "over",  "under",
    "about", "also",    "only",  "some",  "such",   "very",    "more", "most",  "each",  "every",
    "other", "one",     "two",   "does",  "did",    "done",    "she",  "him",   "these", "those",
    "here",  "because", "while", "after", "before", "between", "just", "like",  "too",   "now",
};

// Letters, digits and every byte of a longer UTF-8 sequence.
static bool
is_word_byte(char byte)
{
    unsigned char value = (unsigned char) byte;
    return value >= 0x80 || isalnum(value) || value == '_';
}

static uint64_t
hash_of(bus_view_t word)
{
    char lower[WORD_SIZE_MAX];
    for (size_t i = 0; i < word.size; i++) {
        lower[i] = (char) tolower((unsigned char) word.data[i]);
    }
    uint64_t hash = XXH3_64bits(lower, word.size);
    return hash == 0 ? 1 : hash;
}

static bool
is_small_talk(bus_view_t word)
{
    for (size_t i = 0; i < sizeof small_talk / sizeof small_talk[0]; i++) {
        if (strlen(small_talk[i]) == word.size &&
            strncasecmp(small_talk[i], word.data, word.size) == 0) {
            return true;
        }
    }
    return false;
}

static word_t *
slot_of(const reading_t *self, uint64_t hash)
{
    size_t place = hash & self->mask;
    while (self->table[place].hash != 0 && self->table[place].hash != hash) {
        place = (place + 1) & self->mask;
    }
    return &self->table[place];
}

static void
count_word(reading_t *self, bus_view_t word)
{
    self->words++;
    if (word.size < WORD_SIZE_MIN || word.size > WORD_SIZE_MAX || is_small_talk(word)) {
        return;
    }
    uint64_t hash = hash_of(word);
    word_t *slot = slot_of(self, hash);
    if (slot->hash == 0) {
        *slot = (word_t){.text = word, .hash = hash, .sentence = self->count};
        self->order[self->distinct++] = (uint32_t) (slot - self->table);
    }
    slot->count++;
}

// The next run of word bytes in `text` from `*at`; absent at its end.
static bus_view_t
next_word(bus_view_t text, size_t *at)
{
    while (*at < text.size && !is_word_byte(text.data[*at])) {
        (*at)++;
    }
    size_t start = *at;
    while (*at < text.size && is_word_byte(text.data[*at])) {
        (*at)++;
    }
    return *at == start ? VIEW_NONE : view_from(text.data + start, *at - start);
}

static bus_view_t
trim(bus_view_t text)
{
    while (text.size > 0 && isspace((unsigned char) text.data[0])) {
        text = view_from(text.data + 1, text.size - 1);
    }
    while (text.size > 0 && isspace((unsigned char) text.data[text.size - 1])) {
        text.size--;
    }
    return text;
}

// A sentence ends behind . ! ? where space follows, and at an empty line.
static size_t
sentence_size(bus_view_t text)
{
    for (size_t i = 0; i + 1 < text.size; i++) {
        bool ends = strchr(".!?", text.data[i]) != NULL && text.data[i] != '\0' &&
                    isspace((unsigned char) text.data[i + 1]);
        bool is_gap = text.data[i] == '\n' && text.data[i + 1] == '\n';
        if (ends || is_gap) {
            return i + 1;
        }
    }
    return text.size;
}

static void
read_text(reading_t *self, bus_view_t text)
{
    while (text.size > 0 && self->count < self->sentences_max && self->words < self->words_max) {
        size_t size = sentence_size(text);
        bus_view_t sentence = trim(view_from(text.data, size));
        text = view_from(text.data + size, text.size - size);
        if (sentence.size == 0) {
            continue;
        }
        size_t at = 0;
        bus_view_t word = next_word(sentence, &at);
        while (word.data != NULL && self->words < self->words_max) {
            count_word(self, word);
            word = next_word(sentence, &at);
        }
        self->sentences[self->count++] = (sentence_t){.text = sentence};
    }
}

static void
weigh(reading_t *self)
{
    for (uint32_t i = 0; i < self->count; i++) {
        sentence_t *sentence = &self->sentences[i];
        size_t at = 0;
        bus_view_t word = next_word(sentence->text, &at);
        while (word.data != NULL) {
            bool may_carry = word.size >= WORD_SIZE_MIN && word.size <= WORD_SIZE_MAX;
            const word_t *slot = may_carry ? slot_of(self, hash_of(word)) : NULL;
            if (slot != NULL && slot->hash != 0) {
                sentence->weight += slot->count;
                sentence->words++;
            }
            word = next_word(sentence->text, &at);
        }
        sentence->weight = sentence->words == 0 ? 0 : sentence->weight / sentence->words;
    }
}

static void
choose(reading_t *self)
{
    for (unsigned n = 0; n < SUMMARY_SENTENCES && n < self->count; n++) {
        sentence_t *best = NULL;
        for (uint32_t i = 0; i < self->count; i++) {
            sentence_t *sentence = &self->sentences[i];
            if (!sentence->chosen && (best == NULL || sentence->weight > best->weight)) {
                best = sentence; // the first of equals
            }
        }
        assert(best != NULL); // fewer are chosen than there are
        best->chosen = true;
    }
}

static void
pack_summary(const reading_t *self, bus_view_t input, pack_t *out)
{
    if (self->count <= SUMMARY_SENTENCES) {
        pack_pair_str(out, "result", input);
        return;
    }
    BUS_AUTO(text_destroy) text_t *summary = text_new();
    for (uint32_t i = 0; i < self->count; i++) {
        if (self->sentences[i].chosen) {
            if (text_view(summary).size > 0) {
                text_add(summary, VIEW_LITERAL(" "));
            }
            text_add(summary, self->sentences[i].text);
        }
    }
    pack_pair_str(out, "result", text_view(summary));
}

// The words that stand most often; of equals those that come first.
static void
pack_keywords(const reading_t *self, pack_t *out)
{
    uint32_t best[KEYWORDS_MAX];
    uint32_t count = 0;
    for (uint32_t i = 0; i < self->distinct; i++) {
        uint32_t place = count;
        while (place > 0 &&
               self->table[self->order[i]].count > self->table[best[place - 1]].count) {
            place--;
        }
        if (place == KEYWORDS_MAX) {
            continue;
        }
        uint32_t last = count < KEYWORDS_MAX ? count : KEYWORDS_MAX - 1;
        memmove(&best[place + 1], &best[place], (last - place) * sizeof best[0]);
        best[place] = self->order[i];
        count += count < KEYWORDS_MAX ? 1 : 0;
    }
    pack_text(out, "keywords");
    pack_array(out, count);
    for (uint32_t i = 0; i < count; i++) {
        pack_str(out, self->table[best[i]].text);
    }
}

static uint32_t
at_most(size_t wanted, uint32_t limit)
{
    return wanted < limit ? (uint32_t) wanted : limit;
}

// As large as the text can ask for: most are a line.
static void
reading_init(reading_t *self, size_t input_size)
{
    *self = (reading_t){
        .words_max = at_most(input_size / 2 + 1, WORDS_MAX), // a word and a gap
        .sentences_max = at_most(input_size / 2 + 1, SENTENCES_MAX),
    };
    size_t slots = TABLE_SIZE_MIN;
    while (slots < 2 * (size_t) self->words_max) {
        slots *= 2;
    }
    self->mask = slots - 1;
    self->table = calloc(slots, sizeof *self->table);
    self->order = calloc(self->words_max, sizeof *self->order);
    self->sentences = calloc(self->sentences_max, sizeof *self->sentences);
    assert(self->table != NULL && self->order != NULL && self->sentences != NULL);
}

static void
reading_clear(reading_t *self)
{
    free(self->table);
    free(self->order);
    free(self->sentences);
}

void
core_agent_text_answer(bus_view_t input, pack_t *out)
{
    reading_t reading;
    reading_init(&reading, input.size);
    read_text(&reading, input);
    if (reading.count > SUMMARY_SENTENCES) {
        weigh(&reading);
        choose(&reading);
    }
    pack_map(out, 6);
    pack_summary(&reading, input, out);
    pack_keywords(&reading, out);
    pack_pair_text(out, "model", "extractive");
    pack_pair_uint(out, "sentences", reading.count);
    pack_pair_uint(out, "words", reading.words);
    pack_pair_int(out, "status", 200);
    reading_clear(&reading);
}
