// artifact_damage.c - a stored record fails its check. See artifact_damage.h.
#include "artifact_damage.h"

#include "audit.h"
#include "monitor.h"
#include "runtime/log.h"

#include <inttypes.h>
#include <stdio.h>

#define MESSAGE "A stored record does not match its checksum"

static void
log_damage(const bucket_artifact_damage_t *damage)
{
    char id[128];
    log_error("artifact_damaged",
              "operation=%s what=%s seq=%" PRIu64 " artifact_id=%s hint=audit_verify",
              damage->operation,
              damage->what,
              damage->seq,
              log_escape(damage->artifact_id, id, sizeof id));
}

static bus_view_t
product_of(const bucket_artifact_damage_t *damage)
{
    return damage->product == CHANNEL_PRODUCT_COUNT
               ? VIEW_NONE
               : view_from_text(channel_product_name(damage->product));
}

static uint32_t
pack_optional(pack_t *out, const char *key, bus_view_t value)
{
    if (value.data == NULL) {
        return 0;
    }
    pack_pair_str(out, key, value);
    return 1;
}

static bus_err_t
say(service_apply_t *apply, const bucket_artifact_damage_t *damage, const char *audit_id)
{
    BUS_AUTO(pack_destroy) pack_t *fact = pack_new();
    size_t map = pack_map_begin(fact);
    uint32_t count = 4;
    pack_pair_text(fact, "service", "bucket");
    pack_pair_text(fact, "operation", damage->operation);
    pack_pair_text(fact, "what", damage->what);
    pack_pair_text(fact, "audit_id", audit_id);
    count += pack_optional(fact, "product", product_of(damage));
    count += pack_optional(fact, "artifact_id", damage->artifact_id);
    if (damage->seq != 0) {
        pack_pair_uint(fact, "artifact_seq", damage->seq);
        count++;
    }
    pack_count(fact, map, count);
    return service_say(apply, "governance.integrity", pack_view(fact));
}

// Raises the alarm. *ret_entry is without details: they die here.
static bus_err_t
record(service_apply_t *apply,
       const bucket_artifact_damage_t *damage,
       bucket_audit_t *ret_entry,
       bucket_audit_place_t *ret_place)
{
    bucket_state_t *state = apply->state;
    log_damage(damage);
    BUS_AUTO(pack_destroy) pack_t *details = pack_new();
    pack_map(details, damage->seq != 0 ? 2 : 1);
    pack_pair_text(details, "what", damage->what);
    if (damage->seq != 0) {
        pack_pair_uint(details, "artifact_seq", damage->seq);
    }
    *ret_entry = (bucket_audit_t){
        .event_type = "error",
        .operation = damage->operation,
        .product = product_of(damage),
        .requester_id = damage->requester_id,
        .is_refused = true,
        .rule = "integrity",
        .err = BUS_CORRUPT,
        .severity = "CRITICAL",
        .subject = damage->artifact_id,
        .details = pack_view(details),
    };
    bus_err_t err = bucket_audit_add(apply, ret_entry, ret_place);
    ret_entry->details = VIEW_NONE;
    if (err == BUS_OK) {
        state->totals.damaged++;
        err = bucket_tables_save(apply->txn, &state->totals);
    }
    return err == BUS_OK ? say(apply, damage, ret_place->audit_id) : err;
}

bus_err_t
bucket_artifact_damage_alarm(service_apply_t *apply, const bucket_artifact_damage_t *damage)
{
    bucket_audit_t entry;
    bucket_audit_place_t place;
    return record(apply, damage, &entry, &place);
}

// Tells the monitors, as every refusal does.
static void
tell(service_apply_t *apply, const bucket_artifact_damage_t *damage)
{
    BUS_AUTO(pack_destroy) pack_t *live = pack_new();
    pack_map(live, 4);
    pack_pair_text(live, "channel", "error_message");
    pack_pair_text(live, "error_code", error_text(BUS_CORRUPT));
    pack_pair_text(live, "message", MESSAGE);
    pack_pair_text(live, "operation", damage->operation);
    bucket_monitor_tell(apply, "error_message", damage->product, pack_view(live));
}

bus_err_t
bucket_artifact_damage_refuse(service_apply_t *apply, const bucket_artifact_damage_t *damage)
{
    bucket_audit_t entry;
    bucket_audit_place_t place;
    bus_err_t err = record(apply, damage, &entry, &place);
    if (err != BUS_OK) {
        return err;
    }
    pack_t *out = apply->answer;
    pack_clear(out);
    pack_map(out, 7);
    pack_pair_text(out, "channel", "error_message");
    pack_pair_text(out, "status", "error");
    pack_pair_text(out, "error_code", error_text(BUS_CORRUPT));
    pack_pair_text(out, "message", MESSAGE);
    bucket_audit_answer(out, &entry, &place);
    tell(apply, damage);
    return BUS_INTERNAL;
}
