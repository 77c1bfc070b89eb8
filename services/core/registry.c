// registry.c - which agents there are. See registry.h; the file is registry_file.c's.
#include "registry.h"

#include "proto/topic.h"
#include "proto/walk.h"
#include "registry_self.h"
#include "runtime/log.h"

#include <assert.h>
#include <stdlib.h>

#define SERVICE_PREFIX VIEW_LITERAL("agent.")
#define EMPTY_ARRAY VIEW_LITERAL("\x90")

static const struct {
    const char *id;
    core_agent_kind_t kind;
    bool standby;
    const char *tags[4];
} built_in[] = {
    // Tags as the original's. Neither has a model: where anybody else can answer, they do not
    // compete for what the selector hands out.
    {"knowledge_agent",
     CORE_AGENT_KNOWLEDGE,
     true,
     {"semantic_search", "knowledge_base", "vedabase"}},
    {"text_agent", CORE_AGENT_TEXT, true, {"summary", "keywords"}},
};

static char *
copy(const char *text)
{
    char *made = strdup(text);
    assert(made);
    return made;
}

core_agent_t *
core_registry_add(core_registry_t *self, bus_view_t id, core_agent_kind_t kind)
{
    assert(id.size <= CORE_AGENT_ID_MAX && self->count < CORE_REGISTRY_MAX);
    core_agent_t *agent = calloc(1, sizeof *agent);
    assert(agent);
    memcpy(agent->id, id.data, id.size);
    agent->kind = kind;
    agent->enabled = true;
    agent->inputs = 1u << CORE_INPUT_TEXT;
    agent->tags = pack_new();
    pack_raw(agent->tags, EMPTY_ARRAY);
    self->agents[self->count++] = agent;
    return agent;
}

static void
agent_destroy(core_agent_t **agent_p)
{
    core_agent_t *agent = *agent_p;
    pack_destroy(&agent->tags);
    free(agent->url);
    free(agent->model);
    if (agent->key != NULL) {
        explicit_bzero(agent->key, strlen(agent->key));
    }
    free(agent->key);
    free(agent->system);
    free(agent);
    *agent_p = NULL;
}

static void
add_built_in(core_registry_t *self)
{
    for (size_t i = 0; i < sizeof built_in / sizeof built_in[0]; i++) {
        core_agent_t *agent =
            core_registry_add(self, view_from_text(built_in[i].id), built_in[i].kind);
        agent->standby = built_in[i].standby;
        pack_clear(agent->tags);
        size_t place = pack_array_begin(agent->tags);
        uint32_t count = 0;
        for (; built_in[i].tags[count] != NULL; count++) {
            pack_text(agent->tags, built_in[i].tags[count]);
        }
        pack_count(agent->tags, place, count);
    }
}

// ai_agent, from the environment that docs/contract.md section 10 names.
static bus_err_t
add_from_environment(core_registry_t *self)
{
    const char *url = getenv("BHIV_AI_URL");
    const char *model = getenv("BHIV_AI_MODEL");
    const char *key = getenv("BHIV_AI_KEY");
    if (url == NULL || url[0] == '\0') {
        return BUS_OK;
    }
    if (strncmp(url, "http://", 7) != 0 && strncmp(url, "https://", 8) != 0) {
        log_error("agents_refused", "variable=BHIV_AI_URL problem=want_http_or_https");
        return BUS_VALIDATION_FAILED;
    }
    core_agent_t *agent = core_registry_add(self, VIEW_LITERAL("ai_agent"), CORE_AGENT_HTTP);
    agent->url = copy(url);
    agent->model = copy(model == NULL || model[0] == '\0' ? "default" : model);
    agent->key = key == NULL || key[0] == '\0' ? NULL : copy(key);
    return BUS_OK;
}

bus_err_t
core_registry_new(core_registry_t **ret_self)
{
    core_registry_t *self = calloc(1, sizeof *self);
    assert(self);
    add_built_in(self);
    bus_err_t err = add_from_environment(self);
    const char *path = getenv("BHIV_CORE_AGENTS");
    if (err == BUS_OK && path != NULL && path[0] != '\0') {
        err = core_registry_read_file(self, path);
    }
    if (err != BUS_OK) {
        core_registry_destroy(&self);
        return err;
    }
    *ret_self = self;
    return BUS_OK;
}

void
core_registry_destroy(core_registry_t **self_p)
{
    core_registry_t *self = *self_p;
    if (self == NULL) {
        return;
    }
    for (size_t i = 0; i < self->count; i++) {
        agent_destroy(&self->agents[i]);
    }
    free(self);
    *self_p = NULL;
}

size_t
core_registry_count(const core_registry_t *self)
{
    return self->count;
}

const core_agent_t *
core_registry_at(const core_registry_t *self, size_t index)
{
    assert(index < self->count);
    return self->agents[index];
}

core_agent_t *
core_registry_get(const core_registry_t *self, bus_view_t id)
{
    for (size_t i = 0; i < self->count; i++) {
        if (view_is(id, self->agents[i]->id)) {
            return self->agents[i];
        }
    }
    return NULL;
}

const core_agent_t *
core_registry_find(const core_registry_t *self, bus_view_t id)
{
    return core_registry_get(self, id);
}

const char *
core_registry_kind_text(core_agent_kind_t kind)
{
    switch (kind) {
    case CORE_AGENT_TEXT:
    case CORE_AGENT_KNOWLEDGE:
        return "builtin";
    case CORE_AGENT_BUS:
        return "bus";
    case CORE_AGENT_HTTP:
        return "http";
    }
    return "";
}

// --- Tags ----------------------------------------------------------------------------------------

bool
core_registry_is_texts(bus_view_t array, unsigned count_max, size_t size_max)
{
    walk_t walk = walk_from(array);
    walk_item_t item;
    if (walk_next(&walk, &item) != BUS_OK || item.type != WALK_ARRAY || item.count > count_max) {
        return false;
    }
    for (uint32_t i = 0, count = item.count; i < count; i++) {
        if (walk_next(&walk, &item) != BUS_OK || item.type != WALK_STR || item.bytes.size == 0 ||
            item.bytes.size > size_max) {
            return false;
        }
    }
    return true;
}

static bool
holds_text(bus_view_t array, bus_view_t text)
{
    walk_t walk = walk_from(array);
    walk_item_t item;
    if (walk_next(&walk, &item) != BUS_OK || item.type != WALK_ARRAY) {
        return false;
    }
    for (uint32_t i = 0, count = item.count; i < count; i++) {
        if (walk_next(&walk, &item) != BUS_OK) {
            return false;
        }
        if (item.type == WALK_STR && view_equal(item.bytes, text)) {
            return true;
        }
    }
    return false;
}

bool
core_registry_shares_tag(const core_agent_t *agent, bus_view_t tags)
{
    walk_t walk = walk_from(tags);
    walk_item_t item;
    if (tags.data == NULL || walk_next(&walk, &item) != BUS_OK || item.type != WALK_ARRAY) {
        return false;
    }
    for (uint32_t i = 0, count = item.count; i < count; i++) {
        if (walk_next(&walk, &item) != BUS_OK) {
            return false;
        }
        if (item.type == WALK_STR && holds_text(pack_view(agent->tags), item.bytes)) {
            return true;
        }
    }
    return false;
}

// --- Peers ---------------------------------------------------------------------------------------

void
core_registry_peers_begin(core_registry_t *self)
{
    for (size_t i = 0; i < self->count; i++) {
        self->were[i] = self->agents[i]->instances;
        self->agents[i]->instances = 0;
    }
}

static void
discover(core_registry_t *self, bus_view_t id)
{
    if (self->count == CORE_REGISTRY_MAX) {
        if (!self->said_full) {
            log_warning("agents_full", "max=%d", CORE_REGISTRY_MAX);
            self->said_full = true;
        }
        return;
    }
    core_agent_t *agent = core_registry_add(self, id, CORE_AGENT_BUS);
    agent->discovered = true;
    agent->instances = 1;
    self->were[self->count - 1] = 0;
    log_info("agent_found", "agent=%s", agent->id);
}

void
core_registry_peers_add(core_registry_t *self, bus_view_t service)
{
    if (!view_starts(service, SERVICE_PREFIX)) {
        return;
    }
    bus_view_t id =
        view_from(service.data + SERVICE_PREFIX.size, service.size - SERVICE_PREFIX.size);
    if (!core_registry_is_id(id)) {
        return;
    }
    core_agent_t *agent = core_registry_get(self, id);
    if (agent == NULL) {
        discover(self, id);
    } else if (agent->kind == CORE_AGENT_BUS) {
        agent->instances++;
    } // else one of our own has this name
}

void
core_registry_peers_end(core_registry_t *self)
{
    size_t kept = 0;
    for (size_t i = 0; i < self->count; i++) {
        bool is_gone = self->agents[i]->instances == 0 && self->were[i] > 0;
        if (is_gone) {
            log_info("agent_gone", "agent=%s", self->agents[i]->id);
        }
        if (is_gone && self->agents[i]->discovered) {
            agent_destroy(&self->agents[i]);
        } else {
            self->agents[kept++] = self->agents[i];
        }
    }
    self->count = kept;
}
