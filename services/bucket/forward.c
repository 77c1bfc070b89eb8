// forward.c - telling Karma what was stored, each event exactly once.
//
// The life event goes into the outbox in the transaction that stores the event, so neither can be
// without the other; what is skipped while the toggle is off is counted and never told later.
#include "forward.h"

#include "audit.h"
#include "config.h"
#include "event.h"
#include "proto/refusal.h"
#include "proto/walk.h"

#include <stdio.h>

enum {
    USER_SIZE_MAX = 255,  // of a user's id in Karma
    AGENT_SIZE_MAX = 255, // of what is told of the agent
};

// docs/contract.md section 2: which action an event stands for.
static const char *
action_of(const schema_core_event_t *event, bus_view_t event_type)
{
    if (view_is(event_type, "agent_result")) {
        bus_view_t value;
        double status = 0;
        bool good = event->result.data != NULL &&
                    walk_find(event->result, "status", &value) == BUS_OK &&
                    walk_as_real(value, &status) == BUS_OK && status > 199.5 && status < 200.5;
        return good ? "agent_success" : "agent_failure";
    }
    if (view_is(event_type, "rl_outcome")) {
        double reward = 0;
        bool good = event->reward.data != NULL && walk_as_real(event->reward, &reward) == BUS_OK &&
                    reward > 0;
        return good ? "learning_success" : "learning_adjustment";
    }
    return "agent_execution";
}

static bus_view_t
text_or(bus_view_t value, size_t size_max, bus_view_t otherwise)
{
    bus_view_t text = bucket_event_text(value, size_max);
    return text.data != NULL ? text : otherwise;
}

static void
pack_life_event(service_apply_t *apply,
                const schema_core_event_t *event,
                bus_view_t event_type,
                pack_t *out)
{
    bus_view_t agent = text_or(event->agent_id, AGENT_SIZE_MAX, VIEW_LITERAL("unknown"));
    char note[AGENT_SIZE_MAX + 32];
    int note_size =
        snprintf(note, sizeof note, "Agent %.*s execution", (int) agent.size, agent.data);

    pack_map(out, 7);
    pack_pair_str(out, "user_id", text_or(event->user_id, USER_SIZE_MAX, VIEW_LITERAL("system")));
    pack_pair_text(out, "action", action_of(event, event_type));
    pack_pair_text(out, "role", "user");
    pack_pair_str(out, "note", view_from(note, (size_t) note_size));
    pack_text(out, "context");
    pack_map(out, 4);
    pack_pair_str(out, "agent_id", agent);
    pack_pair_str(out, "task_id", text_or(event->task_id, AGENT_SIZE_MAX, VIEW_LITERAL("unknown")));
    pack_pair_str(out, "event_type", event_type);
    pack_pair_text(out, "source", "bhiv_bucket");
    pack_text(out, "metadata");
    pack_map(out, 2);
    pack_pair_str(out, "event_id", apply->header->id);
    pack_pair_uint(out, "event_seq", apply->header->seq);
    pack_pair_text(out, "source", "bhiv_bucket");
}

bus_err_t
bucket_forward_event(service_apply_t *apply,
                     const schema_core_event_t *event,
                     bus_view_t event_type)
{
    bucket_state_t *state = apply->state;
    if (view_is(bucket_event_text(event->karma, 16), "direct")) {
        state->totals.direct++;
        return BUS_OK;
    }
    if (state->totals.forwarding == 0) {
        state->totals.skipped++;
        return BUS_OK;
    }
    BUS_AUTO(pack_destroy) pack_t *out = pack_new();
    pack_life_event(apply, event, event_type, out);
    bus_err_t err = service_say(apply, "karma.life_event", pack_view(out));
    if (err == BUS_PAYLOAD_TOO_LARGE) {
        state->totals.failed++;
        return BUS_OK;
    }
    if (err == BUS_OK) {
        state->totals.forwarded++;
    }
    return err;
}

bus_err_t
bucket_forward_set(service_apply_t *apply, const void *message)
{
    const schema_forwarding_set_t *set = message;
    bucket_state_t *state = apply->state;
    bus_err_t err = bucket_config_require_owner(apply, "karma-forwarding");
    if (err != BUS_OK) {
        return err;
    }
    state->totals.forwarding = set->enabled.value ? 1 : 0;
    err = bucket_tables_save(apply->txn, &state->totals);
    if (err != BUS_OK) {
        return err;
    }
    BUS_AUTO(pack_destroy) pack_t *details = pack_new();
    pack_map(details, 1);
    pack_pair_bool(details, "enabled", set->enabled.value);
    const bucket_audit_t entry = {
        .event_type = "owner",
        .operation = "karma-forwarding",
        .rule = refusal_owner_only.rule,
        .details = pack_view(details),
    };
    bucket_audit_place_t place;
    err = bucket_audit_add(apply, &entry, &place);
    if (err == BUS_OK) {
        pack_map(apply->answer, 4);
        pack_pair_bool(apply->answer, "enabled", set->enabled.value);
        bucket_audit_answer(apply->answer, &entry, &place);
    }
    return err;
}
