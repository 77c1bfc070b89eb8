// rig.c - a reducer on a store of its own. See rig.h.
#include "rig.h"

#include "proto/transcode.h"
#include "proto/walk.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { PATH_SIZE = 256, STORE_SIZE_MAX = 256 * 1024 * 1024 };

// --- The store -----------------------------------------------------------------------------------

void
rig_open(const service_definition_t *definition, char **ret_folder, store_t **ret_store)
{
    const char *temporary = getenv("TMPDIR");
    char folder[PATH_SIZE], path[PATH_SIZE + 8];
    int size = snprintf(folder,
                        sizeof folder,
                        "%s/%s-XXXXXX",
                        temporary != NULL ? temporary : P_tmpdir,
                        definition->name);
    cr_assert(size > 0 && size < (int) sizeof folder);
    cr_assert_not_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/store", folder);
    const store_options_t options = {
        .path = path,
        .tables = definition->tables,
        .table_count = definition->table_count,
        .size_max = STORE_SIZE_MAX,
        .durability = STORE_REPLAYED,
    };
    cr_assert_eq(store_open(&options, ret_store), BUS_OK);
    *ret_folder = strdup(folder);
    cr_assert_not_null(*ret_folder);
}

void
rig_close(char **folder_p, store_t **store_p)
{
    store_destroy(store_p);
    char command[PATH_SIZE + 16];
    snprintf(command, sizeof command, "rm -rf '%s'", *folder_p);
    cr_assert_eq(system(command), 0);
    free(*folder_p);
    *folder_p = NULL;
}

void
rig_damage(store_t *store, unsigned table, bus_view_t key)
{
    store_txn_t *txn = NULL;
    cr_assert_eq(store_begin(store, STORE_WRITE, &txn), BUS_OK);
    cr_assert_eq(store_put(txn, table, key, VIEW_LITERAL("\xc1")), BUS_OK);
    cr_assert_eq(store_commit(&txn), BUS_OK);
}

uint64_t
rig_count(store_t *store, unsigned table)
{
    store_txn_t *txn = NULL;
    uint64_t count = 0;
    cr_assert_eq(store_begin(store, STORE_READ, &txn), BUS_OK);
    cr_assert_eq(store_count(txn, table, &count), BUS_OK);
    store_rollback(&txn);
    return count;
}

void
rig_state_hash(store_t *store, char ret_hex[STORE_HASH_SIZE])
{
    store_txn_t *txn = NULL;
    cr_assert_eq(store_begin(store, STORE_READ, &txn), BUS_OK);
    cr_assert_eq(store_state_hash(txn, ret_hex), BUS_OK);
    store_rollback(&txn);
}

// --- JSON ----------------------------------------------------------------------------------------

void
rig_add_json(text_t *out, bus_view_t body)
{
    const char *why = "";
    cr_assert_eq(walk_check(body, WALK_JSON, 24, &why), BUS_OK, "%s", why);
    transcode_to_json(body, 0, out);
}

void
rig_keep_answer(text_t *out, bus_err_t err, const pack_t *answer)
{
    text_clear(out);
    if (err == BUS_OK && pack_view(answer).size > 0) {
        rig_add_json(out, pack_view(answer));
    }
}

const char *
rig_value_at(bus_view_t json, const char *path, text_t *scratch)
{
    BUS_AUTO(pack_destroy) pack_t *packed = pack_new();
    bus_view_t value;
    text_clear(scratch);
    if (json.size > 0) {
        cr_assert_eq(transcode_from_json(json, packed, NULL, 0), BUS_OK);
        if (walk_find_path(pack_view(packed), path, &value) == BUS_OK) {
            transcode_to_json(value, 0, scratch);
        }
    }
    return text_view(scratch).size == 0 ? "" : text_view(scratch).data;
}

// Decodes a body into memory that the caller frees; *ret_err says whether it could.
static void *
decode(const schema_t *schema, bus_view_t body, bus_err_t *ret_err)
{
    void *message = calloc(1, schema != NULL ? schema->size : 1);
    cr_assert_not_null(message);
    schema_problems_t problems = {.count = 0};
    *ret_err = schema != NULL ? schema_decode(schema, body, message, &problems) : BUS_OK;
    return message;
}

// --- Applying and asking -------------------------------------------------------------------------

static const service_apply_row_t *
find_apply(const service_definition_t *definition, const char *topic)
{
    const service_apply_row_t *found = NULL;
    for (size_t i = 0; i < definition->apply_count; i++) {
        const service_apply_row_t *row = &definition->applies[i];
        size_t size = strlen(row->prefix);
        if (strncmp(row->prefix, topic, size) == 0 &&
            (found == NULL || size > strlen(found->prefix))) {
            found = row;
        }
    }
    cr_assert_not_null(found, "no row takes %s", topic);
    return found;
}

bus_err_t
rig_apply(const service_definition_t *definition,
          service_apply_t *apply,
          const char *topic,
          const char *json)
{
    BUS_AUTO(pack_destroy) pack_t *body = pack_new();
    cr_assert_eq(transcode_from_json(view_from_text(json), body, NULL, 0), BUS_OK, "%s", json);
    const service_apply_row_t *row = find_apply(definition, topic);
    bus_err_t err = BUS_OK;
    void *message = decode(row->schema, pack_view(body), &err);
    if (err == BUS_OK) {
        apply->topic = view_from_text(topic);
        apply->body = pack_view(body);
        err = row->apply(apply, row->schema != NULL ? message : NULL);
        cr_assert(err != BUS_CORRUPT && err != BUS_FULL && err != BUS_IO, "retried for ever");
    }
    free(message);
    return err;
}

static const service_query_row_t *
find_query(const service_definition_t *definition, const char *operation)
{
    for (size_t i = 0; i < definition->query_count; i++) {
        if (strcmp(definition->queries[i].operation, operation) == 0) {
            return &definition->queries[i];
        }
    }
    cr_assert(false, "no row answers %s", operation);
    abort();
}

bus_err_t
rig_ask(const service_definition_t *definition,
        store_t *store,
        service_query_t *query,
        const char *operation,
        const char *json)
{
    BUS_AUTO(pack_destroy) pack_t *body = pack_new();
    BUS_AUTO(store_rollback) store_txn_t *txn = NULL;
    cr_assert_eq(transcode_from_json(view_from_text(json), body, NULL, 0), BUS_OK, "%s", json);
    const service_query_row_t *row = find_query(definition, operation);
    bus_err_t err = BUS_OK;
    void *message = decode(row->schema, pack_view(body), &err);
    cr_assert_eq(err, BUS_OK, "%s: %s", operation, json);
    cr_assert_eq(store_begin(store, STORE_READ, &txn), BUS_OK);
    query->txn = txn;
    query->body = pack_view(body);
    err = row->query(query, message);
    free(message);
    return err;
}
