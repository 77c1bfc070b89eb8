// stores.c - see stores.h.
#include "stores.h"

#include "proto/limits.h"
#include "runtime/service_self.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <lmdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define JOURNAL "broker"

bool
cli_stores_has(const char *dir, const char *name)
{
    char path[CLI_PATH_SIZE];
    int size = snprintf(path, sizeof path, "%s/%s/data.mdb", dir, name);
    return size > 0 && (size_t) size < sizeof path && access(path, F_OK) == 0;
}

// Services by name; the journal last, so that a copy of it knows all that the others' copies know.
static int
compare_names(const void *a, const void *b)
{
    int journal_a = strcmp(a, JOURNAL) == 0;
    int journal_b = strcmp(b, JOURNAL) == 0;
    return journal_a != journal_b ? journal_a - journal_b : strcmp(a, b);
}

int
cli_stores_find(const char *dir, cli_stores_t *ret_stores)
{
    ret_stores->count = 0;
    DIR *folder = opendir(dir);
    if (folder == NULL) {
        return errno == ENOENT ? CLI_DONE
                               : cli_fail(CLI_IO, "cannot read %s: %s", dir, strerror(errno));
    }
    for (const struct dirent *entry = readdir(folder); entry != NULL; entry = readdir(folder)) {
        const char *name = entry->d_name;
        bool is_hidden = name[0] == '.' || strlen(name) >= CLI_STORES_NAME_SIZE;
        if (!is_hidden && ret_stores->count < CLI_STORES_MAX && cli_stores_has(dir, name)) {
            memcpy(ret_stores->names[ret_stores->count++], name, strlen(name) + 1);
        }
    }
    closedir(folder);
    qsort(ret_stores->names, ret_stores->count, CLI_STORES_NAME_SIZE, compare_names);
    return CLI_DONE;
}

// --- Tables ------------------------------------------------------------------------------------

typedef struct {
    store_table_t rows[STORE_TABLES_MAX];
    char names[STORE_TABLES_MAX][STORE_KEY_SIZE_MAX + 1];
    size_t count;
} tables_t;

static int
list_tables(MDB_txn *txn, tables_t *ret_tables)
{
    MDB_dbi main_dbi;
    MDB_cursor *cursor = NULL;
    int rc = mdb_dbi_open(txn, NULL, 0, &main_dbi);
    if (rc == MDB_SUCCESS) {
        rc = mdb_cursor_open(txn, main_dbi, &cursor);
    }
    MDB_val key;
    while (rc == MDB_SUCCESS && ret_tables->count < STORE_TABLES_MAX) {
        rc = mdb_cursor_get(cursor, &key, NULL, MDB_NEXT);
        if (rc != MDB_SUCCESS || key.mv_size > STORE_KEY_SIZE_MAX ||
            ((const char *) key.mv_data)[0] == '_') { // the store's own
            continue;
        }
        char *name = ret_tables->names[ret_tables->count];
        memcpy(name, key.mv_data, key.mv_size);
        name[key.mv_size] = '\0';
        MDB_dbi dbi;
        unsigned flags = 0;
        rc = mdb_dbi_open(txn, name, 0, &dbi);
        if (rc == MDB_SUCCESS) {
            rc = mdb_dbi_flags(txn, dbi, &flags);
        }
        bool is_integer = (flags & MDB_INTEGERKEY) != 0;
        ret_tables->rows[ret_tables->count++] = (store_table_t){
            .name = name,
            .keys = is_integer ? STORE_KEYS_UINT64 : STORE_KEYS_BYTES,
        };
    }
    mdb_cursor_close(cursor);
    return rc == MDB_NOTFOUND ? MDB_SUCCESS : rc;
}

static bus_err_t
read_tables(const char *path, tables_t *ret_tables)
{
    MDB_env *env = NULL;
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
        rc = list_tables(txn, ret_tables);
    }
    mdb_txn_abort(txn);
    mdb_env_close(env);
    bool is_damaged = rc == MDB_INVALID || rc == MDB_CORRUPTED || rc == MDB_PAGE_NOTFOUND ||
                      rc == MDB_VERSION_MISMATCH || rc == MDB_BAD_TXN;
    return rc == MDB_SUCCESS ? BUS_OK : is_damaged ? BUS_CORRUPT : BUS_IO;
}

// --- Checking ----------------------------------------------------------------------------------

static unsigned
find_table(const tables_t *tables, const char *name)
{
    unsigned table = 0;
    while (table < tables->count && strcmp(tables->rows[table].name, name) != 0) {
        ++table;
    }
    return table;
}

// Where the store stands in the journal: what is the last record for the journal itself.
static void
read_place(store_txn_t *txn, const tables_t *tables, cli_stores_report_t *report)
{
    bus_view_t key;
    bus_view_t value;
    unsigned meta = find_table(tables, "harness_meta");
    unsigned log = find_table(tables, "log");
    if (meta < tables->count) {
        service_place_t place;
        if (store_get(txn, meta, VIEW_LITERAL("place"), &value) == BUS_OK &&
            value.size == sizeof place) {
            memcpy(&place, value.data, sizeof place);
            report->place = place.cursor;
        }
    } else if (log < tables->count) {
        BUS_AUTO(store_cursor_destroy) store_cursor_t *cursor = NULL;
        report->is_journal = true;
        if (store_cursor_open(txn, log, &cursor) == BUS_OK &&
            store_last(cursor, &key, &value) == BUS_OK && key.size == sizeof report->place) {
            memcpy(&report->place, key.data, sizeof report->place);
        }
    }
}

bus_err_t
cli_stores_check(const char *path, cli_stores_report_t *ret_report)
{
    *ret_report = (cli_stores_report_t){0};
    tables_t *tables = calloc(1, sizeof *tables);
    assert(tables);
    BUS_AUTO(store_destroy) store_t *store = NULL;
    BUS_AUTO(store_rollback) store_txn_t *txn = NULL;
    bus_err_t err = read_tables(path, tables);
    if (err == BUS_OK) {
        const store_options_t options = {
            .path = path,
            .tables = tables->rows,
            .table_count = tables->count,
            .durability = STORE_SYNC,
        };
        err = store_open(&options, &store);
    }
    if (err == BUS_OK) {
        err = store_begin(store, STORE_READ, &txn);
    }
    store_check_t found = {0};
    if (err == BUS_OK) {
        err = store_check(txn, &found);
    }
    if (err == BUS_OK || err == BUS_CORRUPT) {
        ret_report->tables = tables->count;
        ret_report->records = found.records;
        ret_report->bad = found.bad;
        snprintf(ret_report->bad_table,
                 sizeof ret_report->bad_table,
                 "%s",
                 found.bad_table != NULL ? found.bad_table : "");
    }
    if (err == BUS_OK) {
        store_info_t info;
        store_info(store, &info);
        ret_report->bytes = info.used_bytes;
        read_place(txn, tables, ret_report);
    }
    // Before the tables, which both use.
    store_rollback(&txn);
    store_destroy(&store);
    free(tables);
    return err;
}

typedef struct {
    bus_err_t err;
    cli_stores_report_t report;
} verdict_t;

bus_err_t
cli_stores_check_safely(const char *path, cli_stores_report_t *ret_report)
{
    *ret_report = (cli_stores_report_t){0};
    int ends[2];
    if (pipe(ends) != 0) {
        return BUS_IO;
    }
    (void) fflush(NULL); // or the child prints it a second time
    verdict_t verdict = {0};
    pid_t pid = fork();
    if (pid == 0) {
        close(ends[0]);
        verdict.err = cli_stores_check(path, &verdict.report);
        _exit(write(ends[1], &verdict, sizeof verdict) == sizeof verdict ? 0 : 1);
    }
    close(ends[1]);
    ssize_t size = pid < 0 ? -1 : read(ends[0], &verdict, sizeof verdict);
    close(ends[0]);
    while (pid > 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR) {
    }
    if (pid < 0) {
        return BUS_IO;
    }
    if (size != sizeof verdict) {
        return BUS_CORRUPT; // it died over a page that is none
    }
    *ret_report = verdict.report;
    return verdict.err;
}
