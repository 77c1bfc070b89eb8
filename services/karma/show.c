// show.c - a ledger in an answer.
#include "show.h"
#include "proto/rfc3339.h"

void
karma_show_balances(pack_t *out, const char *name, const karma_ledger_t *ledger)
{
    const karma_balance_row_t *rows = karma_rules.balances;
    pack_text(out, name);
    size_t place = pack_map_begin(out);
    uint32_t tokens = 0;
    for (size_t i = 0; i < karma_rules.balance_count; tokens++) {
        size_t classes = karma_rules_class_count(i);
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

void
karma_show_action_stats(pack_t *out, const karma_ledger_t *ledger)
{
    pack_text(out, "action_stats");
    pack_map(out, 3);
    pack_pair_uint(out, "total_actions", ledger->actions);
    pack_pair_uint(out, "pending_atonements", ledger->appeals - ledger->atoned);
    pack_pair_uint(out, "completed_atonements", ledger->atoned);
}

void
karma_show_scores(pack_t *out, const karma_ledger_t *ledger)
{
    pack_pair_str(out, "role", karma_ledger_word_view(&ledger->role));
    pack_pair_real(out, "merit_score", karma_ledger_merit(ledger));
    pack_pair_real(out, "paap_score", karma_ledger_paap(ledger));
    pack_pair_real(out, "net_karma", karma_ledger_net(ledger));
}

void
karma_show_updated(pack_t *out, const karma_ledger_t *ledger)
{
    char time[RFC3339_SIZE];
    rfc3339_format(ledger->decayed_at, time);
    pack_pair_text(out, "last_updated", time);
}
