// store_test.c - what the store promises about records, transactions, damage, locks and copies.
#include "folder.h"
#include "runtime/store.h"
#include <criterion/criterion.h>
#include <fcntl.h>
#include <lmdb.h>
#include <signal.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/wait.h>

enum { NAMES, NUMBERS, CACHE, TABLE_COUNT };

static const store_table_t tables[TABLE_COUNT] = {
    [NAMES] = {"names", STORE_KEYS_BYTES, true, "text by name"},
    [NUMBERS] = {"numbers", STORE_KEYS_UINT64, true, "text by number"},
    [CACHE] = {"cache", STORE_KEYS_BYTES, false, "what can be made again"},
};

static bus_view_t
text(const char *value)
{
    return view_from_text(value);
}

static bus_err_t
open_at(const char *path, uint64_t size_max, store_t **ret_store)
{
    store_options_t options = {.path = path,
                               .tables = tables,
                               .table_count = TABLE_COUNT,
                               .size_max = size_max,
                               .durability = STORE_REPLAYED};
    return store_open(&options, ret_store);
}

static store_t *
must_open(const folder_t *folder)
{
    store_t *store = NULL;
    cr_assert_eq(open_at(folder->path, 64 << 20, &store), BUS_OK);
    return store;
}

static store_txn_t *
must_begin(store_t *store, store_mode_t mode)
{
    store_txn_t *txn = NULL;
    cr_assert_eq(store_begin(store, mode, &txn), BUS_OK);
    return txn;
}

static void
put_one(store_t *store, unsigned table, bus_view_t key, bus_view_t value)
{
    store_txn_t *txn = must_begin(store, STORE_WRITE);
    cr_assert_eq(store_put(txn, table, key, value), BUS_OK);
    cr_assert_eq(store_commit(&txn), BUS_OK);
}

// Reads one record in a transaction of its own; "" where it is not as expected.
static bool
holds(store_t *store, unsigned table, bus_view_t key, const char *expected)
{
    BUS_AUTO(store_rollback) store_txn_t *txn = must_begin(store, STORE_READ);
    bus_view_t value = VIEW_NONE;
    bus_err_t err = store_get(txn, table, key, &value);
    return expected == NULL ? err == BUS_NOT_FOUND : err == BUS_OK && view_is(value, expected);
}

// --- Records and transactions -------------------------------------------------------------------

Test(store, gives_back_what_was_put)
{
    folder_t folder = folder_make();
    store_t *store = must_open(&folder);
    put_one(store, NAMES, text("ada"), text("1815"));
    put_one(store, NAMES, text("empty"), text(""));
    put_one(store, NUMBERS, STORE_U64(7), text("seven"));
    cr_expect(holds(store, NAMES, text("ada"), "1815"));
    cr_expect(holds(store, NAMES, text("empty"), ""));
    cr_expect(holds(store, NUMBERS, STORE_U64(7), "seven"));
    cr_expect(holds(store, NAMES, text("nobody"), NULL));
    cr_expect(holds(store, CACHE, text("ada"), NULL), "tables are apart");
    store_destroy(&store);
    cr_expect_null(store);
    folder_remove(&folder);
}

Test(store, replaces_and_deletes)
{
    folder_t folder = folder_make();
    store_t *store = must_open(&folder);
    put_one(store, NAMES, text("ada"), text("a short one"));
    put_one(store, NAMES, text("ada"), text("another, and a longer one"));
    cr_expect(holds(store, NAMES, text("ada"), "another, and a longer one"));
    store_txn_t *txn = must_begin(store, STORE_WRITE);
    cr_expect_eq(store_del(txn, NAMES, text("ada")), BUS_OK);
    cr_expect_eq(store_del(txn, NAMES, text("ada")), BUS_NOT_FOUND);
    cr_expect_eq(store_commit(&txn), BUS_OK);
    cr_expect_null(txn);
    cr_expect(holds(store, NAMES, text("ada"), NULL));
    store_destroy(&store);
    folder_remove(&folder);
}

Test(store, keeps_large_values_and_the_longest_key)
{
    folder_t folder = folder_make();
    store_t *store = must_open(&folder);
    char key[STORE_KEY_SIZE_MAX];
    memset(key, 'k', sizeof(key));
    size_t size = 3 * 1024 * 1024 + 17;
    char *large = malloc(size);
    for (size_t i = 0; i < size; i++) {
        large[i] = (char) (i * 31 + i / 251);
    }
    put_one(store, NAMES, view_from(key, sizeof(key)), view_from(large, size));
    store_txn_t *txn = must_begin(store, STORE_READ);
    bus_view_t value;
    cr_assert_eq(store_get(txn, NAMES, view_from(key, sizeof(key)), &value), BUS_OK);
    cr_expect(view_equal(value, view_from(large, size)));
    store_rollback(&txn);
    free(large);
    store_destroy(&store);
    folder_remove(&folder);
}

Test(store, orders_numbers_as_numbers)
{
    folder_t folder = folder_make();
    store_t *store = must_open(&folder);
    static const uint64_t numbers[] = {UINT64_MAX, 1, 256, 255, 0, 1ULL << 40, 65536, 2};
    static const uint64_t sorted[] = {0, 1, 2, 255, 256, 65536, 1ULL << 40, UINT64_MAX};
    for (size_t i = 0; i < 8; i++) {
        put_one(store, NUMBERS, STORE_U64(numbers[i]), text("n"));
    }
    store_txn_t *txn = must_begin(store, STORE_READ);
    store_cursor_t *cursor = NULL;
    cr_assert_eq(store_cursor_open(txn, NUMBERS, &cursor), BUS_OK);
    bus_view_t key;
    bus_view_t value;
    bus_err_t err = store_first(cursor, &key, &value);
    for (size_t i = 0; i < 8; i++) {
        uint64_t found = 0;
        cr_assert_eq(err, BUS_OK);
        memcpy(&found, key.data, sizeof(found));
        cr_expect_eq(found, sorted[i]);
        err = store_next(cursor, &key, &value);
    }
    cr_expect_eq(err, BUS_NOT_FOUND);
    store_cursor_destroy(&cursor);
    store_rollback(&txn);
    store_destroy(&store);
    folder_remove(&folder);
}

Test(store, walks_both_ways_and_seeks_the_next_key)
{
    folder_t folder = folder_make();
    store_t *store = must_open(&folder);
    put_one(store, NAMES, text("b"), text("2"));
    put_one(store, NAMES, text("d"), text("4"));
    put_one(store, NAMES, text("f"), text("6"));
    store_txn_t *txn = must_begin(store, STORE_READ);
    store_cursor_t *cursor = NULL;
    cr_assert_eq(store_cursor_open(txn, NAMES, &cursor), BUS_OK);
    bus_view_t key;
    bus_view_t value;
    cr_expect_eq(store_seek(cursor, text("c"), &key, &value), BUS_OK);
    cr_expect(view_is(key, "d") && view_is(value, "4"));
    cr_expect_eq(store_prev(cursor, &key, &value), BUS_OK);
    cr_expect(view_is(key, "b") && view_is(value, "2"));
    cr_expect_eq(store_prev(cursor, &key, &value), BUS_NOT_FOUND);
    cr_expect_eq(store_last(cursor, &key, &value), BUS_OK);
    cr_expect(view_is(key, "f"));
    cr_expect_eq(store_seek(cursor, text("g"), &key, &value), BUS_NOT_FOUND);
    store_cursor_destroy(&cursor);
    cr_assert_eq(store_cursor_open(txn, CACHE, &cursor), BUS_OK);
    cr_expect_eq(store_first(cursor, &key, &value), BUS_NOT_FOUND);
    cr_expect_eq(store_last(cursor, &key, &value), BUS_NOT_FOUND);
    store_rollback(&txn);
    store_cursor_destroy(&cursor); // after its transaction: harmless
    cr_expect_null(cursor);
    store_destroy(&store);
    folder_remove(&folder);
}

Test(store, a_cursor_left_open_does_not_survive_its_commit)
{
    folder_t folder = folder_make();
    store_t *store = must_open(&folder);
    store_txn_t *txn = must_begin(store, STORE_WRITE);
    store_cursor_t *first = NULL;
    store_cursor_t *second = NULL;
    cr_assert_eq(store_cursor_open(txn, NAMES, &first), BUS_OK);
    cr_assert_eq(store_cursor_open(txn, NAMES, &second), BUS_OK);
    store_cursor_destroy(&first);
    cr_expect_eq(store_put(txn, NAMES, text("a"), text("1")), BUS_OK);
    cr_expect_eq(store_commit(&txn), BUS_OK);
    store_cursor_destroy(&second);
    store_destroy(&store);
    folder_remove(&folder);
}

Test(store, a_rollback_forgets_everything)
{
    folder_t folder = folder_make();
    store_t *store = must_open(&folder);
    put_one(store, NAMES, text("kept"), text("before"));
    store_txn_t *txn = must_begin(store, STORE_WRITE);
    cr_expect_eq(store_put(txn, NAMES, text("kept"), text("after")), BUS_OK);
    cr_expect_eq(store_put(txn, NAMES, text("new"), text("x")), BUS_OK);
    cr_expect_eq(store_put(txn, NUMBERS, STORE_U64(1), text("x")), BUS_OK);
    store_rollback(&txn);
    cr_expect_null(txn);
    store_rollback(&txn); // NULL is fine
    cr_expect(holds(store, NAMES, text("kept"), "before"));
    cr_expect(holds(store, NAMES, text("new"), NULL));
    cr_expect(holds(store, NUMBERS, STORE_U64(1), NULL));
    store_destroy(&store);
    folder_remove(&folder);
}

Test(store, a_read_sees_one_moment)
{
    folder_t folder = folder_make();
    store_t *store = must_open(&folder);
    put_one(store, NAMES, text("a"), text("old"));
    store_txn_t *read = must_begin(store, STORE_READ);
    put_one(store, NAMES, text("a"), text("new"));
    bus_view_t value;
    cr_expect_eq(store_get(read, NAMES, text("a"), &value), BUS_OK);
    cr_expect(view_is(value, "old"));
    store_rollback(&read);
    cr_expect(holds(store, NAMES, text("a"), "new"));
    store_destroy(&store);
    folder_remove(&folder);
}

Test(store, appends_in_order_only)
{
    folder_t folder = folder_make();
    store_t *store = must_open(&folder);
    store_txn_t *txn = must_begin(store, STORE_WRITE);
    for (uint64_t i = 1; i <= 5000; i++) {
        cr_assert_eq(store_append(txn, NUMBERS, STORE_U64(2 * i), text("even")), BUS_OK);
    }
    cr_expect_eq(store_append(txn, NUMBERS, STORE_U64(10000), text("x")), BUS_CONFLICT, "the same");
    cr_expect_eq(store_append(txn, NUMBERS, STORE_U64(9), text("x")), BUS_CONFLICT, "below");
    cr_expect_eq(store_append(txn, NUMBERS, STORE_U64(10001), text("y")), BUS_OK, "goes on");
    cr_expect_eq(store_commit(&txn), BUS_OK);
    cr_expect(holds(store, NUMBERS, STORE_U64(9), NULL));
    cr_expect(holds(store, NUMBERS, STORE_U64(10000), "even"));
    cr_expect(holds(store, NUMBERS, STORE_U64(10001), "y"));
    store_destroy(&store);
    folder_remove(&folder);
}

Test(store, counts_and_clears_a_table)
{
    folder_t folder = folder_make();
    store_t *store = must_open(&folder);
    store_txn_t *txn = must_begin(store, STORE_WRITE);
    for (uint64_t i = 0; i < 1000; i++) {
        cr_assert_eq(store_put(txn, NUMBERS, STORE_U64(i), text("n")), BUS_OK);
    }
    cr_assert_eq(store_put(txn, NAMES, text("stays"), text("n")), BUS_OK);
    uint64_t count = 0;
    cr_expect_eq(store_count(txn, NUMBERS, &count), BUS_OK);
    cr_expect_eq(count, 1000);
    cr_expect_eq(store_clear(txn, NUMBERS), BUS_OK);
    cr_expect_eq(store_count(txn, NUMBERS, &count), BUS_OK);
    cr_expect_eq(count, 0);
    cr_expect_eq(store_commit(&txn), BUS_OK);
    cr_expect(holds(store, NAMES, text("stays"), "n"));
    store_destroy(&store);
    folder_remove(&folder);
}

// --- Opening ------------------------------------------------------------------------------------

Test(store, keeps_what_was_committed_over_a_reopen)
{
    folder_t folder = folder_make();
    store_t *store = must_open(&folder);
    put_one(store, NAMES, text("ada"), text("1815"));
    store_destroy(&store);
    store = must_open(&folder);
    cr_expect(holds(store, NAMES, text("ada"), "1815"));
    store_destroy(&store);
    folder_remove(&folder);
}

Test(store, makes_its_folder_private_and_needs_its_parent)
{
    folder_t folder = folder_make();
    char path[2 * FOLDER_SIZE];
    store_t *store = NULL;
    cr_assert_eq(open_at(folder_join(&folder, "new", path), 1 << 20, &store), BUS_OK);
    store_destroy(&store);
    struct stat stat_;
    cr_assert_eq(stat(path, &stat_), 0);
    cr_expect_eq(stat_.st_mode & 0777, 0700);
    cr_assert_eq(stat(folder_join(&folder, "new/data.mdb", path), &stat_), 0);
    cr_expect_eq(stat_.st_mode & 0777, 0600);
    cr_expect_eq(open_at(folder_join(&folder, "no/parent", path), 1 << 20, &store), BUS_IO);
    cr_expect_null(store);
    folder_remove(&folder);
}

Test(store, refuses_a_second_open_in_this_process)
{
    folder_t folder = folder_make();
    store_t *store = must_open(&folder);
    store_t *second = NULL;
    cr_expect_eq(open_at(folder.path, 64 << 20, &second), BUS_CONFLICT);
    cr_expect_null(second);
    put_one(store, NAMES, text("still"), text("works"));
    store_destroy(&store);
    store = must_open(&folder);
    cr_expect(holds(store, NAMES, text("still"), "works"));
    store_destroy(&store);
    folder_remove(&folder);
}

// Runs `child` in a process of its own; returns its exit status.
static int
run_child(int (*child)(const char *arg), const char *arg)
{
    pid_t pid = fork();
    cr_assert_geq(pid, 0);
    if (pid == 0) {
        _exit(child(arg));
    }
    int status = 0;
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int
open_in_child(const char *path)
{
    store_t *store = NULL;
    bus_err_t err = open_at(path, 64 << 20, &store);
    store_destroy(&store);
    return (int) err;
}

Test(store, refuses_a_second_open_in_another_process)
{
    folder_t folder = folder_make();
    store_t *store = must_open(&folder);
    cr_expect_eq(run_child(open_in_child, folder.path), BUS_CONFLICT);
    store_destroy(&store);
    cr_expect_eq(run_child(open_in_child, folder.path), BUS_OK);
    folder_remove(&folder);
}

Test(store, refuses_a_file_that_is_no_store)
{
    folder_t folder = folder_make();
    char path[2 * FOLDER_SIZE];
    char garbage[8192];
    memset(garbage, 'g', sizeof(garbage));
    FILE *file = fopen(folder_join(&folder, "data.mdb", path), "w");
    cr_assert_eq(fwrite(garbage, 1, sizeof(garbage), file), sizeof(garbage));
    fclose(file);
    store_t *store = NULL;
    cr_expect_eq(open_at(folder.path, 1 << 20, &store), BUS_CORRUPT);
    cr_expect_null(store);
    folder_remove(&folder);
}

Test(store, refuses_a_table_whose_keys_are_of_another_kind)
{
    folder_t folder = folder_make();
    store_t *store = must_open(&folder);
    store_destroy(&store);
    store_table_t other = {"numbers", STORE_KEYS_BYTES, true, "not the table that it was"};
    store_options_t options = {
        .path = folder.path, .tables = &other, .table_count = 1, .size_max = 64 << 20};
    cr_expect_eq(store_open(&options, &store), BUS_CORRUPT);
    cr_expect_null(store);
    folder_remove(&folder);
}

// --- Being killed -------------------------------------------------------------------------------

// Commits one record, begins another, says so on `ready_fd` and waits for its death.
static void
write_until_killed(const char *path, int ready_fd)
{
    store_t *store = NULL;
    store_txn_t *txn = NULL;
    bool ok = open_at(path, 64 << 20, &store) == BUS_OK &&
              store_begin(store, STORE_WRITE, &txn) == BUS_OK &&
              store_put(txn, NAMES, text("committed"), text("yes")) == BUS_OK &&
              store_commit(&txn) == BUS_OK && store_begin(store, STORE_WRITE, &txn) == BUS_OK &&
              store_put(txn, NAMES, text("begun"), text("yes")) == BUS_OK;
    if (write(ready_fd, ok ? "+" : "-", 1) != 1) {
        _exit(1);
    }
    for (;;) {
        pause();
    }
}

// Begins a read and never ends it.
static void
read_until_killed(const char *path, int ready_fd)
{
    MDB_env *env = NULL;
    MDB_txn *txn = NULL;
    bool ok = mdb_env_create(&env) == 0 && mdb_env_open(env, path, MDB_RDONLY, 0600) == 0 &&
              mdb_txn_begin(env, NULL, MDB_RDONLY, &txn) == 0;
    if (write(ready_fd, ok ? "+" : "-", 1) != 1) {
        _exit(1);
    }
    for (;;) {
        pause();
    }
}

// Starts `child`, waits until it says that it is there, and kills it.
static void
kill_when_ready(void (*child)(const char *path, int ready_fd), const char *path)
{
    int fds[2];
    cr_assert_eq(pipe(fds), 0);
    pid_t pid = fork();
    cr_assert_geq(pid, 0);
    if (pid == 0) {
        child(path, fds[1]);
    }
    close(fds[1]);
    char said = 0;
    cr_assert_eq(read(fds[0], &said, 1), 1);
    close(fds[0]);
    kill(pid, SIGKILL);
    cr_assert_eq(waitpid(pid, NULL, 0), pid);
    cr_assert_eq(said, '+');
}

Test(store, keeps_what_a_killed_process_committed_and_nothing_else)
{
    folder_t folder = folder_make();
    kill_when_ready(write_until_killed, folder.path);
    store_t *store = must_open(&folder);
    cr_expect(holds(store, NAMES, text("committed"), "yes"));
    cr_expect(holds(store, NAMES, text("begun"), NULL));
    put_one(store, NAMES, text("more"), text("goes on"));
    store_destroy(&store);
    folder_remove(&folder);
}

Test(store, reaps_the_slot_of_a_killed_reader)
{
    folder_t folder = folder_make();
    store_t *store = must_open(&folder);
    put_one(store, NAMES, text("a"), text("1"));
    kill_when_ready(read_until_killed, folder.path);
    cr_expect_eq(store_reap_readers(store), 1);
    cr_expect_eq(store_reap_readers(store), 0);
    store_destroy(&store);
    folder_remove(&folder);
}

// --- The whole store ----------------------------------------------------------------------------

static void
state_hash(store_t *store, char ret_hex[STORE_HASH_SIZE])
{
    BUS_AUTO(store_rollback) store_txn_t *txn = must_begin(store, STORE_READ);
    cr_assert_eq(store_state_hash(txn, ret_hex), BUS_OK);
}

Test(store, hashes_its_state_as_documented)
{
    folder_t folder = folder_make();
    store_t *store = must_open(&folder);
    put_one(store, NAMES, text("b"), text(""));
    put_one(store, NAMES, text("a"), text("1"));
    put_one(store, NUMBERS, STORE_U64(7), text("seven"));
    put_one(store, CACHE, text("not"), text("counted"));
    char hex[STORE_HASH_SIZE];
    state_hash(store, hex);
    cr_expect_str_eq(hex, "6b52c37aa94f661328dcd4ed68b2b3a776162d76468e60589c50ce27f1a2b538");
    store_destroy(&store);
    folder_remove(&folder);
}

Test(store, hashes_equal_content_equally_and_other_content_otherwise)
{
    folder_t folder = folder_make();
    folder_t other_folder = folder_make();
    store_t *store = must_open(&folder);
    store_t *other = must_open(&other_folder);
    char hex[STORE_HASH_SIZE];
    char other_hex[STORE_HASH_SIZE];
    put_one(store, NAMES, text("a"), text("1"));
    put_one(store, NAMES, text("b"), text("2"));
    put_one(other, NAMES, text("b"), text("1"));
    put_one(other, NAMES, text("b"), text("2"));
    put_one(other, NAMES, text("a"), text("1"));
    state_hash(store, hex);
    state_hash(other, other_hex);
    cr_expect_str_eq(hex, other_hex, "however it came to be");
    put_one(other, CACHE, text("c"), text("3"));
    state_hash(other, other_hex);
    cr_expect_str_eq(hex, other_hex, "a cache is no state");
    put_one(other, NAMES, text("b"), text("3"));
    state_hash(other, other_hex);
    cr_expect_str_neq(hex, other_hex, "another value");
    put_one(other, NAMES, text("b"), text("2"));
    put_one(other, NUMBERS, STORE_U64(1), text(""));
    state_hash(other, other_hex);
    cr_expect_str_neq(hex, other_hex, "one record more");
    store_destroy(&store);
    store_destroy(&other);
    folder_remove(&folder);
    folder_remove(&other_folder);
}

static char copy_to[2 * FOLDER_SIZE]; // for the child, which gets one argument

static int
copy_in_child(const char *from)
{
    return (int) store_copy(from, copy_to);
}

Test(store, is_copied_while_another_process_has_it_open)
{
    folder_t folder = folder_make();
    store_t *store = must_open(&folder);
    for (uint64_t i = 0; i < 200; i++) {
        put_one(store, NUMBERS, STORE_U64(i), text("a record that is copied"));
    }
    char hex[STORE_HASH_SIZE];
    char copied_hex[STORE_HASH_SIZE];
    state_hash(store, hex);
    store_txn_t *txn = must_begin(store, STORE_WRITE); // a writer in its midst does not disturb it
    cr_expect_eq(store_put(txn, NAMES, text("not"), text("committed")), BUS_OK);
    folder_join(&folder, "copy", copy_to);
    cr_expect_eq(run_child(copy_in_child, folder.path), BUS_OK);
    cr_expect_eq(store_commit(&txn), BUS_OK);
    cr_expect_eq(run_child(copy_in_child, folder.path), BUS_CONFLICT, "the folder is not empty");
    store_t *copy = NULL;
    cr_assert_eq(open_at(copy_to, 64 << 20, &copy), BUS_OK);
    state_hash(copy, copied_hex);
    cr_expect_str_eq(hex, copied_hex);
    store_destroy(&copy);
    store_destroy(&store);
    folder_remove(&folder);
}

Test(store, says_that_there_is_nothing_to_copy)
{
    folder_t folder = folder_make();
    char path[2 * FOLDER_SIZE];
    cr_expect_eq(store_copy(folder.path, folder_join(&folder, "copy", path)), BUS_NOT_FOUND);
    cr_expect_neq(access(path, F_OK), 0, "and makes no folder for it");
    folder_remove(&folder);
}

Test(store, says_how_much_it_holds)
{
    folder_t folder = folder_make();
    store_t *store = must_open(&folder);
    store_info_t before;
    store_info_t after;
    store_info(store, &before);
    char value[100000] = {0};
    put_one(store, NAMES, text("large"), view_from(value, sizeof(value)));
    store_info(store, &after);
    cr_expect_eq(after.map_bytes, 64 << 20);
    cr_expect_geq(after.used_bytes, before.used_bytes + sizeof(value));
    cr_expect_leq(after.used_bytes, before.used_bytes + 2 * sizeof(value));
    cr_expect_eq(store_sync(store), BUS_OK);
    cr_expect_not(store_is_failed(store));
    store_destroy(&store);
    folder_remove(&folder);
}
