// document.c - Karma's rules as a page for people.
#include "document.h"
#include "rules.h"

static const char *
balance_text(unsigned balance)
{
    return balance < karma_rules.balance_count ? karma_rules.balances[balance].token : "-";
}

// What an action counts as for the agent that its context names.
static const char *
agent_text(karma_agent_t agent)
{
    switch (agent) {
    case KARMA_AGENT_SUCCESS:
        return "success";
    case KARMA_AGENT_FAILURE:
        return "failure";
    case KARMA_AGENT_OTHER:
        return "other";
    case KARMA_AGENT_NONE:
        return "-";
    }
    return "-";
}

static void
add_actions(text_t *out)
{
    text_add_format(out,
                    "## Actions\n\nWhat `action` may be in a `life_event`. An operational action "
                    "with no token is recorded and counted.\n\n"
                    "| Action | Also | Intent | Token | Reward | Q column | Agent |\n"
                    "|---|---|---|---|---|---|---|\n");
    for (size_t i = 0; i < karma_rules.action_count; i++) {
        const karma_action_row_t *row = &karma_rules.actions[i];
        text_add_format(out, "| `%s` | %s | %s ", row->word, row->alias, row->intent);
        text_add_format(out, "| %s ", balance_text(row->balance));
        if (row->pay == KARMA_PAY_LADDER) {
            text_add_format(out, "| the cheat ladder ");
        } else {
            text_add_format(out, "| %+g ", row->reward);
        }
        bool learns = row->column < karma_rules.column_count;
        text_add_format(out,
                        "| %s | %s |\n",
                        learns ? karma_rules.columns[row->column] : "-",
                        agent_text(row->agent));
    }
}

static void
add_roles(text_t *out)
{
    text_add_format(out,
                    "\n## Roles\n\nThe ladder by merit; a caller's own word is recorded beside it."
                    "\n\n| Role | Merit from |\n|---|---|\n");
    for (size_t i = 0; i < karma_rules.role_count; i++) {
        const karma_role_row_t *row = &karma_rules.roles[i];
        text_add_format(out, "| `%s` | %g |\n", row->word, row->merit_from);
    }
}

static void
add_tokens(text_t *out)
{
    text_add_format(out,
                    "\n## Tokens\n\nMerit, paap score and weighted karma are sums of balance times "
                    "weight. Days of expiry count from the account's creation.\n\n"
                    "| Token | Class | Expires after | Lost a day | Merit | Paap | Weighted |\n"
                    "|---|---|---|---|---|---|---|\n");
    for (size_t i = 0; i < karma_rules.balance_count; i++) {
        const karma_balance_row_t *row = &karma_rules.balances[i];
        text_add_format(out, "| %s | %s ", row->token, row->class_);
        if (row->expiry_days == 0) {
            text_add_format(out, "| never ");
        } else {
            text_add_format(out, "| %u days ", row->expiry_days);
        }
        text_add_format(out, "| %g %% ", row->daily_decay * 100);
        text_add_format(out, "| %g | %g | %g |\n", row->merit, row->paap, row->weighted);
    }
}

static void
add_cheats(text_t *out)
{
    text_add_format(out,
                    "\n## The cheat ladder\n\nCheats within %g days, this one too; the last row "
                    "holds from there on.\n\n| Cheats | Dharma | Called |\n|---|---|---|\n",
                    karma_rules.numbers.cheat_window_days);
    for (size_t i = 0; i < karma_rules.cheat_count; i++) {
        const karma_cheat_row_t *row = &karma_rules.cheats[i];
        text_add_format(out, "| %u | %g | %s |\n", row->count, row->points, row->word);
    }
}

// A balance as "Token" or "Token.class".
static void
add_balance(text_t *out, unsigned balance)
{
    const karma_balance_row_t *row = &karma_rules.balances[balance];
    text_add_format(out, row->class_[0] != '\0' ? "%s.%s" : "%s", row->token, row->class_);
}

static void
add_debts(text_t *out)
{
    text_add_format(out, "\n## Debts\n\nA penalty that harmed another user is owed to them.\n\n");
    for (size_t i = 0; i < karma_rules.debt_count; i++) {
        const karma_debt_row_t *row = &karma_rules.debts[i];
        text_add_format(out, "- `%s`: %g of the penalty into ", row->action, row->share);
        add_balance(out, row->balance);
        text_add_format(out, "\n");
    }
}

static void
add_atonements(text_t *out)
{
    text_add_format(out,
                    "\n## Wrongs and atonement\n\nAn appeal for a wrong makes a plan; what its "
                    "completion pays goes into the class.\n\n| Class | Wrongs |");
    for (size_t p = 0; p < karma_rules.practice_count; p++) {
        text_add_format(out,
                        " %s%s |",
                        karma_rules.practices[p].word,
                        karma_rules.practices[p].needs_tx_hash ? " (with a tx_hash)" : "");
    }
    text_add_format(out, " Pays | Teaches |\n|---|---|---|---|---|---|---|---|\n");
    for (size_t i = 0; i < karma_rules.atonement_count; i++) {
        const karma_atonement_row_t *row = &karma_rules.atonements[i];
        text_add_format(out, "| ");
        add_balance(out, row->balance);
        text_add_format(out, " |");
        for (size_t w = 0; w < karma_rules.wrong_count; w++) {
            if (karma_rules.wrongs[w].balance == row->balance) {
                text_add_format(out, " `%s`", karma_rules.wrongs[w].word);
            }
        }
        for (size_t p = 0; p < karma_rules.practice_count; p++) {
            text_add_format(out, " | %g", row->required[p]);
        }
        bool learns = row->column < karma_rules.column_count;
        text_add_format(
            out, " | %+g | %s |\n", row->reward, learns ? karma_rules.columns[row->column] : "-");
    }
}

static void
add_deaths(text_t *out)
{
    text_add_format(out,
                    "\n## Deaths\n\nWhere a life goes by its net karma, both bounds inclusive.\n\n"
                    "| Loka | From | To | |\n|---|---|---|---|\n");
    for (size_t i = 0; i < karma_rules.loka_count; i++) {
        const karma_loka_row_t *row = &karma_rules.lokas[i];
        text_add_format(out,
                        "| %s | %g | %g | %s%s |\n",
                        row->word,
                        row->from,
                        row->to,
                        row->description,
                        row->otherwise ? "; also what lies between the others" : "");
    }
    text_add_format(out,
                    "\nWhat the next life begins with; a balance that is not here begins at 0.\n\n"
                    "| Balance | Of the balance | Of a positive net karma | Of a negative one |\n"
                    "|---|---|---|---|\n");
    for (size_t i = 0; i < karma_rules.carry_count; i++) {
        const karma_carry_row_t *row = &karma_rules.carries[i];
        text_add_format(out, "| ");
        add_balance(out, row->balance);
        text_add_format(out,
                        " | %g | %g / %g | %g / %g |\n",
                        row->keep,
                        row->positive,
                        row->parts,
                        row->negative,
                        row->parts);
    }
    text_add_format(out, "\nIts role is `%s`", karma_rules.roles[0].word);
    for (size_t i = 0; i < karma_rules.level_count; i++) {
        const karma_level_row_t *row = &karma_rules.levels[i];
        text_add_format(out, ", above %g `%s`", row->above, karma_rules.roles[row->role].word);
    }
    text_add_format(out,
                    ". A death is due where PrarabdhaKarma is %g or below.\n",
                    karma_rules.numbers.death_threshold);
}

void
karma_document(text_t *out)
{
    text_add_format(out, "# Karma's rules\n\nGenerated by `bhiv docs karma`.\n\n");
    add_actions(out);
    add_roles(out);
    add_tokens(out);
    add_cheats(out);
    add_debts(out);
    add_atonements(out);
    add_deaths(out);
    text_add_format(out, "\n## Learning\n\nThe Q-table has a row a role and a column for each of");
    for (size_t i = 0; i < karma_rules.column_count; i++) {
        text_add_format(out, "%s `%s`", i == 0 ? "" : ",", karma_rules.columns[i]);
    }
    text_add_format(out,
                    "; alpha %g, gamma %g. The state is always the ladder role by merit.\n",
                    karma_rules.numbers.alpha,
                    karma_rules.numbers.gamma);
}
