// show.h - a ledger in an answer: the parts that several answers share. Pure.
#pragma once
#include "ledger.h"
#include "proto/pack.h"

// Each appends one pair of the map that is open.
void karma_show_balances(pack_t *out, const char *name, const karma_ledger_t *ledger);
void karma_show_action_stats(pack_t *out, const karma_ledger_t *ledger);
// role, merit_score, paap_score, net_karma: KARMA_SHOW_SCORES pairs.
void karma_show_scores(pack_t *out, const karma_ledger_t *ledger);
enum { KARMA_SHOW_SCORES = 4 };
// last_updated: the ledger's own clock.
void karma_show_updated(pack_t *out, const karma_ledger_t *ledger);
