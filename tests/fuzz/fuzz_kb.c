// fuzz_kb.c - any bytes as a text and as a question: words, stems, sentences and passages stay
// within it, follow each other and cover it; a block of postings is read without harm.
#include "core/kb_block.h"
#include "core/kb_chunk.h"
#include "core/kb_question.h"
#include "core/kb_stem.h"
#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_words(bus_view_t text)
{
    core_kb_words_t words = core_kb_text_words(text);
    core_kb_word_t word;
    const char *last = text.data;
    while (core_kb_text_next_word(&words, &word)) {
        assert(word.source.size > 0 && word.source.data >= last);
        last = word.source.data + word.source.size;
        assert(last <= text.data + text.size);
        assert(word.folded_size > 0 && word.folded_size <= sizeof word.folded);
        char term[CORE_KB_TEXT_TERM_MAX];
        size_t term_size = core_kb_question_term(&word, term);
        assert(term_size > 0 && term_size <= word.folded_size);
    }
}

static void
check_passages(bus_view_t text)
{
    core_kb_chunk_t before = {.end = 0};
    core_kb_chunk_t chunk;
    while (core_kb_chunk_next(text, &before, &chunk)) {
        assert(chunk.start + chunk.overlap >= before.end);
        assert(chunk.end > chunk.start + chunk.overlap && chunk.end <= text.size);
        assert(chunk.end - chunk.start <= CORE_KB_CHUNK_CHARS_MAX * 4);
        before = chunk;
    }
    for (size_t at = 0; at < text.size;) {
        size_t end = core_kb_chunk_sentence_end(text, at);
        assert(end > at && end <= text.size);
        at = core_kb_chunk_skip_space(text, end);
    }
}

static void
check_question(bus_view_t text)
{
    core_kb_asked_t asked;
    const char *field = NULL;
    const char *problem = NULL;
    bus_err_t err = core_kb_question_read(text, VIEW_NONE, &asked, &field, &problem);
    assert(err == BUS_OK || (err == BUS_VALIDATION_FAILED && problem != NULL));
    assert(asked.term_count <= CORE_KB_QUESTION_TERMS_MAX);
    assert(asked.filter_count <= CORE_KB_QUESTION_FILTERS_MAX);
}

static void
check_block(bus_view_t bytes)
{
    core_kb_block_reader_t reader;
    core_kb_posting_t posting;
    uint32_t count = 0;
    if (core_kb_block_read(&reader, 1, bytes) == BUS_OK) {
        while (core_kb_block_next(&reader, &posting) == BUS_OK) {
            count++;
        }
        assert(count <= CORE_KB_INDEX_BLOCK);
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    bus_view_t bytes = size == 0 ? VIEW_LITERAL("") : view_from(data, size);
    check_words(bytes);
    check_passages(bytes);
    check_question(bytes);
    check_block(bytes);
    return 0;
}
