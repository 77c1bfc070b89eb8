// rig.h - what the stand-ins for the service harness share (help.c of each layer): a reducer on a
// store of its own, without a bus. Bodies are JSON text; what fails in here fails the test.
#pragma once
#include "proto/text.h"
#include "runtime/service.h"

// Makes a folder below TMPDIR, and in it a store of the definition's tables.
void rig_open(const service_definition_t *definition, char **ret_folder, store_t **ret_store);
// Closes the store and removes the folder; both are NULL afterwards.
void rig_close(char **folder_p, store_t **store_p);

// Adds a body as JSON text; it has to be one that the journal takes.
void rig_add_json(text_t *out, bus_view_t body);
// What `out` says from now on: the answer as JSON, or nothing where `err` is an error.
void rig_keep_answer(text_t *out, bus_err_t err, const pack_t *answer);
// The value at a path of a JSON text, as JSON in `scratch`; "" where there is none.
const char *rig_value_at(bus_view_t json, const char *path, text_t *scratch);

// Decodes `json` by the row that takes the topic (the longest prefix) and applies it. `apply` has
// all but topic and body. Returns what the row did, or the schema's refusal; an error that the
// harness would retry for ever fails the test.
bus_err_t rig_apply(const service_definition_t *definition,
                    service_apply_t *apply,
                    const char *topic,
                    const char *json);
// Asks an operation in a read transaction of its own. `query` has service, state, header and
// answer.
bus_err_t rig_ask(const service_definition_t *definition,
                  store_t *store,
                  service_query_t *query,
                  const char *operation,
                  const char *json);

// Puts bytes that are no record of any service's in place of one.
void rig_damage(store_t *store, unsigned table, bus_view_t key);
uint64_t rig_count(store_t *store, unsigned table);
void rig_state_hash(store_t *store, char ret_hex[STORE_HASH_SIZE]);
