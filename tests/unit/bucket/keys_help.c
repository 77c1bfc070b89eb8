// keys_help.c - keys opened, announced and rotated, for the tests of them.
#include "keys_help.h"
#include "bucket/config.h"
#include "proto/transcode.h"
#include "runtime/clock.h"
#include "runtime/owner.h"
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

const char *
keys_path(help_t *help, const char *leaf)
{
    static char path[300];
    snprintf(path, sizeof path, "%s/%s", help->folder, leaf);
    return path;
}

bus_err_t
keys_open(help_t *help, bool rebuild)
{
    const service_options_t options = {.dir = help->folder, .rebuild = rebuild};
    help_begin(help);
    bus_err_t err = bucket_keys_open(&options, help->txn, &help->state.keys);
    if (err == BUS_OK) {
        help_commit(help);
    } else {
        help_undo(help);
    }
    return err;
}

void
keys_save(help_t *help)
{
    help_begin(help);
    cr_assert_eq(bucket_keys_save(help->state.keys, help->txn), BUS_OK);
    help_commit(help);
}

// As a stop and a start do.
bus_err_t
keys_restart(help_t *help)
{
    if (help->state.keys != NULL) {
        keys_save(help);
    }
    bucket_keys_close(&help->state.keys);
    help_reopen(help);
    return keys_open(help, false);
}

help_t *
keys_new(void)
{
    help_t *help = help_new();
    help->source = "bhiv_bucket";
    cr_assert_eq(keys_open(help, false), BUS_OK);
    return help;
}

void
keys_destroy(help_t **help_p)
{
    bucket_keys_close(&(*help_p)->state.keys);
    help_destroy(help_p);
}

uint64_t
keys_count_secrets(help_t *help)
{
    uint64_t count = 0;
    store_txn_t *txn = NULL;
    cr_assert_eq(store_begin(help->store, STORE_READ, &txn), BUS_OK);
    cr_assert_eq(store_count(txn, BUCKET_SECRETS, &count), BUS_OK);
    store_rollback(&txn);
    return count;
}

note_verifier_t
keys_active(help_t *help)
{
    return *bucket_keys_verifier(help->state.keys);
}

bool
keys_is_same(const note_verifier_t *a, const note_verifier_t *b)
{
    return strcmp(a->name, b->name) == 0 && memcmp(a->key, b->key, sizeof a->key) == 0;
}

static bus_err_t
tick_query(service_query_t *query, const void *message BUS_UNUSED)
{
    bucket_keys_tick(((bucket_state_t *) query->state)->keys, query);
    return BUS_OK;
}

// What the tick says; "" where it says nothing.
const char *
keys_tick(help_t *help)
{
    text_clear(help->said);
    cr_assert_eq(help_ask(help, tick_query, NULL, "{}"), BUS_OK);
    return help_text(help->said);
}

typedef struct {
    const char *topic;
    help_apply_fn *fn;
    const schema_t *schema;
} fact_t;

static const fact_t facts[] = {
    {"crypto.key.created ", bucket_keys_created, &SCHEMA_key_created},
    {"crypto.key.retired ", bucket_keys_retired, &SCHEMA_key_retired},
    {"crypto.signature ", bucket_keys_signature, &SCHEMA_crypto_signature},
};

// Applies the one fact that was said last.
bus_err_t
keys_apply_said(help_t *help)
{
    char line[KEYS_LINE_SIZE];
    snprintf(line, sizeof line, "%s", help_text(help->said));
    help->at += 1000000;
    for (size_t i = 0; i < sizeof facts / sizeof facts[0]; i++) {
        size_t size = strlen(facts[i].topic);
        if (strncmp(line, facts[i].topic, size) == 0) {
            return help_apply(help, facts[i].fn, facts[i].schema, "fact", line + size);
        }
    }
    cr_assert_fail("nothing was said: %s", line);
    return BUS_INTERNAL;
}

help_t *
keys_announced(void)
{
    help_t *help = keys_new();
    (void) keys_tick(help);
    cr_assert_eq(keys_apply_said(help), BUS_OK);
    return help;
}

bus_err_t
keys_ask(help_t *help, const char *operation, const char *json)
{
    text_clear(help->said);
    for (size_t i = 0; i < BUCKET_KEYS_QUERIES; i++) {
        const service_query_row_t *row = &bucket_keys_queries[i];
        if (strcmp(row->operation, operation) == 0) {
            return help_ask(help, row->query, row->schema, json);
        }
    }
    cr_assert_fail("no query %s", operation);
    return BUS_INTERNAL;
}

void
keys_add_owner(help_t *help)
{
    uint8_t key[OWNER_KEY_SIZE];
    BUS_AUTO(text_destroy) text_t *json = text_new();
    owner_public_key(VIEW_LITERAL(KEYS_OWNER), key);
    text_add_format(json, "{\"quotas\":{},\"owner_key\":\"");
    note_base64(view_from(key, sizeof key), json);
    text_add_format(json, "\"}");
    cr_assert_eq(
        help_apply(
            help, bucket_config_apply, &SCHEMA_bucket_config, "bucket.config", help_text(json)),
        BUS_OK);
}

// help_ask knows of no topic, which is signed with.
static bus_err_t
rotate_query(service_query_t *query, const void *message BUS_UNUSED)
{
    query->topic = VIEW_LITERAL("req.crypto.rotate");
    return bucket_keys_queries[2].query(query, NULL);
}

bus_err_t
keys_rotate(help_t *help, const char *token)
{
    BUS_AUTO(pack_destroy) pack_t *body = pack_new();
    BUS_AUTO(pack_destroy) pack_t *out = pack_new();
    BUS_AUTO(text_destroy) text_t *json = text_new();
    pack_map(body, 0);
    owner_sign(view_from_text(token),
               VIEW_LITERAL("req.crypto.rotate"),
               clock_wall_us(),
               pack_view(body),
               out);
    transcode_to_json(pack_view(out), 0, json);
    text_clear(help->said);
    return help_ask(help, rotate_query, NULL, help_text(json));
}
