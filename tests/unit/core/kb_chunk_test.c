// kb_chunk_test.c - sentences and passages.
#include "core/kb_chunk.h"
#include "core/kb_text.h"
#include "proto/walk.h"
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

enum { OVERLAP_MAX = CORE_KB_CHUNK_CHARS_MAX / 2 };

// The sentences of a text, with | between them.
static const char *
sentences_of(const char *text)
{
    static char out[2048];
    size_t size = 0;
    bus_view_t view = view_from_text(text);
    size_t at = core_kb_chunk_skip_space(view, 0);
    out[0] = '\0';
    while (at < view.size) {
        size_t end = core_kb_chunk_sentence_end(view, at);
        cr_assert(end > at && end <= view.size);
        size += (size_t) snprintf(out + size,
                                  sizeof out - size,
                                  "%s%.*s",
                                  size > 0 ? "|" : "",
                                  (int) (end - at),
                                  text + at);
        at = core_kb_chunk_skip_space(view, end);
    }
    return out;
}

Test(kb_chunk, ends_a_sentence_at_its_stop_and_what_closes_with_it)
{
    cr_assert_str_eq(sentences_of("One. Two! Three? Four"), "One.|Two!|Three?|Four");
    cr_assert_str_eq(sentences_of("He said \"go.\" She went (home.) End..."),
                     "He said \"go.\"|She went (home.)|End...");
    cr_assert_str_eq(sentences_of("Really?! Yes."), "Really?!|Yes.");
    cr_assert_str_eq(sentences_of("धर्म। कर्म॥ अर्थ"), "धर्म।|कर्म॥|अर्थ");
    cr_assert_str_eq(sentences_of("知識。言葉！"), "知識。|言葉！");
}

Test(kb_chunk, does_not_end_one_within_an_abbreviation_or_a_number)
{
    cr_assert_str_eq(sentences_of("Version 2.0 is out. See J. Smith, e.g. here."),
                     "Version 2.0 is out.|See J. Smith, e.g. here.");
    cr_assert_str_eq(sentences_of("Dr. Rao vs. Mr. X. They met."), "Dr. Rao vs. Mr. X. They met.");
    cr_assert_str_eq(sentences_of("See fig. 3. It is 5. Next"), "See fig. 3.|It is 5.|Next");
    cr_assert_str_eq(sentences_of("ends. but goes on. Then"), "ends. but goes on.|Then");
}

Test(kb_chunk, ends_one_at_an_empty_line)
{
    cr_assert_str_eq(sentences_of("Title\n\nBody of\nit.\n \nMore"), "Title|Body of\nit.|More");
}

// --- Passages ------------------------------------------------------------------------------------

static size_t
count_chars(const char *from, const char *end)
{
    size_t count = 0;
    for (; from < end; from++) {
        count += ((unsigned char) *from & 0xc0) != 0x80 ? 1 : 0;
    }
    return count;
}

// Where the last five words begin.
static const char *
last_words(bus_view_t text)
{
    const char *starts[4096];
    size_t count = 0;
    core_kb_words_t words = core_kb_text_words(text);
    core_kb_word_t word;
    while (core_kb_text_next_word(&words, &word)) {
        starts[count++] = word.source.data;
    }
    return count > 5 ? starts[count - 5] : NULL;
}

// Checks what must hold of any text's passages; returns how many there are.
static size_t
check_passages(bus_view_t text)
{
    core_kb_chunk_t chunk = {.end = 0};
    core_kb_chunk_t before = chunk;
    core_kb_words_t words = core_kb_text_words(text);
    core_kb_word_t word;
    bool has_word = core_kb_text_next_word(&words, &word);
    size_t count = 0;
    while (core_kb_chunk_next(text, &before, &chunk)) {
        const char *start = text.data + chunk.start;
        const char *end = text.data + chunk.end;
        const char *body = start + chunk.overlap;
        cr_assert(chunk.end <= text.size && chunk.end > chunk.start + chunk.overlap);
        cr_assert(
            count_chars(start, end) <= CORE_KB_CHUNK_CHARS_MAX, "%zu", count_chars(start, end));
        cr_assert(body >= text.data + before.end, "passages follow each other");
        cr_assert(walk_utf8(view_from(start, chunk.end - chunk.start)), "no character is cut");
        cr_assert_eq(core_kb_chunk_skip_space(text, chunk.start), chunk.start);
        if (chunk.overlap > 0) {
            bus_view_t last = view_from(text.data + before.start, before.end - before.start);
            cr_assert_eq(start, last_words(last), "the last five words begin it");
        }
        // Every word is in the new part of exactly one passage, or cut by its end.
        size_t own = 0;
        while (has_word && word.source.data < end) {
            cr_assert(word.source.data + word.source.size > body);
            own++;
            bool goes_on = word.source.data + word.source.size > end;
            if (goes_on) {
                break;
            }
            has_word = core_kb_text_next_word(&words, &word);
        }
        cr_assert(own > 0, "no passage without a word of its own");
        before = chunk;
        count++;
    }
    cr_assert(!has_word || word.source.data + word.source.size <= text.data + before.end);
    return count;
}

Test(kb_chunk, makes_passages_of_whole_sentences)
{
    char text[2000];
    size_t size = 0;
    for (int i = 0; i < 20; i++) {
        size += (size_t) snprintf(
            text + size, sizeof text - size, "Sentence number %d says seven more words here. ", i);
    }
    bus_view_t view = view_from(text, size);
    core_kb_chunk_t chunk = {.end = 0};
    cr_assert_eq(check_passages(view), 3);
    cr_assert(core_kb_chunk_next(view, &chunk, &chunk));
    cr_assert_eq(text[chunk.end - 1], '.');
    cr_assert(core_kb_chunk_next(view, &chunk, &chunk));
    cr_assert(view_starts(view_from(text + chunk.start, size - chunk.start),
                          VIEW_LITERAL("says seven more words here. Sentence number ")));
    cr_assert_eq(chunk.overlap, sizeof "says seven more words here. " - 1);
}

Test(kb_chunk, takes_a_short_text_whole)
{
    core_kb_chunk_t chunk = {.end = 0};
    bus_view_t text = VIEW_LITERAL("  Karma is action. It returns.\n");
    cr_assert(core_kb_chunk_next(text, &chunk, &chunk));
    cr_assert(chunk.start == 2 && chunk.overlap == 0 && chunk.end == text.size - 1);
    cr_assert_not(core_kb_chunk_next(text, &chunk, &chunk));
}

Test(kb_chunk, finds_no_passage_without_a_word)
{
    cr_assert_eq(check_passages(VIEW_LITERAL("")), 0);
    cr_assert_eq(check_passages(VIEW_LITERAL(" \n\t ")), 0);
    cr_assert_eq(check_passages(VIEW_LITERAL("---- *** ----\n\n.....")), 0);
}

static bus_view_t
repeat(const char *piece, size_t size_max, char **ret_bytes)
{
    size_t size = strlen(piece);
    char *bytes = malloc(size_max + 1);
    size_t at = 0;
    while (at + size <= size_max) {
        memcpy(bytes + at, piece, size);
        at += size;
    }
    *ret_bytes = bytes;
    return view_from(bytes, at);
}

Test(kb_chunk, cuts_what_has_no_sentences_and_no_words_to_cut_at)
{
    static const struct {
        const char *piece;
        size_t least; // passages of 200,000 bytes
    } cases[] = {{"x", 500},
                 {"word ", 500},
                 {"a. ", 500},
                 {"ब", 160},
                 {"一", 160},
                 {"a\n\n", 400},
                 {"e\xcc\x81", 160},
                 {"one two three four five six, ", 500}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char *bytes = NULL;
        bus_view_t text = repeat(cases[i].piece, 200000, &bytes);
        cr_assert(check_passages(text) >= cases[i].least, "%s", cases[i].piece);
        free(bytes);
    }
}

Test(kb_chunk, goes_over_long_gaps_at_once)
{
    char *bytes = NULL;
    bus_view_t text = repeat("                ", 1000000, &bytes);
    memcpy(bytes, "begin", 5);
    memcpy(bytes + text.size - 3, "end", 3);
    cr_assert_eq(check_passages(text), 2);
    free(bytes);
    text = repeat("-", 1000000, &bytes); // and over what is no word
    memcpy(bytes + text.size - 3, "end", 3);
    cr_assert_eq(check_passages(text), 1);
    free(bytes);
}

// Core cuts documents in its loop, and again at each rebuild.
Test(kb_chunk, goes_over_long_rows_of_stops_at_once, .timeout = 10)
{
    enum { SIZE = 1000000 };
    char *dots = malloc(SIZE);
    cr_assert_not_null(dots);
    memset(dots, '.', SIZE);
    const core_kb_chunk_t before = {.start = 0};
    core_kb_chunk_t chunk;
    cr_assert(!core_kb_chunk_next(view_from(dots, SIZE), &before, &chunk));
    free(dots);
}

Test(kb_chunk, holds_for_texts_of_any_shape)
{
    static const char *const pieces[] = {"word",
                                         "a",
                                         ". ",
                                         " ",
                                         "\n",
                                         "\n\n",
                                         "! ",
                                         "धर्म ",
                                         "।",
                                         "。",
                                         "\xc2\xa0",
                                         "Long-winded ",
                                         "\"",
                                         ") ",
                                         "e.g. ",
                                         "1.5 ",
                                         "supercalifragilisticexpialidocious",
                                         "\xe2\x80\x94",
                                         "'s ",
                                         "知"};
    uint64_t random = 11;
    char text[8192];
    for (int round = 0; round < 600; round++) {
        size_t size = 0;
        uint64_t kinds = 2 + (random >> 60);
        while (size < sizeof text - 64) {
            random = random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
            const char *piece = pieces[(random >> 40) % kinds % (sizeof pieces / sizeof pieces[0])];
            memcpy(text + size, piece, strlen(piece));
            size += strlen(piece);
            if ((random >> 20) % 2000 == 0) {
                break;
            }
        }
        (void) check_passages(view_from(text, size));
    }
}
