// profile.c - what is known of a user. Source: docs/originals.md 1.5 and 1.6.
#include "intake.h"
#include "operations.h"
#include "show.h"
#include "user.h"

// The original also suggests atonement below a karma_score that nothing ever sets; so it never
// does.
static void
pack_guidance(pack_t *out, const karma_ledger_t *ledger)
{
    bool low = karma_ledger_engagement(ledger) < karma_rules.numbers.engagement_low;
    pack_text(out, "corrective_guidance");
    pack_array(out, low ? 1 : 0);
    if (low) {
        pack_map(out, 3);
        pack_pair_text(out, "type", "engagement_suggested");
        pack_pair_text(
            out, "message", "Little was done lately: lessons, help and service raise it");
        pack_pair_text(out, "priority", "medium");
    }
}

static void
pack_modules(pack_t *out, const karma_ledger_t *ledger)
{
    pack_text(out, "module_scores");
    pack_map(out, (uint32_t) karma_rules.module_count);
    for (size_t i = 0; i < karma_rules.module_count; i++) {
        const karma_module_row_t *module = &karma_rules.modules[i];
        pack_pair_real(out, module->word, karma_ledger_module(ledger, module));
    }
}

bus_err_t
karma_profile(service_query_t *self, const void *message_)
{
    const schema_karma_user_t *message = message_;
    karma_ledger_t ledger;
    bus_err_t err = karma_intake_asked(self, message->user_id, &ledger);
    if (err != BUS_OK) {
        return err;
    }
    char hash[KARMA_HASH_SIZE];
    karma_user_hash(&ledger, hash);
    pack_t *out = self->answer;
    pack_map(out, 8 + KARMA_SHOW_SCORES);
    pack_pair_str(out, "user_id", message->user_id);
    karma_show_scores(out, &ledger);
    pack_pair_real(out, "weighted_karma_score", karma_ledger_weighted(&ledger));
    karma_show_balances(out, "balances", &ledger);
    karma_show_action_stats(out, &ledger);
    pack_guidance(out, &ledger);
    pack_modules(out, &ledger);
    karma_show_updated(out, &ledger);
    pack_pair_text(out, "state_hash", hash);
    return BUS_OK;
}

bus_err_t
karma_profile_balance(service_query_t *self, const void *message_)
{
    const schema_karma_user_t *message = message_;
    karma_ledger_t ledger;
    bus_err_t err = karma_intake_asked(self, message->user_id, &ledger);
    if (err != BUS_OK) {
        return err;
    }
    pack_t *out = self->answer;
    pack_map(out, 5);
    pack_pair_str(out, "user_id", message->user_id);
    pack_pair_str(out, "role", karma_ledger_word_view(&ledger.role));
    pack_pair_real(out, "merit_score", karma_ledger_merit(&ledger));
    karma_show_balances(out, "balances", &ledger);
    karma_show_updated(out, &ledger);
    return BUS_OK;
}

// --- What the tokens are -------------------------------------------------------------------------

// One balance's row: what a class counts for is its multiplier, what a token does its weight.
static void
pack_attributes(pack_t *out, const karma_balance_row_t *row)
{
    bool has_class = row->class_[0] != '\0';
    double weight = row->paap != 0.0 ? row->paap : row->weighted;
    pack_map(out, weight != 0.0 ? 4 : 3);
    if (row->expiry_days == 0) {
        pack_pair_nil(out, "expiry_days");
    } else {
        pack_pair_uint(out, "expiry_days", row->expiry_days);
    }
    pack_pair_bool(out, "stackable", true);
    pack_pair_real(out, "daily_decay", row->daily_decay);
    if (weight != 0.0) {
        pack_pair_real(out, has_class ? "multiplier" : "weight", weight);
    }
}

static void
pack_tokens(pack_t *out)
{
    const karma_balance_row_t *rows = karma_rules.balances;
    pack_text(out, "token_attributes");
    size_t place = pack_map_begin(out);
    uint32_t tokens = 0;
    for (size_t i = 0; i < karma_rules.balance_count; tokens++) {
        size_t classes = karma_rules_class_count(i);
        pack_text(out, rows[i].token);
        if (rows[i].class_[0] == '\0') {
            pack_attributes(out, &rows[i]);
        } else {
            pack_map(out, (uint32_t) classes);
            for (size_t c = i; c < i + classes; c++) {
                pack_text(out, rows[c].class_);
                pack_attributes(out, &rows[c]);
            }
        }
        i += classes;
    }
    pack_count(out, place, tokens);
}

bus_err_t
karma_profile_stats(service_query_t *self, const void *message_)
{
    const schema_karma_user_t *message = message_;
    karma_ledger_t ledger;
    bus_err_t err = karma_intake_asked(self, message->user_id, &ledger);
    if (err != BUS_OK) {
        return err;
    }
    pack_t *out = self->answer;
    pack_map(out, 6 + KARMA_SHOW_SCORES);
    pack_pair_text(out, "status", "success");
    pack_pair_str(out, "user_id", message->user_id);
    karma_show_scores(out, &ledger);
    karma_show_balances(out, "balances", &ledger);
    karma_show_action_stats(out, &ledger);
    pack_tokens(out);
    karma_show_updated(out, &ledger);
    return BUS_OK;
}
