// kb_stem.c - Porter's algorithm: five steps of suffix rules, each with a condition on the stem
// that would be left. The measure m of a stem counts its vowel-consonant pairs: [C](VC)^m[V].
#include "kb_stem.h"

#include <assert.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

typedef struct {
    char *bytes;
    size_t size;
} word_t;

// --- Conditions ----------------------------------------------------------------------------------

// A y is a consonant at the beginning and behind a vowel.
static bool
is_consonant(const word_t *word, size_t at)
{
    bool is_behind_consonant =
        false; // of the letters before `at`, as it alternates over a run of y
    size_t from = at;
    while (from > 0 && word->bytes[from] == 'y') {
        from--;
    }
    for (size_t i = from; i <= at; i++) {
        bool is_vowel = strchr("aeiou", word->bytes[i]) != NULL;
        bool is_y_vowel = word->bytes[i] == 'y' && i > 0 && is_behind_consonant;
        is_behind_consonant = !is_vowel && !is_y_vowel;
    }
    return is_behind_consonant;
}

// m of the first `size` letters.
static unsigned
measure(const word_t *word, size_t size)
{
    unsigned count = 0;
    bool was_vowel = false;
    for (size_t i = 0; i < size; i++) {
        bool is_vowel = !is_consonant(word, i);
        count += was_vowel && !is_vowel ? 1 : 0;
        was_vowel = is_vowel;
    }
    return count;
}

static bool
has_vowel(const word_t *word, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (!is_consonant(word, i)) {
            return true;
        }
    }
    return false;
}

static bool
ends_double_consonant(const word_t *word, size_t size)
{
    return size >= 2 && word->bytes[size - 1] == word->bytes[size - 2] &&
           is_consonant(word, size - 1);
}

// *o: consonant, vowel, consonant, the last not w, x or y.
static bool
ends_cvc(const word_t *word, size_t size)
{
    return size >= 3 && is_consonant(word, size - 3) && !is_consonant(word, size - 2) &&
           is_consonant(word, size - 1) && strchr("wxy", word->bytes[size - 1]) == NULL;
}

// --- Rules ---------------------------------------------------------------------------------------

static bool
ends(const word_t *word, const char *suffix, size_t *ret_stem)
{
    size_t size = strlen(suffix);
    if (word->size < size || memcmp(word->bytes + word->size - size, suffix, size) != 0) {
        return false;
    }
    *ret_stem = word->size - size;
    return true;
}

static void
replace(word_t *word, size_t stem, const char *suffix)
{
    size_t size = strlen(suffix);
    memcpy(word->bytes + stem, suffix, size); // never longer than what it takes the place of,
    word->size = stem + size;                 // but for step 1b's e, behind what was cut off there
}

typedef struct {
    const char *suffix;
    const char *instead;
} rule_t;

// The longest suffix that fits decides, whether its condition holds or not; rows that end alike
// stand with the longer one first.
static void
apply(word_t *word, const rule_t *rules, size_t count, unsigned above)
{
    for (size_t i = 0; i < count; i++) {
        size_t stem;
        if (ends(word, rules[i].suffix, &stem)) {
            if (measure(word, stem) > above) {
                replace(word, stem, rules[i].instead);
            }
            return;
        }
    }
}

static void
step_1a(word_t *word)
{
    size_t stem;
    if (ends(word, "sses", &stem)) {
        replace(word, stem, "ss");
    } else if (ends(word, "ies", &stem)) {
        replace(word, stem, "i");
    } else if (!ends(word, "ss", &stem) && ends(word, "s", &stem)) {
        word->size = stem;
    }
}

// What stands where an -ed or -ing was.
static void
tidy_1b(word_t *word)
{
    size_t stem;
    bool lost_e = ends(word, "at", &stem) || ends(word, "bl", &stem) || ends(word, "iz", &stem);
    if (!lost_e && ends_double_consonant(word, word->size) &&
        strchr("lsz", word->bytes[word->size - 1]) == NULL) {
        word->size--;
        return;
    }
    if (lost_e || (measure(word, word->size) == 1 && ends_cvc(word, word->size))) {
        replace(word, word->size, "e");
    }
}

static void
step_1b(word_t *word)
{
    size_t stem;
    if (ends(word, "eed", &stem)) {
        if (measure(word, stem) > 0) {
            replace(word, stem, "ee");
        }
    } else if ((ends(word, "ed", &stem) || ends(word, "ing", &stem)) && has_vowel(word, stem)) {
        word->size = stem;
        tidy_1b(word);
    }
}

static void
step_1c(word_t *word)
{
    size_t stem;
    if (ends(word, "y", &stem) && has_vowel(word, stem)) {
        replace(word, stem, "i");
    }
}

static const rule_t step_2[] = {
    {"ational", "ate"}, {"tional", "tion"}, {"enci", "ence"}, {"anci", "ance"}, {"izer", "ize"},
    {"abli", "able"},   {"alli", "al"},     {"entli", "ent"}, {"eli", "e"},     {"ousli", "ous"},
    {"ization", "ize"}, {"ation", "ate"},   {"ator", "ate"},  {"alism", "al"},  {"iveness", "ive"},
    {"fulness", "ful"}, {"ousness", "ous"}, {"aliti", "al"},  {"iviti", "ive"}, {"biliti", "ble"},
};

static const rule_t step_3[] = {
    {"icate", "ic"},
    {"ative", ""},
    {"alize", "al"},
    {"iciti", "ic"},
    {"ical", "ic"},
    {"ful", ""},
    {"ness", ""},
};

static const rule_t step_4[] = {
    {"al", ""},
    {"ance", ""},
    {"ence", ""},
    {"er", ""},
    {"ic", ""},
    {"able", ""},
    {"ible", ""},
    {"ant", ""},
    {"ement", ""},
    {"ment", ""},
    {"ent", ""},
    {"ou", ""},
    {"ism", ""},
    {"ate", ""},
    {"iti", ""},
    {"ous", ""},
    {"ive", ""},
    {"ize", ""},
};

// -ion goes only behind an s or a t.
static void
apply_4(word_t *word)
{
    size_t stem;
    if (!ends(word, "ion", &stem)) {
        apply(word, step_4, COUNT(step_4), 1);
    } else if (stem > 0 && strchr("st", word->bytes[stem - 1]) != NULL && measure(word, stem) > 1) {
        word->size = stem;
    }
}

static void
step_5(word_t *word)
{
    size_t stem;
    if (ends(word, "e", &stem)) {
        unsigned m = measure(word, stem);
        if (m > 1 || (m == 1 && !ends_cvc(word, stem))) {
            word->size = stem;
        }
    }
    if (word->size > 0 && word->bytes[word->size - 1] == 'l' &&
        ends_double_consonant(word, word->size) && measure(word, word->size) > 1) {
        word->size--;
    }
}

size_t
core_kb_stem(char *word, size_t size)
{
    if (size < 3) {
        return size;
    }
    for (size_t i = 0; i < size; i++) {
        if (word[i] < 'a' || word[i] > 'z') {
            return size;
        }
    }
    word_t self = {.size = size};
    self.bytes = word;
    step_1a(&self);
    step_1b(&self);
    step_1c(&self);
    apply(&self, step_2, COUNT(step_2), 0);
    apply(&self, step_3, COUNT(step_3), 0);
    apply_4(&self);
    step_5(&self);
    assert(self.size > 0 && self.size <= size);
    return self.size;
}
