// quota.c - how much each product may keep, and does.
//
// A product's counter is one record that is changed in the transaction that adds or removes the
// artifact, so a crash leaves both or neither. Records are applied one at a time, so whoever fits
// is let in and nobody passes the quota.
#include "quota.h"

#include "config.h"
#include "governance.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

enum { MAIL_SIZE = 512 };

// A record of BUCKET_QUOTAS, under the product's name.
typedef struct {
    uint64_t used; // bytes
    uint64_t artifacts;
    uint64_t is_warned;
} row_t;

static bus_view_t
key_of(channel_product_t product)
{
    return view_from_text(channel_product_name(product));
}

static bus_err_t
get_row(store_txn_t *txn, channel_product_t product, row_t *ret_row)
{
    bus_view_t value;
    bus_err_t err = store_get(txn, BUCKET_QUOTAS, key_of(product), &value);
    if (err == BUS_NOT_FOUND) {
        *ret_row = (row_t){0};
        return BUS_OK;
    }
    if (err != BUS_OK) {
        return err;
    }
    if (value.size != sizeof *ret_row) {
        return BUS_CORRUPT;
    }
    memcpy(ret_row, value.data, sizeof *ret_row);
    return BUS_OK;
}

static bus_err_t
put_use(store_txn_t *txn, channel_product_t product, const bucket_quota_use_t *use)
{
    const row_t row = {use->used, use->artifacts, use->is_warned ? 1 : 0};
    return store_put(txn, BUCKET_QUOTAS, key_of(product), view_from(&row, sizeof row));
}

bus_err_t
bucket_quota_get(store_txn_t *txn, channel_product_t product, bucket_quota_use_t *ret_use)
{
    row_t row;
    bus_err_t err = get_row(txn, product, &row);
    if (err != BUS_OK) {
        return err;
    }
    bucket_config_t config;
    err = bucket_config_get(txn, &config);
    if (err != BUS_OK && err != BUS_NOT_FOUND) {
        return err;
    }
    *ret_use = (bucket_quota_use_t){
        .used = row.used,
        .artifacts = row.artifacts,
        .quota = config.quotas[product], // the default where none is in force
        .is_warned = row.is_warned != 0,
    };
    return BUS_OK;
}

bus_err_t
bucket_quota_check(store_txn_t *txn, channel_product_t product, uint64_t bytes)
{
    bucket_quota_use_t use;
    bus_err_t err = bucket_quota_get(txn, product, &use);
    if (err == BUS_OK && (use.used > use.quota || bytes > use.quota - use.used)) {
        err = BUS_QUOTA_EXCEEDED;
    }
    return err;
}

// Whether it is at 90 % or above.
static bool
is_high(const bucket_quota_use_t *use)
{
    return use->used >= use->quota - use->quota / 10;
}

static double
share_of(const bucket_quota_use_t *use)
{
    return use->quota == 0 ? 1.0 : (double) use->used / (double) use->quota;
}

static void
pack_use(pack_t *out, const char *product, const bucket_quota_use_t *use)
{
    pack_map(out, 6);
    pack_pair_text(out, "product", product);
    pack_pair_uint(out, "used_bytes", use->used);
    pack_pair_uint(out, "quota_bytes", use->quota);
    pack_pair_uint(out, "artifacts", use->artifacts);
    pack_pair_real(out, "used_share", share_of(use));
    const char *status = is_high(use) ? "warning" : "healthy";
    pack_pair_text(out, "status", use->used >= use->quota ? "full" : status);
}

static bus_err_t
warn(service_apply_t *apply, channel_product_t product, const bucket_quota_use_t *use)
{
    const char *name = channel_product_name(product);
    BUS_AUTO(pack_destroy) pack_t *fact = pack_new();
    pack_use(fact, name, use);
    bus_err_t err = service_say(apply, "governance.quota_warning", pack_view(fact));
    if (err != BUS_OK) {
        return err;
    }
    char subject[MAIL_SIZE];
    char body[MAIL_SIZE];
    (void) snprintf(subject, sizeof subject, "Bucket: %s has used 90 %% of its storage", name);
    (void) snprintf(body,
                    sizeof body,
                    "Product %s keeps %" PRIu64 " of %" PRIu64 " bytes in %" PRIu64
                    " artifacts. Writes beyond the quota are refused with QUOTA_EXCEEDED.",
                    name,
                    use->used,
                    use->quota,
                    use->artifacts);
    return bucket_governance_mail(apply, "owner_email", subject, body);
}

bus_err_t
bucket_quota_add(service_apply_t *apply, channel_product_t product, uint64_t bytes)
{
    bucket_quota_use_t use;
    bus_err_t err = bucket_quota_get(apply->txn, product, &use);
    if (err != BUS_OK) {
        return err;
    }
    use.used += bytes;
    use.artifacts++;
    bool warns = is_high(&use) && !use.is_warned;
    use.is_warned = use.is_warned || warns;
    err = put_use(apply->txn, product, &use);
    return err == BUS_OK && warns ? warn(apply, product, &use) : err;
}

bus_err_t
bucket_quota_remove(service_apply_t *apply, channel_product_t product, uint64_t bytes)
{
    bucket_quota_use_t use;
    bus_err_t err = bucket_quota_get(apply->txn, product, &use);
    if (err != BUS_OK) {
        return err;
    }
    assert(use.used >= bytes && use.artifacts > 0); // it was counted in
    use.used -= bytes;
    use.artifacts--;
    use.is_warned = use.is_warned && is_high(&use);
    return put_use(apply->txn, product, &use);
}

// --- Questions -----------------------------------------------------------------------------------

static bus_err_t
answer_all(service_query_t *query)
{
    uint64_t used = 0;
    uint64_t quota = 0;
    uint64_t artifacts = 0;
    pack_map(query->answer, 2);
    pack_text(query->answer, "products");
    pack_array(query->answer, CHANNEL_PRODUCT_COUNT);
    for (channel_product_t product = 0; product < CHANNEL_PRODUCT_COUNT; product++) {
        bucket_quota_use_t use;
        bus_err_t err = bucket_quota_get(query->txn, product, &use);
        if (err != BUS_OK) {
            return err;
        }
        pack_use(query->answer, channel_product_name(product), &use);
        used += use.used;
        quota = use.quota > INT64_MAX - quota ? INT64_MAX : quota + use.quota;
        artifacts += use.artifacts;
    }
    pack_text(query->answer, "total");
    pack_map(query->answer, 3);
    pack_pair_uint(query->answer, "used_bytes", used);
    pack_pair_uint(query->answer, "quota_bytes", quota);
    pack_pair_uint(query->answer, "artifacts", artifacts);
    return BUS_OK;
}

bus_err_t
bucket_quota_query(service_query_t *query, const void *message)
{
    const schema_quota_query_t *asked = message;
    if (asked->product.data == NULL) {
        return answer_all(query);
    }
    channel_product_t product = channel_product(asked->product);
    if (product == CHANNEL_PRODUCT_COUNT) {
        const schema_problems_t problems = {
            .count = 1,
            .at = {{"product", "must be one of ai_assistant, ai_avatar, gurukul, enforcement"}}};
        BUS_AUTO(pack_destroy) pack_t *details = pack_new();
        schema_pack_problems(&problems, details);
        return service_query_refuse(query, BUS_VALIDATION_FAILED, NULL, pack_view(details));
    }
    bucket_quota_use_t use;
    bus_err_t err = bucket_quota_get(query->txn, product, &use);
    if (err == BUS_OK) {
        pack_use(query->answer, channel_product_name(product), &use);
    }
    return err;
}
