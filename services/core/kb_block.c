// kb_block.c - postings as bytes.
#include "kb_block.h"

#include <assert.h>
#include <endian.h>

// --- Numbers -------------------------------------------------------------------------------------

static size_t
put_number(uint8_t *out, uint64_t number)
{
    size_t size = 0;
    while (number >= 0x80) {
        out[size++] = (uint8_t) (number | 0x80);
        number >>= 7;
    }
    out[size++] = (uint8_t) number;
    return size;
}

// False where it breaks off or is too large.
static bool
get_number(const uint8_t **at_p, const uint8_t *end, uint64_t *ret_number)
{
    const uint8_t *at = *at_p;
    uint64_t number = 0;
    for (unsigned shift = 0; shift < 64 && at < end; shift += 7) {
        uint8_t byte = *at++;
        number |= (uint64_t) (byte & 0x7f) << shift;
        if (byte < 0x80) {
            *at_p = at;
            *ret_number = number;
            return true;
        }
    }
    return false;
}

static uint16_t
at_most_16(uint32_t number)
{
    return number > UINT16_MAX ? UINT16_MAX : (uint16_t) number;
}

// --- Writing -------------------------------------------------------------------------------------

void
core_kb_block_clear(core_kb_block_t *self)
{
    self->head = (core_kb_block_head_t){.words_min = UINT16_MAX};
    self->first = 0;
    self->size = sizeof self->head;
}

void
core_kb_block_add(core_kb_block_t *self, const core_kb_posting_t *posting)
{
    assert(self->head.count < CORE_KB_INDEX_BLOCK);
    assert(self->head.count == 0 || posting->passage > self->head.last);
    if (self->head.count == 0) {
        self->first = posting->passage;
        self->head.last = posting->passage;
    }
    // No passage has more words than characters, so these fit.
    uint16_t frequency = at_most_16(posting->frequency);
    uint16_t words = at_most_16(posting->words);
    self->size += put_number(self->bytes + self->size, posting->passage - self->head.last);
    self->size += put_number(self->bytes + self->size, frequency);
    self->size += put_number(self->bytes + self->size, words);
    self->head.count++;
    self->head.last = posting->passage;
    if (frequency > self->head.frequency_max) {
        self->head.frequency_max = frequency;
    }
    if (words < self->head.words_min) {
        self->head.words_min = words;
    }
}

bus_view_t
core_kb_block_seal(core_kb_block_t *self)
{
    memcpy(self->bytes, &self->head, sizeof self->head);
    return view_from(self->bytes, self->size);
}

bus_err_t
core_kb_block_load(core_kb_block_t *self, uint64_t first, bus_view_t stored)
{
    core_kb_block_reader_t reader;
    bus_err_t err = core_kb_block_read(&reader, first, stored);
    if (err == BUS_OK) {
        self->head = reader.head;
        self->first = first;
        self->size = stored.size;
        memcpy(self->bytes, stored.data, stored.size);
    }
    return err;
}

// --- Reading -------------------------------------------------------------------------------------

bus_err_t
core_kb_block_read(core_kb_block_reader_t *self, uint64_t first, bus_view_t stored)
{
    core_kb_block_head_t head;
    if (stored.size < sizeof head || stored.size > CORE_KB_BLOCK_SIZE_MAX) {
        return BUS_CORRUPT;
    }
    memcpy(&head, stored.data, sizeof head);
    if (head.count == 0 || head.count > CORE_KB_INDEX_BLOCK || head.last < first) {
        return BUS_CORRUPT;
    }
    const uint8_t *bytes = (const uint8_t *) stored.data;
    *self = (core_kb_block_reader_t){.head = head,
                                     .at = bytes + sizeof head,
                                     .end = bytes + stored.size,
                                     .left = head.count,
                                     .passage = first};
    return BUS_OK;
}

bus_err_t
core_kb_block_next(core_kb_block_reader_t *self, core_kb_posting_t *ret_posting)
{
    if (self->left == 0) {
        return BUS_NOT_FOUND;
    }
    uint64_t step;
    uint64_t frequency;
    uint64_t words;
    if (!get_number(&self->at, self->end, &step) || !get_number(&self->at, self->end, &frequency) ||
        !get_number(&self->at, self->end, &words)) {
        return BUS_CORRUPT;
    }
    self->left--;
    self->passage += step;
    *ret_posting = (core_kb_posting_t){
        .passage = self->passage, .frequency = (uint32_t) frequency, .words = (uint32_t) words};
    return BUS_OK;
}

// --- Keys ----------------------------------------------------------------------------------------

bus_view_t
core_kb_block_key(core_kb_block_key_t *self, bus_view_t term, uint64_t first)
{
    assert(term.size > 0 && term.size <= CORE_KB_TEXT_TERM_MAX);
    uint64_t big = htobe64(first);
    memcpy(self->bytes, term.data, term.size);
    self->bytes[term.size] = 0; // no term has one
    memcpy(self->bytes + term.size + 1, &big, sizeof big);
    self->size = term.size + 1 + sizeof big;
    return view_from(self->bytes, self->size);
}

bool
core_kb_block_key_first(bus_view_t key, bus_view_t term, uint64_t *ret_first)
{
    uint64_t big;
    if (key.size != term.size + 1 + sizeof big || key.data[term.size] != 0 ||
        !view_starts(key, term)) {
        return false;
    }
    memcpy(&big, key.data + term.size + 1, sizeof big);
    *ret_first = be64toh(big);
    return true;
}
