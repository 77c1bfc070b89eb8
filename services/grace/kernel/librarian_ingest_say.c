// librarian_ingest_say.c - what is said and answered of a document: packing.
#include "librarian_ingest_self.h"

#include "runtime/clock.h"

#include <stdio.h>

static bus_view_t
text_or_none(const char *text)
{
    return text[0] != '\0' ? view_from_text(text) : VIEW_NONE;
}

void
kernel_librarian_ingest_pack_part(const kernel_librarian_ingest_t *self, size_t index, pack_t *out)
{
    bool has_parts = self->section_count > 1;
    const schema_kb_document_t part = {
        .document_id = view_from_text(self->document_id),
        .text = self->sections[index],
        .title = text_or_none(self->title),
        .source = text_or_none(self->source),
        .quality_score = {.has = true, .value = self->quality},
        .trust_score = {.has = true, .value = self->trust},
        .part = {.has = has_parts, .value = (int64_t) index + 1},
        .parts = {.has = has_parts, .value = (int64_t) self->section_count},
    };
    schema_encode(&SCHEMA_kb_document, &part, out);
}

static void
pack_steps(const kernel_librarian_ingest_t *self, pack_t *out)
{
    size_t place = pack_array_begin(out);
    uint32_t count = 0;
    for (unsigned step = 1; step <= KERNEL_LIBRARIAN_MEND_JOIN; step *= 2) {
        if ((self->steps & step) != 0) {
            pack_text(out, kernel_librarian_mend_name((kernel_librarian_mend_t) step));
            count++;
        }
    }
    pack_count(out, place, count);
}

void
kernel_librarian_ingest_pack_fact(const kernel_librarian_ingest_t *self, pack_t *out)
{
    BUS_AUTO(pack_destroy) pack_t *steps = pack_new();
    bool is_mended = self->before.has;
    bool is_better = !is_mended || self->quality > self->before.value;
    bool is_low = self->quality * 10 < KERNEL_LIBRARIAN_FINE_QUALITY;
    pack_steps(self, steps);
    const schema_kb_ingested_t fact = {
        .document_id = view_from_text(self->document_id),
        .sha256 = view_from_text(self->sha256),
        .status = view_from_text(self->is_rejected ? "rejected" : "accepted"),
        .reason = text_or_none(self->why),
        .title = text_or_none(self->title),
        .source = text_or_none(self->source),
        .words = {.has = true, .value = (int64_t) self->words},
        .sections = {.has = true, .value = (int64_t) self->section_count},
        .chunks = {.has = true, .value = (int64_t) self->chunks},
        .quality_score = {.has = true, .value = self->quality},
        .trust_score = {.has = true, .value = self->trust},
        .before = self->before,
        .steps = is_mended ? pack_view(steps) : VIEW_NONE,
        .members = pack_view(self->members).size > 0 ? pack_view(self->members) : VIEW_NONE,
        .text = is_low && is_better ? text_view(self->text) : VIEW_NONE,
    };
    schema_encode(&SCHEMA_kb_ingested, &fact, out);
}

static void
pack_stage(pack_t *out, const char *name, uint64_t us)
{
    pack_pair_real(out, name, (double) us / 1000);
}

static void
pack_stages(const kernel_librarian_ingest_t *self, uint64_t now_us, pack_t *out)
{
    pack_text(out, "stages");
    pack_map(out, 5);
    pack_stage(out, "extract_ms", self->extract_us);
    pack_stage(out, "chunk_ms", self->chunk_us);
    pack_stage(out, "quality_ms", self->quality_us);
    pack_stage(out, "trust_ms", self->trust_us);
    pack_stage(out, "store_ms", self->store_began_us > 0 ? now_us - self->store_began_us : 0);
}

void
kernel_librarian_ingest_pack_result(const kernel_librarian_ingest_t *self,
                                    const char *status,
                                    pack_t *out)
{
    uint64_t now_us = clock_boot_us();
    bool is_rejected = self->is_rejected;
    pack_map(out, 13);
    pack_pair_text(out, "status", status);
    pack_pair_text(out, "document_id", self->document_id);
    pack_pair_text(out, "sha256", self->sha256);
    pack_pair_str(out, "action", text_or_none(self->action));
    pack_pair_str(out, "reason", text_or_none(self->why));
    pack_pair_uint(out, "words", self->words);
    pack_pair_uint(out, "sections", self->section_count);
    pack_pair_uint(out, "chunks_created", is_rejected ? 0 : self->chunks);
    pack_pair_raw(
        out, "chunk_ids", is_rejected ? VIEW_LITERAL("\x90") : pack_view(self->chunk_ids));
    pack_pair_real(out, "quality_score", self->quality);
    pack_pair_real(out, "trust_score", self->trust);
    pack_pair_real(out, "duration_seconds", (double) (now_us - self->began_us) / 1e6);
    pack_stages(self, now_us, out);
}

void
kernel_librarian_ingest_pack_duplicate(const kernel_librarian_ingest_t *self,
                                       bus_view_t document_id,
                                       const schema_librarian_document_t *row,
                                       pack_t *out)
{
    uint64_t now_us = clock_boot_us();
    bool is_rejected = view_is(row->status, "rejected");
    pack_map(out, 12);
    pack_pair_text(out, "status", is_rejected ? "rejected" : "duplicate");
    pack_pair_str(out, "document_id", document_id);
    pack_pair_str(out, "duplicate_of", document_id);
    pack_pair_text(out, "sha256", self->sha256);
    pack_pair_str(out, "reason", row->reason);
    pack_pair_int(out, "words", row->words.value);
    pack_pair_uint(out, "chunks_created", 0);
    pack_pair_raw(out, "chunk_ids", VIEW_LITERAL("\x90"));
    pack_pair_real(out, "quality_score", row->quality_score.value);
    pack_pair_real(out, "trust_score", row->trust_score.value);
    pack_pair_real(out, "duration_seconds", (double) (now_us - self->began_us) / 1e6);
    pack_stages(self, now_us, out);
}
