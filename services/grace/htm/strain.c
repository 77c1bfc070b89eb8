// strain.c - whether the machine is strained. See strain.h.
#include "strain.h"

#include "proto/walk.h"
#include "runtime/log.h"

#include <assert.h>
#include <stdlib.h>

enum {
    IN_A_ROW = 2,         // messages that decide
    POINTS_BELOW = 5,     // percent between strained and no longer
    FIGURE_MAX = 1000000, // percent: what is above it is no figure
};

struct htm_strain {
    service_t *service;
    const htm_state_t *state;
    htm_config_t config;
    double cpu;
    double memory;
    unsigned above; // messages in a row with one at or above its limit
    unsigned below; // with both well below
    pack_t *body;
};

// What is told, where it can be a percentage of so many processors.
static double
figure(bus_view_t body, const char *path, double otherwise)
{
    double number = walk_real_at(body, path, otherwise);
    return number >= 0 && number <= FIGURE_MAX ? number : otherwise;
}

// What it should be by what was told; as it is where that is not clear yet.
static bool
wanted(const htm_strain_t *self)
{
    if (self->above >= IN_A_ROW) {
        return true;
    }
    return self->below < IN_A_ROW && self->state->totals.settings.is_strained;
}

static void
on_telemetry(void *arg, const client_heard_t *heard)
{
    htm_strain_t *self = arg;
    const htm_config_t *config = &self->config;
    self->cpu = figure(heard->body, "host.cpu_percent", self->cpu);
    self->memory = figure(heard->body, "host.memory_percent", self->memory);
    bool is_above = self->cpu >= config->strained_cpu || self->memory >= config->strained_memory;
    bool is_below = self->cpu < config->strained_cpu - POINTS_BELOW &&
                    self->memory < config->strained_memory - POINTS_BELOW;
    self->above = is_above ? self->above + 1 : 0;
    self->below = is_below ? self->below + 1 : 0;
    if (wanted(self) != self->state->totals.settings.is_strained) {
        service_tick_soon(self->service);
    }
}

void
htm_strain_tick(htm_strain_t *self, service_query_t *query)
{
    bool is_strained = wanted(self);
    if (is_strained == self->state->totals.settings.is_strained) {
        return;
    }
    const schema_task_pressure_t pressure = {
        .strained = {.has = true, .value = is_strained},
        .cpu_percent = {.has = true, .value = self->cpu},
        .memory_percent = {.has = true, .value = self->memory},
    };
    pack_clear(self->body);
    schema_encode(&SCHEMA_task_pressure, &pressure, self->body);
    bus_err_t err = service_query_say(query, "task.pressure", pack_view(self->body));
    if (err != BUS_OK) {
        log_warning("pressure_not_said", "error=%s", error_text(err));
    }
}

double
htm_strain_cpu(const htm_strain_t *self)
{
    return self->cpu;
}

double
htm_strain_memory(const htm_strain_t *self)
{
    return self->memory;
}

bus_err_t
htm_strain_new(service_t *service,
               htm_state_t *state,
               const htm_config_t *config,
               htm_strain_t **ret_self)
{
    htm_strain_t *self = calloc(1, sizeof *self);
    assert(self);
    self->service = service;
    self->state = state;
    self->config = *config;
    self->body = pack_new();
    *ret_self = self;
    return client_subscribe(service_client(service), "layer2.telemetry.stream", on_telemetry, self);
}

void
htm_strain_destroy(htm_strain_t **self_p)
{
    htm_strain_t *self = *self_p;
    if (self != NULL) {
        pack_destroy(&self->body);
        free(self);
        *self_p = NULL;
    }
}
