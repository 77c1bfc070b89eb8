// rules.c - rows, and one name's rights made ready to be asked for each message.
#include "rules.h"
#include "proto/text.h"
#include "proto/topic.h"
#include "rules_row.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

typedef struct {
    const char *name;
    const char *rights[RULES_RIGHTS];
} preset_t;

static const preset_t presets[] = {
#define ACCESS(name, publish, subscribe, request, fetch, serve)                                    \
    {name, {publish, subscribe, request, fetch, serve}},
#include "access.def"
};

struct rules {
    rules_row_t *rows; // `room` of them
    size_t count;
    size_t room;
    char hash[SHA256_HEX_SIZE]; // of the file; "": there was none
};

const char *
rules_right_text(rules_right_t right)
{
    switch (right) {
    case RULES_PUBLISH:
        return "publish";
    case RULES_SUBSCRIBE:
        return "subscribe";
    case RULES_REQUEST:
        return "request";
    case RULES_FETCH:
        return "fetch";
    case RULES_SERVE:
        return "serve";
    }
    return "";
}

// --- Rows --------------------------------------------------------------------------------------

static char *
copy_text(const char *text)
{
    char *copy = strdup(text);
    assert(copy != NULL);
    return copy;
}

static void
clear_row(rules_row_t *row)
{
    free(row->name);
    for (int i = 0; i < RULES_RIGHTS; i++) {
        free(row->rights[i]);
    }
}

static rules_row_t *
find_row(const rules_t *self, bus_view_t name)
{
    for (size_t i = 0; i < self->count; i++) {
        if (view_is(name, self->rows[i].name)) {
            return &self->rows[i];
        }
    }
    return NULL;
}

// Puts a copy in, in place of the row of the same name.
static bool
put_row(rules_t *self, const char *name, const char *const rights[RULES_RIGHTS])
{
    rules_row_t *row = find_row(self, view_from_text(name));
    if (row != NULL) {
        clear_row(row);
    } else if (self->count == RULES_ROWS_MAX) {
        return false;
    } else {
        if (self->count == self->room) {
            self->room = self->room == 0 ? 64 : self->room * 2;
            self->rows = realloc(self->rows, self->room * sizeof(self->rows[0]));
            assert(self->rows != NULL);
        }
        row = &self->rows[self->count++];
    }
    row->name = copy_text(name);
    for (int i = 0; i < RULES_RIGHTS; i++) {
        row->rights[i] = copy_text(rights[i] == NULL ? "" : rights[i]);
    }
    return true;
}

// A rules_row_fn.
static bool
on_row(void *arg, const char *name, const char *const rights[RULES_RIGHTS])
{
    return put_row(arg, name, rights);
}

bus_err_t
rules_load(const char *path, rules_t **ret_self, char reterr_problem[RULES_PROBLEM_SIZE])
{
    BUS_AUTO(rules_destroy) rules_t *self = calloc(1, sizeof(*self));
    assert(self != NULL);
    for (size_t i = 0; i < COUNT(presets); i++) {
        const preset_t *preset = &presets[i];
        bool is_good = rules_row_check(preset->name, preset->rights, reterr_problem) == BUS_OK &&
                       put_row(self, preset->name, preset->rights);
        assert(is_good); // access.def is ours
    }
    bus_err_t err =
        path == NULL ? BUS_OK : rules_row_read(path, on_row, self, self->hash, reterr_problem);
    if (err != BUS_OK) {
        return err;
    }
    *ret_self = self;
    self = NULL;
    return BUS_OK;
}

void
rules_destroy(rules_t **self_p)
{
    rules_t *self = *self_p;
    if (self == NULL) {
        return;
    }
    for (size_t i = 0; i < self->count; i++) {
        clear_row(&self->rows[i]);
    }
    free(self->rows);
    free(self);
    *self_p = NULL;
}

const char *
rules_hash(const rules_t *self)
{
    return self->hash;
}

static bool
is_same_row(const rules_row_t *a, const rules_row_t *b)
{
    for (int i = 0; i < RULES_RIGHTS; i++) {
        if (strcmp(a->rights[i], b->rights[i]) != 0) {
            return false;
        }
    }
    return true;
}

// Names of `of` whose row in `from` is another, or none; with `is_missing` only the latter.
static size_t
add_names(const rules_t *of, const rules_t *from, bool is_missing, text_t *names)
{
    size_t count = 0;
    for (size_t i = 0; i < of->count; i++) {
        const rules_row_t *row = &of->rows[i];
        const rules_row_t *other = find_row(from, view_from_text(row->name));
        if (other == NULL || (!is_missing && !is_same_row(row, other))) {
            text_add_format(names, "%s ", row->name);
            count++;
        }
    }
    return count;
}

size_t
rules_differ(const rules_t *a, const rules_t *b, char *ret_names, size_t size)
{
    static const char more[] = "...";
    BUS_AUTO(text_destroy) text_t *names = text_new();
    size_t count = add_names(b, a, false, names) + add_names(a, b, true, names);
    bus_view_t all = text_view(names);
    size_t kept = all.size == 0 ? 0 : all.size - 1; // without the last blank
    bool fits = kept < size;
    while (!fits && kept > 0 && (kept + sizeof(more) > size || all.data[kept - 1] != ' ')) {
        kept--;
    }
    (void) snprintf(ret_names, size, "%.*s%s", (int) kept, all.data, fits ? "" : more);
    return count;
}

// The row that holds for a name, or NULL.
static const rules_row_t *
choose_row(const rules_t *self, bus_view_t name)
{
    const rules_row_t *best = find_row(self, name);
    size_t best_size = 0;
    for (size_t i = 0; i < self->count && (best == NULL || best_size > 0); i++) {
        const rules_row_t *row = &self->rows[i];
        size_t size = strlen(row->name);
        if (row->name[size - 1] == '*' && size > best_size &&
            view_starts(name, view_from(row->name, size - 1))) {
            best = row;
            best_size = size;
        }
    }
    return best;
}

// --- One name's --------------------------------------------------------------------------------

typedef enum {
    PATTERN_EXACT,
    PATTERN_PREFIX, // ends in `.`, or did in `>`: at least one byte follows
    PATTERN_ALL,    // `>`: every application topic
    PATTERN_OTHER,  // with `*`
} pattern_kind_t;

typedef struct {
    pattern_kind_t kind;
    bus_view_t text; // in the set's texts; of a prefix without its `>`
} pattern_t;

typedef struct {
    pattern_t *patterns;
    size_t count;
} list_t;

struct rules_set {
    list_t lists[RULES_RIGHTS];
    char *texts[RULES_RIGHTS]; // what the patterns point into
};

static pattern_t
make_pattern(bus_view_t text)
{
    char last = text.data[text.size - 1];
    bool has_star = memchr(text.data, '*', text.size) != NULL;
    if (has_star) {
        return (pattern_t){PATTERN_OTHER, text};
    }
    if (last == '>') {
        pattern_kind_t kind = text.size == 1 ? PATTERN_ALL : PATTERN_PREFIX;
        return (pattern_t){kind, view_from(text.data, text.size - 1)};
    }
    return (pattern_t){last == '.' ? PATTERN_PREFIX : PATTERN_EXACT, text};
}

// The text of a right with the peer's name in it.
static char *
put_name(const char *text, bus_view_t name)
{
    char *out = calloc(1, strlen(text) * (name.size + 1) + 1);
    assert(out != NULL);
    size_t size = 0;
    while (*text != '\0') {
        if (strncmp(text, RULES_ROW_OWN_NAME, sizeof(RULES_ROW_OWN_NAME) - 1) == 0) {
            memcpy(out + size, name.data, name.size);
            size += name.size;
            text += sizeof(RULES_ROW_OWN_NAME) - 1;
        } else {
            out[size++] = *text++;
        }
    }
    return out;
}

static void
make_list(list_t *list, const char *text)
{
    list->patterns = calloc(RULES_PATTERNS_MAX, sizeof(list->patterns[0]));
    assert(list->patterns != NULL);
    bus_view_t rest = view_from_text(text);
    bus_view_t word;
    while (rules_row_word(&rest, &word)) {
        assert(list->count < RULES_PATTERNS_MAX); // rules_row_read counts them
        list->patterns[list->count++] = make_pattern(word);
    }
    if (list->count == 0) {
        free(list->patterns);
        list->patterns = NULL;
        return;
    }
    list->patterns = realloc(list->patterns, list->count * sizeof(list->patterns[0]));
    assert(list->patterns != NULL);
}

rules_set_t *
rules_of(const rules_t *self, bus_view_t name)
{
    rules_set_t *set = calloc(1, sizeof(*set));
    assert(set != NULL);
    const rules_row_t *row = self == NULL ? NULL : choose_row(self, name);
    for (int i = 0; i < RULES_RIGHTS && row != NULL; i++) {
        set->texts[i] = put_name(row->rights[i], name);
        make_list(&set->lists[i], set->texts[i]);
    }
    return set;
}

void
rules_set_destroy(rules_set_t **self_p)
{
    rules_set_t *self = *self_p;
    if (self == NULL) {
        return;
    }
    for (int i = 0; i < RULES_RIGHTS; i++) {
        free(self->lists[i].patterns);
        free(self->texts[i]);
    }
    free(self);
    *self_p = NULL;
}

static bool
is_application(bus_view_t topic)
{
    return topic.size == 0 || (topic.data[0] != '$' && topic.data[0] != '_');
}

static bool
is_allowed_by(const pattern_t *pattern, bus_view_t topic)
{
    switch (pattern->kind) {
    case PATTERN_EXACT:
        return view_equal(pattern->text, topic);
    case PATTERN_PREFIX:
        return topic.size > pattern->text.size && view_starts(topic, pattern->text);
    case PATTERN_ALL:
        return is_application(topic);
    case PATTERN_OTHER:
        return topic_pattern_matches(pattern->text, topic);
    }
    return false;
}

bool
rules_allow(const rules_set_t *self, rules_right_t right, bus_view_t topic)
{
    const list_t *list = &self->lists[right];
    for (size_t i = 0; i < list->count; i++) {
        if (is_allowed_by(&list->patterns[i], topic)) {
            return true;
        }
    }
    return false;
}

static bool
is_covered_by(const pattern_t *pattern, bus_view_t prefix)
{
    switch (pattern->kind) {
    case PATTERN_EXACT:
        return view_equal(pattern->text, prefix);
    case PATTERN_PREFIX:
        return view_starts(prefix, pattern->text);
    case PATTERN_ALL:
        return is_application(prefix);
    case PATTERN_OTHER:
        return false; // no prefix is within it
    }
    return false;
}

bool
rules_cover(const rules_set_t *self, rules_right_t right, bus_view_t prefix)
{
    const list_t *list = &self->lists[right];
    for (size_t i = 0; i < list->count; i++) {
        if (is_covered_by(&list->patterns[i], prefix)) {
            return true;
        }
    }
    return false;
}

bool
rules_has(const rules_set_t *self, rules_right_t right)
{
    return self->lists[right].count > 0;
}

bool
rules_are_equal(const rules_set_t *a, const rules_set_t *b)
{
    for (int i = 0; i < RULES_RIGHTS; i++) {
        const char *left = a->texts[i] == NULL ? "" : a->texts[i];
        const char *right = b->texts[i] == NULL ? "" : b->texts[i];
        if (strcmp(left, right) != 0) {
            return false;
        }
    }
    return true;
}
