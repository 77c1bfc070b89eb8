// address_test.c - which addresses only this machine can reach.
#include "runtime/address.h"
#include <criterion/criterion.h>

Test(address, knows_loopback)
{
    static const char *const near[] = {"127.0.0.1", "127.1.2.3", "::1", "localhost"};
    for (size_t i = 0; i < sizeof near / sizeof near[0]; ++i) {
        cr_assert(address_is_loopback(near[i]), "%s", near[i]);
    }
}

Test(address, takes_nothing_else_for_loopback)
{
    static const char *const far[] = {
        "0.0.0.0", "::", "*", "192.168.1.1", "::ffff:127.0.0.1", "127.1", "localhost.example", ""};
    for (size_t i = 0; i < sizeof far / sizeof far[0]; ++i) {
        cr_assert_not(address_is_loopback(far[i]), "%s", far[i]);
    }
}
