// audit_prove.c - what the audit log proves: signed heads, inclusion, consistency, receipts.
//
// A checkpoint is signed when it is asked for, over the tree as the last commit left it: everything
// that was answered before is in it.
#include "audit_query.h"

#include "audit.h"
#include "keys.h"
#include "proto/note.h"

#include <inttypes.h>

// The head of the log as it is now.
static bus_err_t
read_head(store_txn_t *txn, merkle_head_t *ret_head)
{
    bus_err_t err = bucket_audit_size(txn, &ret_head->size);
    return err == BUS_OK ? merkle_root(bucket_audit_node, txn, ret_head->size, &ret_head->root)
                         : err;
}

static void
sign_head(const bucket_state_t *state, const merkle_head_t *head, text_t *out)
{
    const note_verifier_t *verifier = bucket_keys_verifier(state->keys);
    const note_checkpoint_t checkpoint = {.origin = view_from_text(verifier->name), .head = *head};
    BUS_AUTO(text_destroy) text_t *text = text_new();
    note_checkpoint_format(&checkpoint, text);
    bucket_keys_note(state->keys, text_view(text), out);
}

static void
pack_vkey(const bucket_state_t *state, pack_t *out)
{
    char vkey[NOTE_VKEY_SIZE];
    note_verifier_format(bucket_keys_verifier(state->keys), vkey);
    pack_pair_text(out, "vkey", vkey);
}

static void
pack_hash(pack_t *out, const merkle_hash_t *hash)
{
    BUS_AUTO(text_destroy) text_t *text = text_new();
    note_base64(view_from(hash->bytes, sizeof hash->bytes), text);
    pack_str(out, text_view(text));
}

static void
pack_path(pack_t *out, const merkle_path_t *path)
{
    pack_text(out, "path");
    pack_array(out, path->count);
    for (uint32_t i = 0; i < path->count; i++) {
        pack_hash(out, &path->hashes[i]);
    }
}

// Refuses a field for a reason.
static bus_err_t
refuse(service_query_t *query, const char *field, const char *problem)
{
    const schema_problems_t problems = {.count = 1, .at = {{field, problem}}};
    BUS_AUTO(pack_destroy) pack_t *details = pack_new();
    schema_pack_problems(&problems, details);
    return service_query_refuse(query, BUS_VALIDATION_FAILED, NULL, pack_view(details));
}

bus_err_t
bucket_audit_query_checkpoint(service_query_t *query, const void *message)
{
    (void) message;
    const bucket_state_t *state = query->state;
    merkle_head_t head;
    bus_err_t err = read_head(query->txn, &head);
    if (err != BUS_OK) {
        return err;
    }
    BUS_AUTO(text_destroy) text_t *checkpoint = text_new();
    sign_head(state, &head, checkpoint);
    pack_map(query->answer, 4);
    pack_pair_str(query->answer, "checkpoint", text_view(checkpoint));
    pack_vkey(state, query->answer);
    pack_pair_uint(query->answer, "tree_size", head.size);
    pack_text(query->answer, "root");
    pack_hash(query->answer, &head.root);
    return BUS_OK;
}

bus_err_t
bucket_audit_query_inclusion(service_query_t *query, const void *message)
{
    const schema_inclusion_query_t *asked = message;
    uint64_t index;
    uint64_t size = 0;
    bus_err_t err = bucket_audit_find(query->txn, asked->audit_id, &index);
    if (err == BUS_OK) {
        err = bucket_audit_size(query->txn, &size);
    }
    if (err != BUS_OK) {
        return err;
    }
    uint64_t tree_size = asked->tree_size.has ? (uint64_t) asked->tree_size.value : size;
    if (tree_size > size) {
        return refuse(query, "tree_size", "is more than the log has");
    }
    if (index >= tree_size) {
        return refuse(query, "tree_size", "is of a tree before this entry");
    }
    merkle_path_t path;
    err = merkle_inclusion(bucket_audit_node, query->txn, index, tree_size, &path);
    if (err != BUS_OK) {
        return err;
    }
    pack_map(query->answer, 4);
    pack_pair_str(query->answer, "audit_id", asked->audit_id);
    pack_pair_uint(query->answer, "leaf_index", index);
    pack_pair_uint(query->answer, "tree_size", tree_size);
    pack_path(query->answer, &path);
    return BUS_OK;
}

bus_err_t
bucket_audit_query_consistency(service_query_t *query, const void *message)
{
    const schema_consistency_query_t *asked = message;
    uint64_t size = 0;
    bus_err_t err = bucket_audit_size(query->txn, &size);
    if (err != BUS_OK) {
        return err;
    }
    uint64_t from = (uint64_t) asked->from.value;
    uint64_t to = asked->to.has ? (uint64_t) asked->to.value : size;
    if (to > size) {
        return refuse(query, "to", "is more than the log has");
    }
    if (from > to) {
        return refuse(
            query, "from", asked->to.has ? "is more than to" : "is more than the log has");
    }
    merkle_path_t path;
    err = merkle_consistency(bucket_audit_node, query->txn, from, to, &path);
    if (err != BUS_OK) {
        return err;
    }
    pack_map(query->answer, 3);
    pack_pair_uint(query->answer, "from", from);
    pack_pair_uint(query->answer, "to", to);
    pack_path(query->answer, &path);
    return BUS_OK;
}

// Reads what a receipt proves: the entry, checked against its hash, and its place in the tree.
static bus_err_t
read_proof(store_txn_t *txn,
           bus_view_t audit_id,
           bus_view_t *ret_leaf,
           merkle_head_t *ret_head,
           note_proof_t *ret_proof)
{
    bus_err_t err = bucket_audit_find(txn, audit_id, &ret_proof->index);
    if (err == BUS_OK) {
        err = bucket_audit_leaf(txn, ret_proof->index, ret_leaf);
    }
    if (err == BUS_OK) {
        err = read_head(txn, ret_head);
    }
    if (err == BUS_OK) {
        err = merkle_inclusion(
            bucket_audit_node, txn, ret_proof->index, ret_head->size, &ret_proof->path);
    }
    if (err != BUS_OK) {
        return err;
    }
    // A receipt that does not verify is none: what is damaged is said instead.
    merkle_hash_t hash;
    merkle_leaf(*ret_leaf, &hash);
    bool is_good = merkle_verify_inclusion(
        &hash, ret_proof->index, ret_head->size, &ret_proof->path, &ret_head->root);
    return is_good ? BUS_OK : BUS_CORRUPT;
}

bus_err_t
bucket_audit_query_receipt(service_query_t *query, const void *message)
{
    const schema_audit_id_query_t *asked = message;
    const bucket_state_t *state = query->state;
    bus_view_t leaf;
    merkle_head_t head;
    note_proof_t proof;
    bus_err_t err = read_proof(query->txn, asked->audit_id, &leaf, &head, &proof);
    if (err != BUS_OK) {
        return err;
    }
    BUS_AUTO(text_destroy) text_t *extra = text_new();
    BUS_AUTO(text_destroy) text_t *checkpoint = text_new();
    BUS_AUTO(text_destroy) text_t *receipt = text_new();
    note_base64(leaf, extra);
    sign_head(state, &head, checkpoint);
    proof.extra = text_view(extra);
    proof.checkpoint = text_view(checkpoint);
    note_proof_format(&proof, receipt);
    pack_map(query->answer, 3);
    pack_pair_str(query->answer, "receipt", text_view(receipt));
    pack_pair_str(query->answer, "audit_id", asked->audit_id);
    pack_vkey(state, query->answer);
    return BUS_OK;
}
