// fuzz_note.c - any bytes as a receipt, a note, a checkpoint, a key, base64: what is taken has one
// form, and is written back as it was.
#include "proto/note.h"
#include <assert.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_proof(bus_view_t bytes, text_t *out)
{
    note_proof_t proof;
    if (note_proof_parse(bytes, &proof) != BUS_OK) {
        return;
    }
    assert(proof.path.count <= MERKLE_PATH_MAX && proof.checkpoint.size > 0);
    text_clear(out);
    note_proof_format(&proof, out);
    assert(view_equal(text_view(out), bytes));
    merkle_hash_t leaf;
    merkle_leaf(proof.extra, &leaf);
    merkle_head_t head = {.size = proof.index + 1, .root = leaf};
    assert(!merkle_verify_inclusion(&leaf, head.size, head.size, &proof.path, &head.root));
    (void) merkle_verify_inclusion(&leaf, proof.index, head.size, &proof.path, &head.root);
    (void) merkle_verify_consistency(&head, &head, &proof.path);
}

static void
check_checkpoint(bus_view_t bytes, text_t *out)
{
    note_checkpoint_t checkpoint;
    if (note_checkpoint_parse(bytes, &checkpoint) == BUS_OK) {
        text_clear(out);
        note_checkpoint_format(&checkpoint, out);
        assert(view_starts(bytes, text_view(out))); // extension lines may follow
    }
}

static void
check_key(bus_view_t bytes)
{
    note_verifier_t verifier;
    char vkey[NOTE_VKEY_SIZE];
    if (note_verifier_parse(bytes, &verifier) == BUS_OK) {
        note_verifier_format(&verifier, vkey);
        assert(view_is(bytes, vkey));
    }
}

// Nobody can sign what a fuzzer finds: a note that opens is the one that its corpus began with.
static void
check_note(bus_view_t bytes)
{
    static const char vkey[] = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
    note_verifier_t verifier;
    bus_view_t text;
    size_t which = 1;
    bus_err_t err = note_verifier_parse(view_from_text(vkey), &verifier);
    assert(err == BUS_OK);
    if (note_open(bytes, &verifier, 1, &text, &which) == BUS_OK) {
        assert(which == 0 && view_starts(bytes, text));
        assert(view_starts(text, VIEW_LITERAL("If you think cryptography is the answer")));
    }
}

static void
check_base64(bus_view_t bytes, text_t *out)
{
    uint8_t *decoded = malloc(bytes.size + 1);
    size_t size = 0;
    assert(decoded != NULL);
    if (note_unbase64(bytes, decoded, bytes.size, &size) == BUS_OK) {
        text_clear(out);
        note_base64(view_from(decoded, size), out);
        assert(view_equal(text_view(out), bytes));
    }
    free(decoded);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    bus_view_t bytes = view_from(data, size);
    BUS_AUTO(text_destroy) text_t *out = text_new();
    check_proof(bytes, out);
    check_checkpoint(bytes, out);
    check_key(bytes);
    check_note(bytes);
    check_base64(bytes, out);
    return 0;
}
