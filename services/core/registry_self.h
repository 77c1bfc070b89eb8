// registry_self.h - what the registry is made of, for registry*.c alone.
#pragma once
#include "registry.h"

struct core_registry {
    core_agent_t *agents[CORE_REGISTRY_MAX];
    size_t count;
    unsigned were[CORE_REGISTRY_MAX]; // instances before the list that is being taken
    bool said_full;
};

// Adds one with what an agent has by default. There is room.
core_agent_t *core_registry_add(core_registry_t *self, bus_view_t id, core_agent_kind_t kind);
core_agent_t *core_registry_get(const core_registry_t *self, bus_view_t id);
// Whether it can be an agent's id: one token of a topic, at most CORE_AGENT_ID_MAX bytes, not auto.
bool core_registry_is_id(bus_view_t id);

// Adds and changes what the file says. BUS_VALIDATION_FAILED, and the log names the row.
BUS_CHECK bus_err_t core_registry_read_file(core_registry_t *self, const char *path);
