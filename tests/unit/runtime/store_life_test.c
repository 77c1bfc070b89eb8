// store_life_test.c - a store whose process is killed, whose disk fails, whose readers are threads.
#include "folder.h"
#include "runtime/store.h"
#include <criterion/criterion.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/wait.h>

enum { RECORDS, PAIR, TABLE_COUNT };

static const store_table_t tables[TABLE_COUNT] = {
    [RECORDS] = {"records", STORE_KEYS_UINT64, true, "a counter's steps"},
    [PAIR] = {"pair", STORE_KEYS_BYTES, true, "two records that are always equal"},
};

static bus_err_t
open_sized(const char *path, uint64_t size_max, store_durability_t durability, store_t **ret_store)
{
    store_options_t options = {.path = path,
                               .tables = tables,
                               .table_count = TABLE_COUNT,
                               .size_max = size_max,
                               .durability = durability};
    return store_open(&options, ret_store);
}

static store_t *
must_open(const folder_t *folder, uint64_t size_max)
{
    store_t *store = NULL;
    cr_assert_eq(open_sized(folder->path, size_max, STORE_SYNC, &store), BUS_OK);
    return store;
}

static bus_err_t
put_step(store_t *store, uint64_t step)
{
    store_txn_t *txn = NULL;
    bus_err_t err = store_begin(store, STORE_WRITE, &txn);
    if (err != BUS_OK) {
        return err;
    }
    err = store_put(txn, RECORDS, STORE_U64(step), view_from(&step, sizeof(step)));
    if (err == BUS_OK) {
        err = store_put(txn, PAIR, VIEW_LITERAL("one"), view_from(&step, sizeof(step)));
    }
    if (err == BUS_OK) {
        err = store_put(txn, PAIR, VIEW_LITERAL("two"), view_from(&step, sizeof(step)));
    }
    if (err != BUS_OK) {
        store_rollback(&txn);
        return err;
    }
    return store_commit(&txn);
}

static uint64_t
must_count(store_t *store)
{
    uint64_t count = 0;
    BUS_AUTO(store_rollback) store_txn_t *txn = NULL;
    cr_assert_eq(store_begin(store, STORE_READ, &txn), BUS_OK);
    cr_assert_eq(store_count(txn, RECORDS, &count), BUS_OK);
    return count;
}

// --- Killed -------------------------------------------------------------------------------------

// Writes one step after the other, from `first` on, and says each on `fd` once it is committed.
static void
write_steps(const char *path, store_durability_t durability, uint64_t first, int fd)
{
    store_t *store = NULL;
    if (open_sized(path, 64 << 20, durability, &store) != BUS_OK) {
        _exit(1);
    }
    for (uint64_t step = first; put_step(store, step) == BUS_OK; step++) {
        if (write(fd, &step, sizeof(step)) != (ssize_t) sizeof(step)) {
            break;
        }
    }
    _exit(2);
}

// Lets a child write until `steps` were said, kills it, and returns the last step that was said.
static uint64_t
kill_after(const folder_t *folder, store_durability_t durability, uint64_t first, unsigned steps)
{
    int fds[2];
    cr_assert_eq(pipe(fds), 0);
    pid_t pid = fork();
    cr_assert_geq(pid, 0);
    if (pid == 0) {
        close(fds[0]);
        write_steps(folder->path, durability, first, fds[1]);
    }
    close(fds[1]);
    uint64_t last = 0;
    uint64_t step = 0;
    unsigned seen = 0;
    while (read(fds[0], &step, sizeof(step)) == (ssize_t) sizeof(step)) {
        last = step;
        if (++seen == steps) {
            kill(pid, SIGKILL); // and what is in the pipe was said before
        }
    }
    close(fds[0]);
    int status = 0;
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    cr_assert(WIFSIGNALED(status), "it ended by itself: %d", WEXITSTATUS(status));
    return last;
}

static void
expect_steps_kept(store_durability_t durability)
{
    folder_t folder = folder_make();
    uint64_t last = 0;
    for (unsigned round = 0; round < 12; round++) {
        last = kill_after(&folder, durability, last + 1, 1 + round * 7);
        store_t *store = must_open(&folder, 64 << 20);
        uint64_t count = must_count(store);
        cr_expect_geq(count, last, "what was said is there");
        cr_expect_leq(count, last + 1, "and at most one commit that was not said yet");
        BUS_AUTO(store_rollback) store_txn_t *txn = NULL;
        cr_assert_eq(store_begin(store, STORE_READ, &txn), BUS_OK);
        bus_view_t one;
        bus_view_t two;
        cr_assert_eq(store_get(txn, PAIR, VIEW_LITERAL("one"), &one), BUS_OK);
        cr_assert_eq(store_get(txn, PAIR, VIEW_LITERAL("two"), &two), BUS_OK);
        cr_expect(view_equal(one, two), "a transaction is whole");
        store_check_t check;
        cr_expect_eq(store_check(txn, &check), BUS_OK);
        store_rollback(&txn);
        store_destroy(&store);
        last = count;
    }
    folder_remove(&folder);
}

Test(store_life, keeps_every_commit_that_was_told_whenever_it_is_killed)
{
    expect_steps_kept(STORE_SYNC);
}

Test(store_life, keeps_them_without_the_second_flush_too)
{
    expect_steps_kept(STORE_REPLAYED); // a kill is no power cut: the kernel has it all
}

// --- A disk that fails --------------------------------------------------------------------------

Test(store_life, a_commit_that_fails_halfway_ends_writing_until_it_is_opened_again)
{
    folder_t folder = folder_make();
    store_t *store = must_open(&folder, 64 << 20);
    cr_assert_eq(put_step(store, 1), BUS_OK);
    store_info_t info;
    store_info(store, &info);
    signal(SIGXFSZ, SIG_IGN);
    struct rlimit limit;
    cr_assert_eq(getrlimit(RLIMIT_FSIZE, &limit), 0);
    struct rlimit small = {.rlim_cur = info.used_bytes, .rlim_max = limit.rlim_max};
    char *large = calloc(1, 1 << 20);
    store_txn_t *txn = NULL;
    cr_assert_eq(store_begin(store, STORE_WRITE, &txn), BUS_OK);
    cr_assert_eq(store_put(txn, RECORDS, STORE_U64(2), view_from(large, 1 << 20)), BUS_OK);
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &small), 0);
    bus_err_t err = store_commit(&txn);
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    cr_expect_eq(err, BUS_IO);
    cr_expect_null(txn);
    cr_expect(store_is_failed(store));
    cr_expect_eq(put_step(store, 2), BUS_IO, "no write until it was opened again");
    cr_expect_eq(must_count(store), 1, "reading goes on");
    store_destroy(&store);
    store = must_open(&folder, 64 << 20);
    cr_expect_not(store_is_failed(store));
    cr_expect_eq(must_count(store), 1);
    cr_expect_eq(put_step(store, 2), BUS_OK);
    cr_expect_eq(must_count(store), 2);
    free(large);
    store_destroy(&store);
    folder_remove(&folder);
}

// --- A map that grows and shrinks ---------------------------------------------------------------

Test(store_life, a_larger_size_gives_a_full_store_room)
{
    folder_t folder = folder_make();
    store_t *store = must_open(&folder, 256 << 10);
    uint64_t step = 1;
    while (put_step(store, step) == BUS_OK) {
        step++;
    }
    cr_assert_gt(step, 100);
    uint64_t count = must_count(store);
    store_destroy(&store);
    store = must_open(&folder, 64 << 10); // less than it holds: it keeps what it has
    store_info_t info;
    store_info(store, &info);
    cr_expect_geq(info.map_bytes, info.used_bytes);
    cr_expect_eq(must_count(store), count);
    store_destroy(&store);
    store = must_open(&folder, 1 << 20);
    cr_expect_eq(must_count(store), count);
    cr_expect_eq(put_step(store, step), BUS_OK);
    store_destroy(&store);
    folder_remove(&folder);
}

// --- Threads ------------------------------------------------------------------------------------

typedef struct {
    store_t *store;
    _Atomic bool stop;
    _Atomic unsigned reads;
    _Atomic unsigned wrong;
} shared_t;

static void *
read_pairs(void *arg)
{
    shared_t *shared = arg;
    while (!shared->stop) {
        BUS_AUTO(store_rollback) store_txn_t *txn = NULL;
        bus_view_t one;
        bus_view_t two;
        bool ok = store_begin(shared->store, STORE_READ, &txn) == BUS_OK &&
                  store_get(txn, PAIR, VIEW_LITERAL("one"), &one) == BUS_OK &&
                  store_get(txn, PAIR, VIEW_LITERAL("two"), &two) == BUS_OK && view_equal(one, two);
        shared->wrong += !ok;
        shared->reads++;
    }
    return NULL;
}

Test(store_life, readers_in_other_threads_see_whole_transactions)
{
    folder_t folder = folder_make();
    shared_t shared = {0};
    cr_assert_eq(open_sized(folder.path, 64 << 20, STORE_REPLAYED, &shared.store), BUS_OK);
    cr_assert_eq(put_step(shared.store, 1), BUS_OK);
    pthread_t threads[3];
    for (int i = 0; i < 3; i++) {
        cr_assert_eq(pthread_create(&threads[i], NULL, read_pairs, &shared), 0);
    }
    for (uint64_t step = 2; step < 500 || shared.reads < 100; step++) {
        cr_assert_eq(put_step(shared.store, step), BUS_OK);
    }
    shared.stop = true;
    for (int i = 0; i < 3; i++) {
        pthread_join(threads[i], NULL);
    }
    cr_expect_eq(shared.wrong, 0);
    store_destroy(&shared.store);
    folder_remove(&folder);
}

Test(store_life, is_removed_whole_and_only_where_nobody_has_it)
{
    folder_t folder = folder_make();
    cr_assert_eq(rmdir(folder.path), 0);
    cr_assert_eq(store_remove(folder.path), BUS_NOT_FOUND);
    store_t *store = must_open(&folder, 1 << 20);
    cr_assert_eq(put_step(store, 1), BUS_OK);
    cr_assert_eq(store_remove(folder.path), BUS_CONFLICT);
    cr_assert_eq(put_step(store, 2), BUS_OK, "it is as it was");
    store_destroy(&store);
    cr_assert_eq(store_remove(folder.path), BUS_OK);
    cr_assert_neq(access(folder.path, F_OK), 0);
    char file[2 * FOLDER_SIZE];
    store = must_open(&folder, 1 << 20);
    store_destroy(&store);
    FILE *other = fopen(folder_join(&folder, "notes", file), "w");
    cr_assert_not_null(other);
    fclose(other);
    cr_assert_eq(store_remove(folder.path), BUS_IO, "somebody else's is left alone");
    cr_assert_eq(access(file, F_OK), 0);
    folder_remove(&folder);
}

// --- What only we can cause is asserted ---------------------------------------------------------

static store_txn_t *
begin_any(store_mode_t mode)
{
    folder_t folder = folder_make();
    store_t *store = must_open(&folder, 1 << 20);
    folder_remove(&folder); // its files live on while they are open: an abort leaves nothing behind
    static store_txn_t *txn; // where a search for leaks finds it
    cr_assert_eq(store_begin(store, mode, &txn), BUS_OK);
    return txn;
}

Test(store_life, an_empty_key_is_asserted, .signal = SIGABRT)
{
    (void) !store_put(begin_any(STORE_WRITE), PAIR, VIEW_LITERAL(""), VIEW_LITERAL("v"));
}

Test(store_life, a_key_that_is_too_long_is_asserted, .signal = SIGABRT)
{
    char key[STORE_KEY_SIZE_MAX + 1] = {0};
    bus_view_t view = view_from(key, sizeof(key));
    (void) !store_put(begin_any(STORE_WRITE), PAIR, view, VIEW_LITERAL("v"));
}

Test(store_life, a_number_of_the_wrong_size_is_asserted, .signal = SIGABRT)
{
    (void) !store_put(begin_any(STORE_WRITE), RECORDS, VIEW_LITERAL("four"), VIEW_LITERAL("v"));
}

Test(store_life, a_write_in_a_read_is_asserted, .signal = SIGABRT)
{
    (void) !store_put(begin_any(STORE_READ), PAIR, VIEW_LITERAL("k"), VIEW_LITERAL("v"));
}

Test(store_life, a_second_write_of_the_same_thread_is_asserted, .signal = SIGABRT)
{
    folder_t folder = folder_make();
    store_t *store = must_open(&folder, 1 << 20);
    folder_remove(&folder);
    store_txn_t *first = NULL;
    store_txn_t *second = NULL;
    cr_assert_eq(store_begin(store, STORE_WRITE, &first), BUS_OK);
    (void) !store_begin(store, STORE_WRITE, &second); // it would wait for itself for ever
}
