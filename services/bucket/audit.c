// audit.c - the audit log: entries, the tree over them, and finding one.
//
// The leaf of entry i is its bytes in BUCKET_AUDIT; the tree's complete nodes lie in BUCKET_NODES,
// written once when the leaf that completes them is added. So an addition writes two nodes on
// average and reads none: the left siblings that it needs are the edge of the tree, which is kept
// in memory. How many leaves there are is told by the nodes of level 0, which stay when an entry's
// body goes after seven years.
#include "audit.h"

#include "audit_entry.h"
#include "index.h"
#include "runtime/log.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

#define LEVEL_SHIFT 58 // of a node's key: above any index that a level may have
#define SIZE_UNKNOWN UINT64_MAX

static uint64_t
node_key(unsigned level, uint64_t index)
{
    assert(level < MERKLE_LEVELS_MAX && index < UINT64_C(1) << LEVEL_SHIFT);
    return (uint64_t) level << LEVEL_SHIFT | index;
}

// --- Reading the tree ----------------------------------------------------------------------------

bus_err_t
bucket_audit_node(void *arg, unsigned level, uint64_t index, merkle_hash_t *ret_hash)
{
    store_txn_t *txn = arg;
    bus_view_t value;
    bus_err_t err = store_get(txn, BUCKET_NODES, STORE_U64(node_key(level, index)), &value);
    if (err != BUS_OK) {
        return err == BUS_NOT_FOUND ? BUS_CORRUPT : err; // a node that must be there
    }
    if (value.size != sizeof ret_hash->bytes) {
        return BUS_CORRUPT;
    }
    memcpy(ret_hash->bytes, value.data, sizeof ret_hash->bytes);
    return BUS_OK;
}

bus_err_t
bucket_audit_leaf(store_txn_t *txn, uint64_t index, bus_view_t *ret_leaf)
{
    bus_err_t err = store_get(txn, BUCKET_AUDIT, STORE_U64(index), ret_leaf);
    return err == BUS_NOT_FOUND ? BUS_AUDIT_ENTRY_NOT_FOUND : err;
}

bus_err_t
bucket_audit_size(store_txn_t *txn, uint64_t *ret_size)
{
    BUS_AUTO(store_cursor_destroy) store_cursor_t *cursor = NULL;
    bus_err_t err = store_cursor_open(txn, BUCKET_NODES, &cursor);
    if (err != BUS_OK) {
        return err;
    }
    // A record that fails its check has its key all the same, and the key is all that is asked for.
    bus_view_t key;
    bus_view_t value;
    err = store_seek(cursor, STORE_U64(node_key(1, 0)), &key, &value);
    if (err == BUS_NOT_FOUND) {
        err = store_last(cursor, &key, &value);
    } else if (err == BUS_OK || err == BUS_CORRUPT) {
        err = store_prev(cursor, &key, &value);
    }
    if (err == BUS_NOT_FOUND) {
        *ret_size = 0;
        return BUS_OK;
    }
    if (err != BUS_OK && err != BUS_CORRUPT) {
        return err;
    }
    uint64_t last;
    memcpy(&last, key.data, sizeof last);
    *ret_size = last + 1;
    return BUS_OK;
}

// A leaf's hash as it is kept or, where that is damaged, made anew of the entry.
static bus_err_t
leaf_hash(store_txn_t *txn, uint64_t index, merkle_hash_t *ret_hash)
{
    bus_err_t err = bucket_audit_node(txn, 0, index, ret_hash);
    bus_view_t leaf;
    if (err == BUS_CORRUPT && store_get(txn, BUCKET_AUDIT, STORE_U64(index), &leaf) == BUS_OK) {
        merkle_leaf(leaf, ret_hash);
        return BUS_OK;
    }
    return err;
}

// Adds a hash to the edge of a tree of `index` leaves. Returns how many nodes that makes.
static unsigned
grow(merkle_hash_t lefts[MERKLE_LEVELS_MAX],
     uint64_t index,
     const merkle_hash_t *hash,
     merkle_hash_t ret_nodes[MERKLE_LEVELS_MAX])
{
    unsigned count = merkle_append(index, hash, lefts, ret_nodes);
    lefts[count - 1] = ret_nodes[count - 1];
    return count;
}

// A node made of the leaves below it: where the one that is kept is damaged, so that one bad record
// does not keep Bucket from starting. It stays in the store as it is, for verification to name.
static bus_err_t
make_node(store_txn_t *txn, unsigned level, uint64_t index, merkle_hash_t *ret_hash)
{
    log_error("audit_node_damaged", "level=%u index=%" PRIu64 " hint=audit_verify", level, index);
    merkle_hash_t lefts[MERKLE_LEVELS_MAX];
    merkle_hash_t nodes[MERKLE_LEVELS_MAX] = {0};
    uint64_t first = index << level;
    for (uint64_t i = 0; i < UINT64_C(1) << level; i++) {
        merkle_hash_t hash;
        bus_err_t err = leaf_hash(txn, first + i, &hash);
        if (err != BUS_OK) {
            return err;
        }
        (void) grow(lefts, i, &hash, nodes);
    }
    *ret_hash = nodes[level];
    return BUS_OK;
}

bus_err_t
bucket_audit_load(store_txn_t *txn, bucket_tree_t *ret_tree)
{
    bucket_tree_t tree = {.size = 0};
    bus_err_t err = bucket_audit_size(txn, &tree.size);
    for (unsigned level = 0; err == BUS_OK && tree.size >> level != 0; level++) {
        if ((tree.size >> level & 1) == 0) {
            continue;
        }
        uint64_t index = (tree.size >> level) - 1;
        err = bucket_audit_node(txn, level, index, &tree.lefts[level]);
        if (err == BUS_CORRUPT) {
            err = make_node(txn, level, index, &tree.lefts[level]);
        }
    }
    if (err == BUS_OK) {
        *ret_tree = tree;
    }
    return err;
}

void
bucket_audit_doubt(bucket_tree_t *tree)
{
    *tree = (bucket_tree_t){.size = SIZE_UNKNOWN};
}

// --- Adding --------------------------------------------------------------------------------------

static void
make_id(const service_apply_t *apply, uint32_t number, char ret_id[BUCKET_AUDIT_ID_SIZE])
{
    uint64_t seq = apply->header->seq;
    if (number == 0) {
        (void) snprintf(ret_id, BUCKET_AUDIT_ID_SIZE, "audit_%" PRIu64, seq);
    } else {
        (void) snprintf(ret_id, BUCKET_AUDIT_ID_SIZE, "audit_%" PRIu64 ".%u", seq, number);
    }
}

static bus_err_t
put_nodes(store_txn_t *txn, uint64_t index, const merkle_hash_t *nodes, unsigned count)
{
    for (unsigned level = 0; level < count; level++) {
        bus_view_t hash = view_from(nodes[level].bytes, sizeof nodes[level].bytes);
        uint64_t key = node_key(level, index >> level);
        bus_err_t err = store_put(txn, BUCKET_NODES, STORE_U64(key), hash);
        if (err != BUS_OK) {
            return err;
        }
    }
    return BUS_OK;
}

static bool
is_indexed(bus_view_t value)
{
    return value.size > 0 && value.size <= BUCKET_INDEX_VALUE_MAX;
}

static bus_err_t
add_indexes(store_txn_t *txn, const bucket_audit_t *entry, uint64_t index)
{
    bus_view_t type = view_from_text(entry->event_type);
    bus_view_t severity = view_from_text(bucket_audit_entry_severity(entry));
    bus_err_t err = bucket_index_add(txn, BUCKET_INDEX_AUDIT_TYPE, type, index);
    if (err == BUS_OK && is_indexed(entry->product)) {
        err = bucket_index_add(txn, BUCKET_INDEX_AUDIT_PRODUCT, entry->product, index);
    }
    if (err == BUS_OK && !view_is(severity, "INFO")) {
        err = bucket_index_add(txn, BUCKET_INDEX_AUDIT_SEVERITY, severity, index);
    }
    return err;
}

bus_err_t
bucket_audit_add(service_apply_t *apply,
                 const bucket_audit_t *entry,
                 bucket_audit_place_t *ret_place)
{
    bucket_state_t *state = apply->state;
    bucket_tree_t *tree = &state->tree;
    bus_err_t err = tree->size == SIZE_UNKNOWN ? bucket_audit_load(apply->txn, tree) : BUS_OK;
    if (err != BUS_OK) {
        return err;
    }
    uint64_t index = tree->size;
    bool is_first = tree->seq != apply->header->seq;
    uint32_t number = is_first ? 0 : tree->entries;
    make_id(apply, number, ret_place->audit_id);
    pack_clear(state->scratch);
    assert(entry->details.data == NULL || entry->details.data != pack_view(state->scratch).data);
    bucket_audit_entry_pack(apply, entry, ret_place->audit_id, state->scratch);
    bus_view_t leaf = pack_view(state->scratch);
    merkle_leaf(leaf, &ret_place->hash);
    ret_place->leaf_index = index;

    merkle_hash_t nodes[MERKLE_LEVELS_MAX];
    unsigned count = merkle_append(index, &ret_place->hash, tree->lefts, nodes);
    err = store_append(apply->txn, BUCKET_AUDIT, STORE_U64(index), leaf);
    if (err == BUS_OK && is_first) {
        err = store_append(apply->txn,
                           BUCKET_AUDIT_SEQS,
                           STORE_U64(apply->header->seq),
                           view_from(&index, sizeof index));
    }
    if (err == BUS_OK) {
        err = put_nodes(apply->txn, index, nodes, count);
    }
    if (err == BUS_OK) {
        err = add_indexes(apply->txn, entry, index);
    }
    if (err != BUS_OK) {
        bucket_audit_doubt(tree);
        return err == BUS_CONFLICT ? BUS_CORRUPT : err; // a row above the tree
    }
    tree->lefts[count - 1] = nodes[count - 1];
    tree->size++;
    tree->seq = apply->header->seq;
    tree->entries = number + 1;
    return BUS_OK;
}

void
bucket_audit_answer(pack_t *out, const bucket_audit_t *entry, const bucket_audit_place_t *place)
{
    pack_pair_text(out, "decision", entry->is_refused ? "refused" : "allowed");
    pack_pair_text(out, "rule", entry->rule != NULL ? entry->rule : "contract");
    pack_pair_text(out, "audit_id", place->audit_id);
}

// --- Finding -------------------------------------------------------------------------------------

// The first leaf that is not the record's any more.
static bus_err_t
find_end(store_txn_t *txn, uint64_t seq, uint64_t *ret_end)
{
    BUS_AUTO(store_cursor_destroy) store_cursor_t *cursor = NULL;
    bus_err_t err = store_cursor_open(txn, BUCKET_AUDIT_SEQS, &cursor);
    bus_view_t key;
    bus_view_t value;
    if (err == BUS_OK) {
        err = store_seek(cursor, STORE_U64(seq + 1), &key, &value);
    }
    if (err == BUS_NOT_FOUND) {
        return bucket_audit_size(txn, ret_end);
    }
    if (err == BUS_OK && value.size != sizeof *ret_end) {
        return BUS_CORRUPT;
    }
    if (err == BUS_OK) {
        memcpy(ret_end, value.data, sizeof *ret_end);
    }
    return err;
}

bus_err_t
bucket_audit_find(store_txn_t *txn, bus_view_t audit_id, uint64_t *ret_index)
{
    uint64_t seq;
    uint64_t number;
    if (bucket_audit_entry_parse(audit_id, &seq, &number) != BUS_OK) {
        return BUS_AUDIT_ENTRY_NOT_FOUND;
    }
    bus_view_t value;
    bus_err_t err = store_get(txn, BUCKET_AUDIT_SEQS, STORE_U64(seq), &value);
    if (err != BUS_OK) {
        return err == BUS_NOT_FOUND ? BUS_AUDIT_ENTRY_NOT_FOUND : err;
    }
    uint64_t first;
    if (value.size != sizeof first) {
        return BUS_CORRUPT;
    }
    memcpy(&first, value.data, sizeof first);
    if (number > 0) {
        uint64_t end = 0;
        err = find_end(txn, seq, &end);
        if (err != BUS_OK) {
            return err;
        }
        if (end <= first || number >= end - first) {
            return BUS_AUDIT_ENTRY_NOT_FOUND;
        }
    }
    *ret_index = first + number;
    return BUS_OK;
}
