// store_lmdb.c - LMDB's errors as ours, its free pages counted, and the checksum that it lacks.
#include "store_lmdb.h"
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

enum { LMDB_FREE_DBI = 0 }; // LMDB's table of free pages: transaction id -> count and page numbers

bus_err_t
store_lmdb_err(int rc)
{
    switch (rc) {
    case MDB_SUCCESS:
        return BUS_OK;
    case MDB_NOTFOUND:
        return BUS_NOT_FOUND;
    case MDB_KEYEXIST:
    case EAGAIN: // a lock is held: ours, or LMDB's by a process of another pid namespace
        return BUS_CONFLICT;
    case MDB_MAP_FULL:
    case MDB_TXN_FULL:
    case ENOSPC:
    case EDQUOT:
        return BUS_FULL;
    case MDB_READERS_FULL:
    case MDB_MAP_RESIZED:
        return BUS_BUSY;
    case MDB_CORRUPTED:
    case MDB_PAGE_NOTFOUND:
    case MDB_INVALID:
    case MDB_VERSION_MISMATCH:
    case MDB_INCOMPATIBLE:
        return BUS_CORRUPT;
    default:
        return BUS_IO;
    }
}

uint64_t
store_lmdb_file_bytes(const store_t *self)
{
    MDB_envinfo info;
    int rc = mdb_env_info(self->env, &info);
    assert(rc == MDB_SUCCESS);
    return ((uint64_t) info.me_last_pgno + 1) * self->page_bytes;
}

// One line of mdb_reader_list: "<pid> <thread> <txnid>", with "-" as the id of an idle slot; above
// them stands a line of headings. No transaction has the id 0.
static int
on_reader(const char *line, void *arg)
{
    uint64_t *oldest = arg;
    const char *last = strrchr(line, ' ');
    char *end = NULL;
    uint64_t txnid = last != NULL ? strtoull(last + 1, &end, 10) : 0;
    if (txnid > 0 && *end == '\n' && txnid < *oldest) {
        *oldest = txnid;
    }
    return 0;
}

uint64_t
store_lmdb_free_bytes(store_t *self)
{
    uint64_t oldest = UINT64_MAX;
    (void) mdb_reader_list(self->env, on_reader, &oldest);
    // A write transaction may not look at the free list, so a read transaction beside it does.
    MDB_txn *txn = NULL;
    MDB_cursor *cursor = NULL;
    if (mdb_txn_begin(self->env, NULL, MDB_RDONLY, &txn) != MDB_SUCCESS) {
        return 0;
    }
    uint64_t pages = 0;
    if (mdb_cursor_open(txn, LMDB_FREE_DBI, &cursor) == MDB_SUCCESS) {
        MDB_val key;
        MDB_val value;
        while (mdb_cursor_get(cursor, &key, &value, MDB_NEXT) == MDB_SUCCESS) {
            size_t txnid = 0;
            size_t count = 0;
            memcpy(&txnid, key.mv_data, sizeof(txnid));
            memcpy(&count, value.mv_data, sizeof(count));
            pages += txnid <= oldest ? count : 0; // freed later: the oldest reader still sees them
        }
        mdb_cursor_close(cursor);
    }
    mdb_txn_abort(txn);
    return pages * self->page_bytes;
}

uint64_t
store_lmdb_checksum(uint64_t seed, bus_view_t key, bus_view_t value)
{
    uint64_t of_key = XXH3_64bits_withSeed(key.data, key.size, seed);
    return XXH3_64bits_withSeed(value.data, value.size, of_key);
}

bus_err_t
store_lmdb_sync_folder(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return store_lmdb_err(errno);
    }
    int rc = fsync(fd) == 0 ? 0 : errno;
    close(fd);
    return store_lmdb_err(rc);
}

bus_err_t
store_lmdb_make_folder(const char *path)
{
    if (mkdir(path, 0700) != 0) {
        return errno == EEXIST ? BUS_OK : store_lmdb_err(errno);
    }
    char parent[PATH_MAX];
    if ((size_t) snprintf(parent, sizeof(parent), "%s", path) >= sizeof(parent)) {
        return BUS_IO;
    }
    return store_lmdb_sync_folder(dirname(parent));
}
