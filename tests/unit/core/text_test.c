// text_test.c - what the built-in agent for text makes of a text.
#include "core/attempt.h"
#include "proto/transcode.h"
#include "proto/walk.h"
#include <criterion/criterion.h>
#include <stdlib.h>

// What it answers under `key`, as JSON.
static const char *
answer(const char *input, size_t size, const char *key, text_t *out)
{
    BUS_AUTO(pack_destroy) pack_t *body = pack_new();
    core_agent_text_answer(view_from(input, size), body);
    core_answer_t read;
    char why[CORE_ANSWER_WHY_SIZE] = "";
    cr_assert_eq(core_answer_read(pack_view(body), &read, why), BUS_OK, "%s", why);
    bus_view_t value;
    cr_assert_eq(walk_find(pack_view(body), key, &value), BUS_OK);
    text_clear(out);
    transcode_to_json(value, 0, out);
    return text_view(out).data;
}

#define ANSWER(input, key) answer(input, strlen(input), key, out)

Test(text, tells_a_short_text_as_it_is)
{
    BUS_AUTO(text_destroy) text_t *out = text_new();
    cr_assert_str_eq(ANSWER("One line.", "result"), "\"One line.\"");
    cr_assert_str_eq(ANSWER("One. Two! Three?", "result"), "\"One. Two! Three?\"");
    cr_assert_str_eq(ANSWER("One. Two! Three?", "sentences"), "3");
    cr_assert_str_eq(ANSWER("", "result"), "\"\"");
    cr_assert_str_eq(ANSWER("", "keywords"), "[]");
}

Test(text, sums_up_by_the_sentences_that_carry_the_most)
{
    static const char text[] =
        "The journal keeps every record. It rains. Each record of the journal has a place in the "
        "journal. Somebody coughed quietly yesterday evening. A record in the journal is durable.";
    BUS_AUTO(text_destroy) text_t *out = text_new();
    cr_assert_str_eq(ANSWER(text, "result"),
                     "\"The journal keeps every record. Each record of the journal has a place in "
                     "the journal. A record in the journal is durable.\"");
    cr_assert_str_eq(ANSWER(text, "sentences"), "5");
}

Test(text, names_the_words_that_stand_most_often)
{
    BUS_AUTO(text_destroy) text_t *out = text_new();
    cr_assert_str_eq(
        ANSWER("beta alpha beta gamma Alpha beta the the the the delta epsilon zeta", "keywords"),
        "[\"beta\",\"alpha\",\"gamma\",\"delta\",\"epsilon\"]");
    cr_assert_str_eq(ANSWER("no it is me", "keywords"), "[]"); // nothing that carries
    cr_assert_str_eq(ANSWER("élan vital, élan", "keywords"), "[\"élan\",\"vital\"]");
}

Test(text, reads_whatever_bytes_there_are)
{
    BUS_AUTO(text_destroy) text_t *out = text_new();
    static const char *const texts[] = {"\n\n\n",
                                        "...",
                                        "? ! .",
                                        "a",
                                        "a. b. c. d. e.",
                                        "word",
                                        " \t\r\n",
                                        "_",
                                        "x\n\ny\n\nz\n\nw"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        ANSWER(texts[i], "result");
    }
    cr_assert_str_eq(answer("one\0two. three", 14, "words", out), "3");
}

Test(text, takes_the_largest_input_in_its_stride)
{
    enum { SIZE = 524288 };
    char *text = malloc(SIZE);
    cr_assert_not_null(text);
    BUS_AUTO(text_destroy) text_t *out = text_new();
    for (size_t i = 0; i < SIZE; i++) { // all words differ
        text[i] = i % 5 == 4 ? ' ' : (char) ('a' + (i / 5 >> (i % 5 * 4)) % 16);
    }
    answer(text, SIZE, "keywords", out);
    for (size_t i = 0; i < SIZE; i++) { // as many sentences as can be
        text[i] = i % 2 == 0 ? '.' : ' ';
    }
    cr_assert_str_eq(answer(text, SIZE, "sentences", out), "8192");
    memset(text, 'a', SIZE); // one word
    cr_assert_str_eq(answer(text, SIZE, "words", out), "1");
    free(text);
}
