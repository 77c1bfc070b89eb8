// identity_test.c - what a process says that it is.
#include "runtime/identity.h"
#include <criterion/criterion.h>
#include <elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// The build-id as the program's file has it: found by the note's own head, without the loader.
static bool
find_in_file(char ret_hex[IDENTITY_BUILD_SIZE])
{
    static const unsigned char mark[] = {4, 0, 0, 0, 20, 0, 0, 0, 3, 0, 0, 0, 'G', 'N', 'U', 0};
    static unsigned char bytes[1 << 16]; // it stands at the beginning
    FILE *file = fopen("/proc/self/exe", "rb");
    cr_assert_not_null(file);
    size_t size = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    const unsigned char *at = memmem(bytes, size, mark, sizeof mark);
    if (at == NULL) {
        return false;
    }
    for (size_t i = 0; i < 20; i++) {
        snprintf(ret_hex + 2 * i, 3, "%02x", at[sizeof mark + i]);
    }
    return true;
}

Test(identity, is_the_build_id_that_the_linker_wrote)
{
    identity_t identity;
    char wanted[IDENTITY_BUILD_SIZE];
    identity_read(&identity);
    if (find_in_file(wanted)) {
        cr_expect_str_eq(identity.build, wanted);
    } else {
        cr_expect_eq(strlen(identity.build), 16, "a hash stands for it");
    }
}

Test(identity, is_the_same_each_time_and_of_hex_digits)
{
    identity_t first, second;
    memset(&first, 1, sizeof first);
    memset(&second, 2, sizeof second);
    identity_read(&first);
    identity_read(&second);
    cr_expect_str_eq(first.build, second.build);
    cr_expect_str_eq(first.schemas, second.schemas);
    cr_expect_str_eq(first.host, second.host);
    cr_expect_eq(strlen(first.schemas), 16);
    cr_expect_eq(strspn(first.schemas, "0123456789abcdef"), 16);
}

Test(identity, names_the_boot_and_the_namespace_of_process_ids)
{
    identity_t identity;
    char boot[64] = "";
    char link[64] = "";
    identity_read(&identity);
    FILE *file = fopen("/proc/sys/kernel/random/boot_id", "r");
    cr_assert_not_null(file);
    cr_assert_not_null(fgets(boot, sizeof boot, file));
    fclose(file);
    cr_assert_gt(readlink("/proc/self/ns/pid", link, sizeof link - 1), 0);
    cr_expect_eq(strncmp(identity.host, boot, 18), 0);
    unsigned long namespace = strtoul(strchr(link, '[') + 1, NULL, 10);
    cr_expect_eq(strtoul(identity.host + 19, NULL, 10), namespace);
}
