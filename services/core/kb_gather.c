// kb_gather.c - the terms of some passages. Words are numbered as they come; each word's stem is
// found once, and is its term.
#include "kb_gather.h"

#include "kb_stem.h"
#include "kb_text.h"

#include <assert.h>
#include <stdlib.h>

enum { SLOTS_MIN = 1024, ROOM_MIN = 1024 };

// --- Texts that are numbered ---------------------------------------------------------------------

typedef struct {
    size_t offset; // in bytes
    uint32_t size;
    uint32_t hash;
} name_t;

// A set of texts, each with a number in the order of their coming.
typedef struct {
    char *bytes; // all of them, one behind the other
    size_t size;
    size_t limit;
    name_t *names;
    uint32_t count;
    uint32_t room;   // for names
    uint32_t *slots; // number + 1; 0: free
    uint32_t slot_count;
} names_t;

static void *
grow(void *memory, size_t count, size_t size)
{
    void *grown = reallocarray(memory, count, size);
    assert(grown);
    return grown;
}

// FNV-1a.
static uint32_t
hash_of(bus_view_t text)
{
    uint32_t hash = 2166136261u;
    for (size_t i = 0; i < text.size; i++) {
        hash = (hash ^ (unsigned char) text.data[i]) * 16777619u;
    }
    return hash;
}

static bus_view_t
name_view(const names_t *self, uint32_t number)
{
    return view_from(self->bytes + self->names[number].offset, self->names[number].size);
}

static void
place(names_t *self, uint32_t number)
{
    uint32_t slot = self->names[number].hash & (self->slot_count - 1);
    while (self->slots[slot] != 0) {
        slot = (slot + 1) & (self->slot_count - 1);
    }
    self->slots[slot] = number + 1;
}

static void
widen(names_t *self)
{
    free(self->slots);
    self->slot_count = self->slot_count == 0 ? SLOTS_MIN : self->slot_count * 2;
    self->slots = calloc(self->slot_count, sizeof self->slots[0]);
    assert(self->slots);
    for (uint32_t i = 0; i < self->count; i++) {
        place(self, i);
    }
}

// The number of `text`; *ret_is_new: it was not there before.
static uint32_t
number_of(names_t *self, bus_view_t text, bool *ret_is_new)
{
    if (self->count >= self->slot_count / 2) {
        widen(self);
    }
    uint32_t hash = hash_of(text);
    uint32_t slot = hash & (self->slot_count - 1);
    *ret_is_new = false;
    for (; self->slots[slot] != 0; slot = (slot + 1) & (self->slot_count - 1)) {
        uint32_t number = self->slots[slot] - 1;
        if (self->names[number].hash == hash && view_equal(name_view(self, number), text)) {
            return number;
        }
    }
    if (self->count == self->room) {
        self->room = self->room == 0 ? ROOM_MIN : self->room * 2;
        self->names = grow(self->names, self->room, sizeof self->names[0]);
    }
    if (self->size + text.size > self->limit) {
        self->limit = self->limit * 2 + ROOM_MIN;
        self->bytes = grow(self->bytes, self->limit, 1);
    }
    memcpy(self->bytes + self->size, text.data, text.size);
    self->names[self->count] =
        (name_t){.offset = self->size, .size = (uint32_t) text.size, .hash = hash};
    self->size += text.size;
    self->slots[slot] = self->count + 1;
    *ret_is_new = true;
    return self->count++;
}

static void
names_clear(names_t *self)
{
    free(self->bytes);
    free(self->names);
    free(self->slots);
}

// --- Gathering -----------------------------------------------------------------------------------

typedef struct {
    core_kb_posting_t posting;
    uint32_t term;
} entry_t;

// What is known of a term.
typedef struct {
    size_t count; // of its postings
    size_t last;  // entry; valid where count is not 0
    size_t first; // posting, once finished
} term_t;

struct core_kb_gather {
    names_t words;      // as folded
    uint32_t *term_of;  // each word's term
    uint32_t word_room; // for term_of
    names_t terms;      // stems
    term_t *about;      // each term
    uint32_t term_room; // for about
    entry_t *entries;   // in the order of the passages
    size_t entry_count;
    size_t entry_room;
    core_kb_posting_t *postings; // by term, once finished
    uint32_t *order;             // of the terms, by their bytes
};

core_kb_gather_t *
core_kb_gather_new(void)
{
    core_kb_gather_t *self = calloc(1, sizeof *self);
    assert(self);
    return self;
}

void
core_kb_gather_destroy(core_kb_gather_t **self_p)
{
    core_kb_gather_t *self = *self_p;
    if (self == NULL) {
        return;
    }
    names_clear(&self->words);
    names_clear(&self->terms);
    free(self->term_of);
    free(self->about);
    free(self->entries);
    free(self->postings);
    free(self->order);
    free(self);
    *self_p = NULL;
}

// The term of a word that is new.
static uint32_t
add_term(core_kb_gather_t *self, core_kb_word_t *word)
{
    size_t size = core_kb_stem(word->folded, word->folded_size);
    bool is_new;
    uint32_t term = number_of(&self->terms, view_from(word->folded, size), &is_new);
    if (is_new) {
        if (term == self->term_room) {
            self->term_room = self->term_room == 0 ? ROOM_MIN : self->term_room * 2;
            self->about = grow(self->about, self->term_room, sizeof self->about[0]);
        }
        self->about[term] = (term_t){.count = 0};
    }
    return term;
}

static uint32_t
term_of(core_kb_gather_t *self, core_kb_word_t *word)
{
    bool is_new;
    uint32_t number = number_of(&self->words, view_from(word->folded, word->folded_size), &is_new);
    if (is_new) {
        if (number == self->word_room) {
            self->word_room = self->word_room == 0 ? ROOM_MIN : self->word_room * 2;
            self->term_of = grow(self->term_of, self->word_room, sizeof self->term_of[0]);
        }
        self->term_of[number] = add_term(self, word);
    }
    return self->term_of[number];
}

static void
count_one(core_kb_gather_t *self, uint32_t term, uint64_t passage)
{
    term_t *about = &self->about[term];
    if (about->count > 0 && self->entries[about->last].posting.passage == passage) {
        self->entries[about->last].posting.frequency++;
        return;
    }
    if (self->entry_count == self->entry_room) {
        self->entry_room = self->entry_room == 0 ? ROOM_MIN : self->entry_room * 2;
        self->entries = grow(self->entries, self->entry_room, sizeof self->entries[0]);
    }
    about->count++;
    about->last = self->entry_count++;
    self->entries[about->last] =
        (entry_t){.posting = {.passage = passage, .frequency = 1}, .term = term};
}

uint32_t
core_kb_gather_add(core_kb_gather_t *self, uint64_t passage, bus_view_t text)
{
    assert(self->order == NULL);
    size_t from = self->entry_count;
    core_kb_words_t words = core_kb_text_words(text);
    core_kb_word_t word;
    uint32_t count = 0;
    while (core_kb_text_next_word(&words, &word)) {
        count_one(self, term_of(self, &word), passage);
        count++;
    }
    for (size_t i = from; i < self->entry_count; i++) {
        self->entries[i].posting.words = count;
    }
    return count;
}

static int
compare(const void *a, const void *b, void *terms)
{
    bus_view_t left = name_view(terms, *(const uint32_t *) a);
    bus_view_t right = name_view(terms, *(const uint32_t *) b);
    int order = memcmp(left.data, right.data, left.size < right.size ? left.size : right.size);
    return order != 0 ? order : (left.size > right.size) - (left.size < right.size);
}

size_t
core_kb_gather_finish(core_kb_gather_t *self)
{
    assert(self->order == NULL);
    uint32_t count = self->terms.count;
    self->order = grow(NULL, count + 1u, sizeof self->order[0]);
    self->postings = grow(NULL, self->entry_count + 1, sizeof self->postings[0]);
    size_t first = 0;
    for (uint32_t i = 0; i < count; i++) {
        self->order[i] = i;
        self->about[i].first = first;
        first += self->about[i].count;
        self->about[i].count = 0;
    }
    for (size_t i = 0; i < self->entry_count; i++) {
        term_t *about = &self->about[self->entries[i].term];
        self->postings[about->first + about->count++] = self->entries[i].posting;
    }
    qsort_r(self->order, count, sizeof self->order[0], compare, &self->terms);
    return count;
}

core_kb_gathered_t
core_kb_gather_at(const core_kb_gather_t *self, size_t index)
{
    assert(self->order != NULL && index < self->terms.count);
    uint32_t term = self->order[index];
    const term_t *about = &self->about[term];
    return (core_kb_gathered_t){.term = name_view(&self->terms, term),
                                .postings = self->postings + about->first,
                                .count = about->count};
}
