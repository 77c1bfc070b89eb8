// trace_draw.c - a trace for a person: the branches are drawn from each step's depth and from
// whether a sibling of it, or of what it hangs on, is still to come.
#include "trace.h"

#include "proto/walk.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BOLD "\033[1m"
#define DIM "\033[2m"
#define PLAIN "\033[0m"

enum {
    DEPTH_DRAWN = 24, // levels; what is deeper is drawn at the last
    VALUE_SHOWN = 48, // bytes of a value
    NAME_SHOWN = 128, // of a topic, a path, a trace_id
};

typedef struct {
    const char *down;  // a branch that goes on beside
    const char *fork;  // a step with more behind it
    const char *last;  // the last one of its parent
    const char *blank; // beside what has ended
} branches_t;

static const branches_t drawn = {"│  ", "├─ ", "└─ ", "   "};
static const branches_t plain = {"|  ", "|- ", "`- ", "   "};

// Whether the terminal shows more than ASCII, by the locale's name.
static const branches_t *
choose_branches(void)
{
    static const char *const names[] = {"LC_ALL", "LC_CTYPE", "LANG"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; ++i) {
        const char *value = getenv(names[i]);
        if (value != NULL && value[0] != '\0') {
            bool is_utf8 = strcasestr(value, "utf-8") != NULL || strcasestr(value, "utf8") != NULL;
            return is_utf8 ? &drawn : &plain;
        }
    }
    return &plain;
}

// --- Reading steps ------------------------------------------------------------------------------

static bool
real_of(bus_view_t map, const char *path, double *ret_real)
{
    bus_view_t value;
    return walk_find_path(map, path, &value) == BUS_OK && walk_as_real(value, ret_real) == BUS_OK;
}

typedef struct {
    bus_view_t map;
    unsigned depth; // drawn
    bool is_last;   // of its parent's
} step_t;

// All steps, which the caller frees.
static step_t *
read_steps(bus_view_t tree, size_t *ret_count)
{
    walk_items_t items = walk_items_at(tree, "steps");
    step_t *steps = calloc(items.left + 1, sizeof *steps);
    assert(steps);
    size_t count = 0;
    while (walk_items_next(&items, &steps[count].map)) {
        uint64_t depth = walk_uint_at(steps[count].map, "depth", 0);
        steps[count].depth = depth < DEPTH_DRAWN ? (unsigned) depth : DEPTH_DRAWN;
        ++count;
    }
    bool seen[DEPTH_DRAWN + 2] = {false}; // a step at this depth comes before a shallower one
    for (size_t i = count; i > 0; --i) {
        unsigned depth = steps[i - 1].depth;
        steps[i - 1].is_last = !seen[depth];
        seen[depth] = true;
        memset(&seen[depth + 1], 0, sizeof seen - (depth + 1) * sizeof seen[0]);
    }
    *ret_count = count;
    return steps;
}

// --- One line -----------------------------------------------------------------------------------

// Text that peers wrote: control bytes are shown as `?`, and it is cut where a line would end.
static void
add_shown(text_t *out, bus_view_t text, size_t size_max)
{
    if (text.data == NULL) {
        return;
    }
    size_t size = walk_utf8_size(text);
    size = size <= size_max ? size : walk_utf8_size(view_from(text.data, size_max));
    for (size_t i = 0; i < size; ++i) {
        bool is_control = (unsigned char) text.data[i] < ' ' || text.data[i] == 0x7f;
        text_add(out, is_control ? VIEW_LITERAL("?") : view_from(&text.data[i], 1));
    }
    if (size < text.size) {
        text_add(out, VIEW_LITERAL("..."));
    }
}

static void
add_value(text_t *out, bus_view_t value)
{
    bus_view_t text;
    int64_t integer;
    double real;
    bool boolean;
    if (walk_as_str(value, &text) == BUS_OK) {
        add_shown(out, text, VALUE_SHOWN);
    } else if (walk_as_int(value, &integer) == BUS_OK) {
        text_add_format(out, "%lld", (long long) integer);
    } else if (walk_as_real(value, &real) == BUS_OK) {
        text_add_format(out, "%g", real);
    } else if (walk_as_bool(value, &boolean) == BUS_OK) {
        text_add_format(out, "%s", boolean ? "true" : "false");
    }
}

// Says of a record what its topic and its source do not.
static void
add_about(text_t *out, bus_view_t step)
{
    bus_view_t about;
    bus_view_t key;
    bus_view_t value;
    bus_view_t text;
    if (walk_find(step, "about", &about) != BUS_OK) {
        return;
    }
    walk_pairs_t pairs = walk_pairs(about);
    while (walk_pairs_next(&pairs, &key, &value) == BUS_OK) {
        bool is_said = view_is(key, "event_type") ||
                       (view_is(key, "requester_id") && walk_as_str(value, &text) == BUS_OK &&
                        view_equal(text, walk_text_at(step, "source")));
        if (!is_said) {
            text_add_format(out, " %.*s=", (int) key.size, key.data);
            add_value(out, value);
        }
    }
}

static void
add_karma(text_t *out, bus_view_t step)
{
    double reward = 0;
    double merit = 0;
    bus_view_t token = walk_text_at(step, "karma.token");
    if (real_of(step, "karma.reward", &reward) && token.data != NULL) {
        text_add_format(out, " %.*s%+g", (int) token.size, token.data, reward);
    }
    if (real_of(step, "karma.merit", &merit)) {
        text_add_format(out, " merit=%g", merit);
    }
}

static void
add_audit(text_t *out, bus_view_t step)
{
    walk_items_t places = walk_items_at(step, "audit");
    bus_view_t place;
    while (walk_items_next(&places, &place)) {
        bus_view_t id = walk_text_at(place, "audit_id");
        bus_view_t decision = walk_text_at(place, "decision");
        text_add_format(out,
                        "  [%.*s leaf %llu%s%.*s]",
                        (int) id.size,
                        id.data,
                        (unsigned long long) walk_uint_at(place, "leaf_index", 0),
                        decision.size > 0 ? " " : "",
                        (int) decision.size,
                        decision.size > 0 ? decision.data : "");
    }
}

static void
add_status(text_t *out, bus_view_t step)
{
    double took = 0;
    uint64_t http = walk_uint_at(step, "http_status", 0);
    bus_view_t status = walk_text_at(step, "status");
    if (http > 0) {
        text_add_format(out, " %llu", (unsigned long long) http);
    }
    if (status.size > 0) {
        text_add(out, VIEW_LITERAL(" "));
        add_shown(out, status, VALUE_SHOWN);
    }
    if (real_of(step, "duration_ms", &took)) {
        text_add_format(out, " (%.3f ms)", took);
    }
}

static void
add_step(cli_output_t *self, bus_view_t step)
{
    text_t *out = self->text;
    uint64_t seq = walk_uint_at(step, "seq", 0);
    bus_view_t kind = walk_text_at(step, "kind");
    text_add(out, view_from_text(self->color ? BOLD : ""));
    if (view_is(kind, "agent")) {
        text_add(out, VIEW_LITERAL("agent "));
    }
    add_shown(out, walk_text_at(step, "what"), NAME_SHOWN);
    text_add(out, view_from_text(self->color ? PLAIN : ""));
    add_status(out, step);
    if (seq > 0 && !view_is(kind, "http")) {
        text_add_format(out, " #%llu", (unsigned long long) seq);
    }
    text_add(out, view_from_text(self->color ? " " DIM : " "));
    add_shown(out, walk_text_at(step, "source"), VALUE_SHOWN);
    add_about(out, step);
    add_karma(out, step);
    text_add(out, view_from_text(self->color ? PLAIN : ""));
    add_audit(out, step);
    if (view_is(walk_text_at(step, "parent_by"), "time")) {
        text_add(out, VIEW_LITERAL("  (by time)"));
    }
    bus_view_t known_by = walk_text_at(step, "known_by");
    if (known_by.size > 0) {
        text_add_format(out, "  (known by %.*s alone)", (int) known_by.size, known_by.data);
    }
    text_add(out, VIEW_LITERAL("\n"));
}

void
cli_trace_draw(cli_output_t *out, bus_view_t tree)
{
    const branches_t *branches = choose_branches();
    bool ended[DEPTH_DRAWN + 1] = {false}; // the branch at this depth has no more steps
    size_t count = 0;
    double took = 0;
    step_t *steps = read_steps(tree, &count);
    (void) real_of(tree, "duration_ms", &took);
    text_add(out->text, VIEW_LITERAL("trace "));
    add_shown(out->text, walk_text_at(tree, "trace_id"), NAME_SHOWN);
    text_add_format(
        out->text, ": %zu step%s in %.3f ms, from ", count, count == 1 ? "" : "s", took);
    add_shown(out->text, walk_text_at(tree, "began_at"), VALUE_SHOWN);
    text_add(out->text, VIEW_LITERAL("\n\n"));
    for (size_t i = 0; i < count; ++i) {
        double offset = 0;
        (void) real_of(steps[i].map, "offset_ms", &offset);
        text_add_format(
            out->text, "%s%+11.3f ms%s  ", out->color ? DIM : "", offset, out->color ? PLAIN : "");
        for (unsigned depth = 1; depth < steps[i].depth; ++depth) {
            text_add(out->text, view_from_text(ended[depth] ? branches->blank : branches->down));
        }
        if (steps[i].depth > 0) {
            text_add(out->text, view_from_text(steps[i].is_last ? branches->last : branches->fork));
        }
        ended[steps[i].depth] = steps[i].is_last;
        add_step(out, steps[i].map);
    }
    free(steps);
}

// --- What is missing ----------------------------------------------------------------------------

static void
tell_source(bus_view_t source)
{
    bus_view_t name = walk_text_at(source, "source");
    bus_view_t state = walk_text_at(source, "state");
    if (!view_is(state, "answered")) {
        fprintf(stderr,
                "bhiv: %.*s is %.*s: what it knows is missing here\n",
                (int) name.size,
                name.data,
                (int) state.size,
                state.data);
    }
}

void
cli_trace_tell_gaps(bus_view_t tree)
{
    walk_items_t sources = walk_items_at(tree, "sources");
    bus_view_t source;
    while (walk_items_next(&sources, &source)) {
        tell_source(source);
    }
    uint64_t first = walk_uint_at(tree, "journal.first", 0);
    uint64_t damaged = walk_uint_at(tree, "journal.damaged", 0);
    if (walk_bool_at(tree, "truncated", false)) {
        fprintf(stderr,
                "bhiv: the trace has more steps than are shown: the first %llu\n",
                (unsigned long long) walk_uint_at(tree, "count", 0));
    }
    if (walk_bool_at(tree, "trimmed", false)) {
        fprintf(stderr,
                "bhiv: a part of the trace was trimmed: the journal begins with seq %llu\n",
                (unsigned long long) first);
    }
    if (damaged > 0) {
        fprintf(stderr,
                "bhiv: %llu records that may be of the trace are damaged (bhiv check)\n",
                (unsigned long long) damaged);
    }
}
