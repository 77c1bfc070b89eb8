// artifact_help.h - what the tests of artifacts, quotas and retention share.
#pragma once
#include "bucket/artifact.h"
#include "bucket/config.h"
#include "bucket/quota.h"
#include "bucket/retention.h"
#include "help.h"
#include <criterion/criterion.h>
#include <stdio.h>

// Applies bucket.config with this quota for gurukul, the owner's key of `token` and an address.
void artifact_config(help_t *help, const char *token, uint64_t quota);

// Writes {"n":<n>} under `id` for `product`. `more`: further pairs of the metadata, with a comma in
// front, or "".
bus_err_t artifact_write(help_t *help, const char *product, const char *id, const char *more);
bus_err_t artifact_read(help_t *help, const char *product, const char *id);
// `filters`: a JSON object.
bus_err_t artifact_query(help_t *help, const char *product, const char *filters);
// Applies an owner's command, signed with `token` at the record's time.
bus_err_t artifact_owner(
    help_t *help, help_apply_fn *fn, const char *topic, const char *token, const char *json);
bus_err_t artifact_sweep(help_t *help);

// The quota's answer for a product: the value of one key of it, as a number.
uint64_t artifact_used(help_t *help, const char *product, const char *key);
// How many records a table has.
uint64_t artifact_rows(help_t *help, bucket_table_t table);
