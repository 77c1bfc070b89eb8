// keys_store.c - secret keys on disk: sealed with XSalsa20-Poly1305 under a key that is not in the
// store.
//
// That key comes from BHIV_KEY_PASSPHRASE through Argon2id, with a salt and costs kept beside the
// secrets, or is the content of <dir>/bucket.key. Which of them it was is kept too: a start with
// the other is refused in so many words, and nothing is written over.
#include "keys_self.h"

#include "runtime/clock.h"
#include "runtime/id.h"
#include "runtime/log.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define KEY_FILE "bucket.key"
#define WRAP_RECORD VIEW_LITERAL("wrap")

enum {
    PATH_SIZE = 4096,
    FILE_TEXT_SIZE = 2 * BUCKET_KEYS_WRAP_SIZE, // hex digits; a line end follows
    WRAP_FILE = 1,
    WRAP_PASSPHRASE = 2,
    OPS_MAX = 64,      // costs read back from disk: more than was ever written
    MEM_MAX = 1 << 30, // the same
};

static_assert(BUCKET_KEYS_WRAP_SIZE == crypto_secretbox_KEYBYTES, "a key to seal with");

// The record "wrap" of BUCKET_SECRETS: what secrets lie under.
typedef struct {
    uint32_t kind; // WRAP_FILE or WRAP_PASSPHRASE
    uint32_t algorithm;
    uint64_t ops; // Argon2id's costs
    uint64_t mem; // bytes
    uint8_t salt[crypto_pwhash_SALTBYTES];
} wrap_row_t;

// Any other record of it.
typedef struct {
    uint64_t made;
    uint8_t nonce[crypto_secretbox_NONCEBYTES];
    uint8_t box[crypto_secretbox_MACBYTES + NOTE_SECRET_SIZE];
} secret_row_t;

// --- Pairs ---------------------------------------------------------------------------------------

static void *
guarded(size_t size)
{
    void *memory = sodium_malloc(size); // between guard pages, locked into memory where we may
    assert(memory != NULL);
    return memory;
}

void
bucket_keys_store_take(const uint8_t secret[NOTE_SECRET_SIZE], bucket_keys_pair_t *ret_pair)
{
    *ret_pair = (bucket_keys_pair_t){.secret = guarded(NOTE_SECRET_SIZE)};
    memcpy(ret_pair->secret, secret, NOTE_SECRET_SIZE);
    crypto_sign_ed25519_sk_to_pk(ret_pair->verifier.key, ret_pair->secret);
    bucket_keys_id(ret_pair->verifier.key, ret_pair->id);
}

void
bucket_keys_store_make(bucket_keys_pair_t *ret_pair)
{
    uint8_t key[NOTE_KEY_SIZE];
    uint8_t secret[NOTE_SECRET_SIZE];
    crypto_sign_keypair(key, secret);
    bucket_keys_store_take(secret, ret_pair);
    sodium_memzero(secret, sizeof secret);
}

void
bucket_keys_store_clear(bucket_keys_pair_t *pair)
{
    sodium_free(pair->secret); // zeroes it; NULL is fine
    *pair = (bucket_keys_pair_t){.secret = NULL};
}

// --- The key file --------------------------------------------------------------------------------

static bus_err_t
refuse(const char *reason, const char *hint)
{
    log_error("keys_locked", "reason=%s hint=%s", reason, hint);
    return BUS_FORBIDDEN;
}

static bus_err_t
read_file(int fd, uint8_t ret_wrap[BUCKET_KEYS_WRAP_SIZE])
{
    struct stat status;
    if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode)) {
        return BUS_IO;
    }
    if ((status.st_mode & (S_IRWXG | S_IRWXO)) != 0) {
        return refuse(KEY_FILE "_may_be_read_by_others", "chmod_600_and_rotate");
    }
    char text[FILE_TEXT_SIZE + 2];
    ssize_t got = read(fd, text, sizeof text);
    size_t size = 0;
    bool is_key =
        got >= FILE_TEXT_SIZE && got <= FILE_TEXT_SIZE + 1 &&
        (got == FILE_TEXT_SIZE || text[FILE_TEXT_SIZE] == '\n') &&
        sodium_hex2bin(ret_wrap, BUCKET_KEYS_WRAP_SIZE, text, FILE_TEXT_SIZE, NULL, &size, NULL) ==
            0 &&
        size == BUCKET_KEYS_WRAP_SIZE;
    sodium_memzero(text, sizeof text);
    return is_key ? BUS_OK : refuse(KEY_FILE "_is_damaged", "restore_it");
}

// Whole or not at all: written beside it, flushed, renamed.
static bus_err_t
write_file(const char *dir, uint8_t ret_wrap[BUCKET_KEYS_WRAP_SIZE])
{
    int folder = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0) {
        return BUS_IO;
    }
    crypto_secretbox_keygen(ret_wrap);
    char text[FILE_TEXT_SIZE + 1];
    sodium_bin2hex(text, sizeof text, ret_wrap, BUCKET_KEYS_WRAP_SIZE);
    text[FILE_TEXT_SIZE] = '\n';
    (void) unlinkat(folder, KEY_FILE ".new", 0); // of a start that was killed
    int fd = openat(folder, KEY_FILE ".new", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    bool is_written = fd >= 0 && write(fd, text, sizeof text) == (ssize_t) sizeof text &&
                      fsync(fd) == 0 && renameat(folder, KEY_FILE ".new", folder, KEY_FILE) == 0 &&
                      fsync(folder) == 0;
    sodium_memzero(text, sizeof text);
    if (fd >= 0) {
        close(fd);
    }
    close(folder);
    return is_written ? BUS_OK : BUS_IO;
}

// BUS_NOT_FOUND where there is none.
static bus_err_t
unlock_by_file(const char *dir, uint8_t ret_wrap[BUCKET_KEYS_WRAP_SIZE])
{
    char path[PATH_SIZE];
    int size = snprintf(path, sizeof path, "%s/" KEY_FILE, dir);
    if (size < 0 || (size_t) size >= sizeof path) {
        return BUS_IO;
    }
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd >= 0) {
        bus_err_t err = read_file(fd, ret_wrap);
        close(fd);
        return err;
    }
    return errno == ENOENT ? BUS_NOT_FOUND
                           : refuse(KEY_FILE "_cannot_be_read", "see_its_owner_and_mode");
}

// --- The passphrase ------------------------------------------------------------------------------

static bus_err_t
derive(const wrap_row_t *row, const char *passphrase, uint8_t ret_wrap[BUCKET_KEYS_WRAP_SIZE])
{
    uint64_t started_ms = clock_boot_ms();
    if (crypto_pwhash(ret_wrap,
                      BUCKET_KEYS_WRAP_SIZE,
                      passphrase,
                      strlen(passphrase),
                      row->salt,
                      row->ops,
                      (size_t) row->mem,
                      (int) row->algorithm) != 0) {
        return BUS_IO; // out of memory
    }
    log_info("keys_unlocked",
             "by=passphrase ms=%llu",
             (unsigned long long) (clock_boot_ms() - started_ms));
    return BUS_OK;
}

static wrap_row_t
new_row(bool is_passphrase)
{
    wrap_row_t row = {.kind = is_passphrase ? WRAP_PASSPHRASE : WRAP_FILE};
    if (is_passphrase) {
        row.algorithm = crypto_pwhash_ALG_ARGON2ID13;
        row.ops = crypto_pwhash_OPSLIMIT_INTERACTIVE;
        row.mem = crypto_pwhash_MEMLIMIT_INTERACTIVE;
        id_random(row.salt, sizeof row.salt);
    }
    return row;
}

static bool
is_sane(const wrap_row_t *row)
{
    return row->kind == WRAP_FILE ||
           (row->kind == WRAP_PASSPHRASE && row->algorithm == crypto_pwhash_ALG_ARGON2ID13 &&
            row->ops >= crypto_pwhash_OPSLIMIT_MIN && row->ops <= OPS_MAX &&
            row->mem >= crypto_pwhash_MEMLIMIT_MIN && row->mem <= MEM_MAX);
}

// BUS_NOT_FOUND where there is none yet, or a damaged one, without which no secret can be read.
static bus_err_t
get_row(store_txn_t *txn, wrap_row_t *ret_row)
{
    bus_view_t value;
    bus_err_t err = store_get(txn, BUCKET_SECRETS, WRAP_RECORD, &value);
    if (err == BUS_OK && value.size == sizeof *ret_row) {
        memcpy(ret_row, value.data, sizeof *ret_row);
        if (is_sane(ret_row)) {
            return BUS_OK;
        }
    }
    if (err != BUS_OK && err != BUS_CORRUPT) {
        return err; // BUS_NOT_FOUND among them
    }
    log_error("keys_damaged", "record=wrap consequence=new_key");
    err = store_clear(txn, BUCKET_SECRETS);
    return err == BUS_OK ? BUS_NOT_FOUND : err;
}

// The file may be missing: at first start, and in a restored backup, which holds none. Without it
// no secret can ever be read again, so they make room for a new key.
static bus_err_t
start_file(const char *dir, store_txn_t *txn, uint8_t ret_wrap[BUCKET_KEYS_WRAP_SIZE])
{
    uint64_t count = 0;
    bus_err_t err = store_count(txn, BUCKET_SECRETS, &count);
    if (err == BUS_OK && count > 0) {
        log_warning("keys_lost", "reason=" KEY_FILE "_is_missing consequence=new_key");
        err = store_clear(txn, BUCKET_SECRETS);
    }
    return err == BUS_OK ? write_file(dir, ret_wrap) : err;
}

// Whether what is kept and what was given go together. BUS_FORBIDDEN, having said why not.
static bus_err_t
check_kind(const wrap_row_t *row, bool is_passphrase)
{
    if (row->kind == WRAP_PASSPHRASE && !is_passphrase) {
        return refuse("keys_lie_under_a_passphrase", "set_BHIV_KEY_PASSPHRASE");
    }
    if (row->kind == WRAP_FILE && is_passphrase) {
        return refuse("keys_lie_under_" KEY_FILE, "unset_BHIV_KEY_PASSPHRASE");
    }
    return BUS_OK;
}

bus_err_t
bucket_keys_store_unlock(const service_options_t *options,
                         store_txn_t *txn,
                         uint8_t ret_wrap[BUCKET_KEYS_WRAP_SIZE])
{
    const char *passphrase = getenv("BHIV_KEY_PASSPHRASE");
    bool is_passphrase = passphrase != NULL && passphrase[0] != '\0';
    wrap_row_t row;
    bus_err_t err = get_row(txn, &row);
    if (err == BUS_NOT_FOUND) {
        row = new_row(is_passphrase);
        err = BUS_OK;
    }
    err = err == BUS_OK ? check_kind(&row, is_passphrase) : err;
    if (err != BUS_OK) {
        return err;
    }
    if (is_passphrase) {
        err = derive(&row, passphrase, ret_wrap);
    } else {
        err = unlock_by_file(options->dir, ret_wrap);
        err = err == BUS_NOT_FOUND ? start_file(options->dir, txn, ret_wrap) : err;
    }
    return err == BUS_OK ? store_put(txn, BUCKET_SECRETS, WRAP_RECORD, view_from(&row, sizeof row))
                         : err;
}

// --- Secrets -------------------------------------------------------------------------------------

// BUS_NOT_FOUND for a damaged one.
static bus_err_t
unseal(bus_view_t key_id,
       bus_view_t value,
       const uint8_t wrap[BUCKET_KEYS_WRAP_SIZE],
       bucket_keys_pair_t *ret_pair)
{
    secret_row_t row;
    if (value.size != sizeof row) {
        return BUS_NOT_FOUND;
    }
    memcpy(&row, value.data, sizeof row);
    uint8_t secret[NOTE_SECRET_SIZE];
    if (crypto_secretbox_open_easy(secret, row.box, sizeof row.box, row.nonce, wrap) != 0) {
        return refuse("keys_lie_under_another_passphrase_or_file", "start_with_that_one");
    }
    bucket_keys_store_take(secret, ret_pair);
    sodium_memzero(secret, sizeof secret);
    ret_pair->made = row.made;
    ret_pair->is_stored = true;
    if (!view_is(key_id, ret_pair->id)) {
        bucket_keys_store_clear(ret_pair);
        return BUS_NOT_FOUND;
    }
    return BUS_OK;
}

// Keeps the list in the order of making.
static void
insert(bucket_keys_pair_t pairs[BUCKET_KEYS_SECRETS_MAX], size_t count, bucket_keys_pair_t pair)
{
    size_t at = count;
    while (at > 0 && pairs[at - 1].made > pair.made) {
        pairs[at] = pairs[at - 1];
        at--;
    }
    pairs[at] = pair;
}

// A key that cannot be read is as good as lost.
static bus_err_t
remove_damaged(store_txn_t *txn, char damaged[][STORE_KEY_SIZE_MAX + 1], size_t count)
{
    bus_err_t err = BUS_OK;
    for (size_t i = 0; i < count && err == BUS_OK; i++) {
        log_error("keys_damaged", "record=%.32s consequence=new_key", damaged[i]);
        err = bucket_keys_store_remove(txn, damaged[i]);
    }
    return err;
}

bus_err_t
bucket_keys_store_load(store_txn_t *txn,
                       const uint8_t wrap[BUCKET_KEYS_WRAP_SIZE],
                       bucket_keys_pair_t ret_pairs[BUCKET_KEYS_SECRETS_MAX],
                       size_t *ret_count)
{
    BUS_AUTO(store_cursor_destroy) store_cursor_t *cursor = NULL;
    char damaged[BUCKET_KEYS_SECRETS_MAX][STORE_KEY_SIZE_MAX + 1];
    size_t damaged_count = 0;
    size_t count = 0;
    bus_view_t key = VIEW_NONE;
    bus_view_t value = VIEW_NONE;
    bus_err_t err = store_cursor_open(txn, BUCKET_SECRETS, &cursor);
    err = err == BUS_OK ? store_first(cursor, &key, &value) : err;
    while ((err == BUS_OK || err == BUS_CORRUPT) && count < BUCKET_KEYS_SECRETS_MAX &&
           damaged_count < BUCKET_KEYS_SECRETS_MAX) {
        bucket_keys_pair_t pair = {.secret = NULL};
        bool is_secret = !view_equal(key, WRAP_RECORD);
        err = err == BUS_CORRUPT ? BUS_NOT_FOUND : err;
        err = err == BUS_OK && is_secret ? unseal(key, value, wrap, &pair) : err;
        if (err != BUS_OK && err != BUS_NOT_FOUND) {
            break;
        }
        if (pair.secret != NULL) {
            insert(ret_pairs, count++, pair);
        } else if (is_secret) {
            assert(key.data != NULL); // a damaged record has its key
            memcpy(damaged[damaged_count], key.data, key.size);
            damaged[damaged_count++][key.size] = '\0';
        }
        err = store_next(cursor, &key, &value);
    }
    *ret_count = count;
    err = err == BUS_OK || err == BUS_NOT_FOUND ? remove_damaged(txn, damaged, damaged_count) : err;
    for (size_t i = 0; err != BUS_OK && i < count; i++) {
        bucket_keys_store_clear(&ret_pairs[i]);
    }
    return err;
}

bus_err_t
bucket_keys_store_put(store_txn_t *txn,
                      const uint8_t wrap[BUCKET_KEYS_WRAP_SIZE],
                      const bucket_keys_pair_t *pair)
{
    secret_row_t row = {.made = pair->made};
    id_random(row.nonce, sizeof row.nonce);
    crypto_secretbox_easy(row.box, pair->secret, NOTE_SECRET_SIZE, row.nonce, wrap);
    return store_put(txn, BUCKET_SECRETS, view_from_text(pair->id), view_from(&row, sizeof row));
}

bus_err_t
bucket_keys_store_remove(store_txn_t *txn, const char *key_id)
{
    bus_err_t err = store_del(txn, BUCKET_SECRETS, view_from_text(key_id));
    return err == BUS_NOT_FOUND ? BUS_OK : err;
}

bus_err_t
bucket_keys_store_use(store_txn_t *txn, bus_view_t key_id, bucket_keys_use_t *ret_use)
{
    bus_view_t value;
    *ret_use = (bucket_keys_use_t){.count = 0};
    bus_err_t err = store_get(txn, BUCKET_USES, key_id, &value);
    if (err == BUS_OK && value.size == sizeof *ret_use) {
        memcpy(ret_use, value.data, sizeof *ret_use);
    }
    return err == BUS_NOT_FOUND || err == BUS_CORRUPT ? BUS_OK
                                                      : err; // a count is no reason to stop
}
