// owner_test.c - the owner's signature: a known answer (made with openssl and Python), what breaks
// it, and the token's file.
#include "folder.h"
#include "proto/walk.h"
#include "runtime/owner.h"
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>

static const char token_text[] = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
static const char key_hex[] = "44dce36e3d21488a6f2497775663e3fdc3f8d199fd627609322fbc4c447745d6";
static const char signature_text[] =
    "lcLn5RxBBEnh1dv79AEBP3Q8NwNnowB6eNiOeamaOPFEUlXa7nKWp4B7sHC/eUugNOCw7JgZwO0PT0E3hGu/DQ==";
#define SIGNED_AT 1700000000000001
#define TOPIC VIEW_LITERAL("bucket.legal_hold")
#define TOKEN VIEW_LITERAL(token_text)

static void
pack_body(pack_t *out)
{
    pack_map(out, 4);
    pack_pair_text(out, "artifact_id", "a-1");
    pack_pair_text(out, "product", "gurukul");
    pack_pair_bool(out, "hold", true);
    pack_pair_text(out, "reason", "case 7");
}

static void
pack_signed(bus_view_t signature, uint64_t signed_at, pack_t *out)
{
    pack_map(out, 6);
    pack_pair_uint(out, "signed_at", signed_at);
    pack_pair_text(out, "artifact_id", "a-1");
    pack_pair_text(out, "product", "gurukul");
    pack_pair_str(out, "signature", signature);
    pack_pair_bool(out, "hold", true);
    pack_pair_text(out, "reason", "case 7");
}

static void
known_key(uint8_t ret_key[OWNER_KEY_SIZE])
{
    for (size_t i = 0; i < OWNER_KEY_SIZE; i++) {
        char digits[3] = {key_hex[2 * i], key_hex[2 * i + 1], '\0'};
        ret_key[i] = (uint8_t) strtoul(digits, NULL, 16);
    }
}

static bus_err_t
verify(bus_view_t topic, bus_view_t body)
{
    uint8_t key[OWNER_KEY_SIZE];
    known_key(key);
    uint64_t signed_at = 0;
    bus_err_t err = owner_verify(key, topic, body, &signed_at);
    cr_assert(err != BUS_OK || signed_at == SIGNED_AT);
    return err;
}

Test(owner, derives_the_known_key_from_the_token)
{
    uint8_t expected[OWNER_KEY_SIZE];
    uint8_t key[OWNER_KEY_SIZE];
    known_key(expected);
    owner_public_key(TOKEN, key);
    cr_assert_arr_eq(key, expected, sizeof key);
}

Test(owner, signs_to_the_known_answer_behind_the_pairs)
{
    BUS_AUTO(pack_destroy) pack_t *body = pack_new();
    BUS_AUTO(pack_destroy) pack_t *out = pack_new();
    BUS_AUTO(pack_destroy) pack_t *expected = pack_new();
    pack_body(body);
    owner_sign(TOKEN, TOPIC, SIGNED_AT, pack_view(body), out);
    pack_map(expected, 6);
    bus_view_t pairs = pack_view(body);
    pack_raw(expected, view_from(pairs.data + 1, pairs.size - 1));
    pack_pair_uint(expected, "signed_at", SIGNED_AT);
    pack_pair_text(expected, "signature", signature_text);
    cr_assert(view_equal(pack_view(out), pack_view(expected)));
}

Test(owner, signs_again_what_was_signed_before)
{
    BUS_AUTO(pack_destroy) pack_t *body = pack_new();
    BUS_AUTO(pack_destroy) pack_t *once = pack_new();
    BUS_AUTO(pack_destroy) pack_t *twice = pack_new();
    pack_body(body);
    owner_sign(TOKEN, TOPIC, SIGNED_AT - 1, pack_view(body), once);
    owner_sign(TOKEN, TOPIC, SIGNED_AT, pack_view(once), twice);
    bus_view_t value, text;
    cr_assert_eq(walk_find(pack_view(twice), "signature", &value), BUS_OK);
    cr_assert_eq(walk_as_str(value, &text), BUS_OK);
    cr_assert(view_is(text, signature_text));
    cr_assert_eq(verify(TOPIC, pack_view(twice)), BUS_OK);
}

Test(owner, verifies_wherever_the_proof_stands)
{
    BUS_AUTO(pack_destroy) pack_t *body = pack_new();
    pack_signed(view_from_text(signature_text), SIGNED_AT, body);
    cr_assert_eq(verify(TOPIC, pack_view(body)), BUS_OK);
}

Test(owner, refuses_another_topic_time_or_key)
{
    BUS_AUTO(pack_destroy) pack_t *body = pack_new();
    pack_signed(view_from_text(signature_text), SIGNED_AT, body);
    cr_assert_eq(verify(VIEW_LITERAL("bucket.legal_holds"), pack_view(body)),
                 BUS_UNAUTHORIZED_ACCESS);
    uint8_t key[OWNER_KEY_SIZE];
    owner_public_key(VIEW_LITERAL("another"), key);
    uint64_t signed_at = 0;
    cr_assert_eq(owner_verify(key, TOPIC, pack_view(body), &signed_at), BUS_UNAUTHORIZED_ACCESS);
    cr_assert_eq(signed_at, 0);
    pack_clear(body);
    pack_signed(view_from_text(signature_text), SIGNED_AT + 1, body);
    cr_assert_eq(verify(TOPIC, pack_view(body)), BUS_UNAUTHORIZED_ACCESS);
}

Test(owner, refuses_when_any_byte_is_another)
{
    BUS_AUTO(pack_destroy) pack_t *body = pack_new();
    pack_signed(view_from_text(signature_text), SIGNED_AT, body);
    bus_view_t whole = pack_view(body);
    char bytes[512];
    cr_assert_lt(whole.size, sizeof bytes);
    for (size_t i = 0; i < whole.size; i++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            memcpy(bytes, whole.data, whole.size);
            bytes[i] = (char) (bytes[i] ^ (1 << bit));
            bus_view_t changed = view_from(bytes, whole.size);
            cr_assert_eq(
                verify(TOPIC, changed), BUS_UNAUTHORIZED_ACCESS, "byte %zu bit %u", i, bit);
        }
    }
}

Test(owner, refuses_what_is_no_signed_map)
{
    BUS_AUTO(pack_destroy) pack_t *body = pack_new();
    pack_body(body);
    cr_assert_eq(verify(TOPIC, pack_view(body)), BUS_UNAUTHORIZED_ACCESS);
    cr_assert_eq(verify(TOPIC, VIEW_LITERAL("\xc0")), BUS_UNAUTHORIZED_ACCESS);
    cr_assert_eq(verify(TOPIC, VIEW_LITERAL("\x85")), BUS_UNAUTHORIZED_ACCESS);
    cr_assert_eq(verify(TOPIC, VIEW_NONE), BUS_UNAUTHORIZED_ACCESS);
    pack_clear(body);
    pack_signed(VIEW_LITERAL("short"), SIGNED_AT, body);
    cr_assert_eq(verify(TOPIC, pack_view(body)), BUS_UNAUTHORIZED_ACCESS);
}

// --- The token's file ----------------------------------------------------------------------------

static bus_err_t
read_written(const char *text, mode_t mode, char ret_token[OWNER_TOKEN_SIZE_MAX + 1])
{
    folder_t folder = folder_make();
    char path[2 * FOLDER_SIZE];
    folder_join(&folder, "owner.token", path);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    cr_assert_geq(fd, 0);
    cr_assert_eq(write(fd, text, strlen(text)), (ssize_t) strlen(text));
    cr_assert_eq(fchmod(fd, mode), 0);
    close(fd);
    bus_err_t err = owner_read_token(folder.path, ret_token);
    folder_remove(&folder);
    return err;
}

Test(owner, reads_the_token_without_its_line_end)
{
    char token[OWNER_TOKEN_SIZE_MAX + 1];
    cr_assert_eq(read_written("abc\n", 0600, token), BUS_OK);
    cr_assert_str_eq(token, "abc");
    cr_assert_eq(read_written("abcd", 0400, token), BUS_OK);
    cr_assert_str_eq(token, "abcd");
}

Test(owner, takes_a_token_of_the_largest_size_and_none_above)
{
    char token[OWNER_TOKEN_SIZE_MAX + 1];
    char text[OWNER_TOKEN_SIZE_MAX + 3];
    memset(text, 'x', sizeof text);
    memcpy(text + OWNER_TOKEN_SIZE_MAX, "\n", 2);
    cr_assert_eq(read_written(text, 0600, token), BUS_OK);
    cr_assert_eq(strlen(token), OWNER_TOKEN_SIZE_MAX);
    memcpy(text + OWNER_TOKEN_SIZE_MAX, "x\n", 3);
    cr_assert_eq(read_written(text, 0600, token), BUS_IO);
    cr_assert_eq(read_written("\n", 0600, token), BUS_IO);
}

Test(owner, refuses_a_token_that_others_may_read)
{
    char token[OWNER_TOKEN_SIZE_MAX + 1];
    cr_assert_eq(read_written("abc\n", 0640, token), BUS_FORBIDDEN);
    cr_assert_eq(read_written("abc\n", 0602, token), BUS_FORBIDDEN);
}

Test(owner, checks_a_token_by_every_byte_of_it)
{
    static const char *const others[] = {"", "abc", "abce", "Abcd", "abcd\n", "abcde"};
    folder_t folder = folder_make();
    char path[2 * FOLDER_SIZE];
    cr_assert_eq(owner_check_token(folder.path, VIEW_LITERAL("abcd")), BUS_NOT_FOUND);
    FILE *file = fopen(folder_join(&folder, "owner.token", path), "w");
    cr_assert(file != NULL && fputs("abcd\n", file) > 0 && fchmod(fileno(file), 0600) == 0);
    fclose(file);
    cr_assert_eq(owner_check_token(folder.path, VIEW_LITERAL("abcd")), BUS_OK);
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        cr_assert_eq(owner_check_token(folder.path, view_from_text(others[i])),
                     BUS_UNAUTHORIZED_ACCESS,
                     "%s",
                     others[i]);
    }
    folder_remove(&folder);
}

Test(owner, says_when_there_is_no_token_and_follows_no_link)
{
    folder_t folder = folder_make();
    char path[2 * FOLDER_SIZE];
    char token[OWNER_TOKEN_SIZE_MAX + 1];
    cr_assert_eq(owner_read_token(folder.path, token), BUS_NOT_FOUND);
    cr_assert_eq(symlink("elsewhere", folder_join(&folder, "owner.token", path)), 0);
    cr_assert_eq(owner_read_token(folder.path, token), BUS_IO);
    folder_remove(&folder);
}
