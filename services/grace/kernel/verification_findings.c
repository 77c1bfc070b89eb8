// verification_findings.c - what is wrong with the audit log. See verification_findings.h.
#include "verification_findings.h"

#include "proto/rfc3339.h"
#include "watch.h"

#include <stdarg.h>
#include <stdio.h>

static const char *const names[KERNEL_VERIFICATION_KIND_COUNT] = {
    [KERNEL_VERIFICATION_HEAD] = "head",
    [KERNEL_VERIFICATION_PLACE] = "place",
    [KERNEL_VERIFICATION_LEAF] = "leaf",
    [KERNEL_VERIFICATION_ENTRY] = "entry",
    [KERNEL_VERIFICATION_INCLUSION] = "inclusion",
};

static kernel_verification_finding_t *
require(kernel_verification_findings_t *self, kernel_verification_kind_t kind, uint64_t leaf)
{
    for (size_t i = 0; i < self->count; i++) {
        if (self->at[i].kind == kind && self->at[i].leaf == leaf) {
            return &self->at[i];
        }
    }
    if (self->count == KERNEL_VERIFICATION_FINDINGS_MAX) {
        self->dropped++;
        return NULL;
    }
    self->changes++;
    kernel_verification_finding_t *finding = &self->at[self->count++];
    *finding = (kernel_verification_finding_t){.kind = kind, .leaf = leaf};
    return finding;
}

void
kernel_verification_findings_add(kernel_verification_findings_t *self,
                                 kernel_verification_kind_t kind,
                                 uint64_t leaf,
                                 uint64_t now,
                                 const char *format,
                                 ...)
{
    kernel_verification_finding_t *finding = require(self, kind, leaf);
    if (finding == NULL) {
        return;
    }
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(finding->what, sizeof finding->what, format, arguments);
    va_end(arguments);
    finding->what[walk_utf8_size(view_from_text(finding->what))] = '\0';
    finding->first_at = finding->first_at == 0 ? now : finding->first_at;
    finding->last_at = now;
    finding->is_stale = false;
}

void
kernel_verification_findings_begin(kernel_verification_findings_t *self,
                                   kernel_verification_kind_t kind,
                                   uint64_t from,
                                   uint64_t to)
{
    for (size_t i = 0; i < self->count; i++) {
        kernel_verification_finding_t *finding = &self->at[i];
        finding->is_stale = finding->kind == kind && finding->leaf >= from && finding->leaf < to;
    }
}

void
kernel_verification_findings_end(kernel_verification_findings_t *self,
                                 kernel_verification_kind_t kind)
{
    size_t kept = 0;
    for (size_t i = 0; i < self->count; i++) {
        bool goes = self->at[i].kind == kind && self->at[i].is_stale;
        if (!goes && kept != i) {
            self->at[kept] = self->at[i];
        }
        kept += !goes;
    }
    self->changes += self->count - kept;
    self->count = kept;
}

void
kernel_verification_findings_clear(kernel_verification_findings_t *self,
                                   kernel_verification_kind_t kind)
{
    for (size_t i = 0; i < self->count; i++) {
        self->at[i].is_stale = self->at[i].kind == kind;
    }
    kernel_verification_findings_end(self, kind);
}

// --- As bytes ------------------------------------------------------------------------------------

void
kernel_verification_findings_pack(const kernel_verification_findings_t *self, pack_t *out)
{
    pack_array(out, (uint32_t) self->count);
    for (size_t i = 0; i < self->count; i++) {
        const kernel_verification_finding_t *finding = &self->at[i];
        pack_map(out, 5);
        pack_pair_text(out, "kind", names[finding->kind]);
        if (finding->leaf == KERNEL_VERIFICATION_WHOLE) {
            pack_pair_nil(out, "leaf_index");
        } else {
            pack_pair_uint(out, "leaf_index", finding->leaf);
        }
        pack_pair_text(out, "what", finding->what);
        pack_pair_rfc3339(out, "first_at", finding->first_at);
        pack_pair_rfc3339(out, "last_at", finding->last_at);
    }
}

static void
read_one(kernel_verification_findings_t *self, bus_view_t item)
{
    kernel_verification_finding_t finding = {.kind = KERNEL_VERIFICATION_KIND_COUNT};
    bus_view_t kind = walk_text_at(item, "kind");
    bus_view_t what = walk_text_at(item, "what");
    for (unsigned i = 0; i < KERNEL_VERIFICATION_KIND_COUNT; i++) {
        if (view_is(kind, names[i])) {
            finding.kind = (kernel_verification_kind_t) i;
        }
    }
    if (finding.kind == KERNEL_VERIFICATION_KIND_COUNT || what.size >= sizeof finding.what ||
        self->count == KERNEL_VERIFICATION_FINDINGS_MAX ||
        rfc3339_parse(walk_text_at(item, "first_at"), &finding.first_at) != BUS_OK ||
        rfc3339_parse(walk_text_at(item, "last_at"), &finding.last_at) != BUS_OK) {
        return;
    }
    memcpy(finding.what, what.data, what.size);
    finding.leaf = walk_uint_at(item, "leaf_index", KERNEL_VERIFICATION_WHOLE);
    self->at[self->count++] = finding;
}

void
kernel_verification_findings_read(kernel_verification_findings_t *self, bus_view_t map)
{
    walk_items_t items = walk_items_at(map, "findings");
    bus_view_t item;
    while (walk_items_next(&items, &item)) {
        read_one(self, item);
    }
}
