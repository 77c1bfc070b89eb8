// kb_row.c - a document as it is kept.
#include "kb_row.h"

#include "proto/walk.h"
#include "tables.h"

#include <assert.h>

bus_err_t
core_kb_row_decode(bus_view_t stored, core_kb_row_t *ret_row)
{
    schema_problems_t problems;
    ret_row->part_count = 0;
    if (schema_decode(&SCHEMA_kb_row, stored, &ret_row->about, &problems) != BUS_OK) {
        return BUS_CORRUPT;
    }
    walk_t walk = walk_from(ret_row->about.parts);
    walk_item_t item;
    if (walk_next(&walk, &item) != BUS_OK || item.type != WALK_BIN || item.bytes.size == 0 ||
        item.bytes.size > sizeof ret_row->parts ||
        item.bytes.size % sizeof ret_row->parts[0] != 0) {
        return BUS_CORRUPT;
    }
    memcpy(ret_row->parts, item.bytes.data, item.bytes.size);
    ret_row->part_count = (uint32_t) (item.bytes.size / sizeof ret_row->parts[0]);
    return BUS_OK;
}

bus_err_t
core_kb_row_get(store_txn_t *txn, bus_view_t document_id, core_kb_row_t *ret_row)
{
    bus_view_t stored;
    ret_row->part_count = 0;
    bus_err_t err = store_get(txn, CORE_KB_DOCUMENTS, document_id, &stored);
    return err == BUS_OK ? core_kb_row_decode(stored, ret_row) : err;
}

bus_err_t
core_kb_row_put(store_txn_t *txn, bus_view_t document_id, const core_kb_row_t *row)
{
    assert(row->part_count > 0 && row->part_count <= CORE_KB_DOCUMENT_PARTS_MAX);
    BUS_AUTO(pack_destroy) pack_t *parts = pack_new();
    BUS_AUTO(pack_destroy) pack_t *out = pack_new();
    pack_bin(parts, view_from(row->parts, row->part_count * sizeof row->parts[0]));
    schema_kb_row_t about = row->about;
    about.parts = pack_view(parts);
    schema_encode(&SCHEMA_kb_row, &about, out);
    return store_put(txn, CORE_KB_DOCUMENTS, document_id, pack_view(out));
}

core_kb_run_t
core_kb_row_run(const core_kb_row_t *self, uint32_t index)
{
    assert(index < self->part_count && self->parts[index].first > 0);
    return (core_kb_run_t){.first = self->parts[index].first, .last = self->parts[index].last};
}

void
core_kb_row_before(const core_kb_row_t *self,
                   uint32_t index,
                   uint64_t *ret_bytes,
                   uint64_t *ret_passages)
{
    *ret_bytes = 0;
    *ret_passages = 0;
    for (uint32_t i = 0; i < index && i < self->part_count; i++) {
        const core_kb_part_t *part = &self->parts[i];
        *ret_bytes += part->bytes;
        *ret_passages += part->first > 0 ? part->last - part->first + 1 : 0;
    }
}

bus_view_t
core_kb_row_title(const core_kb_row_t *self, bus_view_t document_id)
{
    return self->about.title.size > 0 ? self->about.title : document_id;
}
