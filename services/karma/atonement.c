// atonement.c - appeals and their plans: a wrong is owned up to, and atoned for step by step.
//
// An appeal moves no karma, a submission only where it completes its plan; both are kept with the
// user's events, so that a replay comes to the same ledger.
#include "booking.h"
#include "intake.h"
#include "operations.h"
#include "plan.h"

enum { PLANS_DEFAULT = 100, ANSWER_BYTES_MAX = 1024 * 1024 };

static bus_err_t
answer_plan(service_apply_t *self, bus_view_t user_id, const karma_plan_t *plan, const char *text)
{
    pack_map(self->answer, 3);
    pack_pair_text(self->answer, "status", "success");
    pack_pair_text(self->answer, "message", text);
    pack_text(self->answer, "plan");
    return karma_plan_pack(self->txn, user_id, plan, self->answer);
}

// --- Appeals -------------------------------------------------------------------------------------

bus_err_t
karma_atonement_appeal(service_apply_t *self, const void *message_)
{
    const schema_karma_appeal_t *message = message_;
    uint64_t at = 0;
    karma_ledger_t before;
    bus_err_t err = karma_intake_begin(
        self, message->user_id, message->effective_at, message->timestamp, &at, &before);
    if (err != BUS_OK) {
        return err;
    }
    size_t class = karma_rules_wrong(message->action);
    if (class == karma_rules.atonement_count) {
        return service_refuse(
            self, BUS_INVALID_REQUEST, "Action does not qualify for appeal", VIEW_NONE);
    }
    if (before.appeals - before.atoned >= KARMA_PLANS_PENDING_MAX) {
        return service_refuse(self,
                              BUS_CONFLICT,
                              "too many plans of this user are pending: complete one first",
                              VIEW_NONE);
    }
    karma_ledger_t ledger = before;
    karma_ledger_appeal(&ledger, at);
    karma_plan_t plan =
        karma_plan_make(before.appeals, message->action, &karma_rules.atonements[class], at);
    char id[KARMA_PLAN_ID_MAX + 1];
    karma_event_t event = karma_intake_event(self, at, message->source);
    event.kind = VIEW_LITERAL(KARMA_KIND_APPEAL);
    event.action = message->action;
    event.merit = karma_ledger_merit(&ledger);
    event.context = message->context;
    event.timestamp = message->timestamp;
    event.plan_id = karma_plan_id(&plan, message->user_id, id);
    karma_booking_t booking = {
        .user_id = message->user_id,
        .before = &before,
        .after = &ledger,
        .event = &event,
        .at = at,
        .action = event.kind,
    };
    err = karma_booking_write(self, &booking);
    if (err == BUS_OK) {
        pack_t *scratch = ((karma_state_t *) self->state)->record;
        err = karma_plan_save(self->txn, message->user_id, &plan, scratch);
    }
    return err == BUS_OK
               ? answer_plan(self, message->user_id, &plan, "Appeal registered successfully")
               : err;
}

// --- Submissions ---------------------------------------------------------------------------------

// What can be refused in a submission, in the original's order. Finds the plan and makes the proof.
static bus_err_t
take_proof(service_apply_t *self,
           const schema_karma_atonement_t *message,
           karma_plan_t *ret_plan,
           karma_proof_t *ret_proof)
{
    *ret_proof = (karma_proof_t){
        .practice = karma_rules_practice(message->atonement_type),
        .amount = message->amount.value,
        .text = message->proof_text,
        .tx_hash = message->tx_hash,
    };
    bus_err_t err =
        karma_intake_time(self, message->effective_at, message->timestamp, &ret_proof->at);
    if (err == BUS_OK) {
        err = karma_intake_amount(self, ret_proof->amount);
    }
    if (err != BUS_OK) {
        return err;
    }
    err = karma_plan_find(self->txn, message->user_id, message->plan_id, ret_plan);
    if (err == BUS_NOT_FOUND) {
        return service_refuse(self, BUS_INVALID_REQUEST, "Atonement plan not found", VIEW_NONE);
    }
    if (err == BUS_CORRUPT) {
        return service_refuse(
            self, BUS_INTERNAL, "what is kept of this plan is damaged: rebuild Karma", VIEW_NONE);
    }
    if (err != BUS_OK) {
        return err;
    }
    if (ret_proof->practice == KARMA_PRACTICE_COUNT) {
        return service_refuse(self, BUS_INVALID_REQUEST, "Invalid atonement type", VIEW_NONE);
    }
    if (karma_rules.practices[ret_proof->practice].needs_tx_hash && message->tx_hash.size == 0) {
        return service_refuse(
            self, BUS_INVALID_REQUEST, "Transaction hash required for Daan", VIEW_NONE);
    }
    return ret_plan->completed_at == 0
               ? BUS_OK
               : service_refuse(
                     self, BUS_CONFLICT, "Atonement plan is already completed", VIEW_NONE);
}

static karma_event_t
describe(const service_apply_t *self,
         const schema_karma_atonement_t *message,
         const karma_proof_t *proof,
         const karma_atonement_row_t *completed,
         const karma_outcome_t *outcome)
{
    karma_event_t event = karma_intake_event(self, proof->at, message->source);
    event.kind = VIEW_LITERAL(KARMA_KIND_ATONEMENT);
    event.merit = outcome->merit;
    event.timestamp = message->timestamp;
    event.plan_id = message->plan_id;
    event.practice = message->atonement_type;
    event.amount = proof->amount;
    if (completed != NULL) {
        const karma_balance_row_t *balance = &karma_rules.balances[completed->balance];
        event.token = view_from_text(balance->token);
        event.class_ = view_from_text(balance->class_);
        event.reward = outcome->reward;
        event.became = view_from_text(karma_rules.roles[outcome->role].word);
    }
    return event;
}

bus_err_t
karma_atonement_submit(service_apply_t *self, const void *message_)
{
    const schema_karma_atonement_t *message = message_;
    karma_plan_t plan;
    karma_proof_t proof;
    bus_err_t err = take_proof(self, message, &plan, &proof);
    if (err != BUS_OK) {
        return err;
    }
    karma_ledger_t before;
    err = karma_intake_require(self, message->user_id, &before);
    if (err != BUS_OK) {
        return err;
    }
    karma_qtable_t qtable;
    bool learns = false;
    err = karma_intake_qtable(self, &qtable, &learns);
    if (err != BUS_OK) {
        return err;
    }

    const karma_atonement_row_t *completed =
        karma_plan_submit(&plan, &proof) ? plan.atonement : NULL;
    karma_ledger_t ledger = before;
    karma_outcome_t outcome;
    karma_ledger_atone(&ledger, &qtable, completed, proof.at, &outcome);
    karma_event_t event = describe(self, message, &proof, completed, &outcome);
    karma_booking_t booking = {
        .user_id = message->user_id,
        .before = &before,
        .after = &ledger,
        .event = &event,
        .learned = outcome.learned && learns ? &qtable : NULL,
        .at = proof.at,
        .action = event.kind,
        .role_changed = outcome.role_changed,
        .is_summed = true,
    };
    if (completed != NULL) {
        karma_booking_add(&booking, (karma_balance_t) completed->balance, outcome.reward);
    }
    pack_t *scratch = ((karma_state_t *) self->state)->record;
    err = karma_booking_write(self, &booking);
    if (err == BUS_OK) {
        err = karma_plan_save(self->txn, message->user_id, &plan, scratch);
    }
    if (err == BUS_OK) {
        err = karma_plan_keep(self->txn, message->user_id, &plan, &proof, scratch);
    }
    return err == BUS_OK ? answer_plan(self, message->user_id, &plan, "Atonement progress updated")
                         : err;
}

// --- Questions -----------------------------------------------------------------------------------

// A page of plans on its way into an answer.
typedef struct {
    service_query_t *query;
    bus_view_t user_id;
    pack_t *pending;   // or all, where there is no `completed`
    pack_t *completed; // NULL: they are not told apart
    uint32_t pending_count;
    uint32_t completed_count;
    uint32_t limit;
    uint64_t next; // the number to go on from
    bool is_cut;
} page_t;

static bus_err_t
add_plan(void *arg, const karma_plan_t *plan)
{
    page_t *self = arg;
    bool apart = self->completed != NULL;
    size_t size = pack_view(self->pending).size + (apart ? pack_view(self->completed).size : 0);
    if (self->pending_count + self->completed_count == self->limit || size > ANSWER_BYTES_MAX) {
        self->next = plan->number;
        self->is_cut = true;
        return BUS_ABORTED; // the page is full
    }
    bool is_pending = !apart || plan->completed_at == 0;
    *(is_pending ? &self->pending_count : &self->completed_count) += 1;
    return karma_plan_pack(
        self->query->txn, self->user_id, plan, is_pending ? self->pending : self->completed);
}

static void
pack_next(pack_t *out, const page_t *page)
{
    if (page->is_cut) {
        pack_pair_uint(out, "next", page->next);
    } else {
        pack_pair_nil(out, "next");
    }
}

// Reads the page that is asked for. Refuses where there is no user.
static bus_err_t
read_page(page_t *page, const schema_karma_plans_query_t *message, karma_ledger_t *ret_ledger)
{
    service_query_t *query = page->query;
    bus_err_t err = karma_intake_asked(query, message->user_id, ret_ledger);
    if (err != BUS_OK) {
        return err;
    }
    page->user_id = message->user_id;
    page->limit = message->limit.has ? (uint32_t) message->limit.value : PLANS_DEFAULT;
    uint64_t from = message->after.has ? (uint64_t) message->after.value : 0;
    err = karma_plan_each(query->txn, message->user_id, from, add_plan, page);
    return err == BUS_ABORTED ? BUS_OK : err;
}

bus_err_t
karma_atonement_status(service_query_t *self, const void *message_)
{
    const schema_karma_plans_query_t *message = message_;
    BUS_AUTO(pack_destroy) pack_t *pending = pack_new();
    BUS_AUTO(pack_destroy) pack_t *completed = pack_new();
    page_t page = {.query = self, .pending = pending, .completed = completed};
    karma_ledger_t ledger;
    bus_err_t err = read_page(&page, message, &ledger);
    if (err != BUS_OK) {
        return err;
    }
    pack_t *out = self->answer;
    pack_map(out, 5);
    pack_pair_text(out, "status", "success");
    pack_pair_str(out, "user_id", message->user_id);
    pack_text(out, "pending_plans");
    pack_array(out, page.pending_count);
    pack_raw(out, pack_view(pending));
    pack_text(out, "completed_plans");
    pack_array(out, page.completed_count);
    pack_raw(out, pack_view(completed));
    pack_next(out, &page);
    return BUS_OK;
}

bus_err_t
karma_atonement_plans(service_query_t *self, const void *message_)
{
    const schema_karma_plans_query_t *message = message_;
    BUS_AUTO(pack_destroy) pack_t *plans = pack_new();
    page_t page = {.query = self, .pending = plans};
    karma_ledger_t ledger;
    bus_err_t err = read_page(&page, message, &ledger);
    if (err != BUS_OK) {
        return err;
    }
    pack_t *out = self->answer;
    pack_map(out, 5);
    pack_pair_text(out, "status", "success");
    pack_pair_str(out, "user_id", message->user_id);
    pack_text(out, "plans");
    pack_array(out, page.pending_count);
    pack_raw(out, pack_view(plans));
    pack_pair_uint(out, "count", ledger.appeals);
    pack_next(out, &page);
    return BUS_OK;
}
