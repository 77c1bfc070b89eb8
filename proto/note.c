// note.c - signed texts of the transparency world: notes, checkpoints, proofs.
//
// Everything here is read from strangers: each parser takes the one form that the specifications
// define and refuses any other, so that what was signed has one reading.
#include "note.h"
#include "walk.h"
#include <assert.h>
#include <inttypes.h>
#include <sodium.h>

enum {
    ED25519 = 0x01,                              // the signature type of the key's id
    ID_SIZE = 4,                                 // bytes of a key's id
    ID_DIGITS = 8,                               // of it in a vkey
    TYPED_KEY_SIZE = 1 + NOTE_KEY_SIZE,          // the type, then the key
    SIGNED_SIZE = ID_SIZE + NOTE_SIGNATURE_SIZE, // what a signature line of ours decodes to
    SIGNATURE_BYTES_MAX = NOTE_SIZE_MAX / 4 * 3, // and any other's
    CHUNK_SIZE = 3 * 256,                        // bytes encoded at a time: no padding within
    CHUNK_TEXT_SIZE = CHUNK_SIZE / 3 * 4 + 1,    // and its NUL
    NUMBER_DIGITS_MAX = 20,                      // of a 64-bit number
};

#define SIGNATURE_MARK "\xe2\x80\x94 " // an em dash and a space begin a signature line
#define PROOF_MARK "c2sp.org/tlog-proof@v1"

static_assert(NOTE_KEY_SIZE == crypto_sign_PUBLICKEYBYTES, "Ed25519");
static_assert(NOTE_SECRET_SIZE == crypto_sign_SECRETKEYBYTES, "Ed25519");
static_assert(NOTE_SIGNATURE_SIZE == crypto_sign_BYTES, "Ed25519");

// --- Base64 --------------------------------------------------------------------------------------

void
note_base64(bus_view_t bytes, text_t *out)
{
    for (size_t at = 0; at < bytes.size; at += CHUNK_SIZE) {
        char chunk[CHUNK_TEXT_SIZE];
        size_t left = bytes.size - at;
        sodium_bin2base64(chunk,
                          sizeof(chunk),
                          (const unsigned char *) bytes.data + at,
                          left < CHUNK_SIZE ? left : CHUNK_SIZE,
                          sodium_base64_VARIANT_ORIGINAL);
        text_add(out, view_from_text(chunk));
    }
}

// Whether every byte is ASCII: libsodium 1.0.18 takes any byte above 127 for a slash.
static bool
is_ascii(bus_view_t text)
{
    for (size_t i = 0; i < text.size; i++) {
        if ((unsigned char) text.data[i] > 127) {
            return false;
        }
    }
    return true;
}

bus_err_t
note_unbase64(bus_view_t text, uint8_t *ret_bytes, size_t size_max, size_t *ret_size)
{
    size_t size = 0;
    if (text.data == NULL || text.size % 4 != 0 || !is_ascii(text) ||
        sodium_base642bin(ret_bytes,
                          size_max,
                          text.data,
                          text.size,
                          NULL,
                          &size,
                          NULL,
                          sodium_base64_VARIANT_ORIGINAL) != 0) {
        return BUS_VALIDATION_FAILED;
    }
    *ret_size = size;
    return BUS_OK;
}

static void
add_hash(const merkle_hash_t *hash, text_t *out)
{
    note_base64(view_from(hash->bytes, sizeof(hash->bytes)), out);
    text_add(out, VIEW_LITERAL("\n"));
}

bus_err_t
note_hash(bus_view_t text, merkle_hash_t *ret_hash)
{
    size_t size = 0;
    merkle_hash_t hash = {.bytes = {0}};
    bus_err_t err = note_unbase64(text, hash.bytes, sizeof(hash.bytes), &size);
    if (err != BUS_OK || size != sizeof(hash.bytes)) {
        return BUS_VALIDATION_FAILED;
    }
    *ret_hash = hash;
    return BUS_OK;
}

bus_err_t
note_path(bus_view_t array, merkle_path_t *ret_path)
{
    walk_t walk = walk_from(array);
    walk_item_t head;
    if (walk_next(&walk, &head) != BUS_OK || head.type != WALK_ARRAY ||
        head.count > MERKLE_PATH_MAX) {
        return BUS_VALIDATION_FAILED;
    }
    for (uint32_t i = 0; i < head.count; i++) {
        walk_item_t item;
        if (walk_next(&walk, &item) != BUS_OK || item.type != WALK_STR ||
            note_hash(item.bytes, &ret_path->hashes[i]) != BUS_OK) {
            return BUS_VALIDATION_FAILED;
        }
    }
    ret_path->count = head.count;
    return BUS_OK;
}

// --- Lines and numbers ---------------------------------------------------------------------------

// Takes the next line off `rest`, without its LF. False where no LF is left.
static bool
take_line(bus_view_t *rest, bus_view_t *ret_line)
{
    const char *end = rest->size == 0 ? NULL : memchr(rest->data, '\n', rest->size);
    if (end == NULL) {
        return false;
    }
    size_t size = (size_t) (end - rest->data);
    *ret_line = view_from(rest->data, size);
    *rest = view_from(end + 1, rest->size - size - 1);
    return true;
}

// A decimal number as the specifications want it: ASCII digits, no leading zero.
static bus_err_t
parse_number(bus_view_t text, uint64_t *ret_number)
{
    if (text.size == 0 || text.size > NUMBER_DIGITS_MAX || (text.size > 1 && text.data[0] == '0')) {
        return BUS_VALIDATION_FAILED;
    }
    uint64_t number = 0;
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] < '0' || text.data[i] > '9' ||
            __builtin_mul_overflow(number, 10, &number) ||
            __builtin_add_overflow(number, (uint64_t) (text.data[i] - '0'), &number)) {
            return BUS_VALIDATION_FAILED;
        }
    }
    *ret_number = number;
    return BUS_OK;
}

// --- Keys ----------------------------------------------------------------------------------------

// Whether UTF-8 text holds one of Unicode's spaces (White_Space, without the control bytes).
static bool
has_space(bus_view_t text)
{
    static const char *const spaces[] = {
        " ",
        "\xc2\x85",
        "\xc2\xa0",
        "\xe1\x9a\x80",
        "\xe2\x80\x80",
        "\xe2\x80\x81",
        "\xe2\x80\x82",
        "\xe2\x80\x83",
        "\xe2\x80\x84",
        "\xe2\x80\x85",
        "\xe2\x80\x86",
        "\xe2\x80\x87",
        "\xe2\x80\x88",
        "\xe2\x80\x89",
        "\xe2\x80\x8a",
        "\xe2\x80\xa8",
        "\xe2\x80\xa9",
        "\xe2\x80\xaf",
        "\xe2\x81\x9f",
        "\xe3\x80\x80",
    };
    for (size_t i = 0; i < sizeof(spaces) / sizeof(spaces[0]); i++) {
        if (memmem(text.data, text.size, spaces[i], strlen(spaces[i])) != NULL) {
            return true;
        }
    }
    return false;
}

static bool
has_control(bus_view_t text)
{
    for (size_t i = 0; i < text.size; i++) {
        if ((unsigned char) text.data[i] < ' ') {
            return true;
        }
    }
    return false;
}

// A key's name of any length.
static bool
is_name(bus_view_t name)
{
    return name.size > 0 && memchr(name.data, '+', name.size) == NULL && !has_control(name) &&
           walk_utf8(name) && !has_space(name);
}

// The first four bytes of SHA-256(name, LF, type, key).
static uint32_t
key_id(const note_verifier_t *self)
{
    uint8_t named[NOTE_NAME_MAX + 1 + TYPED_KEY_SIZE];
    size_t size = strlen(self->name);
    memcpy(named, self->name, size);
    named[size++] = '\n';
    named[size++] = ED25519;
    memcpy(named + size, self->key, NOTE_KEY_SIZE);
    merkle_hash_t hash;
    merkle_sha256(view_from(named, size + NOTE_KEY_SIZE), &hash);
    return (uint32_t) hash.bytes[0] << 24 | (uint32_t) hash.bytes[1] << 16 |
           (uint32_t) hash.bytes[2] << 8 | hash.bytes[3];
}

bus_err_t
note_verifier_make(bus_view_t name, const uint8_t key[NOTE_KEY_SIZE], note_verifier_t *ret_verifier)
{
    if (name.size > NOTE_NAME_MAX || !is_name(name)) {
        return BUS_VALIDATION_FAILED;
    }
    note_verifier_t verifier = {.name = ""};
    memcpy(verifier.name, name.data, name.size);
    memcpy(verifier.key, key, NOTE_KEY_SIZE);
    verifier.id = key_id(&verifier);
    *ret_verifier = verifier;
    return BUS_OK;
}

void
note_verifier_format(const note_verifier_t *self, char ret_vkey[NOTE_VKEY_SIZE])
{
    uint8_t typed[TYPED_KEY_SIZE] = {ED25519};
    char encoded[TYPED_KEY_SIZE / 3 * 4 + 1];
    memcpy(typed + 1, self->key, NOTE_KEY_SIZE);
    sodium_bin2base64(
        encoded, sizeof(encoded), typed, sizeof(typed), sodium_base64_VARIANT_ORIGINAL);
    int size =
        snprintf(ret_vkey, NOTE_VKEY_SIZE, "%s+%08" PRIx32 "+%s", self->name, self->id, encoded);
    assert(size > 0 && size < NOTE_VKEY_SIZE);
}

bus_err_t
note_verifier_parse(bus_view_t vkey, note_verifier_t *ret_verifier)
{
    // One form alone: what it formats to again. Only the key's base64 may hold a '+'.
    const char *end = vkey.size == 0 ? NULL : memchr(vkey.data, '+', vkey.size);
    if (end == NULL) {
        return BUS_VALIDATION_FAILED;
    }
    bus_view_t name = view_from(vkey.data, (size_t) (end - vkey.data));
    size_t before_key = name.size + 1 + ID_DIGITS + 1;
    uint8_t typed[TYPED_KEY_SIZE];
    size_t size = 0;
    if (vkey.size <= before_key ||
        note_unbase64(view_from(vkey.data + before_key, vkey.size - before_key),
                      typed,
                      sizeof(typed),
                      &size) != BUS_OK ||
        size != TYPED_KEY_SIZE || typed[0] != ED25519) {
        return BUS_VALIDATION_FAILED;
    }
    note_verifier_t verifier;
    char again[NOTE_VKEY_SIZE];
    if (note_verifier_make(name, typed + 1, &verifier) != BUS_OK) {
        return BUS_VALIDATION_FAILED;
    }
    note_verifier_format(&verifier, again);
    if (!view_is(vkey, again)) {
        return BUS_VALIDATION_FAILED;
    }
    *ret_verifier = verifier;
    return BUS_OK;
}

// --- Notes ---------------------------------------------------------------------------------------

void
note_sign(bus_view_t text,
          const note_verifier_t *verifier,
          const uint8_t secret[NOTE_SECRET_SIZE],
          text_t *out)
{
    assert(text.size > 0 && text.data[text.size - 1] == '\n');
    uint8_t id_and_signature[SIGNED_SIZE] = {
        (uint8_t) (verifier->id >> 24),
        (uint8_t) (verifier->id >> 16),
        (uint8_t) (verifier->id >> 8),
        (uint8_t) verifier->id,
    };
    int failed = crypto_sign_detached(
        id_and_signature + ID_SIZE, NULL, (const unsigned char *) text.data, text.size, secret);
    assert(failed == 0);
    text_add(out, text);
    text_add_format(out, "\n" SIGNATURE_MARK "%s ", verifier->name);
    note_base64(view_from(id_and_signature, sizeof(id_and_signature)), out);
    text_add(out, VIEW_LITERAL("\n"));
}

// A signature line, taken apart.
typedef struct {
    bus_view_t name;
    uint32_t id;
    size_t size;                        // of the signature, without the id
    uint8_t bytes[SIGNATURE_BYTES_MAX]; // the id, then the signature
} signature_t;

static bus_err_t
parse_signature(bus_view_t line, signature_t *ret_signature)
{
    bus_view_t mark = VIEW_LITERAL(SIGNATURE_MARK);
    if (!view_starts(line, mark)) {
        return BUS_VALIDATION_FAILED;
    }
    bus_view_t rest = view_from(line.data + mark.size, line.size - mark.size);
    const char *end = memchr(rest.data, ' ', rest.size);
    if (end == NULL) {
        return BUS_VALIDATION_FAILED;
    }
    ret_signature->name = view_from(rest.data, (size_t) (end - rest.data));
    bus_view_t encoded = view_from(end + 1, rest.size - ret_signature->name.size - 1);
    size_t size = 0;
    uint8_t *bytes = ret_signature->bytes;
    if (!is_name(ret_signature->name) ||
        note_unbase64(encoded, bytes, sizeof(ret_signature->bytes), &size) != BUS_OK ||
        size <= ID_SIZE) {
        return BUS_VALIDATION_FAILED;
    }
    ret_signature->id =
        (uint32_t) bytes[0] << 24 | (uint32_t) bytes[1] << 16 | (uint32_t) bytes[2] << 8 | bytes[3];
    ret_signature->size = size - ID_SIZE;
    return BUS_OK;
}

// Takes a note apart at its last empty line. BUS_VALIDATION_FAILED.
static bus_err_t
split(bus_view_t note, bus_view_t *ret_text, bus_view_t *ret_lines)
{
    static const char gap[] = "\n\n";
    if (note.size > NOTE_SIZE_MAX || !walk_utf8(note)) {
        return BUS_VALIDATION_FAILED;
    }
    size_t text_size = 0;
    for (size_t i = 0; i < note.size; i++) {
        if ((unsigned char) note.data[i] < ' ' && note.data[i] != '\n') {
            return BUS_VALIDATION_FAILED;
        }
        if (i > 0 && memcmp(note.data + i - 1, gap, 2) == 0) {
            text_size = i;
        }
    }
    if (text_size == 0 || text_size + 1 == note.size || note.data[note.size - 1] != '\n') {
        return BUS_VALIDATION_FAILED;
    }
    *ret_text = view_from(note.data, text_size);
    *ret_lines = view_from(note.data + text_size + 1, note.size - text_size - 1);
    return BUS_OK;
}

typedef enum {
    SIGNER_UNKNOWN,
    SIGNER_GOOD,
    SIGNER_BAD,
} signer_t;

static signer_t
look_up(const signature_t *signature,
        bus_view_t text,
        const note_verifier_t *verifiers,
        size_t count,
        size_t *ret_which)
{
    signer_t found = SIGNER_UNKNOWN;
    for (size_t i = 0; i < count; i++) {
        const note_verifier_t *verifier = &verifiers[i];
        if (verifier->id != signature->id || !view_is(signature->name, verifier->name)) {
            continue;
        }
        if (signature->size == NOTE_SIGNATURE_SIZE &&
            crypto_sign_verify_detached(signature->bytes + ID_SIZE,
                                        (const unsigned char *) text.data,
                                        text.size,
                                        verifier->key) == 0) {
            *ret_which = i;
            return SIGNER_GOOD;
        }
        found = SIGNER_BAD;
    }
    return found;
}

bus_err_t
note_open(bus_view_t note,
          const note_verifier_t *verifiers,
          size_t count,
          bus_view_t *ret_text,
          size_t *ret_which)
{
    bus_view_t text;
    bus_view_t lines;
    bus_view_t line;
    if (split(note, &text, &lines) != BUS_OK) {
        return BUS_VALIDATION_FAILED;
    }
    size_t which = SIZE_MAX; // the first good signature's
    for (unsigned lines_read = 0; take_line(&lines, &line); lines_read++) {
        signature_t signature;
        size_t whose = SIZE_MAX;
        if (lines_read == NOTE_SIGNATURES_MAX || parse_signature(line, &signature) != BUS_OK ||
            look_up(&signature, text, verifiers, count, &whose) == SIGNER_BAD) {
            return BUS_VALIDATION_FAILED;
        }
        which = which == SIZE_MAX ? whose : which;
    }
    if (which == SIZE_MAX) {
        return BUS_VALIDATION_FAILED;
    }
    *ret_text = text;
    *ret_which = which;
    return BUS_OK;
}

// --- Checkpoints ---------------------------------------------------------------------------------

void
note_checkpoint_format(const note_checkpoint_t *checkpoint, text_t *out)
{
    text_add(out, checkpoint->origin);
    text_add_format(out, "\n%" PRIu64 "\n", checkpoint->head.size);
    add_hash(&checkpoint->head.root, out);
}

bus_err_t
note_checkpoint_parse(bus_view_t text, note_checkpoint_t *ret_checkpoint)
{
    bus_view_t rest = text;
    bus_view_t size;
    bus_view_t root;
    note_checkpoint_t checkpoint;
    if (!take_line(&rest, &checkpoint.origin) || !take_line(&rest, &size) ||
        !take_line(&rest, &root) || checkpoint.origin.size == 0 ||
        checkpoint.origin.size > NOTE_NAME_MAX || has_control(checkpoint.origin) ||
        !walk_utf8(checkpoint.origin) || parse_number(size, &checkpoint.head.size) != BUS_OK ||
        note_hash(root, &checkpoint.head.root) != BUS_OK) {
        return BUS_VALIDATION_FAILED;
    }
    bus_view_t extension;
    while (take_line(&rest, &extension)) { // opaque to us
        if (extension.size == 0) {
            return BUS_VALIDATION_FAILED;
        }
    }
    if (rest.size > 0) {
        return BUS_VALIDATION_FAILED;
    }
    *ret_checkpoint = checkpoint;
    return BUS_OK;
}

bus_err_t
note_checkpoint_open(bus_view_t note,
                     const note_verifier_t *verifiers,
                     size_t count,
                     note_checkpoint_t *ret_checkpoint,
                     size_t *ret_which,
                     const char **reterr_why)
{
    bus_view_t text;
    size_t which = 0;
    note_checkpoint_t checkpoint;
    if (note_open(note, verifiers, count, &text, &which) != BUS_OK) {
        *reterr_why = "it has no good signature by a key of the log that was given";
        return BUS_VALIDATION_FAILED;
    }
    if (note_checkpoint_parse(text, &checkpoint) != BUS_OK) {
        *reterr_why = "what is signed is no checkpoint";
        return BUS_VALIDATION_FAILED;
    }
    if (!view_is(checkpoint.origin, verifiers[which].name)) {
        *reterr_why = "it is of another log";
        return BUS_VALIDATION_FAILED;
    }
    *ret_checkpoint = checkpoint;
    *ret_which = which;
    return BUS_OK;
}

// --- Proofs --------------------------------------------------------------------------------------

void
note_proof_format(const note_proof_t *proof, text_t *out)
{
    text_add(out, VIEW_LITERAL(PROOF_MARK "\n"));
    if (proof->extra.data != NULL) {
        text_add(out, VIEW_LITERAL("extra "));
        text_add(out, proof->extra);
        text_add(out, VIEW_LITERAL("\n"));
    }
    text_add_format(out, "index %" PRIu64 "\n", proof->index);
    for (uint32_t i = 0; i < proof->path.count; i++) {
        add_hash(&proof->path.hashes[i], out);
    }
    text_add(out, VIEW_LITERAL("\n"));
    text_add(out, proof->checkpoint);
}

// Takes a word and a space off the start of a line.
static bool
take_word(bus_view_t *line, bus_view_t word)
{
    if (!view_starts(*line, word)) {
        return false;
    }
    *line = view_from(line->data + word.size, line->size - word.size);
    return true;
}

bus_err_t
note_proof_parse(bus_view_t text, note_proof_t *ret_proof)
{
    bus_view_t rest = text;
    bus_view_t line;
    note_proof_t proof = {.extra = VIEW_NONE};
    if (!take_line(&rest, &line) || !view_is(line, PROOF_MARK) || !take_line(&rest, &line)) {
        return BUS_VALIDATION_FAILED;
    }
    if (take_word(&line, VIEW_LITERAL("extra "))) {
        proof.extra = line;
        if (!take_line(&rest, &line)) {
            return BUS_VALIDATION_FAILED;
        }
    }
    if (!take_word(&line, VIEW_LITERAL("index ")) || parse_number(line, &proof.index) != BUS_OK ||
        !take_line(&rest, &line)) {
        return BUS_VALIDATION_FAILED;
    }
    while (line.size > 0) {
        if (proof.path.count == MERKLE_PATH_MAX ||
            note_hash(line, &proof.path.hashes[proof.path.count++]) != BUS_OK ||
            !take_line(&rest, &line)) {
            return BUS_VALIDATION_FAILED;
        }
    }
    if (rest.size == 0) {
        return BUS_VALIDATION_FAILED;
    }
    proof.checkpoint = rest;
    *ret_proof = proof;
    return BUS_OK;
}
