// stores.c - see stores.h.
#include "stores.h"

#include "broker/journal.h"
#include "runtime/service.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
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

// --- Checking ----------------------------------------------------------------------------------

// Where the store stands in the journal: what is the last record for the journal itself.
static void
read_place(store_txn_t *txn, const store_tables_t *tables, cli_stores_report_t *report)
{
    bus_view_t key;
    bus_view_t value;
    unsigned meta = store_tables_find(tables, SERVICE_META_TABLE);
    unsigned log = store_tables_find(tables, JOURNAL_LOG_TABLE);
    if (meta < tables->count) {
        if (service_store_cursor(txn, meta, &report->place) != BUS_OK) {
            report->place = 0;
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

static bus_err_t
check_here(const char *path, cli_stores_report_t *ret_report)
{
    *ret_report = (cli_stores_report_t){0};
    store_tables_t *tables = calloc(1, sizeof *tables);
    assert(tables);
    BUS_AUTO(store_destroy) store_t *store = NULL;
    BUS_AUTO(store_rollback) store_txn_t *txn = NULL;
    bus_err_t err = store_tables_read(path, tables);
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
cli_stores_check(const char *path, cli_stores_report_t *ret_report)
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
        verdict.err = check_here(path, &verdict.report);
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
