// kb_question.c - a question to the knowledge base, understood.
#include "kb_question.h"

#include "kb_stem.h"
#include "proto/walk.h"

static const struct {
    const char *name;
    core_kb_attribute_t attribute;
} attributes[] = {{"book", CORE_KB_BOOK}, {"type", CORE_KB_TYPE}, {"version", CORE_KB_VERSION}};

enum { ATTRIBUTES = sizeof attributes / sizeof attributes[0] };

size_t
core_kb_question_term(const core_kb_word_t *word, char ret_term[CORE_KB_TEXT_TERM_MAX])
{
    memcpy(ret_term, word->folded, word->folded_size);
    return core_kb_stem(ret_term, word->folded_size);
}

int
core_kb_question_find(const core_kb_asked_t *self, bus_view_t term)
{
    for (uint32_t i = 0; i < self->term_count; i++) {
        if (view_equal(view_from(self->terms[i].term, self->terms[i].size), term)) {
            return (int) i;
        }
    }
    return -1;
}

// --- Filters -------------------------------------------------------------------------------------

// Returns what is wrong with it, or NULL. The same filter twice is one.
static const char *
add_filter(core_kb_asked_t *asked, core_kb_attribute_t attribute, bus_view_t value)
{
    core_kb_filter_t filter = {.attribute = attribute};
    filter.size = core_kb_text_fold(value, filter.folded, sizeof filter.folded);
    if (filter.size == 0) {
        return "must have letters or digits";
    }
    for (uint32_t i = 0; i < asked->filter_count; i++) {
        const core_kb_filter_t *other = &asked->filters[i];
        if (other->attribute == attribute && view_equal(view_from(other->folded, other->size),
                                                        view_from(filter.folded, filter.size))) {
            return NULL;
        }
    }
    if (asked->filter_count == CORE_KB_QUESTION_FILTERS_MAX) {
        return "has more than 8 filters";
    }
    asked->filters[asked->filter_count++] = filter;
    return NULL;
}

static const char *
read_filters(core_kb_asked_t *asked, bus_view_t filters)
{
    walk_pairs_t pairs = walk_pairs(filters);
    bus_view_t key;
    bus_view_t value;
    bus_err_t err;
    while ((err = walk_pairs_next(&pairs, &key, &value)) == BUS_OK) {
        unsigned at = 0;
        while (at < ATTRIBUTES && !view_is(key, attributes[at].name)) {
            at++;
        }
        bus_view_t text;
        if (at == ATTRIBUTES) {
            return "may have book, type and version";
        }
        if (walk_as_str(value, &text) != BUS_OK) {
            return "must have texts as values";
        }
        const char *problem = add_filter(asked, attributes[at].attribute, text);
        if (problem != NULL) {
            return problem;
        }
    }
    return err == BUS_NOT_FOUND ? NULL : "must be a map";
}

static bool
is_blank(char byte)
{
    return byte == ' ' || (byte >= '\t' && byte <= '\r');
}

// Whether a filter stands at `at`: @name: and a value. *ret_end: behind it.
static bool
read_filter_at(bus_view_t text,
               size_t at,
               core_kb_attribute_t *ret_attribute,
               bus_view_t *ret_value,
               size_t *ret_end)
{
    bus_view_t rest = view_from(text.data + at + 1, text.size - at - 1);
    unsigned i = 0;
    size_t size = 0;
    for (; i < ATTRIBUTES; i++) {
        size = strlen(attributes[i].name);
        if (view_starts(rest, view_from(attributes[i].name, size)) && rest.size > size &&
            rest.data[size] == ':') {
            break;
        }
    }
    if (i == ATTRIBUTES) {
        return false;
    }
    size_t start = size + 1;
    bool is_quoted = start < rest.size && rest.data[start] == '"';
    start += is_quoted ? 1 : 0;
    size_t end = start;
    while (end < rest.size && (is_quoted ? rest.data[end] != '"' : !is_blank(rest.data[end]))) {
        end++;
    }
    *ret_attribute = attributes[i].attribute;
    *ret_value = view_from(rest.data + start, end - start);
    *ret_end = at + 1 + end + (is_quoted && end < rest.size ? 1 : 0);
    return true;
}

// --- Words ---------------------------------------------------------------------------------------

static void
add_words(core_kb_asked_t *asked, bus_view_t text, bool with_stops)
{
    core_kb_words_t words = core_kb_text_words(text);
    core_kb_word_t word;
    while (core_kb_text_next_word(&words, &word)) {
        if (core_kb_text_is_stop(view_from(word.folded, word.folded_size)) && !with_stops) {
            continue;
        }
        core_kb_wanted_t wanted = {.count = 1};
        wanted.size = core_kb_question_term(&word, wanted.term);
        int place = core_kb_question_find(asked, view_from(wanted.term, wanted.size));
        if (place >= 0) {
            asked->terms[place].count++;
        } else if (asked->term_count < CORE_KB_QUESTION_TERMS_MAX) {
            asked->terms[asked->term_count++] = wanted;
        } else {
            asked->terms_left_out++;
        }
    }
}

// The words between filters; with `adds_filters` the filters, too.
static const char *
read_text(core_kb_asked_t *asked, bus_view_t text, bool with_stops, bool adds_filters)
{
    size_t from = 0;
    for (size_t at = 0; at < text.size; at++) {
        core_kb_attribute_t attribute;
        bus_view_t value;
        size_t end;
        bool may_begin = text.data[at] == '@' && (at == 0 || is_blank(text.data[at - 1]));
        if (!may_begin || !read_filter_at(text, at, &attribute, &value, &end)) {
            continue;
        }
        add_words(asked, view_from(text.data + from, at - from), with_stops);
        const char *problem = adds_filters ? add_filter(asked, attribute, value) : NULL;
        if (problem != NULL) {
            return problem;
        }
        from = end;
        at = end - 1;
    }
    add_words(asked, view_from(text.data + from, text.size - from), with_stops);
    return NULL;
}

bus_err_t
core_kb_question_read(bus_view_t text,
                      bus_view_t filters,
                      core_kb_asked_t *ret_asked,
                      const char **reterr_field,
                      const char **reterr_problem)
{
    ret_asked->term_count = 0;
    ret_asked->terms_left_out = 0;
    ret_asked->filter_count = 0;
    ret_asked->steps_max = CORE_KB_QUESTION_STEPS_MAX;
    const char *problem = read_text(ret_asked, text, false, true);
    *reterr_field = "query";
    if (problem == NULL && filters.data != NULL) {
        problem = read_filters(ret_asked, filters);
        *reterr_field = "filters";
    }
    if (problem != NULL) {
        *reterr_problem = problem;
        return BUS_VALIDATION_FAILED;
    }
    if (ret_asked->term_count == 0) {
        (void) read_text(ret_asked, text, true, false);
    }
    return BUS_OK;
}
