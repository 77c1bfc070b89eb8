// librarian_ingest_look.c - what there is to know of a document's text: its sections, chunks and
// scores, and how long each took.
#include "librarian_ingest_self.h"

#include "runtime/clock.h"

#include <stdio.h>

enum { CHUNK_ID_DIGITS = 12, CHUNK_ID_SIZE = 32 };

// chunk_<12 hex digits of the SHA-256 of "sha256:number">: the same text's are the same, and none
// is another's.
static void
add_chunk_id(kernel_librarian_ingest_t *self, uint64_t number)
{
    char named[KERNEL_LIBRARIAN_SHA_SIZE + 24];
    char hex[KERNEL_LIBRARIAN_SHA_SIZE + 1];
    char id[CHUNK_ID_SIZE];
    int size = snprintf(named, sizeof named, "%s:%llu", self->sha256, (unsigned long long) number);
    sha256_hex(view_from(named, (size_t) size), hex);
    (void) snprintf(id, sizeof id, "chunk_%.*s", CHUNK_ID_DIGITS, hex);
    pack_text(self->chunk_ids, id);
}

static void
cut_chunks(kernel_librarian_ingest_t *self)
{
    size_t place = pack_array_begin(self->chunk_ids);
    for (size_t i = 0; i < self->section_count; i++) {
        kernel_librarian_chunk_t chunk = {.next = 0};
        while (kernel_librarian_text_chunk(self->sections[i], &chunk, &chunk)) {
            add_chunk_id(self, self->chunks++);
        }
    }
    pack_count(self->chunk_ids, place, (uint32_t) self->chunks);
}

// The mean of the sections'.
static void
score_quality(kernel_librarian_ingest_t *self)
{
    unsigned tenths = 0;
    for (size_t i = 0; i < self->section_count; i++) {
        kernel_librarian_measure_t measure = kernel_librarian_text_measure(self->sections[i]);
        tenths += kernel_librarian_text_quality(&measure);
        self->words += measure.words;
    }
    self->quality = (double) tenths / (10.0 * (double) self->section_count);
}

static void
judge(kernel_librarian_ingest_t *self, unsigned trust)
{
    bool is_good = self->quality * 10 > KERNEL_LIBRARIAN_GOOD_QUALITY - 1e-9;
    bool is_trusted = trust >= KERNEL_LIBRARIAN_GOOD_TRUST;
    self->is_rejected = !is_good || !is_trusted;
    if (!is_good) {
        (void) snprintf(self->why,
                        sizeof self->why,
                        "its quality is %.2f, below 0.6: %llu words",
                        self->quality,
                        (unsigned long long) self->words);
    } else if (!is_trusted) {
        (void) snprintf(
            self->why,
            sizeof self->why,
            "its trust is %.1f, below 0.7: %llu characters from %s",
            self->trust,
            (unsigned long long) kernel_librarian_text_characters(text_view(self->text)),
            self->source[0] != '\0' ? self->source : "nowhere in particular");
    }
}

void
kernel_librarian_ingest_look(kernel_librarian_ingest_t *self)
{
    uint64_t from_us = clock_boot_us();
    bus_view_t text = text_view(self->text);
    bool is_mended = self->sha256[0] != '\0';
    if (!is_mended) {
        sha256_hex(text, self->sha256);
    }
    self->sections[0] = text;
    self->section_count = 1;
    if (is_mended) {
        self->section_count = kernel_librarian_mend_split(text, self->sections);
    }
    cut_chunks(self);
    uint64_t chunked_us = clock_boot_us();
    score_quality(self);
    uint64_t scored_us = clock_boot_us();
    unsigned trust = kernel_librarian_text_trust(view_from_text(self->source),
                                                 kernel_librarian_text_characters(text));
    self->trust = (double) trust / 10;
    judge(self, trust);
    self->chunk_us = chunked_us - from_us;
    self->quality_us = scored_us - chunked_us;
    self->trust_us = clock_boot_us() - scored_us;
}
