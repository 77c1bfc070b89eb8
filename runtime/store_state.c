// store_state.c - the state hash: SHA-256 over what a service's tables hold, in key order.
//
// Each table with `state` adds its name, then each record its key and its value, every piece behind
// its size as eight bytes, little-endian, so that no two contents give the same bytes; a table ends
// with a size that no piece has. Integer keys are hashed as they are stored.
#include "id.h"
#include "store.h"
#include "store_lmdb.h"
#include <assert.h>
#include <endian.h>
#include <openssl/evp.h>

enum { SHA256_SIZE = 32 };

typedef struct {
    EVP_MD_CTX *context;
    EVP_MD *digest; // fetched once: a fetch takes a lock and a search
} hash_t;

static void
hash_clear(hash_t *self)
{
    EVP_MD_CTX_free(self->context);
    EVP_MD_free(self->digest);
}

static void
hash_init(hash_t *self)
{
    self->context = EVP_MD_CTX_new();
    self->digest = EVP_MD_fetch(NULL, "SHA256", NULL);
    assert(self->context != NULL && self->digest != NULL);
    int ok = EVP_DigestInit_ex2(self->context, self->digest, NULL);
    assert(ok == 1);
}

static void
hash_bytes(hash_t *self, const void *data, size_t size)
{
    int ok = EVP_DigestUpdate(self->context, data, size);
    assert(ok == 1);
}

static void
hash_size(hash_t *self, uint64_t size)
{
    uint64_t bytes = htole64(size);
    hash_bytes(self, &bytes, sizeof(bytes));
}

static void
hash_piece(hash_t *self, bus_view_t piece)
{
    hash_size(self, piece.size);
    hash_bytes(self, piece.data, piece.size);
}

static bus_err_t
hash_table(hash_t *self, store_txn_t *txn, unsigned table)
{
    BUS_AUTO(store_cursor_destroy) store_cursor_t *cursor = NULL;
    bus_err_t err = store_cursor_open(txn, table, &cursor);
    if (err != BUS_OK) {
        return err;
    }
    hash_piece(self, view_from_text(txn->store->tables[table].name));
    bus_view_t key;
    bus_view_t value;
    for (err = store_first(cursor, &key, &value); err == BUS_OK;
         err = store_next(cursor, &key, &value)) {
        hash_piece(self, key);
        hash_piece(self, value);
    }
    hash_size(self, UINT64_MAX);
    return err == BUS_NOT_FOUND ? BUS_OK : err;
}

bus_err_t
store_state_hash(store_txn_t *txn, char ret_hex[STORE_HASH_SIZE])
{
    BUS_AUTO(hash_clear) hash_t hash = {0};
    hash_init(&hash);
    for (unsigned table = 0; table < txn->store->table_count; table++) {
        if (!txn->store->tables[table].state) {
            continue;
        }
        bus_err_t err = hash_table(&hash, txn, table);
        if (err != BUS_OK) {
            return err;
        }
    }
    unsigned char bytes[SHA256_SIZE];
    int ok = EVP_DigestFinal_ex(hash.context, bytes, NULL);
    assert(ok == 1);
    id_hex(bytes, sizeof(bytes), ret_hex);
    return BUS_OK;
}
