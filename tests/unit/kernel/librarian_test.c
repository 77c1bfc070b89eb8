// librarian_test.c - the librarian's texts, scores and chunks, what it mends, and what it knows.
//
// The figures were computed by hand, or in ten lines of Python, from the originals' rules.
#include "help.h"
#include "kernel/librarian_mend.h"
#include "kernel/librarian_record.h"
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

// --- Texts ---------------------------------------------------------------------------------------

static const char *
clean(text_t *out, bus_view_t raw)
{
    text_clear(out);
    kernel_librarian_text_clean(raw, out);
    return text_view(out).data;
}

Test(librarian_text, takes_out_what_is_no_text_and_leaves_the_rest_as_it_is)
{
    const struct {
        bus_view_t raw;
        const char *wanted;
    } rows[] = {
        {VIEW_LITERAL("plain"), "plain"},
        {VIEW_LITERAL(""), ""},
        {VIEW_LITERAL(" \n\t "), ""},
        {VIEW_LITERAL("  two  words  "), "two  words"},
        {VIEW_LITERAL("a\r\nb\rc\nd"), "a\nb\nc\nd"},
        {VIEW_LITERAL("a \t\nb"), "a\nb"},
        {VIEW_LITERAL("a\n\n\n\n\nb"), "a\n\nb"},
        {VIEW_LITERAL("a\fb"), "a\nb"},
        {VIEW_LITERAL("nul\0bell\a\x7f end"), "nulbell end"},
        {VIEW_LITERAL("\xef\xbb\xbfmark"), "mark"},
        {VIEW_LITERAL("no\xc2\xa0"
                      "break"),
         "no break"},
        {VIEW_LITERAL("so\xc2\xad"
                      "ft zero\xe2\x80\x8bwidth"),
         "soft zerowidth"},
        {VIEW_LITERAL("c1\xc2\x80\xc2\x9f."), "c1."},
        {VIEW_LITERAL("line\xe2\x80\xa8separator"), "line\nseparator"},
        {VIEW_LITERAL("\xe0\xa4\x95\xe0\xa5\x8d\xe2\x80\x8d joiner"),
         "\xe0\xa4\x95\xe0\xa5\x8d\xe2\x80\x8d joiner"}, // Devanagari needs it
        {VIEW_LITERAL("\xc4\x81tman \xf0\x9f\x95\x89"), "\xc4\x81tman \xf0\x9f\x95\x89"},
    };
    BUS_AUTO(text_destroy) text_t *out = text_new();
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        cr_assert_str_eq(clean(out, rows[i].raw), rows[i].wanted, "row %zu", i);
        BUS_AUTO(text_destroy) text_t *again = text_new();
        cr_assert_str_eq(clean(again, text_view(out)), rows[i].wanted, "once is enough: %zu", i);
    }
}

Test(librarian_text, counts_words_and_characters_not_bytes)
{
    kernel_librarian_measure_t measure =
        kernel_librarian_text_measure(VIEW_LITERAL("\xc4\x81tman is \xe0\xa4\x95\n karma"));
    cr_assert_eq(measure.words, 4);
    cr_assert_eq(measure.letters, 5 + 2 + 1 + 5);
    cr_assert_eq(measure.characters, 17);
    measure = kernel_librarian_text_measure(VIEW_NONE);
    cr_assert_eq(measure.words + measure.letters + measure.characters, 0);
}

Test(librarian_text, scores_quality_at_each_side_of_each_bound)
{
    static const struct {
        uint64_t words;
        uint64_t letters;
        unsigned tenths;
    } rows[] = {
        {0, 0, 5},       // too few, and of no length
        {49, 49 * 4, 7}, // too few
        {49, 49 * 4 - 1, 5},
        {50, 50 * 4, 10},    // enough
        {50, 50 * 4 - 1, 8}, // 3.98 on average
        {2000, 2000 * 4, 10},
        {2001, 2001 * 4, 8},
        {2001, 2001 * 4 - 1, 6},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        kernel_librarian_measure_t measure = {.words = rows[i].words, .letters = rows[i].letters};
        cr_assert_eq(kernel_librarian_text_quality(&measure), rows[i].tenths, "row %zu", i);
    }
}

Test(librarian_text, trusts_by_source_and_size)
{
    static const struct {
        const char *source;
        uint64_t characters;
        unsigned tenths;
    } rows[] = {
        {NULL, 100, 8},
        {NULL, 99, 6},
        {"filesystem", 100, 9},
        {"filesystem", 99, 7}, // 0.8 + 0.1 - 0.2 is enough, whatever floating point makes of it
        {"external", 100, 6},
        {"external", 99, 4},
        {"upload", 100, 8},
        {"Filesystem", 100, 8},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        cr_assert_eq(
            kernel_librarian_text_trust(view_from_text(rows[i].source), rows[i].characters),
            rows[i].tenths,
            "row %zu",
            i);
    }
}

// --- Chunks --------------------------------------------------------------------------------------

// "w0 w1 w2 …"
static void
write_words(text_t *out, unsigned count, const char *space)
{
    text_clear(out);
    for (unsigned i = 0; i < count; i++) {
        text_add_format(out, "%sw%u", i == 0 ? "" : space, i);
    }
}

static unsigned
number_at(bus_view_t text, size_t at)
{
    cr_assert_eq(text.data[at], 'w');
    return (unsigned) atoi(text.data + at + 1);
}

Test(librarian_chunk, ends_where_the_text_ends_and_overlaps_by_200_words)
{
    static const struct {
        unsigned words;
        unsigned chunks; // 1 + ceil((n - 1000) / 800), 0 of none
    } rows[] = {{0, 0},
                {1, 1},
                {200, 1},
                {999, 1},
                {1000, 1},
                {1001, 2},
                {1800, 2},
                {1801, 3},
                {2600, 3},
                {2601, 4},
                {5000, 6},
                {10000, 13}};
    BUS_AUTO(text_destroy) text_t *text = text_new();
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        write_words(text, rows[i].words, " \n");
        kernel_librarian_chunk_t chunk = {.next = 0};
        unsigned count = 0;
        bus_view_t view = text_view(text);
        while (kernel_librarian_text_chunk(view, &chunk, &chunk)) {
            unsigned first = count * 800;
            unsigned last = first + 1000 < rows[i].words ? first + 1000 : rows[i].words;
            cr_assert_eq(number_at(view, chunk.start), first);
            cr_assert_eq(chunk.words, last - first);
            size_t word = chunk.end;
            while (view.data[word - 1] != 'w') {
                word--;
            }
            cr_assert_eq(number_at(view, word - 1), last - 1);
            cr_assert_lt(count++, 20, "it goes on and on");
        }
        cr_assert_eq(count, rows[i].chunks, "%u words", rows[i].words);
        cr_assert_eq(count == 0, !chunk.is_last);
    }
}

// --- Mending -------------------------------------------------------------------------------------

static unsigned
mend(text_t *out, const char *text)
{
    text_clear(out);
    return kernel_librarian_mend_text(view_from_text(text), out);
}

Test(librarian_mend, takes_out_what_a_page_or_a_scanner_put_in)
{
    static const struct {
        const char *text;
        const char *wanted;
        unsigned steps;
    } rows[] = {
        {"Nothing to do here.", "Nothing to do here.", 0},
        {"One para.\n\nAnother\nline.", "One para.\n\nAnother\nline.", 0},
        {"know-\nledge burns", "knowledge burns", KERNEL_LIBRARIAN_MEND_HYPHENS},
        {"Anglo-\nSaxon", "Anglo-\nSaxon", 0}, // a capital: the hyphen is the word's
        {"k a r m a  y o g a is it", "karma yoga is it", KERNEL_LIBRARIAN_MEND_LETTERS},
        {"a b c of it", "a b c of it", 0}, // three may be names of things
        {"text\n-----\nmore\n* * *\nend", "text\nmore\nend", KERNEL_LIBRARIAN_MEND_LINES},
        {"one\n12\ntwo\nPage 3 of 10\nthree\n- 4 -\nfour",
         "one\ntwo\nthree\nfour",
         KERNEL_LIBRARIAN_MEND_LINES},
        {"Chapter One ........ 12", "Chapter One 12", KERNEL_LIBRARIAN_MEND_MARKS},
        {"The Gita 1\naction\nThe Gita 2\nfruit\nThe Gita 33\nend",
         "The Gita 1\naction\nfruit\nend",
         KERNEL_LIBRARIAN_MEND_REPEATS},
        {"twice\nx\ntwice\ny", "twice\nx\ntwice\ny", 0}, // a refrain is no header
        {"k n o w-\n", "k n o w-", 0},
        {"", "", 0},
        {"\xc4\x81 t m a n", "\xc4\x81tman", KERNEL_LIBRARIAN_MEND_LETTERS},
    };
    BUS_AUTO(text_destroy) text_t *out = text_new();
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        cr_assert_eq(mend(out, rows[i].text), rows[i].steps, "row %zu", i);
        cr_assert_str_eq(text_view(out).data, rows[i].wanted, "row %zu", i);
    }
}

Test(librarian_mend, raises_the_score_of_a_text_that_was_set_apart)
{
    BUS_AUTO(text_destroy) text_t *raw = text_new();
    BUS_AUTO(text_destroy) text_t *out = text_new();
    for (unsigned i = 0; i < 60; i++) {
        text_add(raw, VIEW_LITERAL("a c t i o n  "));
    }
    kernel_librarian_measure_t before = kernel_librarian_text_measure(text_view(raw));
    cr_assert_eq(kernel_librarian_text_quality(&before), 8);
    cr_assert_eq(mend(out, text_view(raw).data), KERNEL_LIBRARIAN_MEND_LETTERS);
    kernel_librarian_measure_t after = kernel_librarian_text_measure(text_view(out));
    cr_assert_eq(after.words, 60);
    cr_assert_eq(after.letters, 360);
    cr_assert_eq(kernel_librarian_text_quality(&after), 10);
}

Test(librarian_mend, splits_a_long_text_at_sentences_and_loses_no_word)
{
    static const unsigned sizes[] = {0, 1, 2000, 2001, 2049, 3001, 10000, 131072, 196608};
    BUS_AUTO(text_destroy) text_t *text = text_new();
    for (unsigned dotted = 0; dotted < 2; dotted++) {
        for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
            bus_view_t sections[KERNEL_LIBRARIAN_SECTIONS_MAX];
            write_words(text, sizes[i], dotted != 0 ? ". " : " ");
            size_t count = kernel_librarian_mend_split(text_view(text), sections);
            uint64_t words = 0;
            cr_assert_leq(count, KERNEL_LIBRARIAN_SECTIONS_MAX);
            cr_assert_eq(count == 1, sizes[i] <= 2000, "%u words: %zu", sizes[i], count);
            for (size_t j = 0; j < count; j++) {
                kernel_librarian_measure_t part = kernel_librarian_text_measure(sections[j]);
                cr_assert(count == 1 || part.words >= 50);
                cr_assert(count == 1 || sizes[i] > 50000 || part.words <= 1049);
                words += part.words;
            }
            cr_assert_eq(words, sizes[i]);
        }
    }
}

// --- What it knows -------------------------------------------------------------------------------

static help_t *help;

static void
setup(void)
{
    help = help_new(&kernel_librarian_definition);
    help->source = "kernel-librarian";
}

static void
teardown(void)
{
    help_destroy(&help);
}

TestSuite(librarian_record, .init = setup, .fini = teardown);

// A fact; `letter` 64 times is its sha256.
static bus_err_t
say(const char *id, char letter, const char *status, double quality, const char *more)
{
    char sha[65];
    char json[2000];
    memset(sha, letter, 64);
    sha[64] = '\0';
    snprintf(json,
             sizeof json,
             "{\"document_id\":\"%s\",\"sha256\":\"%s\",\"status\":\"%s\",\"words\":10,"
             "\"sections\":1,\"chunks\":1,\"quality_score\":%g,\"trust_score\":0.8%s}",
             id,
             sha,
             status,
             quality,
             more);
    return help_apply(help, "kb.ingested", json);
}

static const char *
known(const char *id, const char *field)
{
    char json[100];
    char path[60];
    snprintf(json, sizeof json, "{\"document_id\":\"%s\"}", id);
    bus_err_t err = help_ask(help, "documents", json);
    if (err != BUS_OK) {
        return error_text(err);
    }
    // one document: its field is behind the first name of it
    snprintf(path, sizeof path, "\"%s\":", field);
    const char *found = strstr(help_text(help->answer), path);
    cr_assert_not_null(found);
    found += strlen(path);
    text_clear(help->scratch);
    text_add(help->scratch, view_from(found, strcspn(found, ",}")));
    return help_text(help->scratch);
}

static bool
has_hash(char letter)
{
    char sha[64];
    bus_view_t id;
    store_txn_t *txn = NULL;
    memset(sha, letter, 64);
    cr_assert_eq(store_begin(help->store, STORE_READ, &txn), BUS_OK);
    bus_err_t err = kernel_librarian_record_find(txn, view_from(sha, 64), &id);
    store_rollback(&txn);
    return err == BUS_OK;
}

static kernel_librarian_totals_t
totals(void)
{
    kernel_librarian_totals_t found;
    store_txn_t *txn = NULL;
    cr_assert_eq(store_begin(help->store, STORE_READ, &txn), BUS_OK);
    cr_assert_eq(kernel_librarian_record_totals(txn, &found), BUS_OK);
    store_rollback(&txn);
    return found;
}

Test(librarian_record, knows_a_document_by_its_id_and_its_text)
{
    cr_assert_eq(say("a", 'a', "accepted", 1, ""), BUS_OK);
    cr_assert_str_eq(known("a", "status"), "\"accepted\"");
    cr_assert_str_eq(known("b", "status"), "NOT_FOUND");
    cr_assert(has_hash('a') && !has_hash('b'));
    cr_assert_eq(say("a", 'b', "accepted", 1, ""), BUS_OK); // another text, the same id
    cr_assert(!has_hash('a') && has_hash('b'));
    cr_assert_eq(totals().accepted, 1);
    cr_assert_eq(totals().quality, 1000);
}

Test(librarian_record, believes_nobody_else)
{
    help->source = "somebody";
    cr_assert_eq(say("a", 'a', "accepted", 1, ""), BUS_UNAUTHORIZED_ACCESS);
    cr_assert_eq(help_count(help, KERNEL_LIBRARIAN_DOCUMENTS), 0);
}

Test(librarian_record, keeps_the_text_of_a_low_one_until_it_is_mended)
{
    cr_assert_eq(say("a", 'a', "rejected", 0.5, ",\"text\":\"short\""), BUS_OK);
    cr_assert_str_eq(known("a", "low"), "true");
    cr_assert_eq(help_count(help, KERNEL_LIBRARIAN_LOW), 1);
    cr_assert_gt(totals().low_bytes, 5);
    cr_assert_eq(say("a", 'a', "rejected", 0.5, ",\"before\":0.5"), BUS_OK); // tried, in vain
    cr_assert_str_eq(known("a", "low"), "true");
    cr_assert_eq(help_count(help, KERNEL_LIBRARIAN_LOW), 1);
    cr_assert_eq(totals().mended, 0);
    cr_assert_eq(say("a", 'a', "accepted", 1, ",\"before\":0.5"), BUS_OK);
    cr_assert_str_eq(known("a", "low"), "false");
    cr_assert_str_eq(known("a", "quality_before"), "0.5");
    cr_assert_eq(help_count(help, KERNEL_LIBRARIAN_LOW), 0);
    cr_assert_eq(help_count(help, KERNEL_LIBRARIAN_REJECTED), 0);
    cr_assert_eq(totals().low_bytes, 0);
    cr_assert_eq(totals().mended, 1);
    cr_assert_eq(totals().rejected, 0);
    cr_assert_eq(totals().accepted, 1);
}

Test(librarian_record, joins_documents_and_still_knows_their_texts)
{
    cr_assert_eq(say("a", 'a', "accepted", 0.7, ",\"text\":\"one\""), BUS_OK);
    cr_assert_eq(say("b", 'b', "rejected", 0.5, ",\"text\":\"two\""), BUS_OK);
    cr_assert_eq(
        say("ab", 'c', "accepted", 1, ",\"before\":0.6,\"members\":[\"a\",\"b\",\"gone\",\"ab\"]"),
        BUS_OK);
    cr_assert_str_eq(known("a", "status"), "\"joined\"");
    cr_assert_str_eq(known("a", "reason"), "\"ab\"");
    cr_assert_str_eq(known("b", "status"), "\"joined\"");
    cr_assert_str_eq(known("ab", "status"), "\"accepted\"");
    cr_assert(has_hash('a') && has_hash('b') && has_hash('c'));
    cr_assert_eq(help_count(help, KERNEL_LIBRARIAN_LOW), 0);
    cr_assert_eq(help_count(help, KERNEL_LIBRARIAN_REJECTED), 0);
    cr_assert_eq(totals().joined, 2);
    cr_assert_eq(totals().accepted, 1);
    cr_assert_eq(totals().quality, 1000);
}

Test(librarian_record, lets_go_of_what_somebody_else_replaced_or_removed)
{
    cr_assert_eq(say("a", 'a', "accepted", 0.7, ",\"text\":\"one\""), BUS_OK);
    cr_assert_eq(say("b", 'b', "accepted", 1, ""), BUS_OK);
    cr_assert_eq(say("c", 'c', "accepted", 1, ""), BUS_OK);
    cr_assert_eq(help_apply(help, "kb.document", "{\"document_id\":\"c\",\"text\":\"ours\"}"),
                 BUS_OK);
    cr_assert_eq(help_apply(help, "kb.remove", "{\"document_id\":\"b\"}"), BUS_OK);
    cr_assert_eq(help_count(help, KERNEL_LIBRARIAN_DOCUMENTS), 3, "its own words change nothing");
    help->source = "bhiv_cli";
    cr_assert_eq(help_apply(help, "kb.document", "{\"document_id\":\"a\",\"text\":\"theirs\"}"),
                 BUS_OK);
    cr_assert_eq(help_apply(help, "kb.remove", "{\"document_id\":\"b\"}"), BUS_OK);
    cr_assert_eq(help_apply(help, "kb.remove", "{\"document_id\":\"none\"}"), BUS_OK);
    cr_assert(!has_hash('a') && !has_hash('b') && has_hash('c'));
    cr_assert_eq(help_count(help, KERNEL_LIBRARIAN_DOCUMENTS), 1);
    cr_assert_eq(help_count(help, KERNEL_LIBRARIAN_LOW), 0);
    cr_assert_eq(totals().accepted, 1);
    cr_assert_eq(totals().low_bytes, 0);
}

Test(librarian_record, keeps_no_more_texts_than_it_may)
{
    for (unsigned i = 0; i < KERNEL_LIBRARIAN_LOW_MAX + 3; i++) {
        char json[600];
        snprintf(json,
                 sizeof json,
                 "{\"document_id\":\"d%04u\",\"sha256\":\"%064u\",\"status\":\"accepted\","
                 "\"words\":1,\"sections\":1,\"chunks\":1,\"quality_score\":0.7,"
                 "\"trust_score\":0.8,\"text\":\"t\"}",
                 i,
                 i);
        cr_assert_eq(help_apply(help, "kb.ingested", json), BUS_OK);
    }
    cr_assert_eq(help_count(help, KERNEL_LIBRARIAN_LOW), KERNEL_LIBRARIAN_LOW_MAX);
    cr_assert_eq(help_count(help, KERNEL_LIBRARIAN_DOCUMENTS), KERNEL_LIBRARIAN_LOW_MAX + 3);
    cr_assert_str_eq(known("d0002", "low"), "false");
    cr_assert_str_eq(known("d0003", "low"), "true");
}

Test(librarian_record, goes_on_where_a_row_of_its_is_damaged)
{
    cr_assert_eq(say("a", 'a', "rejected", 0.5, ",\"text\":\"one\""), BUS_OK);
    help_damage(help, KERNEL_LIBRARIAN_DOCUMENTS, VIEW_LITERAL("a"));
    help_damage(help, KERNEL_LIBRARIAN_LOW, STORE_U64(1));
    help_damage(help, KERNEL_LIBRARIAN_TOTALS, VIEW_LITERAL("totals"));
    cr_assert_eq(say("a", 'a', "accepted", 1, ""), BUS_OK);
    cr_assert_str_eq(known("a", "status"), "\"accepted\"");
    help->source = "bhiv_cli";
    cr_assert_eq(help_apply(help, "kb.remove", "{\"document_id\":\"a\"}"), BUS_OK);
    cr_assert(!has_hash('a'));
    cr_assert_eq(totals().accepted, 0);
}

Test(librarian_record, lists_by_id_from_where_it_was_left)
{
    cr_assert_eq(say("a", 'a', "accepted", 1, ""), BUS_OK);
    cr_assert_eq(say("b", 'b', "rejected", 0.5, ",\"text\":\"x\""), BUS_OK);
    cr_assert_eq(say("c", 'c', "accepted", 0.8, ",\"text\":\"x\""), BUS_OK);
    cr_assert_eq(help_ask(help, "documents", "{\"limit\":2}"), BUS_OK);
    cr_assert_str_eq(help_at(help, "count"), "2");
    cr_assert_str_eq(help_at(help, "next"), "\"b\"");
    cr_assert_eq(help_ask(help, "documents", "{\"after\":\"b\"}"), BUS_OK);
    cr_assert_str_eq(help_at(help, "count"), "1");
    cr_assert_str_eq(help_at(help, "next"), "null");
    cr_assert_eq(help_ask(help, "documents", "{\"low\":true}"), BUS_OK);
    cr_assert_str_eq(help_at(help, "count"), "2");
    cr_assert_eq(help_ask(help, "documents", "{\"status\":\"accepted\",\"low\":false}"), BUS_OK);
    cr_assert_str_eq(help_at(help, "count"), "1");
    cr_assert_str_eq(help_at(help, "totals.average_quality"), "0.9");
}
