// owner.c - the owner's credential as a signature. See owner.h.
#include "owner.h"

#include "proto/note.h"
#include "proto/walk.h"
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    PATH_SIZE = 4096,
    SIGNATURE_TEXT_SIZE = 88 // base64 of 64 bytes, padded
};

_Static_assert(OWNER_KEY_SIZE == crypto_sign_PUBLICKEYBYTES, "an Ed25519 key");
_Static_assert(sodium_base64_ENCODED_LEN(crypto_sign_BYTES, sodium_base64_VARIANT_ORIGINAL) ==
                   SIGNATURE_TEXT_SIZE + 1,
               "a signature as text");

static const char seed_prefix[] = "bhiv-owner-v1\n";
static const char command_prefix[] = "bhiv-owner-command-v1\n";

// --- The token -----------------------------------------------------------------------------------

static bus_err_t
read_open(int fd, char ret_token[OWNER_TOKEN_SIZE_MAX + 1])
{
    struct stat status;
    if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode)) {
        return BUS_IO;
    }
    if ((status.st_mode & (S_IRWXG | S_IRWXO)) != 0) {
        return BUS_FORBIDDEN;
    }
    char text[OWNER_TOKEN_SIZE_MAX + 2]; // and one that is too many
    ssize_t got = read(fd, text, sizeof text);
    size_t size = got < 0 ? 0 : (size_t) got;
    while (size > 0 && (text[size - 1] == '\n' || text[size - 1] == '\r')) {
        size--;
    }
    bool is_token = size > 0 && size <= OWNER_TOKEN_SIZE_MAX && memchr(text, '\0', size) == NULL;
    if (is_token) {
        memcpy(ret_token, text, size);
        ret_token[size] = '\0';
    }
    sodium_memzero(text, sizeof text);
    return is_token ? BUS_OK : BUS_IO;
}

bus_err_t
owner_read_token(const char *dir, char ret_token[OWNER_TOKEN_SIZE_MAX + 1])
{
    char path[PATH_SIZE];
    int size = snprintf(path, sizeof path, "%s/owner.token", dir);
    if (size < 0 || (size_t) size >= sizeof path) {
        return BUS_IO;
    }
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0) {
        return errno == ENOENT ? BUS_NOT_FOUND : BUS_IO;
    }
    bus_err_t err = read_open(fd, ret_token);
    close(fd);
    return err;
}

bus_err_t
owner_check_token(const char *dir, bus_view_t given)
{
    char token[OWNER_TOKEN_SIZE_MAX + 1];
    bus_err_t err = owner_read_token(dir, token);
    if (err != BUS_OK) {
        return err;
    }
    bool is_same = given.size == strlen(token) && sodium_memcmp(given.data, token, given.size) == 0;
    sodium_memzero(token, sizeof token);
    return is_same ? BUS_OK : BUS_UNAUTHORIZED_ACCESS;
}

static void
key_pair(bus_view_t token,
         uint8_t ret_public[crypto_sign_PUBLICKEYBYTES],
         uint8_t ret_secret[crypto_sign_SECRETKEYBYTES])
{
    int ready = sodium_init(); // 1: it was already
    assert(ready >= 0);
    uint8_t seed[crypto_hash_sha256_BYTES];
    crypto_hash_sha256_state hash;
    crypto_hash_sha256_init(&hash);
    crypto_hash_sha256_update(&hash, (const uint8_t *) seed_prefix, sizeof seed_prefix - 1);
    crypto_hash_sha256_update(&hash, (const uint8_t *) token.data, token.size);
    crypto_hash_sha256_final(&hash, seed);
    crypto_sign_seed_keypair(ret_public, ret_secret, seed);
    sodium_memzero(seed, sizeof seed);
    sodium_memzero(&hash, sizeof hash);
}

void
owner_public_key(bus_view_t token, uint8_t ret_key[OWNER_KEY_SIZE])
{
    uint8_t secret[crypto_sign_SECRETKEYBYTES];
    key_pair(token, ret_key, secret);
    sodium_memzero(secret, sizeof secret);
}

// --- Commands ------------------------------------------------------------------------------------

static bool
is_proof(bus_view_t key)
{
    return view_is(key, "signed_at") || view_is(key, "signature");
}

// Packs the pairs of `body` but those of the proof, and so many more are promised. False where it
// is no whole map of named pairs.
static bool
pack_pairs(bus_view_t body, uint32_t more, pack_t *out)
{
    size_t place = pack_view(out).size;
    uint32_t count = 0;
    bus_view_t key, value;
    walk_pairs_t pairs = walk_pairs(body);
    bus_err_t err;
    while ((err = walk_pairs_next(&pairs, &key, &value)) == BUS_OK) {
        count += key.data != NULL && !is_proof(key) ? 1 : 0;
        if (key.data == NULL) {
            return false;
        }
    }
    if (err != BUS_NOT_FOUND) {
        return false;
    }
    pack_map(out, count + more);
    pairs = walk_pairs(body);
    while (walk_pairs_next(&pairs, &key, &value) == BUS_OK) {
        if (!is_proof(key)) {
            pack_str(out, key);
            pack_raw(out, value);
        }
    }
    assert(pack_view(out).size > place);
    return true;
}

// What is signed. False where `body` is no map.
static bool
pack_signed(bus_view_t topic, uint64_t signed_at, bus_view_t body, pack_t *out)
{
    char at[24];
    int size = snprintf(at, sizeof at, "\n%llu\n", (unsigned long long) signed_at);
    assert(size > 0 && (size_t) size < sizeof at);
    pack_raw(out, view_from(command_prefix, sizeof command_prefix - 1));
    pack_raw(out, topic);
    pack_raw(out, view_from(at, (size_t) size));
    return pack_pairs(body, 0, out);
}

void
owner_sign(bus_view_t token, bus_view_t topic, uint64_t signed_at, bus_view_t body, pack_t *out)
{
    BUS_AUTO(pack_destroy) pack_t *text = pack_new();
    bool is_map = pack_signed(topic, signed_at, body, text);
    assert(is_map);
    uint8_t key[crypto_sign_PUBLICKEYBYTES];
    uint8_t secret[crypto_sign_SECRETKEYBYTES];
    uint8_t signature[crypto_sign_BYTES];
    key_pair(token, key, secret);
    bus_view_t message = pack_view(text);
    crypto_sign_detached(signature, NULL, (const uint8_t *) message.data, message.size, secret);
    sodium_memzero(secret, sizeof secret);
    char base64[SIGNATURE_TEXT_SIZE + 1];
    sodium_bin2base64(
        base64, sizeof base64, signature, sizeof signature, sodium_base64_VARIANT_ORIGINAL);
    bool is_packed = pack_pairs(body, 2, out);
    assert(is_packed);
    pack_pair_uint(out, "signed_at", signed_at);
    pack_pair_text(out, "signature", base64);
}

static bool
read_proof(bus_view_t body, uint64_t *ret_signed_at, uint8_t ret_signature[crypto_sign_BYTES])
{
    bus_view_t value, text;
    size_t size = 0;
    return walk_find(body, "signed_at", &value) == BUS_OK &&
           walk_as_uint(value, ret_signed_at) == BUS_OK && *ret_signed_at > 0 &&
           walk_find(body, "signature", &value) == BUS_OK && walk_as_str(value, &text) == BUS_OK &&
           text.size == SIGNATURE_TEXT_SIZE &&
           note_unbase64(text, ret_signature, crypto_sign_BYTES, &size) == BUS_OK &&
           size == crypto_sign_BYTES;
}

bus_err_t
owner_verify(const uint8_t key[OWNER_KEY_SIZE],
             bus_view_t topic,
             bus_view_t body,
             uint64_t *ret_signed_at)
{
    int ready = sodium_init();
    assert(ready >= 0);
    uint64_t signed_at = 0;
    uint8_t signature[crypto_sign_BYTES];
    if (!read_proof(body, &signed_at, signature)) {
        return BUS_UNAUTHORIZED_ACCESS;
    }
    BUS_AUTO(pack_destroy) pack_t *text = pack_new();
    if (!pack_signed(topic, signed_at, body, text)) {
        return BUS_UNAUTHORIZED_ACCESS;
    }
    bus_view_t message = pack_view(text);
    if (crypto_sign_verify_detached(signature, (const uint8_t *) message.data, message.size, key) !=
        0) {
        return BUS_UNAUTHORIZED_ACCESS;
    }
    *ret_signed_at = signed_at;
    return BUS_OK;
}
