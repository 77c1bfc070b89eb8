// sha256_test.c - known answers of FIPS 180-4.
#include "runtime/sha256.h"
#include <criterion/criterion.h>

Test(sha256, gives_the_known_answers)
{
    char hex[SHA256_HEX_SIZE];
    sha256_hex(VIEW_LITERAL("abc"), hex);
    cr_expect_str_eq(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    sha256_hex(VIEW_LITERAL(""), hex);
    cr_expect_str_eq(hex, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    sha256_hex(VIEW_NONE, hex);
    cr_expect_str_eq(hex,
                     "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
                     "an absent text is as an empty one");
    uint8_t bytes[SHA256_SIZE];
    sha256_bytes(VIEW_LITERAL("abc"), bytes);
    cr_expect(bytes[0] == 0xba && bytes[SHA256_SIZE - 1] == 0xad);
}
