// karma_policy.c - `bhiv karma policy`: what Karma learned, drawn as a table of actions and roles.
#include "karma.h"

#include "karma/rules.h"
#include "proto/walk.h"

#include <stdio.h>
#include <string.h>

enum {
    ROLES_MAX = CLI_TABLE_COLUMNS_MAX - 1, // a column each, beside the action's
    ROLE_SIZE = 64,
    CELL_SIZE = 48
};

static const option_row_t rows[] = {CLI_QUESTION_ROWS("2s")};

static const option_table_t options = {
    .program = "bhiv karma policy",
    .arguments = "",
    .help = "Shows the Q-table: what each action is worth to each role, as far as was learned. "
            "The best of a role has a star; of equals it is the first.",
    .rows = rows,
    .row_count = sizeof rows / sizeof rows[0],
};

typedef struct {
    size_t count;
    char words[ROLES_MAX][ROLE_SIZE];
    bus_view_t best[ROLES_MAX]; // the action's word
} roles_t;

static roles_t
read_roles(bus_view_t answer)
{
    roles_t roles = {.count = 0};
    bus_view_t policy, key, value;
    if (walk_find(answer, "best_policy", &policy) != BUS_OK) {
        return roles;
    }
    walk_pairs_t pairs = walk_pairs(policy);
    while (roles.count < ROLES_MAX && walk_pairs_next(&pairs, &key, &value) == BUS_OK) {
        snprintf(roles.words[roles.count], ROLE_SIZE, "%.*s", (int) key.size, key.data);
        if (walk_as_str(value, &roles.best[roles.count]) != BUS_OK) {
            roles.best[roles.count] = VIEW_NONE;
        }
        roles.count++;
    }
    return roles;
}

// The item of an array, or an absent view.
static bus_view_t
item_at(bus_view_t array, size_t index)
{
    walk_t walk = walk_from(array);
    walk_item_t head;
    bus_view_t value = VIEW_NONE;
    if (array.data == NULL || walk_next(&walk, &head) != BUS_OK || head.type != WALK_ARRAY ||
        index >= head.count) {
        return VIEW_NONE;
    }
    for (size_t i = 0; i <= index; ++i) {
        if (walk_skip(&walk, &value) != BUS_OK) {
            return VIEW_NONE;
        }
    }
    return value;
}

static void
add_cell(cli_table_t *table, bus_view_t value, bool is_best)
{
    char text[CELL_SIZE];
    double q = 0;
    if (value.data == NULL || walk_as_real(value, &q) != BUS_OK) {
        cli_table_add(table, VIEW_LITERAL("-"));
        return;
    }
    snprintf(text, sizeof text, "%10.4f%s", q, is_best ? " *" : "");
    cli_table_add(table, view_from_text(text));
}

static void
draw(cli_output_t *out, bus_view_t q, const roles_t *roles)
{
    const char *titles[CLI_TABLE_COLUMNS_MAX] = {"ACTION"};
    for (size_t role = 0; role < roles->count; ++role) {
        titles[role + 1] = roles->words[role];
    }
    cli_table_t table;
    cli_table_init(&table, titles, roles->count + 1);
    for (size_t column = 0; column < karma_rules.column_count; ++column) {
        const char *action = karma_rules.columns[column];
        cli_table_add(&table, view_from_text(action));
        for (size_t role = 0; role < roles->count; ++role) {
            add_cell(&table, item_at(item_at(q, role), column), view_is(roles->best[role], action));
        }
    }
    cli_table_print(&table, out);
    cli_table_clear(&table);
}

static int
print(cli_output_t *out, bus_view_t answer)
{
    roles_t roles = read_roles(answer);
    bus_view_t q;
    if (out->format != CLI_FORMAT_LINE) {
        cli_output_value(out, answer);
        return CLI_DONE;
    }
    if (walk_find(answer, "q", &q) != BUS_OK || roles.count == 0) {
        return cli_fail(CLI_BAD_DATA, "req.karma.policy: the answer has no table");
    }
    draw(out, q, &roles);
    return CLI_DONE;
}

static int
run(int argc, char **argv)
{
    cli_question_flags_t flags = {0};
    option_parse(&options, argc, argv, &flags, NULL, NULL);
    BUS_AUTO(pack_destroy) pack_t *body = pack_new();
    pack_map(body, 0);
    const cli_question_t ask = {
        .flags = &flags, .topic = "req.karma.policy", .body = pack_view(body), .print = print};
    return cli_question_ask(&ask);
}

const cli_command_t cli_karma_policy = {
    .name = "policy",
    .summary = "show what was learned",
    .group = CLI_GROUP_LOOK,
    .options = &options,
    .run = run,
};
