// redeem.c - tokens are spent.
#include "booking.h"
#include "intake.h"
#include "operations.h"

static void
answer(pack_t *out,
       const schema_karma_redeem_t *message,
       double remaining,
       const karma_outcome_t *outcome)
{
    pack_map(out, 6);
    pack_pair_text(out, "message", "Tokens redeemed successfully");
    pack_pair_real(out, "remaining", remaining);
    pack_pair_str(out, "user_id", message->user_id);
    pack_pair_str(out, "token_type", message->token_type);
    pack_pair_real(out, "merit_score", outcome->merit);
    pack_pair_text(out, "role", karma_rules.roles[outcome->role].word);
}

bus_err_t
karma_redeem(service_apply_t *self, const void *message_)
{
    const schema_karma_redeem_t *message = message_;
    double amount = message->amount.value;
    uint64_t at = 0;
    karma_ledger_t before;
    bus_err_t err = karma_intake_amount(self, amount);
    if (err == BUS_OK) {
        err = karma_intake_begin(
            self, message->user_id, message->effective_at, VIEW_NONE, &at, &before);
    }
    if (err != BUS_OK) {
        return err;
    }
    karma_balance_t balance = karma_rules_token(message->token_type);
    if (balance == KARMA_BALANCE_NONE) {
        return service_refuse(self, BUS_INVALID_REQUEST, "Invalid token type", VIEW_NONE);
    }
    karma_ledger_t ledger = before;
    karma_ledger_decay(&ledger, at);
    if (ledger.balance[balance] < amount) {
        return service_refuse(self, BUS_INVALID_REQUEST, "Insufficient balance", VIEW_NONE);
    }
    karma_outcome_t outcome;
    karma_ledger_redeem(&ledger, balance, amount, &outcome);

    karma_event_t event = karma_intake_event(self, at, message->source);
    event.kind = VIEW_LITERAL(KARMA_KIND_REDEEM);
    event.token = message->token_type;
    event.amount = amount;
    event.reward = outcome.reward;
    event.merit = outcome.merit;
    event.became = view_from_text(karma_rules.roles[outcome.role].word);
    karma_booking_t booking = {
        .user_id = message->user_id,
        .before = &before,
        .after = &ledger,
        .event = &event,
        .at = at,
        .action = event.kind,
        .role_changed = outcome.role_changed,
    };
    karma_booking_add(&booking, balance, outcome.reward);
    err = karma_booking_write(self, &booking);
    if (err == BUS_OK) {
        answer(self->answer, message, ledger.balance[balance], &outcome);
    }
    return err;
}
