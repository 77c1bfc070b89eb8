// artifact_help.c - what the tests of artifacts, quotas and retention share.
#include "artifact_help.h"
#include "proto/note.h"
#include "proto/transcode.h"
#include <stdlib.h>

void
artifact_config(help_t *help, const char *token, uint64_t quota)
{
    uint8_t key[OWNER_KEY_SIZE];
    owner_public_key(view_from_text(token), key);
    BUS_AUTO(text_destroy) text_t *base64 = text_new();
    note_base64(view_from(key, sizeof key), base64);
    char json[400];
    snprintf(json,
             sizeof json,
             "{\"owner_key\":\"%s\",\"owner_email\":\"owner@example.org\","
             "\"quotas\":{\"gurukul\":%llu}}",
             help_text(base64),
             (unsigned long long) quota);
    cr_assert_eq(
        help_apply(help, bucket_config_apply, &SCHEMA_bucket_config, "bucket.config", json),
        BUS_OK);
}

bus_err_t
artifact_write(help_t *help, const char *product, const char *id, const char *more)
{
    char json[2000];
    snprintf(json,
             sizeof json,
             "{\"artifact_id\":\"%s\",\"content\":{\"of\":\"%s\"},\"metadata\":{\"product\":\"%s\","
             "\"created_by\":\"tester\"%s}}",
             id,
             id,
             product,
             more);
    return help_apply(help, bucket_artifact_write, NULL, "bucket.artifact_write", json);
}

bus_err_t
artifact_read(help_t *help, const char *product, const char *id)
{
    char json[600];
    snprintf(json, sizeof json, "{\"artifact_id\":\"%s\",\"product\":\"%s\"}", id, product);
    return help_apply(help, bucket_artifact_read, NULL, "bucket.artifact_read", json);
}

bus_err_t
artifact_query(help_t *help, const char *product, const char *filters)
{
    char json[2000];
    snprintf(json, sizeof json, "{\"product\":\"%s\",\"filters\":%s}", product, filters);
    return help_apply(help, bucket_artifact_query, NULL, "bucket.metadata_query", json);
}

bus_err_t
artifact_owner(
    help_t *help, help_apply_fn *fn, const char *topic, const char *token, const char *json)
{
    BUS_AUTO(pack_destroy) pack_t *body = pack_new();
    BUS_AUTO(pack_destroy) pack_t *with = pack_new();
    BUS_AUTO(text_destroy) text_t *text = text_new();
    cr_assert_eq(transcode_from_json(view_from_text(json), body, NULL, 0), BUS_OK);
    owner_sign(view_from_text(token), view_from_text(topic), help->at, pack_view(body), with);
    transcode_to_json(pack_view(with), 0, text);
    return help_apply(help, fn, NULL, topic, help_text(text));
}

bus_err_t
artifact_sweep(help_t *help)
{
    return help_apply(help, bucket_retention_sweep, NULL, "bucket.sweep", "{}");
}

uint64_t
artifact_used(help_t *help, const char *product, const char *key)
{
    char json[100];
    snprintf(json, sizeof json, "{\"product\":\"%s\"}", product);
    cr_assert_eq(help_ask(help, bucket_quota_query, &SCHEMA_quota_query, json), BUS_OK);
    return strtoull(help_value(help, key), NULL, 10);
}

uint64_t
artifact_rows(help_t *help, bucket_table_t table)
{
    store_txn_t *txn = NULL;
    uint64_t count = 0;
    cr_assert_eq(store_begin(help->store, STORE_READ, &txn), BUS_OK);
    cr_assert_eq(store_count(txn, table, &count), BUS_OK);
    store_rollback(&txn);
    return count;
}
