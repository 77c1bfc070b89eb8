// topics.c - `bhiv topics`: the catalogue, from proto/topic.def. Asks nobody.
#include "output.h"

#include "proto/topic.h"
#include "proto/transcode.h"

#include <stddef.h>

typedef struct {
    const char *format;
} flags_t;

// clang-format off
static const option_row_t rows[] = {
    CLI_FORMAT_ROW(flags_t, format),
};
// clang-format on

static const option_table_t options = {
    .program = "bhiv topics",
    .arguments = "",
    .help = "Lists the topics that the bus knows: their class (journaled, live, request), and the "
            "service that answers for them. The longest prefix decides; any other topic is live.",
    .rows = rows,
    .row_count = sizeof rows / sizeof rows[0],
};

static void
add_pair(text_t *text, const char *key, const char *value, const char *behind)
{
    text_add_format(text, "\"%s\":", key);
    transcode_json_string(view_from_text(value), text);
    text_add(text, view_from_text(behind));
}

static void
print_json(cli_output_t *out)
{
    for (size_t i = 0; i < topic_row_count; ++i) {
        const topic_row_t *row = &topic_rows[i];
        text_add(out->text, VIEW_LITERAL("{"));
        add_pair(out->text, "prefix", row->prefix, ",");
        add_pair(out->text, "class", topic_class_text(row->class_), ",");
        add_pair(out->text, "owner", row->owner, ",");
        add_pair(out->text, "meaning", row->meaning, "}\n");
    }
    cli_output_text(out);
}

static void
print_table(cli_output_t *out)
{
    static const char *const titles[] = {"PREFIX", "CLASS", "OWNER", "MEANING"};
    cli_table_t table;
    cli_table_init(&table, titles, sizeof titles / sizeof titles[0]);
    for (size_t i = 0; i < topic_row_count; ++i) {
        const topic_row_t *row = &topic_rows[i];
        cli_table_add(&table, view_from_text(row->prefix));
        cli_table_add(&table, view_from_text(topic_class_text(row->class_)));
        cli_table_add(&table, view_from_text(row->owner[0] == '\0' ? "-" : row->owner));
        cli_table_add(&table, view_from_text(row->meaning));
    }
    cli_table_print(&table, out);
    cli_table_clear(&table);
}

static int
run(int argc, char **argv)
{
    flags_t flags = {0};
    option_parse(&options, argc, argv, &flags, NULL, NULL);
    cli_output_t out;
    int status = cli_output_init(&out, flags.format);
    if (status != CLI_DONE) {
        return status;
    }
    if (out.format == CLI_FORMAT_LINE) {
        print_table(&out);
    } else {
        print_json(&out);
    }
    cli_output_clear(&out);
    return CLI_DONE;
}

const cli_command_t cli_topics = {
    .name = "topics",
    .summary = "list the topic catalogue",
    .group = CLI_GROUP_LOOK,
    .options = &options,
    .run = run,
};
