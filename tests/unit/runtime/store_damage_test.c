// store_damage_test.c - bytes that changed on disk: found on every way to read them, never
// returned.
#include "folder.h"
#include "runtime/store.h"
#include <criterion/criterion.h>
#include <stdint.h>

enum { NAMES, NUMBERS, TABLE_COUNT };
enum { COUNT = 500, KEY_SIZE = 16, VALUE_SIZE = 64 };

static const store_table_t tables[TABLE_COUNT] = {
    [NAMES] = {"names", STORE_KEYS_BYTES, true, "a pattern by name"},
    [NUMBERS] = {"numbers", STORE_KEYS_UINT64, true, "a pattern by number"},
};

static store_t *
open_at(const folder_t *folder)
{
    store_t *store = NULL;
    store_options_t options = {.path = folder->path,
                               .tables = tables,
                               .table_count = TABLE_COUNT,
                               .size_max = 16 << 20,
                               .durability = STORE_REPLAYED};
    cr_assert_eq(store_open(&options, &store), BUS_OK);
    return store;
}

static void
make_key(char key[KEY_SIZE + 1], unsigned index)
{
    snprintf(key, KEY_SIZE + 1, "name-%06u-----", index % 1000000);
}

static void
make_value(char value[VALUE_SIZE + 1], unsigned index)
{
    memset(value, 'a' + (int) (index % 26), VALUE_SIZE);
    int size = snprintf(value, VALUE_SIZE + 1, "<%06u>", index);
    value[size] = 'z';
    value[VALUE_SIZE] = '\0';
}

static void
write_pattern(const folder_t *folder)
{
    store_t *store = open_at(folder);
    store_txn_t *txn = NULL;
    cr_assert_eq(store_begin(store, STORE_WRITE, &txn), BUS_OK);
    for (unsigned i = 0; i < COUNT; i++) {
        char key[KEY_SIZE + 1];
        char value[VALUE_SIZE + 1];
        make_key(key, i);
        make_value(value, i);
        cr_assert_eq(store_put(txn, NAMES, view_from(key, KEY_SIZE), view_from_text(value)),
                     BUS_OK);
    }
    cr_assert_eq(store_put(txn, NUMBERS, STORE_U64(1), VIEW_LITERAL("unharmed")), BUS_OK);
    cr_assert_eq(store_commit(&txn), BUS_OK);
    store_destroy(&store);
}

// Flips one bit of the byte `offset` behind every place where `needle` stands in the data file.
// Returns how many places there were.
static unsigned
damage(const folder_t *folder, bus_view_t needle, size_t offset)
{
    char path[2 * FOLDER_SIZE];
    FILE *file = fopen(folder_join(folder, "data.mdb", path), "r+");
    cr_assert_not_null(file);
    fseek(file, 0, SEEK_END);
    size_t size = (size_t) ftell(file);
    char *bytes = malloc(size);
    rewind(file);
    cr_assert_eq(fread(bytes, 1, size, file), size);
    unsigned places = 0;
    char *at = memmem(bytes, size, needle.data, needle.size);
    while (at != NULL) {
        at[offset] ^= 0x04;
        places++;
        at = memmem(at + 1, (size_t) (bytes + size - at) - 1, needle.data, needle.size);
    }
    rewind(file);
    cr_assert_eq(fwrite(bytes, 1, size, file), size);
    fclose(file);
    free(bytes);
    return places;
}

// Reads all records by key, and by cursor. Each is right, or BUS_CORRUPT; returns how many were
// bad.
static unsigned
read_all(store_txn_t *txn)
{
    unsigned bad = 0;
    for (unsigned i = 0; i < COUNT; i++) {
        char key[KEY_SIZE + 1];
        char expected[VALUE_SIZE + 1];
        bus_view_t value = VIEW_NONE;
        make_key(key, i);
        make_value(expected, i);
        bus_err_t err = store_get(txn, NAMES, view_from(key, KEY_SIZE), &value);
        if (err == BUS_CORRUPT) {
            cr_expect_null(value.data, "nothing is returned of a bad record");
            bad++;
            continue;
        }
        cr_assert_eq(err, BUS_OK);
        cr_assert(view_is(value, expected));
    }
    return bad;
}

static unsigned
walk_all(store_txn_t *txn, unsigned *ret_bad)
{
    BUS_AUTO(store_cursor_destroy) store_cursor_t *cursor = NULL;
    cr_assert_eq(store_cursor_open(txn, NAMES, &cursor), BUS_OK);
    bus_view_t key;
    bus_view_t value;
    unsigned seen = 0;
    *ret_bad = 0;
    for (bus_err_t err = store_first(cursor, &key, &value); err != BUS_NOT_FOUND;
         err = store_next(cursor, &key, &value)) {
        cr_assert(err == BUS_OK || err == BUS_CORRUPT);
        cr_assert_eq(key.size, KEY_SIZE);
        *ret_bad += err == BUS_CORRUPT;
        seen++;
        cr_assert_leq(seen, COUNT);
    }
    return seen;
}

Test(store_damage, a_flipped_bit_of_a_value_is_corrupt_and_harms_no_other_record)
{
    folder_t folder = folder_make();
    write_pattern(&folder);
    static const unsigned victims[] = {0, 1, 17, 250, 499};
    static const size_t offsets[] = {0, 3, 8, 40, VALUE_SIZE - 1};
    for (size_t i = 0; i < 5; i++) {
        char value[VALUE_SIZE + 1];
        make_value(value, victims[i]);
        cr_assert_geq(damage(&folder, view_from(value, VALUE_SIZE), offsets[i]), 1);
    }
    store_t *store = open_at(&folder);
    store_txn_t *txn = NULL;
    cr_assert_eq(store_begin(store, STORE_READ, &txn), BUS_OK);
    unsigned walked_bad = 0;
    cr_expect_eq(read_all(txn), 5);
    cr_expect_eq(walk_all(txn, &walked_bad), COUNT, "the walk goes on behind a bad record");
    cr_expect_eq(walked_bad, 5);
    store_rollback(&txn);
    store_destroy(&store);
    folder_remove(&folder);
}

Test(store_damage, a_flipped_bit_of_a_checksum_is_corrupt)
{
    folder_t folder = folder_make();
    write_pattern(&folder);
    char value[VALUE_SIZE + 1];
    make_value(value, 123);
    cr_assert_geq(damage(&folder, view_from(value, VALUE_SIZE), VALUE_SIZE + 5), 1);
    store_t *store = open_at(&folder);
    store_txn_t *txn = NULL;
    cr_assert_eq(store_begin(store, STORE_READ, &txn), BUS_OK);
    cr_expect_eq(read_all(txn), 1);
    store_rollback(&txn);
    store_destroy(&store);
    folder_remove(&folder);
}

Test(store_damage, a_flipped_bit_of_a_key_is_corrupt_for_who_walks)
{
    folder_t folder = folder_make();
    write_pattern(&folder);
    char key[KEY_SIZE + 1];
    make_key(key, 321);
    cr_assert_geq(damage(&folder, view_from(key, KEY_SIZE), 15), 1);
    store_t *store = open_at(&folder);
    store_txn_t *txn = NULL;
    cr_assert_eq(store_begin(store, STORE_READ, &txn), BUS_OK);
    unsigned bad = 0;
    cr_expect_eq(walk_all(txn, &bad), COUNT);
    cr_expect_eq(bad, 1);
    store_rollback(&txn);
    store_destroy(&store);
    folder_remove(&folder);
}

Test(store_damage, a_check_counts_what_is_bad_and_names_its_table)
{
    folder_t folder = folder_make();
    write_pattern(&folder);
    store_check_t check;
    store_t *store = open_at(&folder);
    store_txn_t *txn = NULL;
    cr_assert_eq(store_begin(store, STORE_READ, &txn), BUS_OK);
    cr_expect_eq(store_check(txn, &check), BUS_OK);
    cr_expect_eq(check.records, COUNT + 1);
    cr_expect_eq(check.bad, 0);
    cr_expect_null(check.bad_table);
    store_rollback(&txn);
    store_destroy(&store);
    for (unsigned i = 100; i < 103; i++) {
        char value[VALUE_SIZE + 1];
        make_value(value, i);
        cr_assert_geq(damage(&folder, view_from(value, VALUE_SIZE), 20), 1);
    }
    store = open_at(&folder);
    cr_assert_eq(store_begin(store, STORE_READ, &txn), BUS_OK);
    cr_expect_eq(store_check(txn, &check), BUS_CORRUPT);
    cr_expect_eq(check.records, COUNT + 1);
    cr_expect_eq(check.bad, 3);
    cr_expect_str_eq(check.bad_table, "names");
    char hex[STORE_HASH_SIZE];
    cr_expect_eq(store_state_hash(txn, hex), BUS_CORRUPT, "damage has no state hash");
    store_rollback(&txn);
    store_destroy(&store);
    folder_remove(&folder);
}

Test(store_damage, a_value_moved_to_another_key_is_corrupt)
{
    folder_t folder = folder_make();
    write_pattern(&folder);
    // Swapping two whole values with their checksums: each is intact, and in the wrong place.
    char path[2 * FOLDER_SIZE];
    char first[VALUE_SIZE + 1];
    char second[VALUE_SIZE + 1];
    make_value(first, 10);
    make_value(second, 11);
    FILE *file = fopen(folder_join(&folder, "data.mdb", path), "r+");
    fseek(file, 0, SEEK_END);
    size_t size = (size_t) ftell(file);
    char *bytes = malloc(size);
    rewind(file);
    cr_assert_eq(fread(bytes, 1, size, file), size);
    char *a = memmem(bytes, size, first, VALUE_SIZE);
    char *b = memmem(bytes, size, second, VALUE_SIZE);
    cr_assert(a != NULL && b != NULL);
    for (int i = 0; i < VALUE_SIZE + STORE_CHECKSUM_SIZE; i++) {
        char byte = a[i];
        a[i] = b[i];
        b[i] = byte;
    }
    rewind(file);
    cr_assert_eq(fwrite(bytes, 1, size, file), size);
    fclose(file);
    free(bytes);
    store_t *store = open_at(&folder);
    store_txn_t *txn = NULL;
    cr_assert_eq(store_begin(store, STORE_READ, &txn), BUS_OK);
    cr_expect_eq(read_all(txn), 2);
    store_rollback(&txn);
    store_destroy(&store);
    folder_remove(&folder);
}
