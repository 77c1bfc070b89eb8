// keys_show.c - `bhiv keys list`, `show`, `export-public`: what there is to verify with.
#include "keys.h"

#include "proto/walk.h"

#include <string.h>

static const option_row_t rows[] = {CLI_QUESTION_ROWS("5s")};
enum { ROW_COUNT = sizeof rows / sizeof rows[0] };

// What a command line of these verbs says.
typedef struct {
    cli_question_flags_t flags;
    const char *key_id; // NULL: none was named
} said_t;

static said_t
parse(const option_table_t *options, int argc, char **argv)
{
    said_t said = {.key_id = NULL};
    unsigned word_count = 0;
    option_parse(options, argc, argv, &said.flags, &said.key_id, &word_count);
    return said;
}

// Asks about the key that was named; none: the active one.
static int
ask(const said_t *said, const char *topic, int (*print)(cli_output_t *out, bus_view_t answer))
{
    BUS_AUTO(pack_destroy) pack_t *body = pack_new();
    pack_map(body, said->key_id == NULL ? 0 : 1);
    if (said->key_id != NULL) {
        pack_pair_text(body, "key_id", said->key_id);
    }
    const cli_question_t asking = {
        .flags = &said->flags, .topic = topic, .body = pack_view(body), .print = print};
    return cli_question_ask(&asking);
}

// --- list --------------------------------------------------------------------------------------

static const option_table_t list_options = {
    .program = "bhiv keys list",
    .arguments = "",
    .help = "Lists the signing keys, the oldest first: one is active, retired ones still verify "
            "what they signed.",
    .rows = rows,
    .row_count = ROW_COUNT,
};

static const char *const columns[] = {
    "key_id", "state", "created_at", "retired_at", "uses", "last_used"};
enum { COLUMN_COUNT = sizeof columns / sizeof columns[0] };

static void
add_key(cli_table_t *table, bus_view_t key)
{
    for (size_t i = 0; i < COLUMN_COUNT; ++i) {
        bus_view_t value;
        walk_item_t item = {.type = WALK_NIL};
        bool is_there = walk_find(key, columns[i], &value) == BUS_OK;
        walk_t walk = is_there ? walk_from(value) : walk_from(VIEW_NONE);
        if (walk_next(&walk, &item) != BUS_OK || item.type == WALK_NIL) {
            cli_table_add(table, VIEW_LITERAL("-"));
        } else {
            cli_table_add_value(table, value);
        }
    }
}

static int
print_list(cli_output_t *out, bus_view_t answer)
{
    static const char *const titles[] = {"KEY", "STATE", "CREATED", "RETIRED", "USES", "LAST USED"};
    bus_view_t keys = VIEW_NONE;
    walk_item_t head;
    bus_err_t err = walk_find(answer, "keys", &keys);
    walk_t walk = walk_from(keys);
    if (err != BUS_OK || walk_next(&walk, &head) != BUS_OK || head.type != WALK_ARRAY) {
        return cli_fail(CLI_BAD_DATA, "req.crypto.list: the answer has no keys");
    }
    cli_table_t table;
    cli_table_init(&table, titles, COLUMN_COUNT);
    bus_view_t key;
    for (uint32_t i = 0; i < head.count && walk_skip(&walk, &key) == BUS_OK; ++i) {
        if (out->format == CLI_FORMAT_LINE) {
            add_key(&table, key);
        } else {
            cli_output_value(out, key);
        }
    }
    if (out->format == CLI_FORMAT_LINE) {
        cli_table_print(&table, out);
    }
    cli_table_clear(&table);
    return CLI_DONE;
}

static int
run_list(int argc, char **argv)
{
    const said_t said = parse(&list_options, argc, argv);
    return ask(&said, "req.crypto.list", print_list);
}

const cli_command_t cli_keys_list = {
    .name = "list",
    .summary = "list the signing keys",
    .group = CLI_GROUP_KEEP,
    .options = &list_options,
    .run = run_list,
};

// --- show --------------------------------------------------------------------------------------

static const option_table_t show_options = {
    .program = "bhiv keys show",
    .arguments = "[KEY]",
    .help = "Shows one key: its public half, its state, how often it signed. Without KEY the "
            "active one. A key that is not known is exit status 66.",
    .rows = rows,
    .row_count = ROW_COUNT,
    .arguments_min = 0,
    .arguments_max = 1,
};

static int
print_key(cli_output_t *out, bus_view_t answer)
{
    cli_keys_sheet(out, answer);
    return CLI_DONE;
}

static int
run_show(int argc, char **argv)
{
    const said_t said = parse(&show_options, argc, argv);
    return ask(&said, "req.crypto.show", print_key);
}

const cli_command_t cli_keys_show = {
    .name = "show",
    .summary = "show one signing key",
    .group = CLI_GROUP_KEEP,
    .options = &show_options,
    .run = run_show,
};

// --- export-public -----------------------------------------------------------------------------

static const option_table_t export_options = {
    .program = "bhiv keys export-public",
    .arguments = "[KEY]",
    .help =
        "Prints the public half of a key as a line of text (vkey, as in C2SP signed-note): what "
        "others verify checkpoints and receipts with. Without KEY the active one.\v"
        "  bhiv keys export-public > log.vkey\n"
        "  bhiv audit verify-receipt FILE --key \"$(cat log.vkey)\"\n\n"
        "With --format json or pretty it is the key's whole description.",
    .rows = rows,
    .row_count = ROW_COUNT,
    .arguments_min = 0,
    .arguments_max = 1,
};

// The line whether or not it is piped: it is what the file is to hold.
static int
print_vkey(cli_output_t *out, bus_view_t answer)
{
    bus_view_t vkey = walk_text_at(answer, "vkey");
    if (vkey.data == NULL) {
        return cli_fail(CLI_BAD_DATA, "req.crypto.export_public: the answer has no vkey");
    }
    text_clear(out->text);
    text_add(out->text, vkey);
    text_add(out->text, VIEW_LITERAL("\n"));
    cli_output_text(out);
    return CLI_DONE;
}

static int
run_export(int argc, char **argv)
{
    const said_t said = parse(&export_options, argc, argv);
    const char *format = said.flags.format;
    bool is_line = strcmp(format, "auto") == 0 || strcmp(format, "line") == 0;
    return ask(&said, "req.crypto.export_public", is_line ? print_vkey : print_key);
}

const cli_command_t cli_keys_export_public = {
    .name = "export-public",
    .summary = "print a key's public half",
    .group = CLI_GROUP_KEEP,
    .options = &export_options,
    .run = run_export,
};
