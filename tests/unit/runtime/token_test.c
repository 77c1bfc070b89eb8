// token_test.c - bearer tokens: made, kept, recognised; and their file.
#include "folder.h"
#include "runtime/id.h"
#include "runtime/token_file.h"
#include <criterion/criterion.h>
#include <sodium.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

enum { NOW = 1000000000 };
static const uint64_t day_us = UINT64_C(86400000000);

static const token_wish_t wish = {
    .role = {.data = "bhiv_core", .size = 9}, .products = 4, .now = NOW, .expires_at = NOW + 100};

static token_list_t *
list_of(size_t count, char ret_text[TOKEN_TEXT_SIZE + 1])
{
    token_list_t *list = token_list_new();
    for (size_t i = 0; i < count; i++) {
        cr_assert_eq(token_create(list, &wish, ret_text), BUS_OK);
    }
    return list;
}

Test(token, is_good_from_its_making_to_its_end)
{
    char text[TOKEN_TEXT_SIZE + 1];
    BUS_AUTO(token_list_destroy) token_list_t *list = list_of(3, text);
    cr_assert_eq(strlen(text), (size_t) TOKEN_TEXT_SIZE);
    const token_t *token = token_check(list, view_from_text(text), NOW);
    cr_assert_eq(token, &list->at[2]);
    cr_assert(strcmp(token->role, "bhiv_core") == 0 && token->products == 4);
    cr_assert_not_null(token_check(list, view_from_text(text), NOW + 99));
    cr_assert_null(token_check(list, view_from_text(text), NOW + 100));
    cr_assert_not_null(token_find_good(list, view_from_text(token->id), NOW));
    cr_assert_null(token_find_good(list, view_from_text(token->id), NOW + 100));
}

Test(token, one_that_differs_in_any_byte_is_none)
{
    char text[TOKEN_TEXT_SIZE + 1];
    BUS_AUTO(token_list_destroy) token_list_t *list = list_of(2, text);
    for (size_t i = 0; i < TOKEN_TEXT_SIZE; i++) {
        char other[TOKEN_TEXT_SIZE + 2];
        (void) snprintf(other, sizeof other, "%s", text);
        other[i] = other[i] == '0' ? '1' : '0';
        cr_assert_null(token_check(list, view_from_text(other), NOW), "byte %zu", i);
    }
    for (size_t size = 0; size < TOKEN_TEXT_SIZE; size++) {
        cr_assert_null(token_check(list, view_from(text, size), NOW), "%zu bytes", size);
    }
    char longer[TOKEN_TEXT_SIZE + 2];
    (void) snprintf(longer, sizeof longer, "%s0", text);
    cr_assert_null(token_check(list, view_from_text(longer), NOW));
    cr_assert_null(token_check(list, VIEW_LITERAL(""), NOW));
}

Test(token, a_revoked_one_is_refused_and_its_first_time_stays)
{
    char text[TOKEN_TEXT_SIZE + 1];
    BUS_AUTO(token_list_destroy) token_list_t *list = list_of(1, text);
    bus_view_t id = view_from_text(list->at[0].id);
    cr_assert_eq(token_revoke(list, id, NOW + 5), BUS_OK);
    cr_assert_eq(token_revoke(list, id, NOW + 9), BUS_OK);
    cr_assert_eq(list->at[0].revoked_at, NOW + 5);
    cr_assert_null(token_check(list, view_from_text(text), NOW + 6));
    cr_assert_null(token_find_good(list, id, NOW + 6));
    cr_assert_eq(token_revoke(list, VIEW_LITERAL("000000000000"), NOW), BUS_NOT_FOUND);
}

// SHA-256 of "bhiv-token-v1\n" and the token, said by libsodium in one call.
Test(token, only_the_hash_that_is_documented_is_kept)
{
    char text[TOKEN_TEXT_SIZE + 1];
    BUS_AUTO(token_list_destroy) token_list_t *list = list_of(1, text);
    char whole[128];
    uint8_t hash[crypto_hash_sha256_BYTES];
    char digits[2 * crypto_hash_sha256_BYTES + 1];
    int size = snprintf(whole, sizeof whole, "bhiv-token-v1\n%s", text);
    crypto_hash_sha256(hash, (const uint8_t *) whole, (unsigned long long) size);
    id_hex(hash, sizeof hash, digits);
    BUS_AUTO(text_destroy) text_t *lines = text_new();
    token_format(list, lines);
    cr_assert_not_null(strstr(text_view(lines).data, digits));
    cr_assert_null(strstr(text_view(lines).data, text + TOKEN_TEXT_SIZE - TOKEN_SECRET_SIZE));
}

Test(token, lines_come_back_as_they_were)
{
    char text[TOKEN_TEXT_SIZE + 1];
    size_t line = 0;
    BUS_AUTO(token_list_destroy) token_list_t *list = list_of(5, text);
    BUS_AUTO(token_list_destroy) token_list_t *again = token_list_new();
    BUS_AUTO(text_destroy) text_t *lines = text_new();
    list->at[1].expires_at = 0;
    list->at[3].revoked_at = NOW + 7;
    token_format(list, lines);
    cr_assert_eq(token_parse(text_view(lines), again, &line), BUS_OK);
    cr_assert_eq(again->count, 5);
    for (size_t i = 0; i < 5; i++) {
        const token_t *a = &list->at[i];
        const token_t *b = &again->at[i];
        cr_assert(strcmp(a->id, b->id) == 0 && strcmp(a->role, b->role) == 0);
        cr_assert(memcmp(a->hash, b->hash, sizeof a->hash) == 0 && a->products == b->products);
        cr_assert_eq(a->created_at, b->created_at);
        cr_assert_eq(a->expires_at, b->expires_at);
        cr_assert_eq(a->revoked_at, b->revoked_at);
    }
}

#define HASH "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define LINE(id, role, products, more)                                                             \
    "{\"id\":\"" id "\",\"role\":\"" role "\",\"products\":" products more ",\"hash\":\"" HASH     \
    "\"}\n"
#define GOOD LINE("0123456789ab", "a", "[\"gurukul\"]", "")

Test(token, a_line_that_is_none_is_named_and_nothing_is_taken)
{
    static const char *const bad[] = {
        LINE("0123456789a", "a", "[]", ""),
        LINE("0123456789AB", "a", "[]", ""),
        LINE("0123456789ac", "", "[]", ""),
        LINE("0123456789ac", "a b", "[]", ""),
        LINE("0123456789ac", "a|b", "[]", ""),
        LINE("0123456789ac", "a", "[\"milk\"]", ""),
        LINE("0123456789ac", "a", "\"gurukul\"", ""),
        LINE("0123456789ac", "a", "[]", ",\"expires_at\":5"),
        LINE("0123456789ac", "a", "[]", ",\"revoked_at\":\"soon\""),
        "{\"id\":\"0123456789ac\",\"role\":\"a\",\"products\":[],\"hash\":\"00\"}\n",
        "[]\n",
        "{\n",
        GOOD, // the same id twice
    };
    BUS_AUTO(token_list_destroy) token_list_t *list = token_list_new();
    size_t line = 0;
    cr_assert_eq(token_parse(VIEW_LITERAL("\n" GOOD "\n"), list, &line), BUS_OK);
    cr_assert_eq(list->count, 1);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char lines[1024];
        (void) snprintf(lines, sizeof lines, "%s%s", GOOD, bad[i]);
        cr_assert_eq(token_parse(view_from_text(lines), list, &line), BUS_CORRUPT, "%s", bad[i]);
        cr_assert(line == 2 && list->count == 0);
    }
}

Test(token, dead_ones_make_room_and_no_more_than_the_maximum_are_taken)
{
    char text[TOKEN_TEXT_SIZE + 1];
    BUS_AUTO(token_list_destroy) token_list_t *list = list_of(TOKEN_COUNT_MAX, text);
    cr_assert_eq(token_create(list, &wish, text), BUS_FULL);
    token_wish_t later = wish;
    later.now = NOW + (TOKEN_KEPT_DAYS + 1) * day_us;
    later.expires_at = 0;
    cr_assert_eq(token_create(list, &later, text), BUS_OK);
    cr_assert_eq(list->count, 1);
}

Test(token, products_are_words_between_commas)
{
    unsigned products = 0;
    cr_assert_eq(token_products_parse(VIEW_LITERAL("gurukul,ai_avatar"), &products), BUS_OK);
    cr_assert_eq(products, 4 | 2);
    cr_assert_eq(token_products_parse(VIEW_LITERAL("all"), &products), BUS_OK);
    cr_assert_eq(products, 15);
    cr_assert_eq(token_products_parse(VIEW_LITERAL("none"), &products), BUS_OK);
    cr_assert_eq(products, 0);
    static const char *const bad[] = {
        "", ",", "gurukul,", ",gurukul", "gurukul ai_avatar", "Gurukul"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        cr_assert_eq(token_products_parse(view_from_text(bad[i]), &products),
                     BUS_VALIDATION_FAILED);
    }
}

Test(token, its_file_is_private_replaced_whole_and_told_from_the_one_before)
{
    folder_t folder = folder_make();
    char path[FOLDER_SIZE + 16];
    char text[TOKEN_TEXT_SIZE + 1];
    size_t line = 0;
    (void) snprintf(path, sizeof path, "%s/tokens", folder.path);
    BUS_AUTO(token_list_destroy) token_list_t *list = list_of(2, text);
    BUS_AUTO(token_list_destroy) token_list_t *again = token_list_new();
    cr_assert_eq(token_file_read(path, again, &line), BUS_NOT_FOUND);
    int lock = token_file_lock(path);
    cr_assert_geq(lock, 0);
    token_file_stamp_t none = token_file_stamp(path);
    cr_assert_eq(token_file_write(path, list), BUS_OK);
    token_file_stamp_t first = token_file_stamp(path);
    cr_assert_not(token_file_is_same(&none, &first));
    cr_assert_eq(token_file_write(path, list), BUS_OK);
    token_file_stamp_t second = token_file_stamp(path);
    cr_assert_not(token_file_is_same(&first, &second));
    close(lock);
    struct stat status;
    cr_assert(stat(path, &status) == 0 && (status.st_mode & 0777) == 0600);
    cr_assert_eq(token_file_read(path, again, &line), BUS_OK);
    cr_assert_not_null(token_check(again, view_from_text(text), NOW));
    cr_assert_eq(chmod(path, 0640), 0);
    cr_assert_eq(token_file_read(path, again, &line), BUS_FORBIDDEN);
    cr_assert_eq(again->count, 0);
    folder_remove(&folder);
}
