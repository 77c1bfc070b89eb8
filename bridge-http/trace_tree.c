// trace_tree.c - steps are gathered flat, then each finds its parent, then they are packed in the
// tree's order. Seqs only grow along causes, so there are no circles; nothing recurses.
#include "trace_tree.h"
#include "proto/limits.h"
#include "proto/rfc3339.h"
#include "proto/walk.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    STEPS_FIRST = 32,
    WHAT_SIZE = 256, // a topic, or a method and a path
    WORD_SIZE = 24,
    ABOUT_TEXT_MAX = 128, // bytes of a text that is shown of a body; a longer one is not
    ATTEMPTS_MAX = 16,    // agents of one task, shown
};

#define NO_DURATION UINT64_MAX
#define NONE UINT32_MAX

typedef enum { KIND_HTTP, KIND_AGENT, KIND_EFFECT, KIND_KARMA, KIND_EVENT, KIND_BUS } kind_t;

static const char *const kind_words[] = {"http", "agent", "effect", "karma", "event", "bus"};

typedef struct {
    size_t offset; // in `data`
    size_t size;   // 0: none
} span_t;

typedef struct {
    kind_t kind;
    uint64_t at;          // microseconds
    uint64_t duration_us; // NO_DURATION: not known
    uint64_t seq;         // of its record, or of the one that a request made; 0: none
    uint64_t cause_seq;   // 0: none
    uint64_t cause_n;
    uint64_t execution; // seq of the command that it is about; 0: none
    uint64_t task;      // hash of the task that it is about; 0: none
    int http_status;    // 0: none
    bool is_record;     // its seq is its own
    const char *known_by;
    char what[WHAT_SIZE];
    char source[ID_SIZE_MAX + 1];
    char status[WORD_SIZE];
    span_t about; // a map
    span_t karma; // a map
    uint32_t audit_first, audit_last;
    const char *parent_by;                          // how the parent was found; NULL: none
    uint32_t parent, first_child, last_child, next; // NONE: none
    uint32_t number, depth;
} step_t;

typedef struct {
    span_t place; // a map
    uint32_t next;
} audit_t;

struct bridge_trace_tree {
    char trace_id[NAME_SIZE_MAX + 1];
    step_t *steps;
    uint32_t count, room;
    bool is_truncated;
    uint64_t first;   // that the journal keeps
    bool has_trimmed; // a step or a cause is below that
    pack_t *data;     // what spans point into
    audit_t *audits;
    uint32_t audit_count, audit_room;
    uint32_t by_seq[BRIDGE_TRACE_STEPS_MAX]; // steps that are records, by seq
    uint32_t by_seq_count;
};

bridge_trace_tree_t *
bridge_trace_tree_new(bus_view_t trace_id)
{
    bridge_trace_tree_t *self = calloc(1, sizeof(*self));
    assert(self != NULL && trace_id.size <= NAME_SIZE_MAX);
    memcpy(self->trace_id, trace_id.data, trace_id.size);
    self->data = pack_new();
    return self;
}

void
bridge_trace_tree_destroy(bridge_trace_tree_t **self_p)
{
    bridge_trace_tree_t *self = *self_p;
    if (self == NULL) {
        return;
    }
    pack_destroy(&self->data);
    free(self->audits);
    free(self->steps);
    free(self);
    *self_p = NULL;
}

bool
bridge_trace_tree_is_truncated(const bridge_trace_tree_t *self)
{
    return self->is_truncated;
}

uint32_t
bridge_trace_tree_count(const bridge_trace_tree_t *self)
{
    return self->count;
}

// --- Steps --------------------------------------------------------------------------------------

static void
copy_text(char *ret_text, size_t size, bus_view_t text)
{
    size_t copied = text.size < size ? text.size : size - 1;
    if (copied > 0) {
        memcpy(ret_text, text.data, copied);
    }
    ret_text[copied] = '\0';
}

// Where the first record at or above `seq` stands in by_seq.
static uint32_t
seek_record(const bridge_trace_tree_t *self, uint64_t seq)
{
    uint32_t low = 0;
    uint32_t high = self->by_seq_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (self->steps[self->by_seq[middle]].seq < seq) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

// The step that is the record `seq`, or NULL.
static step_t *
find_record(const bridge_trace_tree_t *self, uint64_t seq)
{
    uint32_t at = seek_record(self, seq);
    bool is_there = at < self->by_seq_count && self->steps[self->by_seq[at]].seq == seq;
    return is_there ? &self->steps[self->by_seq[at]] : NULL;
}

// The last step is the record `seq`. They mostly come in order.
static void
index_last(bridge_trace_tree_t *self, uint64_t seq)
{
    uint32_t at = seek_record(self, seq);
    memmove(&self->by_seq[at + 1],
            &self->by_seq[at],
            (self->by_seq_count - at) * sizeof(self->by_seq[0]));
    self->by_seq[at] = self->count - 1;
    self->by_seq_count++;
}

// A new step, valid until the next one; NULL where there are as many as may be.
static step_t *
add_step(bridge_trace_tree_t *self, kind_t kind, bus_view_t what)
{
    if (self->count == BRIDGE_TRACE_STEPS_MAX) {
        self->is_truncated = true;
        return NULL;
    }
    if (self->count == self->room) {
        self->room = self->room == 0 ? STEPS_FIRST : 2 * self->room;
        self->steps = realloc(self->steps, self->room * sizeof(*self->steps));
        assert(self->steps != NULL);
    }
    step_t *step = &self->steps[self->count++];
    *step = (step_t){.kind = kind,
                     .duration_us = NO_DURATION,
                     .audit_first = NONE,
                     .audit_last = NONE,
                     .parent = NONE,
                     .first_child = NONE,
                     .last_child = NONE,
                     .next = NONE};
    copy_text(step->what, sizeof(step->what), what);
    return step;
}

static span_t
keep(bridge_trace_tree_t *self, bus_view_t value)
{
    span_t span = {.offset = pack_view(self->data).size, .size = value.size};
    pack_raw(self->data, value);
    return span;
}

static bus_view_t
kept(const bridge_trace_tree_t *self, span_t span)
{
    return view_from(pack_view(self->data).data + span.offset, span.size);
}

static bus_view_t
text_of(bus_view_t map, const char *path)
{
    bus_view_t value, text;
    bool is_text =
        walk_find_path(map, path, &value) == BUS_OK && walk_as_str(value, &text) == BUS_OK;
    return is_text ? text : VIEW_NONE;
}

static uint64_t
uint_of(bus_view_t map, const char *path)
{
    bus_view_t value;
    uint64_t number = 0;
    bool is_uint =
        walk_find_path(map, path, &value) == BUS_OK && walk_as_uint(value, &number) == BUS_OK;
    return is_uint ? number : 0;
}

// A time given as text; 0: none.
static uint64_t
time_of(bus_view_t map, const char *path)
{
    uint64_t time_us = 0;
    bus_view_t text = text_of(map, path);
    return text.data != NULL && rfc3339_parse(text, &time_us) == BUS_OK ? time_us : 0;
}

// Microseconds of a number of `path` that is in units of so many; NO_DURATION: none.
static uint64_t
duration_of(bus_view_t map, const char *path, double unit_us)
{
    bus_view_t value;
    double number = 0;
    bool is_real =
        walk_find_path(map, path, &value) == BUS_OK && walk_as_real(value, &number) == BUS_OK;
    number *= unit_us;
    return is_real && number >= 0 && number < 1e15 ? (uint64_t) number : NO_DURATION;
}

// FNV-1a: tasks of one trace are few, and a look at the text is not worth keeping it.
static uint64_t
hash_of(bus_view_t text)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < text.size; i++) {
        hash = (hash ^ (uint8_t) text.data[i]) * UINT64_C(0x100000001b3);
    }
    return text.size == 0 ? 0 : hash | 1;
}

// What is shown of a body: short words and numbers that say what it is about, never its content.
static span_t
keep_about(bridge_trace_tree_t *self, bus_view_t body)
{
    static const struct {
        const char *path;
        const char *name;
    } rows[] = {{"event_type", "event_type"},
                {"requester_id", "requester_id"},
                {"agent_id", "agent_id"},
                {"context.agent_id", "agent_id"},
                {"user_id", "user_id"},
                {"task_id", "task_id"},
                {"context.task_id", "task_id"},
                {"action", "action"},
                {"data.payload.action_type", "action_type"},
                {"data.payload.execution_id", "execution_id"},
                {"execution", "execution"},
                {"action_type", "action_type"},
                {"status", "status"},
                {"reward", "reward"},
                {"operation", "operation"},
                {"violation", "violation"},
                {"channel", "channel"},
                {"product", "product"},
                {"artifact_id", "artifact_id"},
                {"result.error_code", "error_code"},
                {"error_code", "error_code"}};
    BUS_AUTO(pack_destroy) pack_t *out = pack_new();
    size_t map = pack_map_begin(out);
    uint32_t count = 0;
    const char *last = "";
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        bus_view_t value, text;
        double number;
        if (strcmp(rows[i].name, last) == 0 ||
            walk_find_path(body, rows[i].path, &value) != BUS_OK) {
            continue;
        }
        bool is_text = walk_as_str(value, &text) == BUS_OK;
        if (is_text ? text.size <= ABOUT_TEXT_MAX : walk_as_real(value, &number) == BUS_OK) {
            pack_pair_raw(out, rows[i].name, value);
            last = rows[i].name;
            count++;
        }
    }
    pack_count(out, map, count);
    return count == 0 ? (span_t){0} : keep(self, pack_view(out));
}

// --- Agents -------------------------------------------------------------------------------------

// The task that a record of Core's is about.
static uint64_t
task_of(bus_view_t body)
{
    bus_view_t task_id = text_of(body, "task_id");
    return hash_of(task_id.data != NULL ? task_id : text_of(body, "context.task_id"));
}

static void
add_agent(bridge_trace_tree_t *self, bus_view_t agent_id, bus_view_t task_id, const step_t *like)
{
    step_t *step = add_step(self, KIND_AGENT, agent_id);
    if (step == NULL) {
        return;
    }
    step->at = like->at;
    step->duration_us = like->duration_us;
    step->task = hash_of(task_id);
    copy_text(step->source, sizeof(step->source), view_from_text(like->source));
    copy_text(step->status, sizeof(step->status), view_from_text(like->status));
    uint32_t place = self->count - 1;
    BUS_AUTO(pack_destroy) pack_t *about = pack_new();
    pack_map(about, 1);
    pack_pair_str(about, "task_id", task_id);
    self->steps[place].about = keep(self, pack_view(about));
}

// What an outcome says of the agents: those that failed, then the one that answered. Only how long
// it took in all is told, so those that failed began with the task.
static void
add_agents(bridge_trace_tree_t *self, uint64_t at, bus_view_t source, bus_view_t body)
{
    bus_view_t task_id = text_of(body, "task_id");
    bool has_failed = view_is(text_of(body, "event_type"), "task_error");
    uint64_t took = duration_of(body, "metadata.processing_time", 1e6);
    step_t like = {.at = took != NO_DURATION && took < at ? at - took : at,
                   .duration_us = NO_DURATION};
    copy_text(like.source, sizeof(like.source), source);
    bus_view_t attempts = VIEW_NONE;
    walk_item_t item = {.type = WALK_NIL};
    bool has_attempts = walk_find(body, "attempts", &attempts) == BUS_OK;
    walk_t walk = walk_from(attempts);
    uint32_t left = has_attempts && walk_next(&walk, &item) == BUS_OK && item.type == WALK_ARRAY
                        ? item.count
                        : 0;
    left = left < ATTEMPTS_MAX ? left : ATTEMPTS_MAX;
    copy_text(like.status, sizeof(like.status), VIEW_LITERAL("error"));
    for (uint32_t i = 0; i < left; i++) {
        bus_view_t attempt;
        if (walk_skip(&walk, &attempt) != BUS_OK) {
            break;
        }
        like.duration_us = has_failed && i + 1 == left ? took : NO_DURATION;
        add_agent(self, text_of(attempt, "agent_id"), task_id, &like);
    }
    if (!has_failed || left == 0) {
        copy_text(like.status,
                  sizeof(like.status),
                  has_failed ? VIEW_LITERAL("error") : VIEW_LITERAL("success"));
        like.duration_us = took;
        add_agent(self, text_of(body, "agent_id"), task_id, &like);
    }
}

// --- Records ------------------------------------------------------------------------------------

typedef struct {
    uint64_t seq;
    uint64_t at;
    uint64_t cause_seq, cause_n;
    bus_view_t topic;
    bus_view_t source;
    bus_view_t body;
    const char *known_by; // who told it; NULL: the journal
} told_t;

static kind_t
kind_of(bus_view_t topic)
{
    if (view_is(topic, "workflow.finished")) {
        return KIND_EFFECT;
    }
    if (view_starts(topic, VIEW_LITERAL("core.event."))) {
        return KIND_EVENT;
    }
    return view_starts(topic, VIEW_LITERAL("karma.")) ? KIND_KARMA : KIND_BUS;
}

static void
add_told(bridge_trace_tree_t *self, const told_t *told)
{
    bool is_core = view_is(told->source, "bhiv_core");
    if (is_core && (view_is(told->topic, "core.event.rl_outcome") ||
                    view_is(told->topic, "core.event.task_error"))) {
        add_agents(self, told->at, told->source, told->body);
    }
    span_t about = keep_about(self, told->body);
    step_t *step = add_step(self, kind_of(told->topic), told->topic);
    if (step == NULL) {
        return;
    }
    index_last(self, told->seq);
    step->is_record = true;
    step->known_by = told->known_by;
    step->seq = told->seq;
    step->at = told->at;
    step->cause_seq = told->cause_seq;
    step->cause_n = told->cause_n;
    step->task = is_core && told->cause_seq == 0 ? task_of(told->body) : 0;
    step->about = about;
    copy_text(step->source, sizeof(step->source), told->source);
    if (view_starts(told->topic, VIEW_LITERAL("workflow."))) {
        step->execution = uint_of(told->body, "execution");
    }
    if (step->kind == KIND_EFFECT) {
        bus_view_t value;
        bool success = false;
        bool says = walk_find(told->body, "success", &value) == BUS_OK &&
                    walk_as_bool(value, &success) == BUS_OK;
        copy_text(step->status,
                  sizeof(step->status),
                  view_from_text(!says     ? ""
                                 : success ? "success"
                                           : "failed"));
        step->duration_us = duration_of(told->body, "duration_us", 1);
    }
}

void
bridge_trace_tree_add_record(bridge_trace_tree_t *self,
                             bus_view_t topic,
                             const header_t *header,
                             bus_view_t body)
{
    add_told(self,
             &(told_t){.seq = header->seq,
                       .at = header->at,
                       .cause_seq = header->cause_seq,
                       .cause_n = header->cause_n,
                       .topic = topic,
                       .source = header->source,
                       .body = body});
}

void
bridge_trace_tree_set_first(bridge_trace_tree_t *self, uint64_t first)
{
    self->first = first;
}

void
bridge_trace_tree_add_request(bridge_trace_tree_t *self, bus_view_t request)
{
    char what[WHAT_SIZE];
    bus_view_t method = text_of(request, "method");
    bus_view_t path = text_of(request, "path");
    uint64_t at = uint_of(request, "at");
    if (method.data == NULL || path.data == NULL || at == 0) {
        return;
    }
    int size = snprintf(what,
                        sizeof(what),
                        "%.*s %.*s",
                        (int) (method.size < WORD_SIZE ? method.size : WORD_SIZE),
                        method.data,
                        (int) (path.size < 200 ? path.size : 200),
                        path.data);
    step_t *step = add_step(self, KIND_HTTP, view_from(what, (size_t) size));
    if (step == NULL) {
        return;
    }
    step->at = at;
    step->duration_us = duration_of(request, "duration_us", 1);
    step->seq = uint_of(request, "seq");
    step->http_status = (int) (uint_of(request, "status") % 1000);
    copy_text(step->source, sizeof(step->source), text_of(request, "port"));
}

// --- What others know of them -------------------------------------------------------------------

void
bridge_trace_tree_add_event(bridge_trace_tree_t *self, bus_view_t event)
{
    char topic[WHAT_SIZE];
    uint64_t seq = uint_of(event, "seq");
    uint64_t at = time_of(event, "received_at");
    at = at == 0 ? time_of(event, "timestamp") : at;
    if (seq == 0 || at == 0 || find_record(self, seq) != NULL) {
        return;
    }
    bus_view_t type = text_of(event, "event_type");
    int size =
        snprintf(topic, sizeof(topic), "core.event.%.*s", (int) (type.size % 200), type.data);
    add_told(self,
             &(told_t){.seq = seq,
                       .at = at,
                       .topic = view_from(topic, (size_t) size),
                       .source = text_of(event, "requester_id"),
                       .body = event,
                       .known_by = "bucket"});
}

// The command, where the journal does not have it, and what came of it.
static void
add_lost_execution(bridge_trace_tree_t *self, uint64_t seq, bus_view_t execution)
{
    told_t told = {.seq = seq,
                   .at = time_of(execution, "requested_at"),
                   .topic = VIEW_LITERAL("workflow.execute"),
                   .source = text_of(execution, "requester_id"),
                   .body = execution,
                   .known_by = "workflow"};
    uint64_t finished_at = time_of(execution, "finished_at");
    if (told.at == 0) {
        return;
    }
    add_told(self, &told);
    step_t *step =
        finished_at == 0 ? NULL : add_step(self, KIND_EFFECT, VIEW_LITERAL("workflow.finished"));
    if (step != NULL) {
        step->at = finished_at;
        step->duration_us = duration_of(execution, "duration_ms", 1e3);
        step->execution = seq;
        step->known_by = told.known_by;
        copy_text(step->source, sizeof(step->source), VIEW_LITERAL("workflow_executor"));
        copy_text(step->status, sizeof(step->status), text_of(execution, "status"));
    }
}

void
bridge_trace_tree_add_execution(bridge_trace_tree_t *self, bus_view_t execution)
{
    uint64_t seq = uint_of(execution, "seq");
    if (seq == 0) {
        return;
    }
    if (find_record(self, seq) == NULL) {
        add_lost_execution(self, seq, execution);
    }
    step_t *step = find_record(self, seq);
    if (step != NULL) {
        copy_text(step->status, sizeof(step->status), text_of(execution, "status"));
    }
}

void
bridge_trace_tree_add_place(bridge_trace_tree_t *self, bus_view_t place)
{
    step_t *step = find_record(self, uint_of(place, "seq"));
    if (step == NULL) {
        return;
    }
    if (self->audit_count == self->audit_room) {
        self->audit_room = self->audit_room == 0 ? STEPS_FIRST : 2 * self->audit_room;
        self->audits = realloc(self->audits, self->audit_room * sizeof(*self->audits));
        assert(self->audits != NULL);
    }
    uint32_t added = self->audit_count++;
    self->audits[added] = (audit_t){.place = keep(self, place), .next = NONE};
    if (step->audit_last == NONE) {
        step->audit_first = added;
    } else {
        self->audits[step->audit_last].next = added;
    }
    step->audit_last = added;
}

void
bridge_trace_tree_add_karma(bridge_trace_tree_t *self, bus_view_t applied)
{
    step_t *step = find_record(self, uint_of(applied, "seq"));
    if (step != NULL) {
        step->karma = keep(self, applied);
        copy_text(step->status, sizeof(step->status), VIEW_LITERAL("applied"));
    }
}

// --- Parents ------------------------------------------------------------------------------------

static uint32_t
place_of(const bridge_trace_tree_t *self, const step_t *step)
{
    return (uint32_t) (step - self->steps);
}

// The record `seq`, where that can have caused this one.
static uint32_t
find_cause(const bridge_trace_tree_t *self, const step_t *step, uint64_t seq)
{
    const step_t *cause =
        seq == 0 || (step->is_record && seq >= step->seq) ? NULL : find_record(self, seq);
    return cause == NULL ? NONE : place_of(self, cause);
}

// The agent that worked on the task: the last one.
static uint32_t
find_agent(const bridge_trace_tree_t *self, uint64_t task)
{
    for (uint32_t i = self->count; i > 0 && task != 0; i--) {
        if (self->steps[i - 1].kind == KIND_AGENT && self->steps[i - 1].task == task) {
            return i - 1;
        }
    }
    return NONE;
}

// The request that made this record.
static uint32_t
find_request(const bridge_trace_tree_t *self, const step_t *step)
{
    for (uint32_t i = 0; i < self->count && step->is_record; i++) {
        if (self->steps[i].kind == KIND_HTTP && self->steps[i].seq == step->seq) {
            return i;
        }
    }
    return NONE;
}

// The last request that had begun by then. What it made is not before it, and the journal's clock
// may be behind the wall's a little.
static uint32_t
find_earlier(const bridge_trace_tree_t *self, uint64_t at)
{
    enum { APART_US = 5000 };
    uint32_t found = NONE;
    for (uint32_t i = 0; i < self->count; i++) {
        const step_t *step = &self->steps[i];
        bool is_later = found == NONE || step->at >= self->steps[found].at;
        if (step->kind == KIND_HTTP && step->at <= at + APART_US && is_later) {
            found = i;
        }
    }
    return found;
}

static void
find_parent(const bridge_trace_tree_t *self, step_t *step)
{
    if (step->kind == KIND_HTTP) {
        return;
    }
    const struct {
        const char *by;
        uint32_t place;
    } found[] = {
        {"cause", find_cause(self, step, step->cause_seq)},
        {"execution", find_cause(self, step, step->execution)},
        {"task", step->kind == KIND_AGENT ? NONE : find_agent(self, step->task)},
        {"seq", find_request(self, step)},
        {"time", find_earlier(self, step->at)},
    };
    for (size_t i = 0; i < sizeof(found) / sizeof(found[0]); i++) {
        if (found[i].place != NONE) {
            step->parent = found[i].place;
            step->parent_by = found[i].by;
            return;
        }
    }
}

// --- In order -----------------------------------------------------------------------------------

typedef struct {
    uint64_t at;
    uint64_t seq;
    uint32_t step;
} moment_t;

static int
compare_moments(const void *a, const void *b)
{
    const moment_t *left = a;
    const moment_t *right = b;
    if (left->at != right->at) {
        return left->at < right->at ? -1 : 1;
    }
    if (left->seq != right->seq) {
        return left->seq < right->seq ? -1 : 1;
    }
    return left->step < right->step ? -1 : left->step > right->step;
}

// Hangs every step under its parent, by time. Returns the first root, which `next` goes on from.
static uint32_t
link_steps(bridge_trace_tree_t *self)
{
    uint32_t first = NONE;
    uint32_t last = NONE;
    moment_t *moments = calloc(self->count + 1, sizeof(*moments));
    assert(moments != NULL);
    for (uint32_t i = 0; i < self->count; i++) {
        step_t *step = &self->steps[i];
        moments[i] = (moment_t){.at = step->at, .seq = step->seq, .step = i};
        find_parent(self, step);
        self->has_trimmed = self->has_trimmed || (step->is_record && step->seq < self->first) ||
                            (step->cause_seq > 0 && step->cause_seq < self->first);
    }
    qsort(moments, self->count, sizeof(*moments), compare_moments);
    for (uint32_t i = 0; i < self->count; i++) {
        uint32_t place = moments[i].step;
        step_t *parent =
            self->steps[place].parent == NONE ? NULL : &self->steps[self->steps[place].parent];
        uint32_t *last_p = parent == NULL ? &last : &parent->last_child;
        if (*last_p != NONE) {
            self->steps[*last_p].next = place;
        } else {
            *(parent == NULL ? &first : &parent->first_child) = place;
        }
        *last_p = place;
    }
    free(moments);
    return first;
}

// The step behind `place` in the tree's order, or NONE.
static uint32_t
step_on(const bridge_trace_tree_t *self, uint32_t place)
{
    if (self->steps[place].first_child != NONE) {
        return self->steps[place].first_child;
    }
    while (place != NONE && self->steps[place].next == NONE) {
        place = self->steps[place].parent;
    }
    return place == NONE ? NONE : self->steps[place].next;
}

// --- Packing ------------------------------------------------------------------------------------

void
bridge_trace_tree_pack_seqs(const bridge_trace_tree_t *self, pack_t *out)
{
    pack_array(out, self->by_seq_count);
    for (uint32_t i = 0; i < self->by_seq_count; i++) {
        pack_uint(out, self->steps[self->by_seq[i]].seq);
    }
}

static void
pack_time(pack_t *out, const char *key, uint64_t time_us)
{
    char text[RFC3339_SIZE];
    rfc3339_format(time_us, text);
    pack_pair_text(out, key, text);
}

// The pairs of `map` but its seq, under `key`.
static void
pack_but_seq(pack_t *out, bus_view_t map)
{
    walk_pairs_t pairs = walk_pairs(map);
    bus_view_t key, value;
    size_t place = pack_map_begin(out);
    uint32_t count = 0;
    while (walk_pairs_next(&pairs, &key, &value) == BUS_OK) {
        if (!view_is(key, "seq")) {
            pack_str(out, key);
            pack_raw(out, value);
            count++;
        }
    }
    pack_count(out, place, count);
}

// What others know of it. Returns how many pairs.
static uint32_t
pack_known(const bridge_trace_tree_t *self, const step_t *step, pack_t *out)
{
    uint32_t count = 0;
    if (step->about.size > 0) {
        pack_pair_raw(out, "about", kept(self, step->about));
        count++;
    }
    if (step->karma.size > 0) {
        pack_text(out, "karma");
        pack_but_seq(out, kept(self, step->karma));
        count++;
    }
    if (step->audit_first != NONE) {
        pack_text(out, "audit");
        size_t place = pack_array_begin(out);
        uint32_t entries = 0;
        for (uint32_t i = step->audit_first; i != NONE; i = self->audits[i].next) {
            pack_but_seq(out, kept(self, self->audits[i].place));
            entries++;
        }
        pack_count(out, place, entries);
        count++;
    }
    if (step->known_by != NULL) {
        pack_pair_text(out, "known_by", step->known_by);
        count++;
    }
    return count;
}

static uint32_t
pack_where(const bridge_trace_tree_t *self, const step_t *step, pack_t *out)
{
    uint32_t count = 0;
    if (step->seq > 0) {
        pack_pair_uint(out, "seq", step->seq);
        count++;
    }
    if (step->cause_seq > 0) {
        pack_text(out, "cause");
        pack_array(out, 2);
        pack_uint(out, step->cause_seq);
        pack_uint(out, step->cause_n);
        count++;
    }
    if (step->parent != NONE) {
        pack_pair_uint(out, "parent", self->steps[step->parent].number);
        pack_pair_text(out, "parent_by", step->parent_by);
        count += 2;
    }
    return count;
}

static void
pack_step(const bridge_trace_tree_t *self, const step_t *step, uint64_t began_at, pack_t *out)
{
    size_t map = pack_map_begin(out);
    uint32_t count = 7;
    pack_pair_uint(out, "step", step->number);
    pack_pair_uint(out, "depth", step->depth);
    pack_pair_text(out, "kind", kind_words[step->kind]);
    pack_pair_text(out, "what", step->what);
    pack_pair_text(out, "source", step->source);
    pack_time(out, "at", step->at);
    pack_pair_real(out, "offset_ms", (double) (step->at - began_at) / 1e3);
    if (step->duration_us != NO_DURATION) {
        pack_pair_real(out, "duration_ms", (double) step->duration_us / 1e3);
        count++;
    }
    if (step->status[0] != '\0') {
        pack_pair_text(out, "status", step->status);
        count++;
    }
    if (step->http_status != 0) {
        pack_pair_int(out, "http_status", step->http_status);
        count++;
    }
    count += pack_where(self, step, out);
    count += pack_known(self, step, out);
    pack_count(out, map, count);
}

// When the first step began, and the last one known of ended.
static void
find_span(const bridge_trace_tree_t *self, uint64_t *ret_began_at, uint64_t *ret_ended_at)
{
    uint64_t began = self->count == 0 ? 0 : UINT64_MAX;
    uint64_t ended = 0;
    for (uint32_t i = 0; i < self->count; i++) {
        const step_t *step = &self->steps[i];
        // An effect's time is that of its end, the others' that of their beginning.
        bool ends_later = step->duration_us != NO_DURATION && step->kind != KIND_EFFECT;
        uint64_t end = step->at + (ends_later ? step->duration_us : 0);
        began = step->at < began ? step->at : began;
        ended = end > ended ? end : ended;
    }
    *ret_began_at = began;
    *ret_ended_at = ended;
}

unsigned
bridge_trace_tree_pack(bridge_trace_tree_t *self, pack_t *out)
{
    uint64_t began_at, ended_at;
    uint32_t number = 0;
    uint32_t first = link_steps(self);
    find_span(self, &began_at, &ended_at);
    pack_pair_text(out, "trace_id", self->trace_id);
    if (self->count > 0) {
        pack_time(out, "began_at", began_at);
        pack_time(out, "ended_at", ended_at);
    } else {
        pack_pair_nil(out, "began_at");
        pack_pair_nil(out, "ended_at");
    }
    pack_pair_real(out, "duration_ms", (double) (ended_at - began_at) / 1e3);
    pack_pair_uint(out, "count", self->count);
    pack_pair_bool(out, "truncated", self->is_truncated);
    pack_pair_bool(out, "trimmed", self->has_trimmed);
    pack_text(out, "steps");
    pack_array(out, self->count);
    for (uint32_t place = first; place != NONE; place = step_on(self, place)) {
        step_t *step = &self->steps[place];
        step->number = ++number;
        step->depth = step->parent == NONE ? 0 : self->steps[step->parent].depth + 1;
        pack_step(self, step, began_at, out);
    }
    assert(number == self->count);
    return 8;
}
