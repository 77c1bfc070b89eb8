// kb_search_test.c - questions to the knowledge base, and what is answered.
#include "core/kb_search.h"
#include "kb_help.h"
#include "proto/walk.h"
#include <stdio.h>
#include <stdlib.h>

static help_t *help;

static void
start(void)
{
    help = help_new();
}

static void
stop(void)
{
    help_destroy(&help);
}

TestSuite(kb_search, .init = start, .fini = stop);

static bus_err_t
ask(const char *json)
{
    return help_ask(help, core_kb_search_query, &SCHEMA_kb_search, json);
}

static const char *const gita =
    "Karma yoga is the path of action. One acts without attachment to the fruits of action. "
    "The lion sleeps in the forest.\n\n"
    "Knowledge burns all karma to ashes, as a fire burns wood. Rivers flow to the sea.";

static void
add_gita(void)
{
    const schema_kb_document_t message = {.document_id = VIEW_LITERAL("gita.txt"),
                                          .text = view_from_text(gita),
                                          .title = VIEW_LITERAL("The Gita"),
                                          .book = VIEW_LITERAL("Bhagavad Gita"),
                                          .type = VIEW_LITERAL("scripture"),
                                          .version = VIEW_LITERAL("1.2"),
                                          .source = VIEW_LITERAL("gita.txt")};
    cr_assert_str_eq(kb_help_add(help, &message), "added");
}

Test(kb_search, answers_with_the_sentences_that_have_the_words_in_their_order)
{
    add_gita();
    cr_assert_eq(ask("{\"query\":\"What burns karma, and what are the fruits of acting?\"}"),
                 BUS_OK);
    cr_assert_str_eq(help_value(help, "status"), "200");
    cr_assert_str_eq(
        help_value(help, "response"),
        "\"Karma yoga is the path of action. One acts without attachment to the fruits "
        "of action. Knowledge burns all karma to ashes, as a fire burns wood.\"");
    cr_assert_str_eq(help_value(help, "endpoint"), "\"knowledge_agent\"");
    cr_assert_str_eq(help_value(help, "metadata.retriever"), "\"bm25\"");
    cr_assert_str_eq(help_value(help, "metadata.terms"), "[\"burn\",\"karma\",\"fruit\",\"act\"]");
    cr_assert_str_eq(help_value(help, "metadata.total_results"), "1");
}

Test(kb_search, cites_where_a_passage_stands)
{
    add_gita();
    cr_assert_eq(ask("{\"query\":\"fire\"}"), BUS_OK);
    const char *results = help_value(help, "knowledge_base_results");
    cr_assert_not_null(strstr(results,
                              "[{\"document_id\":\"gita.txt\",\"title\":\"The Gita\",\"book\":"
                              "\"Bhagavad Gita\",\"type\":\"scripture\",\"version\":\"1.2\","
                              "\"source\":\"gita.txt\",\"chunk\":1,\"offset\":0,\"length\":"));
    const char *sources = help_value(help, "sources");
    cr_assert_not_null(strstr(sources, "\"chunks\":[1]}]"));
}

// The value of a pair of a result, as a number.
static uint64_t
number_of(bus_view_t map, const char *key)
{
    bus_view_t value;
    uint64_t number = 0;
    cr_assert_eq(walk_find(map, key, &value), BUS_OK);
    cr_assert_eq(walk_as_uint(value, &number), BUS_OK);
    return number;
}

Test(kb_search, gives_offsets_into_the_whole_text_over_its_parts)
{
    char text[6000];
    size_t size = 0;
    for (int i = 0; i < 80; i++) {
        size += (size_t) snprintf(
            text + size, sizeof text - size, "Line %d tells of marker%d in the Kṛṣṇa text. ", i, i);
    }
    size_t half = size / 2;
    schema_kb_document_t message = {.document_id = VIEW_LITERAL("book"),
                                    .text = view_from(text, half),
                                    .part = {.has = true, .value = 1},
                                    .parts = {.has = true, .value = 2}};
    cr_assert_str_eq(kb_help_add(help, &message), "added");
    message.part.value = 2;
    message.text = view_from(text + half, size - half);
    cr_assert_str_eq(kb_help_add(help, &message), "added");
    uint64_t chunk_before = 0;
    for (int i = 0; i < 80; i += 7) {
        char json[64];
        char marker[32];
        snprintf(json, sizeof json, "{\"query\":\"marker%d\",\"limit\":1}", i);
        snprintf(marker, sizeof marker, "marker%d ", i);
        cr_assert_eq(ask(json), BUS_OK);
        bus_view_t results;
        bus_view_t result;
        bus_view_t value;
        bus_view_t passage;
        walk_item_t head;
        cr_assert_eq(walk_find(pack_view(help->packed), "knowledge_base_results", &results),
                     BUS_OK);
        walk_t walk = walk_from(results);
        cr_assert_eq(walk_next(&walk, &head), BUS_OK);
        cr_assert_eq(head.count, 1);
        cr_assert_eq(walk_skip(&walk, &result), BUS_OK);
        cr_assert_eq(walk_find(result, "text", &value), BUS_OK);
        cr_assert_eq(walk_as_str(value, &passage), BUS_OK);
        uint64_t offset = number_of(result, "offset");
        cr_assert(view_equal(passage, view_from(text + offset, number_of(result, "length"))));
        cr_assert_not_null(memmem(passage.data, passage.size, marker, strlen(marker)));
        uint64_t chunk = number_of(result, "chunk");
        cr_assert(chunk >= chunk_before && chunk <= chunk_before + 3, "chunks are counted on");
        chunk_before = chunk;
    }
}

Test(kb_search, says_that_nothing_was_found)
{
    add_gita();
    cr_assert_eq(ask("{\"query\":\"quantum chromodynamics\"}"), BUS_OK);
    cr_assert_str_eq(help_value(help, "status"), "404");
    cr_assert_str_eq(help_value(help, "response"),
                     "\"Nothing in the knowledge base answers this.\"");
    cr_assert_str_eq(help_value(help, "sources"), "[]");
    cr_assert_str_eq(help_value(help, "knowledge_base_results"), "[]");
    cr_assert_eq(ask("{\"query\":\"?!\"}"), BUS_OK);
    cr_assert_str_eq(help_value(help, "status"), "404");
}

Test(kb_search, narrows_by_filters_in_the_question_and_beside_it)
{
    add_gita();
    static const struct {
        const char *json;
        const char *total;
    } cases[] = {
        {"{\"query\":\"karma @book:\\\"bhagavad-gītā\\\"\"}", "1"},
        {"{\"query\":\"@book:\\\"bhagavad gita karma\"}", "0"},
        {"{\"query\":\"@type:Scripture karma @version:1.2\"}", "1"},
        {"{\"query\":\"karma @version:1.3\"}", "0"},
        {"{\"query\":\"karma\",\"filters\":{\"book\":\"Bhagavad Gita\",\"version\":\"1.2\"}}", "1"},
        {"{\"query\":\"karma @version:1.2\",\"filters\":{\"version\":\"2\"}}", "0"},
        {"{\"query\":\"karma @author:vyasa\"}", "1"}, // no filter, but words
        {"{\"query\":\"karma me@type:x\"}", "1"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        cr_assert_eq(ask(cases[i].json), BUS_OK, "%s", cases[i].json);
        cr_assert_str_eq(
            help_value(help, "metadata.total_results"), cases[i].total, "%s", cases[i].json);
    }
}

Test(kb_search, refuses_filters_that_are_none)
{
    static const struct {
        const char *json;
        const char *details;
    } cases[] = {
        {"{\"query\":\"karma\",\"filters\":{\"author\":\"x\"}}",
         "[{\"field\":\"filters\",\"problem\":\"may have book, type and version\"}]"},
        {"{\"query\":\"karma\",\"filters\":{\"book\":7}}",
         "[{\"field\":\"filters\",\"problem\":\"must have texts as values\"}]"},
        {"{\"query\":\"karma @book:--\"}",
         "[{\"field\":\"query\",\"problem\":\"must have letters or digits\"}]"},
        {"{\"query\":\"@book:a @book:b @book:c @book:d @book:e @book:f @book:g @book:h @book:i\"}",
         "[{\"field\":\"query\",\"problem\":\"has more than 8 filters\"}]"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        cr_assert_eq(ask(cases[i].json), BUS_VALIDATION_FAILED, "%s", cases[i].json);
        cr_assert_str_eq(help_text(help->details), cases[i].details);
    }
}

Test(kb_search, gives_as_many_passages_as_asked_for)
{
    char id[16];
    for (int i = 0; i < 60; i++) {
        snprintf(id, sizeof id, "d%d", i);
        cr_assert_str_eq(kb_help_add_text(help, id, "karma"), "added");
    }
    cr_assert_eq(ask("{\"query\":\"karma\"}"), BUS_OK);
    cr_assert_str_eq(help_value(help, "metadata.total_results"), "5");
    cr_assert_eq(ask("{\"query\":\"karma\",\"limit\":50}"), BUS_OK);
    cr_assert_str_eq(help_value(help, "metadata.total_results"), "50");
}

Test(kb_search, leaves_out_what_is_beyond_32_words_and_says_how_many)
{
    char json[600] = "{\"query\":\"";
    size_t size = strlen(json);
    for (int i = 0; i < 40; i++) {
        size += (size_t) snprintf(json + size, sizeof json - size, "word%d ", i);
    }
    snprintf(json + size, sizeof json - size, "\"}");
    cr_assert_eq(ask(json), BUS_OK);
    cr_assert_str_eq(help_value(help, "metadata.terms_left_out"), "8");
}

Test(kb_search, answers_out_of_what_is_whole_where_something_is_damaged)
{
    cr_assert_str_eq(kb_help_add_text(help, "a", "karma lion"), "added");
    cr_assert_str_eq(kb_help_add_text(help, "b", "karma tiger"), "added");
    cr_assert_str_eq(kb_help_add_text(help, "c", "karma bear"), "added");
    help_begin(help);
    cr_assert_eq(store_put(help->txn, CORE_KB_PASSAGES, STORE_U64(1), VIEW_LITERAL("?")), BUS_OK);
    cr_assert_eq(store_put(help->txn, CORE_KB_DOCUMENTS, VIEW_LITERAL("b"), VIEW_LITERAL("?")),
                 BUS_OK);
    help_commit(help);
    cr_assert_eq(ask("{\"query\":\"karma\"}"), BUS_OK);
    cr_assert_str_eq(help_value(help, "metadata.total_results"), "1");
    cr_assert_str_eq(help_value(help, "response"), "\"karma bear\"");
}
