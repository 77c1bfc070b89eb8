// kb_query.c - `bhiv kb query`: an answer out of the knowledge base, and where it stands.
#include "kb.h"

#include "proto/walk.h"

#include <string.h>

enum {
    WORDS_MAX = 256,  // of one question
    QUERY_MAX = 4096, // bytes, as in proto/schema/core.def
    PASSAGES_MAX = 50 // likewise
};

typedef struct {
    cli_question_flags_t kb;
    const char *book;
    const char *type;
    const char *version;
    uint64_t limit;
} flags_t;

#define AT(field) offsetof(flags_t, field)
// clang-format off
static const option_row_t rows[] = {
    CLI_QUESTION_ROWS("5s"),
    {"book", 'b', OPTION_TEXT, "NAME", NULL, AT(book), 0, 0, "only passages of this book"},
    {"type", 'y', OPTION_TEXT, "NAME", NULL, AT(type), 0, 0, "only of documents of this type"},
    {"version", 'v', OPTION_TEXT, "VERSION", NULL, AT(version), 0, 0, "only of this version"},
    {"limit", 'n', OPTION_COUNT, "N", "5", AT(limit), 1, PASSAGES_MAX, "most passages to show"},
};
// clang-format on
#undef AT

static const option_table_t options = {
    .program = "bhiv kb query",
    .arguments = "WORD…",
    .help = "Asks the knowledge base itself, without a task or an agent: prints an answer made of "
            "the sentences that fit best, and the passages that they are from. Exit status 1 "
            "where nothing fits.\v"
            "  bhiv kb query what is karma\n"
            "  bhiv kb query 'self control @book:gita' -n 10",
    .rows = rows,
    .row_count = sizeof rows / sizeof rows[0],
    .arguments_min = 1,
    .arguments_max = WORDS_MAX,
};

// --- Printing ------------------------------------------------------------------------------------

// The text as one line; control bytes as spaces.
static void
add_line(text_t *out, bus_view_t text)
{
    char line[256];
    while (text.size > 0) {
        size_t size = text.size < sizeof line ? text.size : sizeof line;
        for (size_t i = 0; i < size; ++i) {
            unsigned char byte = (unsigned char) text.data[i];
            line[i] = (char) (byte < 0x20 || byte == 0x7f ? ' ' : byte);
        }
        text_add(out, view_from(line, size));
        text = view_from(text.data + size, text.size - size);
    }
}

static void
add_passage(text_t *out, uint32_t number, bus_view_t passage)
{
    bus_view_t value;
    double score = 0;
    if (walk_find(passage, "score", &value) != BUS_OK || walk_as_real(value, &score) != BUS_OK) {
        score = 0;
    }
    bus_view_t id = walk_text_at(passage, "document_id");
    bus_view_t title = walk_text_at(passage, "title");
    text_add_format(out, "\n[%u] ", number);
    add_line(out, title);
    if (!view_equal(id, title)) {
        text_add(out, VIEW_LITERAL(" ("));
        add_line(out, id);
        text_add(out, VIEW_LITERAL(")"));
    }
    text_add_format(out,
                    ", passage %llu, byte %llu, score %.2f\n    ",
                    (unsigned long long) walk_uint_at(passage, "chunk", 0),
                    (unsigned long long) walk_uint_at(passage, "offset", 0),
                    score);
    add_line(out, walk_text_at(passage, "text"));
    text_add(out, VIEW_LITERAL("\n"));
}

static void
print_page(cli_output_t *out, bus_view_t answer)
{
    bus_view_t results;
    bus_view_t passage;
    walk_item_t head;
    text_clear(out->text);
    add_line(out->text, walk_text_at(answer, "response"));
    text_add(out->text, VIEW_LITERAL("\n"));
    if (walk_find(answer, "knowledge_base_results", &results) == BUS_OK) {
        walk_t walk = walk_from(results);
        if (walk_next(&walk, &head) == BUS_OK && head.type == WALK_ARRAY) {
            for (uint32_t i = 0; i < head.count && walk_skip(&walk, &passage) == BUS_OK; ++i) {
                add_passage(out->text, i + 1, passage);
            }
        }
    }
    cli_output_text(out);
}

static int
print(cli_output_t *out, bus_view_t answer)
{
    if (out->format == CLI_FORMAT_LINE) {
        print_page(out, answer);
    } else {
        cli_output_value(out, answer);
    }
    return walk_uint_at(answer, "status", 0) == 200 ? CLI_DONE : CLI_NEGATIVE;
}

// --- Asking --------------------------------------------------------------------------------------

static void
pack_filters(const flags_t *flags, pack_t *out)
{
    const struct {
        const char *key;
        const char *value;
    } filters[] = {{"book", flags->book}, {"type", flags->type}, {"version", flags->version}};
    pack_text(out, "filters");
    size_t place = pack_map_begin(out);
    uint32_t count = 0;
    for (size_t i = 0; i < sizeof filters / sizeof filters[0]; ++i) {
        if (filters[i].value != NULL) {
            pack_pair_text(out, filters[i].key, filters[i].value);
            ++count;
        }
    }
    pack_count(out, place, count);
}

static int
run(int argc, char **argv)
{
    flags_t flags = {.book = NULL};
    const char *words[WORDS_MAX];
    unsigned word_count = 0;
    option_parse(&options, argc, argv, &flags, words, &word_count);
    BUS_AUTO(text_destroy) text_t *query = text_new();
    for (unsigned i = 0; i < word_count; ++i) {
        text_add_format(query, "%s%s", i == 0 ? "" : " ", words[i]);
    }
    if (text_view(query).size > QUERY_MAX) {
        return cli_fail(CLI_BAD_DATA, "a question is at most %d bytes", QUERY_MAX);
    }
    BUS_AUTO(pack_destroy) pack_t *body = pack_new();
    pack_map(body, 3);
    pack_pair_str(body, "query", text_view(query));
    pack_pair_uint(body, "limit", flags.limit);
    pack_filters(&flags, body);
    const cli_question_t ask = {
        .flags = &flags.kb, .topic = "req.core.kb_search", .body = pack_view(body), .print = print};
    return cli_question_ask(&ask);
}

const cli_command_t cli_kb_query = {
    .name = "query",
    .summary = "ask the knowledge base",
    .group = CLI_GROUP_KEEP,
    .options = &options,
    .run = run,
};
