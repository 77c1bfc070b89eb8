// id_test.c - ids are UUIDv7, sort as they were made, and never come twice.
#include "runtime/clock.h"
#include "runtime/id.h"
#include <criterion/criterion.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { THREADS = 4, IDS = 20000 };

typedef struct {
    char text[IDS][ID_TEXT_SIZE];
} ids_t;

Test(id, is_a_uuid_of_version_7)
{
    for (int i = 0; i < 1000; i++) {
        char text[ID_TEXT_SIZE];
        id_make(text);
        cr_assert_eq(strlen(text), 36);
        for (int k = 0; k < 36; k++) {
            bool dash = k == 8 || k == 13 || k == 18 || k == 23;
            cr_assert(dash ? text[k] == '-' : strchr("0123456789abcdef", text[k]) != NULL);
        }
        cr_assert_eq(text[14], '7');
        cr_assert_not_null(strchr("89ab", text[19]));
    }
}

Test(id, begins_with_the_time)
{
    char text[ID_TEXT_SIZE];
    char digits[13];
    uint64_t before_ms = clock_wall_us() / 1000;
    id_make(text);
    uint64_t after_ms = clock_wall_us() / 1000;
    snprintf(digits, sizeof(digits), "%.8s%.4s", text, text + 9);
    uint64_t ms = strtoull(digits, NULL, 16);
    cr_expect_geq(ms, before_ms);
    cr_expect_leq(ms, after_ms);
}

Test(id, sorts_in_order_of_making)
{
    char last[ID_TEXT_SIZE];
    char next[ID_TEXT_SIZE];
    id_make(last);
    for (int i = 0; i < 100000; i++) { // many a millisecond: the counter overflows, too
        id_make(next);
        cr_assert_lt(strcmp(last, next), 0, "%s before %s", last, next);
        memcpy(last, next, sizeof(last));
    }
}

static void *
make_ids(void *arg)
{
    ids_t *ids = arg;
    for (int i = 0; i < IDS; i++) {
        id_make(ids->text[i]);
    }
    return NULL;
}

static int
compare(const void *a, const void *b)
{
    return strcmp(a, b);
}

Test(id, is_never_the_same_twice_whatever_thread_makes_it)
{
    ids_t *ids = calloc(THREADS, sizeof(*ids));
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++) {
        cr_assert_eq(pthread_create(&threads[i], NULL, make_ids, &ids[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    for (int i = 0; i < THREADS; i++) {
        for (int k = 1; k < IDS; k++) {
            cr_assert_lt(strcmp(ids[i].text[k - 1], ids[i].text[k]), 0);
        }
    }
    qsort(ids, (size_t) THREADS * IDS, ID_TEXT_SIZE, compare);
    const char *sorted = ids[0].text[0];
    for (size_t i = 1; i < (size_t) THREADS * IDS; i++) {
        // Time and counter alone differ: the random part is not needed for it.
        cr_assert_neq(memcmp(sorted + (i - 1) * ID_TEXT_SIZE, sorted + i * ID_TEXT_SIZE, 18), 0);
    }
    free(ids);
}

Test(id, random_bytes_fill_exactly_what_was_asked)
{
    unsigned char bytes[1024] = {0};
    id_random(bytes, 1000);
    for (int i = 1000; i < 1024; i++) {
        cr_expect_eq(bytes[i], 0);
    }
    unsigned counts[256] = {0};
    unsigned different = 0;
    for (int i = 0; i < 1000; i++) {
        different += counts[bytes[i]]++ == 0;
    }
    cr_expect_gt(different, 200, "1000 random bytes hold some 251 different ones");
    id_random(bytes, 0);
}

Test(id, random_hex_has_as_many_digits_as_asked)
{
    for (size_t digits = 0; digits <= 130; digits++) {
        char text[140];
        memset(text, '#', sizeof(text));
        id_random_hex(text, digits);
        cr_expect_eq(strlen(text), digits);
        cr_expect_eq(strspn(text, "0123456789abcdef"), digits);
        cr_expect_eq(text[digits + 1], '#');
    }
    char one[33];
    char other[33];
    id_random_hex(one, 32);
    id_random_hex(other, 32);
    cr_expect_str_neq(one, other);
}

Test(id, hex_is_two_lower_case_digits_a_byte)
{
    char text[9];
    id_hex("\x00\x1f\xa0\xff", 4, text);
    cr_assert_str_eq(text, "001fa0ff");
    id_hex("", 0, text);
    cr_assert_str_eq(text, "");
}

Test(id, hex_and_uuids_are_told_by_their_form)
{
    static const char *const others[] = {"",
                                         "01890000-0000-7000-8000-00000000abc",
                                         "01890000-0000-7000-8000-00000000abcde",
                                         "01890000-0000-7000-8000-00000000abcg",
                                         "01890000-0000-7000-8000-00000000ABCD",
                                         "01890000x0000-7000-8000-00000000abcd",
                                         "018900000000-7000-8000-00000000abcd-"};
    char uuid[ID_TEXT_SIZE];
    id_make(uuid);
    cr_assert(id_is_uuid(view_from_text(uuid)));
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        cr_assert_not(id_is_uuid(view_from_text(others[i])), "%s", others[i]);
    }
    cr_assert(id_is_hex(VIEW_LITERAL("0123456789abcdef")) && id_is_hex(VIEW_NONE));
    cr_assert_not(id_is_hex(VIEW_LITERAL("0A")) || id_is_hex(VIEW_LITERAL("g")) ||
                  id_is_hex(view_from("0\0", 2)));
}
