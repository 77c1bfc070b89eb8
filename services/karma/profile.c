// profile.c - what is known of a user, and what was learned from all. Source:
// docs/originals.md 1.5.
#include "operations.h"
#include "proto/rfc3339.h"
#include "user.h"

// The rows of one token stand together (rules.c checks it): how many from row `i` on.
static size_t
class_count(size_t i)
{
    const karma_balance_row_t *rows = karma_rules.balances;
    size_t count = 1;
    while (i + count < karma_rules.balance_count &&
           strcmp(rows[i + count].token, rows[i].token) == 0) {
        count++;
    }
    return count;
}

static void
pack_balances(pack_t *out, const karma_ledger_t *ledger)
{
    const karma_balance_row_t *rows = karma_rules.balances;
    pack_text(out, "balances");
    size_t place = pack_map_begin(out);
    uint32_t tokens = 0;
    for (size_t i = 0; i < karma_rules.balance_count; tokens++) {
        size_t classes = class_count(i);
        if (rows[i].class_[0] == '\0') {
            pack_pair_real(out, rows[i].token, ledger->balance[i]);
        } else {
            pack_text(out, rows[i].token);
            pack_map(out, (uint32_t) classes);
            for (size_t c = i; c < i + classes; c++) {
                pack_pair_real(out, rows[c].class_, ledger->balance[c]);
            }
        }
        i += classes;
    }
    pack_count(out, place, tokens);
}

static void
pack_action_stats(pack_t *out, const karma_ledger_t *ledger)
{
    pack_text(out, "action_stats");
    pack_map(out, 3);
    pack_pair_uint(out, "total_actions", ledger->actions);
    pack_pair_uint(out, "pending_atonements", 0);
    pack_pair_uint(out, "completed_atonements", 0);
}

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
    bus_err_t err = karma_user_load(self->txn, message->user_id, &ledger);
    if (err == BUS_NOT_FOUND) {
        return service_query_refuse(self, BUS_USER_NOT_FOUND, "User not found", VIEW_NONE);
    }
    if (err != BUS_OK) {
        return err;
    }
    char time[RFC3339_SIZE];
    char hash[KARMA_HASH_SIZE];
    rfc3339_format(ledger.decayed_at, time);
    karma_user_hash(&ledger, hash);

    pack_t *out = self->answer;
    pack_map(out, 12);
    pack_pair_str(out, "user_id", message->user_id);
    pack_pair_str(out, "role", karma_ledger_word_view(&ledger.role));
    pack_pair_real(out, "merit_score", karma_ledger_merit(&ledger));
    pack_pair_real(out, "paap_score", karma_ledger_paap(&ledger));
    pack_pair_real(out, "net_karma", karma_ledger_net(&ledger));
    pack_pair_real(out, "weighted_karma_score", karma_ledger_weighted(&ledger));
    pack_balances(out, &ledger);
    pack_action_stats(out, &ledger);
    pack_guidance(out, &ledger);
    pack_modules(out, &ledger);
    pack_pair_text(out, "last_updated", time);
    pack_pair_text(out, "state_hash", hash);
    return BUS_OK;
}

bus_err_t
karma_profile_policy(service_query_t *self, BUS_UNUSED const void *message)
{
    karma_qtable_t qtable;
    bus_err_t err = karma_qtable_load(self->txn, &qtable);
    if (err != BUS_OK) {
        return err;
    }
    pack_t *out = self->answer;
    pack_map(out, 3);
    pack_text(out, "best_policy");
    pack_map(out, KARMA_ROLE_COUNT);
    for (unsigned role = 0; role < KARMA_ROLE_COUNT; role++) {
        karma_column_t best = karma_qtable_best(&qtable, (karma_role_t) role);
        pack_pair_text(out, karma_rules.roles[role].word, karma_rules.columns[best]);
    }
    pack_text(out, "Q_shape");
    pack_array(out, 2);
    pack_int(out, KARMA_ROLE_COUNT);
    pack_int(out, KARMA_COLUMN_COUNT);
    pack_text(out, "q");
    pack_array(out, KARMA_ROLE_COUNT);
    for (unsigned role = 0; role < KARMA_ROLE_COUNT; role++) {
        pack_array(out, KARMA_COLUMN_COUNT);
        for (unsigned column = 0; column < KARMA_COLUMN_COUNT; column++) {
            pack_real(out, qtable.q[role][column]);
        }
    }
    return BUS_OK;
}
