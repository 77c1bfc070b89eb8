// store_tables.c - which tables lie in a store, for tools that do not know whose it is.
#include "store.h"
#include "store_lmdb.h"
#include <assert.h>

static void
env_close(MDB_env **env_p)
{
    mdb_env_close(*env_p);
    *env_p = NULL;
}

// The rows of LMDB's main table are the names of the others.
static int
list(MDB_txn *txn, store_tables_t *ret_tables)
{
    MDB_dbi main_table;
    MDB_cursor *cursor = NULL;
    int rc = mdb_dbi_open(txn, NULL, 0, &main_table);
    if (rc == MDB_SUCCESS) {
        rc = mdb_cursor_open(txn, main_table, &cursor);
    }
    MDB_val key;
    while (rc == MDB_SUCCESS && ret_tables->count < STORE_TABLES_MAX) {
        rc = mdb_cursor_get(cursor, &key, NULL, MDB_NEXT);
        if (rc != MDB_SUCCESS || key.mv_size > STORE_KEY_SIZE_MAX ||
            ((const char *) key.mv_data)[0] == '_') { // the store's record of itself
            continue;
        }
        char *name = ret_tables->names[ret_tables->count];
        memcpy(name, key.mv_data, key.mv_size);
        name[key.mv_size] = '\0';
        MDB_dbi table;
        unsigned flags = 0;
        rc = mdb_dbi_open(txn, name, 0, &table);
        if (rc == MDB_SUCCESS) {
            rc = mdb_dbi_flags(txn, table, &flags);
        }
        ret_tables->rows[ret_tables->count++] = (store_table_t){
            .name = name,
            .keys = (flags & MDB_INTEGERKEY) != 0 ? STORE_KEYS_UINT64 : STORE_KEYS_BYTES,
        };
    }
    mdb_cursor_close(cursor);
    return rc == MDB_NOTFOUND ? MDB_SUCCESS : rc;
}

bus_err_t
store_tables_read(const char *path, store_tables_t *ret_tables)
{
    BUS_AUTO(env_close) MDB_env *env = NULL;
    MDB_txn *txn = NULL;
    ret_tables->count = 0;
    int rc = mdb_env_create(&env);
    assert(rc == MDB_SUCCESS); // out of memory
    rc = mdb_env_set_maxdbs(env, STORE_TABLES_MAX + 1);
    if (rc == MDB_SUCCESS) {
        rc = mdb_env_open(env, path, MDB_RDONLY | MDB_NOTLS, 0600);
    }
    if (rc == MDB_SUCCESS) {
        rc = mdb_txn_begin(env, NULL, MDB_RDONLY, &txn);
    }
    if (rc == MDB_SUCCESS) {
        rc = list(txn, ret_tables);
    }
    mdb_txn_abort(txn);
    // LMDB gives a transaction up over a page that is none.
    return rc == MDB_BAD_TXN ? BUS_CORRUPT : store_lmdb_err(rc);
}

unsigned
store_tables_find(const store_tables_t *self, const char *name)
{
    unsigned table = 0;
    while (table < self->count && strcmp(self->rows[table].name, name) != 0) {
        table++;
    }
    return table;
}
