// karma.c - see karma.h. The verbs are in karma_show.c, karma_top.c, karma_replay.c,
// karma_policy.c.
#include "karma.h"

#include "proto/walk.h"

#include <stdio.h>
#include <string.h>

enum {
    USER_SIZE_MAX = 255, // as in proto/schema/karma.def
    SHEET_DEPTH_MAX = 3, // balances of a token's classes; what is deeper is JSON
    LABEL_SIZE = 128
};

const cli_command_t *const cli_karma_verbs[] = {
    &cli_karma_show, &cli_karma_top, &cli_karma_replay, &cli_karma_policy, NULL};

int
cli_karma_user(const char *word)
{
    bus_view_t user_id = view_from_text(word);
    if (user_id.size == 0 || user_id.size > USER_SIZE_MAX || !walk_utf8(user_id)) {
        return cli_fail(CLI_BAD_DATA, "a user's id is 1 to %d bytes of UTF-8", USER_SIZE_MAX);
    }
    return CLI_DONE;
}

// --- A sheet -----------------------------------------------------------------------------------

void
cli_karma_number(double number, char ret_text[CLI_KARMA_NUMBER_SIZE])
{
    snprintf(ret_text, CLI_KARMA_NUMBER_SIZE, "%.10g", number);
}

static bool
is_map(bus_view_t value)
{
    walk_t walk = walk_from(value);
    walk_item_t head;
    return walk_next(&walk, &head) == BUS_OK && head.type == WALK_MAP;
}

// An integer is exact as it is; any other number is shortened.
static void
add_value(cli_table_t *table, bus_view_t value)
{
    char text[CLI_KARMA_NUMBER_SIZE];
    walk_t walk = walk_from(value);
    walk_item_t item;
    if (walk_next(&walk, &item) == BUS_OK && item.type == WALK_FLOAT) {
        cli_karma_number(item.real, text);
        cli_table_add(table, view_from_text(text));
    } else {
        cli_table_add_value(table, value);
    }
}

// The fields of a map and of the maps in it, each with the words that lead to it.
static void
add_fields(cli_table_t *table, bus_view_t map)
{
    walk_pairs_t pairs[SHEET_DEPTH_MAX] = {walk_pairs(map)};
    size_t label_sizes[SHEET_DEPTH_MAX] = {0};
    char label[LABEL_SIZE] = "";
    size_t depth = 0;
    for (;;) {
        bus_view_t key, value;
        label[label_sizes[depth]] = '\0';
        if (walk_pairs_next(&pairs[depth], &key, &value) != BUS_OK) {
            if (depth == 0) {
                return;
            }
            --depth;
            continue;
        }
        size_t used = label_sizes[depth];
        snprintf(label + used, sizeof label - used, "%.*s", (int) key.size, key.data);
        bool is_deeper = is_map(value) && depth + 1 < SHEET_DEPTH_MAX;
        used = strlen(label);
        if (is_deeper && used + 2 < sizeof label) {
            label[used] = ' ';
            ++depth;
            pairs[depth] = walk_pairs(value);
            label_sizes[depth] = used + 1;
        } else {
            cli_table_add(table, view_from_text(label));
            add_value(table, value);
        }
    }
}

void
cli_karma_sheet(cli_output_t *out, bus_view_t map)
{
    static const char *const titles[] = {"FIGURE", "VALUE"};
    if (out->format != CLI_FORMAT_LINE) {
        cli_output_value(out, map);
        return;
    }
    cli_table_t table;
    cli_table_init(&table, titles, sizeof titles / sizeof titles[0]);
    add_fields(&table, map);
    cli_table_print(&table, out);
    cli_table_clear(&table);
}
