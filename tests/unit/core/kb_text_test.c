// kb_text_test.c - words: what they are, and what they are folded to.
#include "core/kb_text.h"
#include <criterion/criterion.h>
#include <stdio.h>

// The folded words of a text, with a space between them.
static const char *
words_of(const char *text)
{
    static char out[1024];
    size_t size = 0;
    core_kb_words_t words = core_kb_text_words(view_from_text(text));
    core_kb_word_t word;
    out[0] = '\0';
    while (core_kb_text_next_word(&words, &word)) {
        size += (size_t) snprintf(out + size,
                                  sizeof out - size,
                                  "%s%.*s",
                                  size > 0 ? " " : "",
                                  (int) word.folded_size,
                                  word.folded);
    }
    return out;
}

Test(kb_text, parts_words_at_spaces_and_punctuation)
{
    cr_assert_str_eq(words_of("  One, two;three\nfour--five (six) "),
                     "one two three four five six");
    cr_assert_str_eq(words_of(""), "");
    cr_assert_str_eq(words_of("... !? -- "), "");
    cr_assert_str_eq(words_of("CVE-2024-1234 v2.0"), "cve 2024 1234 v2 0");
    cr_assert_str_eq(words_of("a\xc2\xa0no-break\xe2\x80\x94"
                              "dash"),
                     "a no break dash");
}

Test(kb_text, finds_a_word_however_it_is_accented_or_written)
{
    cr_assert_str_eq(words_of("Kṛṣṇa Bhagavad-gītā ātman"), "krsna bhagavad gita atman");
    cr_assert_str_eq(words_of("Straße ÆTHER Œuvre naïve Łódź"), "strasse aether oeuvre naive lodz");
    cr_assert_str_eq(words_of("caf\xc3\xa9 cafe\xcc\x81"), "cafe cafe"); // composed, decomposed
    cr_assert_str_eq(words_of("ΑΘΉΝΑ Αθήνα ΛΌΓΟΣ λόγος"), "αθηνα αθηνα λογοσ λογοσ");
    cr_assert_str_eq(words_of("МОСКВА Ёлка ёлка Ӂ"), "москва елка елка ӂ");
    cr_assert_str_eq(words_of("ｆｕｌｌ１"), "full1");
    cr_assert_str_eq(words_of("ﬁne so\xc2\xad"
                              "ft"),
                     "fine soft"); // a ligature, a soft hyphen
    cr_assert_str_eq(words_of("اَلْكِتَابُ الكتاب"), "الكتاب الكتاب");
}

Test(kb_text, keeps_the_marks_of_indic_scripts_and_ends_at_a_danda)
{
    cr_assert_str_eq(words_of("धर्मक्षेत्रे।समवेता॥"), "धर्मक्षेत्रे समवेता");
}

Test(kb_text, takes_han_and_kana_by_the_character)
{
    cr_assert_str_eq(words_of("知識ベース, v2"), "知 識 ベ ー ス v2");
    cr_assert_str_eq(words_of("abc知def"), "abc 知 def");
    cr_assert_str_eq(words_of("지식 베이스"), "지식 베이스");
}

Test(kb_text, drops_a_genitive_and_joins_over_an_apostrophe)
{
    cr_assert_str_eq(words_of("Arjuna's Arjuna’s don't students' 'quoted' rock'n'roll"),
                     "arjuna arjuna dont students quoted rocknroll");
    cr_assert_str_eq(words_of("'s it's s"), "s it s");
}

Test(kb_text, says_where_a_word_stands)
{
    const char *text = "-- Kṛṣṇa's, end";
    core_kb_words_t words = core_kb_text_words(view_from_text(text));
    core_kb_word_t word;
    cr_assert(core_kb_text_next_word(&words, &word));
    cr_assert_eq(word.source.data - text, 3);
    cr_assert(view_is(word.source, "Kṛṣṇa's"));
    cr_assert(core_kb_text_next_word(&words, &word));
    cr_assert(view_is(word.source, "end"));
    cr_assert_not(core_kb_text_next_word(&words, &word));
}

Test(kb_text, cuts_what_is_too_long_at_a_character)
{
    char text[400];
    memset(text, 'x', 63);
    memcpy(text + 63, "ब", sizeof "ब");
    core_kb_words_t words = core_kb_text_words(view_from_text(text));
    core_kb_word_t word;
    cr_assert(core_kb_text_next_word(&words, &word));
    cr_assert_eq(word.folded_size, 63);
    cr_assert_eq(word.source.size, 66);
    cr_assert_not(core_kb_text_next_word(&words, &word));
}

Test(kb_text, reads_any_bytes_and_only_those_it_was_given)
{
    cr_assert_str_eq(words_of("a\xff"
                              "b\xc3(c\xe0\xa4"),
                     "a b c");
    cr_assert_str_eq(words_of("\xf0\x9f\x98\x80word"), "word"); // an emoji
    uint64_t random = 7;
    for (int i = 0; i < 20000; i++) {
        char bytes[24];
        for (size_t j = 0; j < sizeof bytes; j++) {
            random = random * UINT64_C(6364136223846793005) + 1;
            bytes[j] = (char) (random >> 56);
        }
        bus_view_t text = view_from(bytes, sizeof bytes);
        core_kb_words_t words = core_kb_text_words(text);
        core_kb_word_t word;
        const char *last = text.data;
        while (core_kb_text_next_word(&words, &word)) {
            cr_assert(word.source.data >= last && word.source.size > 0 && word.folded_size > 0);
            last = word.source.data + word.source.size;
            cr_assert(last <= text.data + text.size);
        }
    }
}

Test(kb_text, folds_a_name_for_comparing)
{
    char folded[32];
    size_t size = core_kb_text_fold(view_from_text("  Bhagavad-Gītā,  v2.0 "), folded, 32);
    cr_assert(view_is(view_from(folded, size), "bhagavad gita v2 0"));
    size = core_kb_text_fold(view_from_text("alpha beta gamma"), folded, 11);
    cr_assert(view_is(view_from(folded, size), "alpha beta"));
    cr_assert_eq(core_kb_text_fold(view_from_text("--"), folded, 32), 0);
}

Test(kb_text, knows_the_words_that_say_nothing)
{
    static const char *const stops[] = {
        "a", "about", "does", "how", "i", "the", "these", "what", "which", "who", "you", "your"};
    static const char *const others[] = {"", "ab", "karma", "thee", "yours", "zzz", "whos", "0"};
    for (size_t i = 0; i < sizeof stops / sizeof stops[0]; i++) {
        cr_assert(core_kb_text_is_stop(view_from_text(stops[i])), "%s", stops[i]);
    }
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        cr_assert_not(core_kb_text_is_stop(view_from_text(others[i])), "%s", others[i]);
    }
}
