// registry.h - which agents there are: the built-in ones, those that the configuration names, and
// whoever answers req.agent.<id> on the bus.
//
// Owner: the service's thread. An agent may go when a list of peers is taken: keep its id, not it.
#pragma once
#include "proto/auto.h"
#include "proto/pack.h"
#include "score.h"
#include "selector.h"

typedef struct core_registry core_registry_t;

typedef enum {
    CORE_AGENT_TEXT,      // built in: says what a text says
    CORE_AGENT_KNOWLEDGE, // built in: answers from the knowledge base
    CORE_AGENT_BUS,       // a peer
    CORE_AGENT_HTTP       // an OpenAI-compatible endpoint
} core_agent_kind_t;

enum {
    CORE_REGISTRY_ROWS_MAX = 256, // of the file
    CORE_REGISTRY_MAX = 1024,     // all together: the selector looks at each
    CORE_REGISTRY_TAGS_MAX = 32,  // of an agent, or of a task
};

typedef struct {
    char id[CORE_AGENT_ID_MAX + 1];
    core_agent_kind_t kind;
    bool enabled;
    bool standby;        // chosen only where no other fits
    bool discovered;     // nobody configured it: it goes when its last peer does
    unsigned inputs;     // 1 << core_input_t
    unsigned timeout_ms; // 0: by the input's type
    unsigned instances;  // of CORE_AGENT_BUS: peers that live
    pack_t *tags;        // one array of texts
    char *url;           // of CORE_AGENT_HTTP; NULL: none
    char *model;
    char *key;    // a secret
    char *system; // NULL: none
} core_agent_t;

// The built-in ones, ai_agent where BHIV_AI_URL is set, and the rows of the file that
// BHIV_CORE_AGENTS names. BUS_VALIDATION_FAILED, and the log names the row.
BUS_CHECK bus_err_t core_registry_new(core_registry_t **ret_self);
void core_registry_destroy(core_registry_t **self_p);

size_t core_registry_count(const core_registry_t *self);
// In a fixed order: built in, configured, discovered by id.
const core_agent_t *core_registry_at(const core_registry_t *self, size_t index);
// NULL where there is none.
const core_agent_t *core_registry_find(const core_registry_t *self, bus_view_t id);

const char *core_registry_kind_text(core_agent_kind_t kind);
// Whether the agent's tags and `tags` (an array of texts, or absent) share one.
bool core_registry_shares_tag(const core_agent_t *agent, bus_view_t tags);

// Whether it is an array of at most `count_max` texts of 1 to `size_max` bytes.
bool core_registry_is_texts(bus_view_t array, unsigned count_max, size_t size_max);

// --- For presence.c ------------------------------------------------------------------------------

// Takes the peers that live: begin, each service name, end, which forgets who was found among them
// and has gone.
void core_registry_peers_begin(core_registry_t *self);
void core_registry_peers_add(core_registry_t *self, bus_view_t service);
void core_registry_peers_end(core_registry_t *self);
