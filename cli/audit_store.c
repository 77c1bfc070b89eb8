// audit_store.c - `bhiv audit verify` of a stopped system, or of a copy of it: Bucket's store, read
// by itself.
//
// In a child process: a damaged page of LMDB's own may end whoever reads it, and that is a finding
// too. There is no key to sign a head here, so it is an older checkpoint (--since, --key) that says
// whether the log is what it was.
#include "audit_verify.h"

#include "bucket/audit_check.h"
#include "bucket/tables.h"
#include "progress.h"
#include "stores.h"

#include "runtime/store.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { STEP = 10000 }; // leaves between two looks at the progress

static void
on_problem(void *arg, const bucket_audit_problem_t *problem)
{
    cli_audit_verify_t *self = arg;
    cli_audit_report_entry(&self->report,
                           problem->leaf_index,
                           view_from_text(problem->audit_id),
                           "%s",
                           problem->problem);
}

// The root, from the leaf hashes; each of these is checked against its entry elsewhere.
static void
compute_root(cli_audit_verify_t *self, store_txn_t *txn, uint64_t size)
{
    merkle_hash_t hash;
    while (self->tree.size < size && bucket_audit_node(txn, 0, self->tree.size, &hash) == BUS_OK) {
        merkle_tree_add(&self->tree, &hash);
        cli_audit_report_since(&self->report, &self->since, &self->tree);
    }
    if (self->tree.size < size) {
        return; // its leaf hash is damaged, which is said already
    }
    merkle_tree_root(&self->tree, &hash);
    cli_audit_report_hash(&self->report, "root", &hash);
    cli_audit_report_missing(&self->report, &self->since, &self->tree);
}

static bus_err_t
check(cli_audit_verify_t *self, store_txn_t *txn)
{
    uint64_t size = 0;
    bus_err_t err = bucket_audit_size(txn, &size);
    if (err != BUS_OK) {
        return err;
    }
    cli_audit_report_uint(&self->report, "entries", size);
    bucket_audit_range_t range = {.from = 0, .count = STEP};
    while (range.from < size && err == BUS_OK) {
        char shown[64];
        snprintf(shown, sizeof shown, "%" PRIu64 " of %" PRIu64, range.from, size);
        cli_progress_show("verifying entry", shown);
        err = bucket_audit_check(txn, &range, on_problem, self, &range.from);
    }
    cli_progress_clear();
    if (err == BUS_OK) {
        cli_audit_report_open(&self->report, &self->since, &self->keys);
        cli_audit_report_since(&self->report, &self->since, &self->tree);
        compute_root(self, txn, size);
    }
    return err;
}

static int
verify_here(cli_audit_verify_t *self, const char *path)
{
    const store_options_t opening = {
        .path = path,
        .tables = bucket_tables,
        .table_count = BUCKET_TABLE_COUNT,
        .durability = STORE_SYNC,
    };
    BUS_AUTO(store_destroy) store_t *store = NULL;
    BUS_AUTO(store_rollback) store_txn_t *txn = NULL;
    bus_err_t err = store_open(&opening, &store);
    if (err == BUS_CONFLICT) {
        return cli_fail(CLI_TRY_AGAIN, "%s is in use: leave --offline out, or copy it", path);
    }
    if (err == BUS_OK) {
        err = store_begin(store, STORE_READ, &txn);
    }
    if (err == BUS_OK) {
        err = check(self, txn);
    }
    if (err == BUS_CORRUPT) {
        cli_audit_report_whole(&self->report, "the store is damaged: see bhiv check");
    } else if (err != BUS_OK) {
        return cli_fail(cli_exit_of(err), "%s: %s", path, error_meaning(err));
    }
    return cli_audit_report_end(&self->report);
}

int
cli_audit_verify_store(cli_audit_verify_t *self, const char *dir)
{
    char path[CLI_PATH_SIZE];
    cli_dir_t folder;
    snprintf(folder.path, sizeof folder.path, "%s", dir);
    if (self->since.path != NULL && self->keys.count == 0) {
        return cli_fail(CLI_USAGE, "--since needs --key here: the store cannot vouch for its key");
    }
    int status = cli_dir_join(&folder, "bucket", path);
    if (status != CLI_DONE) {
        return status;
    }
    if (!cli_stores_has(dir, "bucket")) {
        return cli_fail(CLI_NOT_FOUND, "%s has no store of Bucket", dir);
    }
    (void) fflush(NULL); // or the child prints it a second time
    pid_t pid = fork();
    if (pid == 0) {
        int found = verify_here(self, path);
        (void) fflush(NULL);
        _exit(found);
    }
    int ended = 0;
    while (pid > 0 && waitpid(pid, &ended, 0) < 0 && errno == EINTR) {
    }
    if (pid < 0) {
        return cli_fail(CLI_IO, "cannot start a process: %s", strerror(errno));
    }
    return WIFEXITED(ended) ? WEXITSTATUS(ended)
                            : cli_fail(CLI_NEGATIVE,
                                       "%s is damaged: reading it ended the reader; see bhiv check",
                                       path);
}
