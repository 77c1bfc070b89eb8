// backup.c - `bhiv backup` and `bhiv restore`: hot copies of every store, checked before they
// count.
//
// The services' stores are copied first and the journal last. So no service's cursor in a backup is
// ahead of the journal beside it: after a restore each service reads what its copy does not know
// yet, exactly as after a crash. manifest.json is written last: a folder without it is no backup.
#include "progress.h"
#include "stores.h"

#include "proto/rfc3339.h"
#include "proto/text.h"
#include "proto/transcode.h"
#include "runtime/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define MANIFEST "manifest.json"
#define FRESH ".restoring-" // before the name of a store that is not whole yet

typedef struct {
    const char *dir;
} flags_t;

// clang-format off
static const option_row_t rows[] = {
    {"dir", 'd', OPTION_TEXT, "DIR", NULL, offsetof(flags_t, dir), 0, 0,
     "the system's folder; default ~/.local/state/bhiv"},
};
// clang-format on

// --- Backup ------------------------------------------------------------------------------------

static const option_table_t backup_options = {
    .program = "bhiv backup",
    .arguments = "DEST",
    .help =
        "Copies every store of a system, which may be running, into the empty or missing folder "
        "DEST, verifies the copies, and prints the manifest. The owner's token is not copied, nor "
        "is "
        "bucket.key, under which Bucket's signing keys lie: keep a copy of that elsewhere.\v"
        "  bhiv backup /mnt/backups/monday",
    .rows = rows,
    .row_count = sizeof rows / sizeof rows[0],
    .arguments_min = 1,
    .arguments_max = 1,
};

static int
failed(const char *what, const char *path, bus_err_t err)
{
    int status = err == BUS_CONFLICT ? CLI_TRY_AGAIN : cli_exit_of(err);
    return cli_fail(status, "cannot %s %s: %s", what, path, error_meaning(err));
}

// Copies <from>/<name> to <to>/<prefix><name>, and verifies the copy.
static int
copy_store(const cli_dir_t *from,
           const cli_dir_t *to,
           const char *name,
           const char *prefix,
           cli_stores_report_t *ret_report)
{
    char source[CLI_PATH_SIZE];
    char target[CLI_PATH_SIZE];
    char leaf[CLI_STORES_NAME_SIZE + sizeof FRESH];
    snprintf(leaf, sizeof leaf, "%s%s", prefix, name);
    int status = cli_dir_join(from, name, source);
    if (status == CLI_DONE) {
        status = cli_dir_join(to, leaf, target);
    }
    if (status != CLI_DONE) {
        return status;
    }
    cli_progress_show("copying", name);
    bus_err_t err = store_copy(source, target);
    cli_progress_clear();
    if (err != BUS_OK) {
        return failed("copy", source, err);
    }
    cli_progress_show("verifying the copy of", name);
    err = cli_stores_check(target, ret_report);
    cli_progress_clear();
    return err == BUS_OK ? CLI_DONE : failed("verify", target, err);
}

static void
add_store(text_t *manifest, const char *name, const cli_stores_report_t *report, bool first)
{
    text_add(manifest,
             first ? VIEW_LITERAL("\n    {\"name\":") : VIEW_LITERAL(",\n    {\"name\":"));
    transcode_json_string(view_from_text(name), manifest);
    text_add_format(manifest,
                    ",\"records\":%llu,\"bytes\":%llu,\"%s\":%llu}",
                    (unsigned long long) report->records,
                    (unsigned long long) report->bytes,
                    report->is_journal ? "head" : "cursor",
                    (unsigned long long) report->place);
}

static int
write_manifest(const cli_dir_t *to, bus_view_t manifest)
{
    char path[CLI_PATH_SIZE];
    int status = cli_dir_join(to, MANIFEST, path);
    if (status != CLI_DONE) {
        return status;
    }
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    bool written = fd >= 0 && write(fd, manifest.data, manifest.size) == (ssize_t) manifest.size &&
                   fsync(fd) == 0;
    int reason = errno;
    if (fd >= 0) {
        close(fd);
    }
    int folder = open(to->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    written = written && folder >= 0 && fsync(folder) == 0;
    if (folder >= 0) {
        close(folder);
    }
    return written ? CLI_DONE : cli_fail(CLI_IO, "cannot write %s: %s", path, strerror(reason));
}

static int
copy_all(const cli_dir_t *from, const cli_dir_t *to, const cli_stores_t *stores)
{
    char now[RFC3339_SIZE];
    rfc3339_format(clock_wall_us(), now);
    BUS_AUTO(text_destroy) text_t *manifest = text_new();
    text_add_format(manifest,
                    "{\n  \"version\":\"%s\",\n  \"created_at\":\"%s\",\n  \"stores\":[",
                    BHIV_VERSION,
                    now);
    for (size_t i = 0; i < stores->count; ++i) {
        cli_stores_report_t report = {0};
        int status = copy_store(from, to, stores->names[i], "", &report);
        if (status != CLI_DONE) {
            return status;
        }
        add_store(manifest, stores->names[i], &report, i == 0);
    }
    text_add(manifest, VIEW_LITERAL("\n  ]\n}\n"));
    bus_view_t whole = text_view(manifest);
    int status = write_manifest(to, whole);
    if (status == CLI_DONE) {
        (void) fwrite(whole.data, 1, whole.size, stdout); // main flushes, and sees a failure
    }
    return status;
}

static int
run_backup(int argc, char **argv)
{
    flags_t flags = {0};
    const char *words[1] = {NULL};
    unsigned word_count = 0;
    option_parse(&backup_options, argc, argv, &flags, words, &word_count);
    cli_dir_t from;
    cli_dir_t to;
    cli_stores_t stores;
    int status = cli_dir_find(flags.dir, &from);
    if (status == CLI_DONE) {
        status = cli_stores_find(from.path, &stores);
    }
    if (status == CLI_DONE && stores.count == 0) {
        status = cli_fail(CLI_NOT_FOUND, "%s has no stores", from.path);
    }
    if (status == CLI_DONE) {
        status = cli_dir_make(words[0], &to);
    }
    if (status != CLI_DONE) {
        return status;
    }
    // Only an empty folder: rmdir is the test that cannot be fooled.
    if (rmdir(to.path) != 0 || mkdir(to.path, 0700) != 0) {
        return cli_fail(CLI_REFUSED, "%s is not empty", to.path);
    }
    return copy_all(&from, &to, &stores);
}

const cli_command_t cli_backup = {
    .name = "backup",
    .summary = "copy every store of a running system, and verify the copies",
    .group = CLI_GROUP_KEEP,
    .options = &backup_options,
    .run = run_backup,
};

// --- Restore -----------------------------------------------------------------------------------

static const option_table_t restore_options = {
    .program = "bhiv restore",
    .arguments = "SRC",
    .help =
        "Puts a backup's stores into the system's folder, which must have none, after verifying "
        "each. The system must be stopped. Put your copy of bucket.key there before the next "
        "start, or Bucket signs with a new key from then on.\v"
        "  bhiv restore /mnt/backups/monday --dir ./state",
    .rows = rows,
    .row_count = sizeof rows / sizeof rows[0],
    .arguments_min = 1,
    .arguments_max = 1,
};

// Whether `to` may take the stores: no `bhiv up` runs there, and none of them is there.
static int
check_target(const cli_dir_t *to, const cli_stores_t *stores)
{
    char path[CLI_PATH_SIZE];
    int status = cli_dir_join(to, "run/up.lock", path);
    if (status != CLI_DONE) {
        return status;
    }
    int lock = open(path, O_RDWR | O_CLOEXEC);
    bool is_running = lock >= 0 && flock(lock, LOCK_EX | LOCK_NB) != 0;
    if (lock >= 0) {
        close(lock);
    }
    if (is_running) {
        return cli_fail(CLI_TRY_AGAIN, "a bhiv up runs in %s: stop it first", to->path);
    }
    for (size_t i = 0; i < stores->count; ++i) {
        if (cli_stores_has(to->path, stores->names[i])) {
            return cli_fail(CLI_REFUSED,
                            "%s has a %s already: nothing is overwritten",
                            to->path,
                            stores->names[i]);
        }
    }
    return CLI_DONE;
}

static int
fresh_path(const cli_dir_t *to, const char *name, char ret_path[CLI_PATH_SIZE])
{
    char leaf[CLI_STORES_NAME_SIZE + sizeof FRESH];
    snprintf(leaf, sizeof leaf, FRESH "%s", name);
    return cli_dir_join(to, leaf, ret_path);
}

static void
remove_fresh(const cli_dir_t *to, const cli_stores_t *stores)
{
    static const char *const files[] = {"data.mdb", "lock.mdb", "store.lock"};
    for (size_t i = 0; i < stores->count; ++i) {
        char path[CLI_PATH_SIZE];
        if (fresh_path(to, stores->names[i], path) != CLI_DONE) {
            continue;
        }
        int folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        for (size_t file = 0; folder >= 0 && file < sizeof files / sizeof files[0]; ++file) {
            (void) unlinkat(folder, files[file], 0);
        }
        if (folder >= 0) {
            close(folder);
        }
        (void) rmdir(path);
    }
}

// Renames the whole copies to their names; an empty folder in the way is replaced.
static int
put_in_place(const cli_dir_t *to, const cli_stores_t *stores)
{
    for (size_t i = 0; i < stores->count; ++i) {
        char fresh[CLI_PATH_SIZE];
        char path[CLI_PATH_SIZE];
        int status = fresh_path(to, stores->names[i], fresh);
        if (status == CLI_DONE) {
            status = cli_dir_join(to, stores->names[i], path);
        }
        if (status != CLI_DONE) {
            return status;
        }
        if (rename(fresh, path) != 0) {
            return cli_fail(CLI_IO, "cannot make %s: %s", path, strerror(errno));
        }
    }
    int folder = open(to->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool synced = folder >= 0 && fsync(folder) == 0;
    if (folder >= 0) {
        close(folder);
    }
    return synced ? CLI_DONE : cli_fail(CLI_IO, "cannot flush %s", to->path);
}

static int
restore_all(const cli_dir_t *from, const cli_dir_t *to, const cli_stores_t *stores)
{
    remove_fresh(to, stores); // of an attempt that was interrupted
    int status = CLI_DONE;
    cli_stores_report_t reports[CLI_STORES_MAX] = {0};
    for (size_t i = 0; i < stores->count && status == CLI_DONE; ++i) {
        status = copy_store(from, to, stores->names[i], FRESH, &reports[i]);
    }
    if (status == CLI_DONE) {
        status = put_in_place(to, stores);
    }
    if (status != CLI_DONE) {
        remove_fresh(to, stores);
        return status;
    }
    for (size_t i = 0; i < stores->count; ++i) {
        printf("{\"store\":\"%s\",\"records\":%llu,\"%s\":%llu}\n",
               stores->names[i],
               (unsigned long long) reports[i].records,
               reports[i].is_journal ? "head" : "cursor",
               (unsigned long long) reports[i].place);
    }
    return CLI_DONE;
}

static int
run_restore(int argc, char **argv)
{
    flags_t flags = {0};
    const char *words[1] = {NULL};
    unsigned word_count = 0;
    option_parse(&restore_options, argc, argv, &flags, words, &word_count);
    cli_dir_t from;
    cli_dir_t to;
    cli_stores_t stores;
    char manifest[CLI_PATH_SIZE];
    int status = cli_dir_find(words[0], &from);
    if (status == CLI_DONE) {
        status = cli_dir_join(&from, MANIFEST, manifest);
    }
    if (status == CLI_DONE && access(manifest, R_OK) != 0) {
        status = cli_fail(CLI_NOT_FOUND, "%s is no whole backup: it has no " MANIFEST, from.path);
    }
    if (status == CLI_DONE) {
        status = cli_stores_find(from.path, &stores);
    }
    if (status == CLI_DONE && stores.count == 0) {
        status = cli_fail(CLI_NOT_FOUND, "%s has no stores", from.path);
    }
    if (status == CLI_DONE) {
        status = cli_dir_make(flags.dir, &to);
    }
    if (status == CLI_DONE) {
        status = check_target(&to, &stores);
    }
    return status == CLI_DONE ? restore_all(&from, &to, &stores) : status;
}

const cli_command_t cli_restore = {
    .name = "restore",
    .summary = "put a backup into an empty system's folder",
    .group = CLI_GROUP_KEEP,
    .options = &restore_options,
    .run = run_restore,
};
