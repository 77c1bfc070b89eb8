// multi.c - handle_multi_task: many inputs at once, each a task of its own.
//
// A few are worked on at a time, so that one caller does not take what all share; the answer is
// given when the last is done. Results stand in the order of the files, whatever order they came
// in. Beside each other they must fit one message: what is too large is told by its task's id.
#include "ask.h"
#include "history.h"
#include "proto/rfc3339.h"
#include "proto/walk.h"
#include "runtime/clock.h"
#include "runtime/id.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    FILES_MAX = 64,
    AT_ONCE = 8,
    RESULTS_SIZE_MAX = 3 * 1024 * 1024, // of all: the reply has 4 MiB
    MULTI_ID_MAX = 58,                  // bytes, as the schema has it: a number comes behind
    NAME_MAX_SHOWN = 1024,              // of a file's name, echoed
};

typedef struct core_multi multi_t;

typedef struct {
    multi_t *multi;
    uint32_t index;
    bus_view_t data; // into the request
    bus_view_t path;
    core_input_t type;
    char task_id[CORE_TASK_ID_MAX + 1];
    bool succeeded;
    pack_t *output; // NULL: not there yet, or too large
} file_t;

struct core_multi {
    multi_t *prev;
    multi_t *next;
    core_state_t *core;
    service_question_t *question;
    char id[MULTI_ID_MAX + 1];
    pack_t *request; // the question's body, into which the files point
    schema_handle_multi_task_t asked;
    char trace_id[NAME_SIZE_MAX + 1]; // "": none
    file_t files[FILES_MAX];
    uint32_t count;
    uint32_t started;
    uint32_t finished;
    bool is_starting;  // a loop that starts them is running
    size_t held_bytes; // of results
    uint64_t started_us;
};

// --- What is asked -------------------------------------------------------------------------------

static bus_err_t
read_file(service_query_t *query, bus_view_t value, file_t *ret_file)
{
    bus_view_t type = walk_text_at(value, "type");
    file_t file = {.data = walk_text_at(value, "data"), .path = walk_text_at(value, "path")};
    if (file.data.size == 0 && file.path.size == 0) {
        return core_ask_invalid(query, "files", "each must have data or path");
    }
    if (file.data.size > 524288 || file.path.size > 4096) {
        return core_ask_invalid(query, "files", "data has at most 524288 bytes, path 4096");
    }
    *ret_file = file;
    return core_ask_read_input(query, type, &ret_file->type);
}

static bus_err_t
read_files(service_query_t *query, multi_t *self)
{
    walk_t walk = walk_from(self->asked.files);
    walk_item_t head;
    if (walk_next(&walk, &head) != BUS_OK || head.count == 0 || head.count > FILES_MAX) {
        return core_ask_invalid(query, "files", "must be 1 to 64");
    }
    for (uint32_t i = 0; i < head.count; i++) {
        bus_view_t value;
        if (walk_skip(&walk, &value) != BUS_OK) {
            return BUS_MALFORMED_MESSAGE;
        }
        bus_err_t err = read_file(query, value, &self->files[i]);
        if (err != BUS_OK) {
            return err;
        }
        self->files[i].multi = self;
        self->files[i].index = i;
        (void) snprintf(self->files[i].task_id,
                        sizeof self->files[i].task_id,
                        "%.*s-%hhu",
                        MULTI_ID_MAX,
                        self->id,
                        (uint8_t) i);
    }
    self->count = head.count;
    return BUS_OK;
}

static void
destroy(multi_t **self_p)
{
    multi_t *self = *self_p;
    if (self == NULL) {
        return;
    }
    for (uint32_t i = 0; i < self->count; i++) {
        pack_destroy(&self->files[i].output);
    }
    pack_destroy(&self->request);
    *(self->prev != NULL ? &self->prev->next : &self->core->multis) = self->next;
    if (self->next != NULL) {
        self->next->prev = self->prev;
    }
    self->core->multi_count--;
    free(self);
    *self_p = NULL;
}

// --- What came of it -----------------------------------------------------------------------------

static void
pack_result(const file_t *file, pack_t *out)
{
    bus_view_t name = file->path.size == 0 ? VIEW_LITERAL("") : file->path;
    if (name.size > NAME_MAX_SHOWN) {
        name.size = walk_utf8_size(view_from(name.data, NAME_MAX_SHOWN));
    }
    pack_map(out, 5);
    pack_pair_uint(out, "file_index", file->index);
    pack_pair_str(out, "filename", name);
    pack_pair_text(out, "task_id", file->task_id);
    pack_pair_text(out, "status", file->succeeded ? "success" : "error");
    if (file->output == NULL) {
        pack_pair_text(out, "error", "too large beside the others: GET /tasks/{task_id} has it");
    } else if (file->succeeded) {
        pack_pair_raw(out, "result", pack_view(file->output));
    } else {
        bus_view_t error = walk_text_at(pack_view(file->output), "error");
        pack_pair_str(out, "error", error);
    }
}

static void
answer(multi_t *self)
{
    double seconds = (double) (clock_boot_us() - self->started_us) / 1e6;
    char now[RFC3339_SIZE];
    rfc3339_format(clock_wall_us(), now);
    uint32_t good = 0;
    for (uint32_t i = 0; i < self->count; i++) {
        good += self->files[i].succeeded ? 1 : 0;
    }
    BUS_AUTO(pack_destroy) pack_t *out = pack_new();
    pack_map(out, 8);
    pack_pair_text(out, "multi_task_id", self->id);
    pack_pair_uint(out, "total_files", self->count);
    pack_pair_uint(out, "successful_files", good);
    pack_pair_uint(out, "failed_files", self->count - good);
    pack_pair_real(out, "total_processing_time", seconds);
    pack_pair_real(out, "average_time_per_file", seconds / self->count);
    pack_text(out, "results");
    pack_array(out, self->count);
    for (uint32_t i = 0; i < self->count; i++) {
        pack_result(&self->files[i], out);
    }
    pack_pair_text(out, "timestamp", now);
    service_question_answer(&self->question, BUS_OK, pack_view(out));
}

static void
keep(file_t *file, bool succeeded, bus_view_t output)
{
    multi_t *self = file->multi;
    file->succeeded = succeeded;
    if (self->held_bytes + output.size <= RESULTS_SIZE_MAX) {
        self->held_bytes += output.size;
        file->output = pack_new();
        pack_raw(file->output, output);
    }
    self->finished++;
}

static void start_more(multi_t *self);

static void
on_done(void *arg, const core_task_t *task)
{
    file_t *file = arg;
    keep(file, task->succeeded, pack_view(task->output));
    start_more(file->multi);
}

static void
keep_error(file_t *file, const char *why)
{
    BUS_AUTO(pack_destroy) pack_t *error = pack_new();
    core_task_pack_error(view_from_text(why), error);
    keep(file, false, pack_view(error));
}

// The whole was asked before, under this id: what became of this file then?
static bool
find_kept(file_t *file)
{
    const multi_t *self = file->multi;
    const core_task_t *task = core_task_find(self->core, view_from_text(file->task_id));
    if (task != NULL && task->is_done) {
        keep(file, task->succeeded, pack_view(task->output));
        return true;
    }
    if (task != NULL) {
        keep_error(file, "it is being worked on");
        return true;
    }
    BUS_AUTO(store_rollback) store_txn_t *txn = NULL;
    schema_core_task_t kept;
    bus_view_t output;
    uint64_t seq;
    if (service_begin_read(self->core->service, &txn) != BUS_OK ||
        core_history_find(txn, view_from_text(file->task_id), &seq, &kept) != BUS_OK ||
        core_history_output(txn, seq, &output) != BUS_OK) {
        return false;
    }
    keep(file, view_is(kept.status, "success"), output);
    return true;
}

static void
start_one(multi_t *self, file_t *file)
{
    if (self->asked.task_id.data != NULL && find_kept(file)) {
        return;
    }
    const core_task_ask_t ask = {
        .task_id = view_from_text(file->task_id),
        .trace_id = self->trace_id[0] == '\0' ? VIEW_NONE : view_from_text(self->trace_id),
        .agent = self->asked.agent,
        .user_id = self->asked.user_id,
        .input = file->data.size > 0 ? file->data : file->path,
        .pdf_path = file->path,
        .tags = self->asked.tags,
        .hashed = pack_view(self->request),
        .input_type = file->type,
        .complexity = CORE_SELECTOR_MULTI,
        .done = on_done,
        .arg = file,
    };
    core_task_t *task = core_task_new(self->core, &ask);
    if (task != NULL) {
        core_task_start(task);
        return;
    }
    keep_error(file, "too much is going on");
}

// Starts what may be started; answers, and is gone, when all are finished. A task may be finished
// before its start returns: then the loop that runs goes on for it.
static void
start_more(multi_t *self)
{
    if (self->is_starting) {
        return;
    }
    self->is_starting = true;
    while (self->started < self->count && self->started - self->finished < AT_ONCE) {
        start_one(self, &self->files[self->started++]);
    }
    self->is_starting = false;
    if (self->finished == self->count) {
        answer(self);
        destroy(&self);
    }
}

static multi_t *
multi_new(const service_query_t *query)
{
    multi_t *self = calloc(1, sizeof *self);
    assert(self);
    self->core = query->state;
    self->started_us = clock_boot_us();
    if (query->header->trace_id.size > 0) {
        memcpy(self->trace_id, query->header->trace_id.data, query->header->trace_id.size);
    }
    self->request = pack_new();
    pack_raw(self->request, query->body);
    schema_problems_t problems = {.count = 0};
    bus_err_t err =
        schema_decode(&SCHEMA_handle_multi_task, pack_view(self->request), &self->asked, &problems);
    assert(err == BUS_OK); // it was before it was copied
    bus_view_t given = self->asked.task_id;
    if (given.size > 0) {
        memcpy(self->id, given.data, given.size); // the schema leaves room for a file's number
    } else {
        id_make(self->id);
    }
    self->next = self->core->multis;
    if (self->next != NULL) {
        self->next->prev = self;
    }
    self->core->multis = self;
    self->core->multi_count++;
    return self;
}

bus_err_t
core_multi_ask(service_query_t *query, const void *message)
{
    const schema_handle_multi_task_t *asked = message;
    const core_state_t *core = query->state;
    bus_err_t err = core_ask_check_tags(query, asked->tags);
    if (err != BUS_OK) {
        return err;
    }
    if (core->multi_count >= CORE_MULTIS_MAX) {
        return BUS_BUSY;
    }
    multi_t *self = multi_new(query);
    err = read_files(query, self);
    if (err == BUS_OK) {
        self->question = service_query_defer(query);
        err = self->question == NULL ? BUS_BUSY : BUS_OK;
    }
    if (err != BUS_OK) {
        destroy(&self);
        return err;
    }
    start_more(self);
    return BUS_OK;
}

bool
core_multi_is_running(const core_state_t *core, bus_view_t id)
{
    for (const multi_t *multi = core->multis; multi != NULL; multi = multi->next) {
        if (view_is(id, multi->id)) {
            return true;
        }
    }
    return false;
}

void
core_multi_clear(core_state_t *core)
{
    for (multi_t *multi = core->multis, *next = NULL; multi != NULL; multi = next) {
        next = multi->next;
        destroy(&multi);
    }
}
