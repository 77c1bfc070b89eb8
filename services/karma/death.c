// death.c - a life ends: where it goes, and what the next one begins with.
//
// The original asks Core for leave, which never answers, so there it never happens; here the
// command in the journal is the leave. The user_id stays: the next life is that user's.
#include "booking.h"
#include "intake.h"
#include "operations.h"
#include "show.h"

// Tells of each balance that the end moved.
static void
add_moves(karma_booking_t *booking, const karma_ledger_t *last)
{
    for (unsigned i = 0; i < KARMA_BALANCE_COUNT; i++) {
        double delta = booking->after->balance[i] - last->balance[i];
        if (delta != 0.0) {
            karma_booking_add(booking, (karma_balance_t) i, delta);
        }
    }
}

static void
pack_paap_status(pack_t *out, const karma_ledger_t *last)
{
    double total = 0.0;
    pack_text(out, "paap_tokens_status");
    size_t place = pack_map_begin(out);
    uint32_t pairs = 0;
    for (size_t i = KARMA_BALANCE_PAAP_MINOR;
         i < KARMA_BALANCE_PAAP_MINOR + karma_rules_class_count(KARMA_BALANCE_PAAP_MINOR);
         i++) {
        pack_pair_real(out, karma_rules.balances[i].class_, last->balance[i]);
        total = total + last->balance[i];
        pairs++;
    }
    pack_pair_real(out, "total", total);
    pack_pair_text(out, "status", total == 0.0 ? "completed" : "pursuing");
    pack_count(out, place, pairs + 2);
}

// docs/originals.md 1.6. The scores are those of the life that ended.
static void
answer(pack_t *out,
       bus_view_t user_id,
       const karma_ledger_t *last,
       const karma_ledger_t *next,
       const karma_end_t *end)
{
    pack_map(out, 9 + KARMA_SHOW_SCORES);
    pack_pair_text(out, "status", "success");
    pack_pair_str(out, "user_id", user_id);
    pack_pair_text(out, "loka", end->loka->word);
    pack_pair_text(out, "description", end->loka->description);
    pack_text(out, "carryover");
    pack_map(out, 3);
    pack_pair_real(out, "carryover_paap", end->carried_paap);
    pack_pair_real(out, "carryover_punya", end->carried_punya);
    pack_pair_text(out, "starting_level", karma_rules.roles[end->level].word);
    pack_paap_status(out, last);
    karma_show_balances(out, "final_balances", last);
    karma_show_scores(out, last);
    pack_pair_uint(out, "lives", next->lives);
    pack_pair_bool(out, "threshold_reached", end->is_due);
}

bus_err_t
karma_death(service_apply_t *self, const void *message_)
{
    const schema_karma_death_event_t *message = message_;
    uint64_t at = 0;
    karma_ledger_t before;
    bus_err_t err = karma_intake_begin(
        self, message->user_id, message->effective_at, message->timestamp, &at, &before);
    if (err != BUS_OK) {
        return err;
    }
    karma_ledger_t last = before;
    karma_ledger_decay(&last, at);
    karma_ledger_t next = last;
    karma_end_t end;
    karma_ledger_die(&next, at, &end);

    karma_event_t event = karma_intake_event(self, at, message->source);
    event.kind = VIEW_LITERAL(KARMA_KIND_DEATH);
    event.merit = karma_ledger_merit(&next);
    event.became = view_from_text(karma_rules.roles[end.level].word);
    event.context = message->context;
    event.timestamp = message->timestamp;
    event.loka = view_from_text(end.loka->word);
    karma_booking_t booking = {
        .user_id = message->user_id,
        .before = &before,
        .after = &next,
        .event = &event,
        .at = at,
        .action = event.kind,
        .role_changed = next.ladder != before.ladder,
    };
    add_moves(&booking, &last);
    err = karma_booking_write(self, &booking);
    if (err == BUS_OK) {
        answer(self->answer, message->user_id, &last, &next, &end);
    }
    return err;
}
