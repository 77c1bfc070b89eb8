// note.h - signed texts of the transparency world: C2SP signed-note, tlog-checkpoint, tlog-proof.
//
// A key is named: `<name>+<8 hex digits of its id>+<base64 of 0x01 and the Ed25519 public key>` is
// the verifier's form (vkey); the id is the first four bytes of SHA-256(name, LF, 0x01, key).
// A checkpoint is `<origin>\n<size>\n<base64 root>\n` and signature lines behind a blank line; a
// proof (tlog-proof@v1) holds the entry as `extra`, its index, the path and a checkpoint. Pure.
#pragma once
#include "merkle.h"
#include "text.h"

enum {
    NOTE_NAME_MAX = 128,   // bytes of a key's name or an origin: no spaces, no +, no control bytes
    NOTE_KEY_SIZE = 32,    // Ed25519 public key
    NOTE_SECRET_SIZE = 64, // libsodium's secret key: seed and public key
    NOTE_SIGNATURE_SIZE = 64,
    NOTE_SIZE_MAX = 16384,               // bytes of a checkpoint that is read
    NOTE_SIGNATURES_MAX = 16,            // lines of it
    NOTE_VKEY_SIZE = NOTE_NAME_MAX + 64, // of a vkey's text, with its NUL
};

typedef struct {
    char name[NOTE_NAME_MAX + 1];
    uint32_t id;
    uint8_t key[NOTE_KEY_SIZE];
} note_verifier_t;

// BUS_VALIDATION_FAILED for a name that is none.
BUS_CHECK bus_err_t note_verifier_make(bus_view_t name,
                                       const uint8_t key[NOTE_KEY_SIZE],
                                       note_verifier_t *ret_verifier);
void note_verifier_format(const note_verifier_t *self, char ret_vkey[NOTE_VKEY_SIZE]);
// BUS_VALIDATION_FAILED where it is no vkey, or its id is not its key's.
BUS_CHECK bus_err_t note_verifier_parse(bus_view_t vkey, note_verifier_t *ret_verifier);

// Adds `text` (which ends in LF), a blank line and one signature line.
void note_sign(bus_view_t text,
               const note_verifier_t *verifier,
               const uint8_t secret[NOTE_SECRET_SIZE],
               text_t *out);
// Whether `note` is well-formed and one of its lines is a good signature by one of the verifiers;
// *ret_text is what was signed, *ret_which whose it was. A bad signature by a known key refuses the
// whole note. BUS_VALIDATION_FAILED.
BUS_CHECK bus_err_t note_open(bus_view_t note,
                              const note_verifier_t *verifiers,
                              size_t count,
                              bus_view_t *ret_text,
                              size_t *ret_which);

typedef struct {
    bus_view_t origin; // a view into the text it was read from
    merkle_head_t head;
} note_checkpoint_t;
// The text that is signed.
void note_checkpoint_format(const note_checkpoint_t *checkpoint, text_t *out);
BUS_CHECK bus_err_t note_checkpoint_parse(bus_view_t text, note_checkpoint_t *ret_checkpoint);
// Whether `note` is a checkpoint that one of the verifiers signed in its own log's name; *ret_which
// is which of them. Views point into `note`. BUS_VALIDATION_FAILED, and then *reterr_why (a
// literal) says what it is not.
BUS_CHECK bus_err_t note_checkpoint_open(bus_view_t note,
                                         const note_verifier_t *verifiers,
                                         size_t count,
                                         note_checkpoint_t *ret_checkpoint,
                                         size_t *ret_which,
                                         const char **reterr_why);

typedef struct {
    uint64_t index;
    merkle_path_t path;
    bus_view_t extra;      // base64 text of the entry; absent: none
    bus_view_t checkpoint; // the signed note
} note_proof_t;
void note_proof_format(const note_proof_t *proof, text_t *out);
// Views point into `text`. BUS_VALIDATION_FAILED.
BUS_CHECK bus_err_t note_proof_parse(bus_view_t text, note_proof_t *ret_proof);

// A hash as base64. BUS_VALIDATION_FAILED.
BUS_CHECK bus_err_t note_hash(bus_view_t text, merkle_hash_t *ret_hash);
// A proof's hashes as answers have them: one msgpack array of base64. BUS_VALIDATION_FAILED.
BUS_CHECK bus_err_t note_path(bus_view_t array, merkle_path_t *ret_path);

// Standard base64 with padding (RFC 4648 section 4).
void note_base64(bus_view_t bytes, text_t *out);
// Decodes into `ret_bytes` of `size_max`; strict. BUS_VALIDATION_FAILED.
BUS_CHECK bus_err_t note_unbase64(bus_view_t text,
                                  uint8_t *ret_bytes,
                                  size_t size_max,
                                  size_t *ret_size);
