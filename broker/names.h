// names.h - a bounded map from short byte strings to small numbers: inboxes, instances, services,
// consumers by name.
//
// Owner: whoever made it; one thread. Keys are copied and may hold any bytes. Finding costs one
// hash and, nearly always, one comparison, whatever a peer chose as a name: the hash is seeded per
// map.
#pragma once
#include "proto/auto.h"
#include "proto/view.h"
#include <stdint.h>

#define NAMES_NONE UINT32_MAX

typedef struct names names_t;

// Holds at most `count_max` keys; its memory is taken as it fills.
names_t *names_new(uint32_t count_max);
void names_destroy(names_t **self_p);

uint32_t names_count(const names_t *self);
// The number under `key`, or NAMES_NONE.
uint32_t names_find(const names_t *self, bus_view_t key);
// Adds a key that is not there yet (asserted). False where the map is full.
BUS_CHECK bool names_add(names_t *self, bus_view_t key, uint32_t number);
// Removes a key that is there (asserted).
void names_remove(names_t *self, bus_view_t key);
