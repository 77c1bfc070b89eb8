// registry_file.c - the file that names agents: JSON, {"agents": [{"id": …}…]}.
//
// It is read at start and checked whole: a row that cannot be right stops Core before it serves,
// and the log says which row, which field and why. A misspelt field is a bad row too.
#include "proto/limits.h"
#include "proto/schema.h"
#include "proto/topic.h"
#include "proto/transcode.h"
#include "proto/walk.h"
#include "registry_self.h"
#include "runtime/log.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    FILE_SIZE_MAX = 1024 * 1024, // of 256 rows, with room
    TAG_SIZE_MAX = 128,
    MESSAGE_SIZE = 200,
    SHOWN_SIZE = 128, // of a value in the log
};

// A row being read.
typedef struct {
    const char *path;
    unsigned number; // from 1
    bus_view_t bytes;
    schema_core_agent_t row;
} reading_t;

bool
core_registry_is_id(bus_view_t id)
{
    return id.size > 0 && id.size <= CORE_AGENT_ID_MAX && memchr(id.data, '.', id.size) == NULL &&
           id.data[0] != '$' && id.data[0] != '_' && topic_is_legal(id, NULL) &&
           !view_is(id, "auto");
}

static bus_err_t
refuse_file(const char *path, const char *problem)
{
    char shown[SHOWN_SIZE];
    char words[MESSAGE_SIZE * 2];
    log_error("agents_refused",
              "file=%s problem=%s",
              log_escape(view_from_text(path), shown, sizeof shown),
              log_escape(view_from_text(problem), words, sizeof words));
    return BUS_VALIDATION_FAILED;
}

static bus_err_t
refuse_row(const reading_t *self, bus_view_t field, const char *problem)
{
    char path[SHOWN_SIZE];
    char id[SHOWN_SIZE];
    char name[SHOWN_SIZE];
    char words[SHOWN_SIZE];
    log_error("agents_refused",
              "file=%s row=%u id=%s field=%s problem=%s",
              log_escape(view_from_text(self->path), path, sizeof path),
              self->number,
              log_escape(self->row.id, id, sizeof id),
              log_escape(field, name, sizeof name),
              log_escape(view_from_text(problem), words, sizeof words));
    return BUS_VALIDATION_FAILED;
}

// --- One row -------------------------------------------------------------------------------------

static bus_err_t
check_names(const reading_t *self)
{
    walk_pairs_t pairs = walk_pairs(self->bytes);
    bus_view_t key;
    bus_view_t value;
    while (walk_pairs_next(&pairs, &key, &value) == BUS_OK) {
        bool is_known = false;
        for (size_t i = 0; i < SCHEMA_core_agent.field_count; i++) {
            is_known = is_known || view_is(key, SCHEMA_core_agent.fields[i].name);
        }
        if (!is_known) {
            return refuse_row(self, key, "there is no such field");
        }
    }
    return BUS_OK;
}

static bus_err_t
read_inputs(const reading_t *self, unsigned *ret_inputs)
{
    walk_t walk = walk_from(self->row.input_types);
    walk_item_t item;
    unsigned inputs = 0;
    if (walk_next(&walk, &item) != BUS_OK || item.type != WALK_ARRAY || item.count == 0) {
        return refuse_row(self, VIEW_LITERAL("input_types"), "want at least one");
    }
    for (uint32_t i = 0, count = item.count; i < count; i++) {
        if (walk_next(&walk, &item) != BUS_OK || item.type != WALK_STR ||
            core_selector_input(item.bytes) == CORE_INPUT_COUNT) {
            return refuse_row(self, VIEW_LITERAL("input_types"), "want text, pdf, image or audio");
        }
        inputs |= 1u << core_selector_input(item.bytes);
    }
    *ret_inputs = inputs;
    return BUS_OK;
}

static void
set_text(char **text_p, bus_view_t view)
{
    free(*text_p);
    *text_p = view.size == 0 ? NULL : strndup(view.data, view.size);
    assert(view.size == 0 || *text_p != NULL);
}

static bus_err_t
apply_server(const reading_t *self, core_agent_t *agent)
{
    const schema_core_agent_t *row = &self->row;
    if (agent->kind != CORE_AGENT_HTTP) {
        bool is_named = row->url.data != NULL || row->model.data != NULL ||
                        row->key_env.data != NULL || row->system.data != NULL;
        return is_named ? refuse_row(self, VIEW_LITERAL("url"), "only an http agent has a server")
                        : BUS_OK;
    }
    if (row->url.data != NULL) {
        if (!view_starts(row->url, VIEW_LITERAL("http://")) &&
            !view_starts(row->url, VIEW_LITERAL("https://"))) {
            return refuse_row(self, VIEW_LITERAL("url"), "want http:// or https://");
        }
        set_text(&agent->url, row->url);
    }
    if (row->model.data != NULL) {
        set_text(&agent->model, row->model);
    }
    if (row->system.data != NULL) {
        set_text(&agent->system, row->system);
    }
    if (row->key_env.data != NULL) {
        char name[SHOWN_SIZE];
        (void) snprintf(name, sizeof name, "%.*s", (int) row->key_env.size, row->key_env.data);
        const char *key = getenv(name);
        if (key == NULL || key[0] == '\0') {
            return refuse_row(self, VIEW_LITERAL("key_env"), "that variable is not set");
        }
        set_text(&agent->key, view_from_text(key));
    }
    if (agent->url == NULL || agent->model == NULL) {
        return refuse_row(self, VIEW_LITERAL("url"), "an http agent needs url and model");
    }
    return BUS_OK;
}

static bus_err_t
apply_row(const reading_t *self, core_agent_t *agent)
{
    const schema_core_agent_t *row = &self->row;
    agent->enabled = row->enabled.has ? row->enabled.value : agent->enabled;
    agent->standby = row->standby.has ? row->standby.value : agent->standby;
    agent->timeout_ms = row->timeout_ms.has ? (unsigned) row->timeout_ms.value : agent->timeout_ms;
    if (row->input_types.data != NULL) {
        bool is_built_in = agent->kind == CORE_AGENT_TEXT || agent->kind == CORE_AGENT_KNOWLEDGE;
        if (is_built_in) {
            return refuse_row(self, VIEW_LITERAL("input_types"), "a built-in agent takes text");
        }
        bus_err_t err = read_inputs(self, &agent->inputs);
        if (err != BUS_OK) {
            return err;
        }
    }
    if (row->tags.data != NULL) {
        if (!core_registry_is_texts(row->tags, CORE_REGISTRY_TAGS_MAX, TAG_SIZE_MAX)) {
            return refuse_row(self, VIEW_LITERAL("tags"), "want at most 32 texts");
        }
        pack_clear(agent->tags);
        pack_raw(agent->tags, row->tags);
    }
    return apply_server(self, agent);
}

// The agent that the row is about: one that is there, or a new one of its kind.
static bus_err_t
place_row(core_registry_t *registry, const reading_t *self, core_agent_t **ret_agent)
{
    const schema_core_agent_t *row = &self->row;
    core_agent_t *agent = core_registry_get(registry, row->id);
    bool is_http = view_is(row->kind, "http");
    if (row->kind.data != NULL && !is_http && !view_is(row->kind, "bus") &&
        (agent == NULL || !view_is(row->kind, core_registry_kind_text(agent->kind)))) {
        return refuse_row(self, VIEW_LITERAL("kind"), "want bus or http");
    }
    if (agent != NULL && row->kind.data != NULL &&
        !view_is(row->kind, core_registry_kind_text(agent->kind))) {
        return refuse_row(self, VIEW_LITERAL("kind"), "this id is one of another kind");
    }
    *ret_agent =
        agent != NULL
            ? agent
            : core_registry_add(registry, row->id, is_http ? CORE_AGENT_HTTP : CORE_AGENT_BUS);
    return BUS_OK;
}

static bus_err_t
read_row(core_registry_t *registry, reading_t *self)
{
    schema_problems_t problems = {.count = 0};
    bus_err_t err = schema_decode(&SCHEMA_core_agent, self->bytes, &self->row, &problems);
    if (err != BUS_OK) {
        bool is_named = problems.count > 0;
        return refuse_row(self,
                          is_named ? view_from_text(problems.at[0].field) : VIEW_LITERAL(""),
                          is_named ? problems.at[0].problem : "want an object");
    }
    err = check_names(self);
    if (err == BUS_OK && !core_registry_is_id(self->row.id)) {
        err = refuse_row(self, VIEW_LITERAL("id"), "want one token of [A-Za-z0-9_-], not auto");
    }
    core_agent_t *agent = NULL;
    if (err == BUS_OK) {
        err = place_row(registry, self, &agent);
    }
    return err == BUS_OK ? apply_row(self, agent) : err;
}

// --- The file ------------------------------------------------------------------------------------

static bool
is_repeated(bus_view_t rows, unsigned number, bus_view_t id)
{
    walk_t walk = walk_from(rows);
    walk_item_t head;
    bus_err_t err = walk_next(&walk, &head);
    for (unsigned i = 1; i < number && err == BUS_OK; i++) {
        bus_view_t row;
        bus_view_t value;
        bus_view_t other;
        err = walk_skip(&walk, &row);
        if (err == BUS_OK && walk_find(row, "id", &value) == BUS_OK &&
            walk_as_str(value, &other) == BUS_OK && view_equal(other, id)) {
            return true;
        }
    }
    return false;
}

static bus_err_t
read_rows(core_registry_t *registry, const char *path, bus_view_t rows)
{
    walk_t walk = walk_from(rows);
    walk_item_t head;
    if (walk_next(&walk, &head) != BUS_OK || head.type != WALK_ARRAY ||
        head.count > CORE_REGISTRY_ROWS_MAX) {
        return refuse_file(path, "want {\"agents\": [...]}, at most 256 of them");
    }
    for (uint32_t i = 0; i < head.count; i++) {
        reading_t reading = {.path = path, .number = i + 1};
        if (walk_skip(&walk, &reading.bytes) != BUS_OK) {
            return refuse_file(path, "breaks off");
        }
        bus_err_t err = read_row(registry, &reading);
        if (err == BUS_OK && is_repeated(rows, reading.number, reading.row.id)) {
            err = refuse_row(&reading, VIEW_LITERAL("id"), "a row before has this id");
        }
        if (err != BUS_OK) {
            return err;
        }
    }
    return BUS_OK;
}

// All of it into `out`, up to the limit and one byte more.
static bus_err_t
read_bytes(const char *path, text_t *out)
{
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        return refuse_file(path, strerror(errno));
    }
    char block[4096];
    size_t size = fread(block, 1, sizeof block, file);
    while (size > 0 && text_view(out).size <= FILE_SIZE_MAX) {
        text_add(out, view_from(block, size));
        size = fread(block, 1, sizeof block, file);
    }
    bool is_broken = ferror(file) != 0;
    (void) fclose(file);
    if (is_broken) {
        return refuse_file(path, "cannot be read");
    }
    return text_view(out).size > FILE_SIZE_MAX ? refuse_file(path, "over 1 MiB") : BUS_OK;
}

bus_err_t
core_registry_read_file(core_registry_t *self, const char *path)
{
    BUS_AUTO(text_destroy) text_t *text = text_new();
    BUS_AUTO(pack_destroy) pack_t *parsed = pack_new();
    char message[MESSAGE_SIZE];
    bus_err_t err = read_bytes(path, text);
    if (err != BUS_OK) {
        return err;
    }
    if (transcode_from_json(text_view(text), parsed, message, sizeof message) != BUS_OK) {
        return refuse_file(path, message);
    }
    bus_view_t rows;
    if (walk_find(pack_view(parsed), "agents", &rows) != BUS_OK) {
        return refuse_file(path, "want {\"agents\": [...]}");
    }
    return read_rows(self, path, rows);
}
