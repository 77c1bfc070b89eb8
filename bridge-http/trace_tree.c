// trace_tree.c - steps are gathered flat: what each is, when it was, and what it says of its cause.
#include "proto/rfc3339.h"
#include "proto/walk.h"
#include "trace_tree_inner.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    STEPS_FIRST = 32,
    ABOUT_TEXT_MAX = 128, // bytes of a text that is shown of a body; a longer one is not
    ATTEMPTS_MAX = 16,    // agents of one task, shown
    TYPE_MAX = 200,       // bytes of an event's type, shown
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

bridge_trace_step_t *
bridge_trace_tree_find(const bridge_trace_tree_t *self, uint64_t seq)
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
static bridge_trace_step_t *
add_step(bridge_trace_tree_t *self, bridge_trace_kind_t kind, bus_view_t what)
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
    bridge_trace_step_t *step = &self->steps[self->count++];
    *step = (bridge_trace_step_t){.kind = kind,
                                  .duration_us = BRIDGE_TRACE_NO_DURATION,
                                  .audit_first = BRIDGE_TRACE_NONE,
                                  .audit_last = BRIDGE_TRACE_NONE,
                                  .parent = BRIDGE_TRACE_NONE,
                                  .first_child = BRIDGE_TRACE_NONE,
                                  .last_child = BRIDGE_TRACE_NONE,
                                  .next = BRIDGE_TRACE_NONE};
    (void) view_copy(what, step->what, sizeof(step->what));
    return step;
}

static bridge_trace_span_t
keep(bridge_trace_tree_t *self, bus_view_t value)
{
    bridge_trace_span_t span = {.offset = pack_view(self->data).size, .size = value.size};
    pack_raw(self->data, value);
    return span;
}

// A time given as text; 0: none.
static uint64_t
time_of(bus_view_t map, const char *path)
{
    uint64_t time_us = 0;
    bus_view_t text = walk_text_at(map, path);
    return text.data != NULL && rfc3339_parse(text, &time_us) == BUS_OK ? time_us : 0;
}

// Microseconds of a number of `path` that is in units of so many; BRIDGE_TRACE_NO_DURATION: none.
static uint64_t
duration_of(bus_view_t map, const char *path, double unit_us)
{
    bus_view_t value;
    double number = 0;
    bool is_real =
        walk_find_path(map, path, &value) == BUS_OK && walk_as_real(value, &number) == BUS_OK;
    number *= unit_us;
    return is_real && number >= 0 && number < 1e15 ? (uint64_t) number : BRIDGE_TRACE_NO_DURATION;
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
static bridge_trace_span_t
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
                {"suite", "suite"},
                {"metric", "metric"},
                {"intent", "intent"},
                {"issue_type", "issue_type"},
                {"rule", "rule"},
                {"task_type", "task_type"},
                {"worker", "worker"},
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
    bridge_trace_span_t none = {.size = 0};
    return count == 0 ? none : keep(self, pack_view(out));
}

// --- Agents -------------------------------------------------------------------------------------

// The task that a record of Core's is about.
static uint64_t
task_of(bus_view_t body)
{
    bus_view_t task_id = walk_text_at(body, "task_id");
    return hash_of(task_id.data != NULL ? task_id : walk_text_at(body, "context.task_id"));
}

static void
add_agent(bridge_trace_tree_t *self,
          bus_view_t agent_id,
          bus_view_t task_id,
          const bridge_trace_step_t *like)
{
    bridge_trace_step_t *step = add_step(self, BRIDGE_TRACE_AGENT, agent_id);
    if (step == NULL) {
        return;
    }
    step->at = like->at;
    step->duration_us = like->duration_us;
    step->task = hash_of(task_id);
    (void) view_copy(view_from_text(like->source), step->source, sizeof(step->source));
    (void) view_copy(view_from_text(like->status), step->status, sizeof(step->status));
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
    bus_view_t task_id = walk_text_at(body, "task_id");
    bool has_failed = view_is(walk_text_at(body, "event_type"), "task_error");
    uint64_t took = duration_of(body, "metadata.processing_time", 1e6);
    bridge_trace_step_t like = {.at =
                                    took != BRIDGE_TRACE_NO_DURATION && took < at ? at - took : at,
                                .duration_us = BRIDGE_TRACE_NO_DURATION};
    (void) view_copy(source, like.source, sizeof(like.source));
    bus_view_t attempts = VIEW_NONE;
    walk_item_t item = {.type = WALK_NIL};
    bool has_attempts = walk_find(body, "attempts", &attempts) == BUS_OK;
    walk_t walk = walk_from(attempts);
    uint32_t left = has_attempts && walk_next(&walk, &item) == BUS_OK && item.type == WALK_ARRAY
                        ? item.count
                        : 0;
    left = left < ATTEMPTS_MAX ? left : ATTEMPTS_MAX;
    (void) view_copy(VIEW_LITERAL("error"), like.status, sizeof(like.status));
    for (uint32_t i = 0; i < left; i++) {
        bus_view_t attempt;
        if (walk_skip(&walk, &attempt) != BUS_OK) {
            break;
        }
        like.duration_us = has_failed && i + 1 == left ? took : BRIDGE_TRACE_NO_DURATION;
        add_agent(self, walk_text_at(attempt, "agent_id"), task_id, &like);
    }
    if (!has_failed || left == 0) {
        (void) view_copy(has_failed ? VIEW_LITERAL("error") : VIEW_LITERAL("success"),
                         like.status,
                         sizeof(like.status));
        like.duration_us = took;
        add_agent(self, walk_text_at(body, "agent_id"), task_id, &like);
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

static bridge_trace_kind_t
kind_of(bus_view_t topic)
{
    if (view_is(topic, "workflow.execute") || view_is(topic, "workflow.started") ||
        view_is(topic, "workflow.finished")) {
        return BRIDGE_TRACE_EFFECT;
    }
    if (view_starts(topic, VIEW_LITERAL("core.event."))) {
        return BRIDGE_TRACE_EVENT;
    }
    return view_starts(topic, VIEW_LITERAL("karma.")) ? BRIDGE_TRACE_KARMA : BRIDGE_TRACE_BUS;
}

static void
add_told(bridge_trace_tree_t *self, const told_t *told)
{
    bool is_core = view_is(told->source, "bhiv_core");
    if (is_core && (view_is(told->topic, "core.event.rl_outcome") ||
                    view_is(told->topic, "core.event.task_error"))) {
        add_agents(self, told->at, told->source, told->body);
    }
    bridge_trace_span_t about = keep_about(self, told->body);
    bridge_trace_step_t *step = add_step(self, kind_of(told->topic), told->topic);
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
    (void) view_copy(told->source, step->source, sizeof(step->source));
    if (view_starts(told->topic, VIEW_LITERAL("workflow."))) {
        step->execution = walk_uint_at(told->body, "execution", 0);
    }
    if (view_is(told->topic, "workflow.finished")) {
        bus_view_t value;
        bool success = false;
        bool says = walk_find(told->body, "success", &value) == BUS_OK &&
                    walk_as_bool(value, &success) == BUS_OK;
        (void) view_copy(view_from_text(!says     ? ""
                                        : success ? "success"
                                                  : "failed"),
                         step->status,
                         sizeof(step->status));
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
    char what[BRIDGE_TRACE_WHAT_SIZE];
    bus_view_t method = walk_text_at(request, "method");
    bus_view_t path = walk_text_at(request, "path");
    uint64_t at = walk_uint_at(request, "at", 0);
    if (method.data == NULL || path.data == NULL || at == 0) {
        return;
    }
    int size = snprintf(
        what,
        sizeof(what),
        "%.*s %.*s",
        (int) (method.size < BRIDGE_TRACE_WORD_SIZE ? method.size : BRIDGE_TRACE_WORD_SIZE),
        method.data,
        (int) (path.size < TYPE_MAX ? path.size : TYPE_MAX),
        path.data);
    bridge_trace_step_t *step = add_step(self, BRIDGE_TRACE_HTTP, view_from(what, (size_t) size));
    if (step == NULL) {
        return;
    }
    step->at = at;
    step->duration_us = duration_of(request, "duration_us", 1);
    step->seq = walk_uint_at(request, "seq", 0);
    step->http_status = (int) (walk_uint_at(request, "status", 0) % 1000);
    (void) view_copy(walk_text_at(request, "port"), step->source, sizeof(step->source));
}

// --- What others know of them -------------------------------------------------------------------

void
bridge_trace_tree_add_event(bridge_trace_tree_t *self, bus_view_t event)
{
    char topic[BRIDGE_TRACE_WHAT_SIZE];
    uint64_t seq = walk_uint_at(event, "seq", 0);
    uint64_t at = time_of(event, "received_at");
    at = at == 0 ? time_of(event, "timestamp") : at;
    if (seq == 0 || at == 0 || bridge_trace_tree_find(self, seq) != NULL) {
        return;
    }
    bus_view_t type = walk_text_at(event, "event_type");
    size_t shown = type.size < TYPE_MAX ? type.size : TYPE_MAX;
    int size =
        snprintf(topic, sizeof(topic), "core.event.%.*s", (int) shown, shown == 0 ? "" : type.data);
    add_told(self,
             &(told_t){.seq = seq,
                       .at = at,
                       .topic = view_from(topic, (size_t) size),
                       .source = walk_text_at(event, "requester_id"),
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
                   .source = walk_text_at(execution, "requester_id"),
                   .body = execution,
                   .known_by = "workflow"};
    uint64_t finished_at = time_of(execution, "finished_at");
    if (told.at == 0) {
        return;
    }
    add_told(self, &told);
    bridge_trace_step_t *step =
        finished_at == 0 ? NULL
                         : add_step(self, BRIDGE_TRACE_EFFECT, VIEW_LITERAL("workflow.finished"));
    if (step != NULL) {
        step->at = finished_at;
        step->duration_us = duration_of(execution, "duration_ms", 1e3);
        step->execution = seq;
        step->known_by = told.known_by;
        (void) view_copy(VIEW_LITERAL("workflow_executor"), step->source, sizeof(step->source));
        (void) view_copy(walk_text_at(execution, "status"), step->status, sizeof(step->status));
    }
}

void
bridge_trace_tree_add_execution(bridge_trace_tree_t *self, bus_view_t execution)
{
    uint64_t seq = walk_uint_at(execution, "seq", 0);
    if (seq == 0) {
        return;
    }
    if (bridge_trace_tree_find(self, seq) == NULL) {
        add_lost_execution(self, seq, execution);
    }
    bridge_trace_step_t *step = bridge_trace_tree_find(self, seq);
    if (step != NULL) {
        step->duration_us = duration_of(execution, "duration_ms", 1e3);
        (void) view_copy(walk_text_at(execution, "status"), step->status, sizeof(step->status));
    }
}

void
bridge_trace_tree_add_place(bridge_trace_tree_t *self, bus_view_t place)
{
    bridge_trace_step_t *step = bridge_trace_tree_find(self, walk_uint_at(place, "seq", 0));
    if (step == NULL) {
        return;
    }
    if (self->audit_count == self->audit_room) {
        self->audit_room = self->audit_room == 0 ? STEPS_FIRST : 2 * self->audit_room;
        self->audits = realloc(self->audits, self->audit_room * sizeof(*self->audits));
        assert(self->audits != NULL);
    }
    uint32_t added = self->audit_count++;
    self->audits[added] =
        (bridge_trace_audit_t){.place = keep(self, place), .next = BRIDGE_TRACE_NONE};
    if (step->audit_last == BRIDGE_TRACE_NONE) {
        step->audit_first = added;
    } else {
        self->audits[step->audit_last].next = added;
    }
    step->audit_last = added;
}

void
bridge_trace_tree_add_karma(bridge_trace_tree_t *self, bus_view_t applied)
{
    bridge_trace_step_t *step = bridge_trace_tree_find(self, walk_uint_at(applied, "seq", 0));
    if (step != NULL) {
        step->karma = keep(self, applied);
        (void) view_copy(VIEW_LITERAL("applied"), step->status, sizeof(step->status));
    }
}
