// kb_list.c - `bhiv kb list`, `bhiv kb show`: the documents that there are.
#include "kb.h"

#include "proto/walk.h"

enum { LIST_MAX = 1000 }; // as in proto/schema/core.def

// Calls `fn` for each document of the answer. Returns the exit status.
static int
for_each(cli_output_t *out,
         bus_view_t answer,
         void (*fn)(cli_table_t *table, bus_view_t document),
         cli_table_t *table)
{
    bus_view_t documents;
    bus_view_t document;
    walk_item_t head;
    if (walk_find(answer, "documents", &documents) != BUS_OK) {
        return cli_fail(CLI_BAD_DATA, "req.core.documents: the answer has no documents");
    }
    walk_t walk = walk_from(documents);
    if (walk_next(&walk, &head) == BUS_OK && head.type == WALK_ARRAY) {
        for (uint32_t i = 0; i < head.count && walk_skip(&walk, &document) == BUS_OK; ++i) {
            if (out->format == CLI_FORMAT_LINE) {
                fn(table, document);
            } else {
                cli_output_value(out, document);
            }
        }
    }
    if (out->format == CLI_FORMAT_LINE) {
        cli_table_print(table, out);
    }
    return CLI_DONE;
}

// --- list ----------------------------------------------------------------------------------------

typedef struct {
    cli_question_flags_t kb;
    const char *after;
    uint64_t limit;
} list_flags_t;

// clang-format off
static const option_row_t list_rows[] = {
    CLI_QUESTION_ROWS("5s"),
    {"after", 'a', OPTION_TEXT, "ID", NULL, offsetof(list_flags_t, after), 0, 0,
     "only documents behind this one"},
    {"limit", 'n', OPTION_COUNT, "N", "100", offsetof(list_flags_t, limit), 1, LIST_MAX,
     "most documents to show"},
};
// clang-format on

static const option_table_t list_options = {
    .program = "bhiv kb list",
    .arguments = "",
    .help = "Lists the documents of the knowledge base by their ids.",
    .rows = list_rows,
    .row_count = sizeof list_rows / sizeof list_rows[0],
};

static void
add_row(cli_table_t *table, bus_view_t document)
{
    static const char *const keys[] = {
        "document_id", "book", "type", "version", "chunks", "bytes", "updated_at"};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; ++i) {
        bus_view_t value;
        bool has_value = walk_find(document, keys[i], &value) == BUS_OK &&
                         !(value.size == 1 && value.data[0] == '\xc0');
        if (has_value) {
            cli_table_add_value(table, value);
        } else {
            cli_table_add(table, VIEW_LITERAL("-"));
        }
    }
}

static int
print_list(cli_output_t *out, bus_view_t answer)
{
    static const char *const titles[] = {
        "DOCUMENT", "BOOK", "TYPE", "VERSION", "PASSAGES", "BYTES", "CHANGED"};
    cli_table_t table;
    cli_table_init(&table, titles, sizeof titles / sizeof titles[0]);
    int status = for_each(out, answer, add_row, &table);
    cli_table_clear(&table);
    bus_view_t next = walk_text_at(answer, "next");
    if (status == CLI_DONE && next.data != NULL) {
        (void) cli_fail(CLI_DONE, "there are more: --after '%.*s'", (int) next.size, next.data);
    }
    return status;
}

static int
run_list(int argc, char **argv)
{
    list_flags_t flags = {.after = NULL};
    option_parse(&list_options, argc, argv, &flags, NULL, NULL);
    BUS_AUTO(pack_destroy) pack_t *body = pack_new();
    pack_map(body, flags.after == NULL ? 1 : 2);
    pack_pair_uint(body, "limit", flags.limit);
    if (flags.after != NULL) {
        pack_pair_text(body, "after", flags.after);
    }
    const cli_question_t ask = {.flags = &flags.kb,
                                .topic = "req.core.documents",
                                .body = pack_view(body),
                                .print = print_list};
    return cli_question_ask(&ask);
}

const cli_command_t cli_kb_list = {
    .name = "list",
    .summary = "list the documents",
    .group = CLI_GROUP_KEEP,
    .options = &list_options,
    .run = run_list,
};

// --- show ----------------------------------------------------------------------------------------

static const option_row_t show_rows[] = {CLI_QUESTION_ROWS("5s")};

static const option_table_t show_options = {
    .program = "bhiv kb show",
    .arguments = "ID",
    .help = "Shows what is known about a document.",
    .rows = show_rows,
    .row_count = sizeof show_rows / sizeof show_rows[0],
    .arguments_min = 1,
    .arguments_max = 1,
};

static void
add_fields(cli_table_t *table, bus_view_t document)
{
    walk_pairs_t pairs = walk_pairs(document);
    bus_view_t key, value;
    while (walk_pairs_next(&pairs, &key, &value) == BUS_OK) {
        cli_table_add(table, key);
        cli_table_add_value(table, value);
    }
}

static int
print_sheet(cli_output_t *out, bus_view_t answer)
{
    static const char *const titles[] = {"FIELD", "VALUE"};
    cli_table_t table;
    cli_table_init(&table, titles, sizeof titles / sizeof titles[0]);
    int status = for_each(out, answer, add_fields, &table);
    cli_table_clear(&table);
    return status;
}

static int
run_show(int argc, char **argv)
{
    cli_question_flags_t flags = {.timeout_ms = 0};
    const char *words[1] = {""};
    unsigned word_count = 0;
    option_parse(&show_options, argc, argv, &flags, words, &word_count);
    BUS_AUTO(pack_destroy) pack_t *body = pack_new();
    pack_map(body, 1);
    pack_pair_text(body, "document_id", words[0]);
    const cli_question_t ask = {.flags = &flags,
                                .topic = "req.core.documents",
                                .body = pack_view(body),
                                .print = print_sheet};
    return cli_question_ask(&ask);
}

const cli_command_t cli_kb_show = {
    .name = "show",
    .summary = "show one document",
    .group = CLI_GROUP_KEEP,
    .options = &show_options,
    .run = run_show,
};
