// karma_top.c - `bhiv karma top`: the users with the most of something.
#include "karma.h"

#include "proto/walk.h"

#include <string.h>

enum { TOP_MAX = 1000 }; // as in proto/schema/karma.def

typedef struct {
    cli_question_flags_t karma;
    const char *by;
    uint64_t limit;
} flags_t;

// clang-format off
static const option_row_t rows[] = {
    CLI_QUESTION_ROWS("2s"),
    {"by", 'b', OPTION_TEXT, "WHAT", "merit", offsetof(flags_t, by), 0, 0,
     "merit, net, or a token such as SevaPoints; token alone is DharmaPoints"},
    {"limit", 'n', OPTION_COUNT, "N", "10", offsetof(flags_t, limit), 1, TOP_MAX,
     "most users to show"},
};
// clang-format on

static const option_table_t options = {
    .program = "bhiv karma top",
    .arguments = "",
    .help = "Lists the users with the most merit, net karma (merit less paap) or of a token, "
            "the highest first.",
    .rows = rows,
    .row_count = sizeof rows / sizeof rows[0],
};

static const char *const keys[] = {"rank", "user_id", "role", "value", "merit_score", "net_karma"};
enum { COLUMNS = sizeof keys / sizeof keys[0] };

static void
add_row(cli_table_t *table, bus_view_t user)
{
    for (size_t i = 0; i < COLUMNS; ++i) {
        char text[CLI_KARMA_NUMBER_SIZE];
        bus_view_t value;
        double number = 0;
        if (walk_find(user, keys[i], &value) != BUS_OK) {
            cli_table_add(table, VIEW_LITERAL("-"));
        } else if (walk_as_real(value, &number) == BUS_OK) {
            cli_karma_number(number, text);
            cli_table_add(table, view_from_text(text));
        } else {
            cli_table_add_value(table, value);
        }
    }
}

static void
print_users(cli_output_t *out, bus_view_t users)
{
    static const char *const titles[] = {"RANK", "USER", "ROLE", "VALUE", "MERIT", "NET"};
    cli_table_t table;
    cli_table_init(&table, titles, COLUMNS);
    walk_t walk = walk_from(users);
    walk_item_t head;
    bus_view_t user;
    if (walk_next(&walk, &head) == BUS_OK && head.type == WALK_ARRAY) {
        for (uint32_t i = 0; i < head.count && walk_skip(&walk, &user) == BUS_OK; ++i) {
            if (out->format == CLI_FORMAT_LINE) {
                add_row(&table, user);
            } else {
                cli_output_value(out, user);
            }
        }
    }
    if (out->format == CLI_FORMAT_LINE) {
        cli_table_print(&table, out);
    }
    cli_table_clear(&table);
}

static int
print(cli_output_t *out, bus_view_t answer)
{
    bus_view_t users;
    if (walk_find(answer, "users", &users) != BUS_OK) {
        return cli_fail(CLI_BAD_DATA, "req.karma.top: the answer has no users");
    }
    print_users(out, users);
    return CLI_DONE;
}

static int
run(int argc, char **argv)
{
    flags_t flags = {0};
    option_parse(&options, argc, argv, &flags, NULL, NULL);
    BUS_AUTO(pack_destroy) pack_t *body = pack_new();
    pack_map(body, 2);
    pack_pair_text(body, "by", strcmp(flags.by, "token") == 0 ? "DharmaPoints" : flags.by);
    pack_pair_uint(body, "limit", flags.limit);
    const cli_question_t ask = {
        .flags = &flags.karma, .topic = "req.karma.top", .body = pack_view(body), .print = print};
    return cli_question_ask(&ask);
}

const cli_command_t cli_karma_top = {
    .name = "top",
    .summary = "list the users with the most karma",
    .group = CLI_GROUP_LOOK,
    .options = &options,
    .run = run,
};
