// origin_test.c - which Host and which Origin a browser may bring along.
#include "bridge-http/origin.h"
#include <criterion/criterion.h>

static bool
is_local(const char *authority)
{
    return bridge_origin_is_local(view_from_text(authority));
}

static bool
is_trusted(const char *origin, const char *host, bool any_host)
{
    return bridge_origin_is_trusted(view_from_text(origin), view_from_text(host), any_host);
}

Test(origin, only_names_and_addresses_of_loopback_are_this_machine)
{
    static const char *const local[] = {"localhost",
                                        "LOCALHOST:8080",
                                        "127.0.0.1",
                                        "127.0.0.1:8001",
                                        "127.9.8.7:1",
                                        "[::1]",
                                        "[::1]:8080",
                                        "localhost:"};
    static const char *const others[] = {"",
                                         "a",
                                         "evil.example",
                                         "localhost.evil.example",
                                         "127.0.0.1.evil.example",
                                         "0.0.0.0",
                                         "128.0.0.1",
                                         "::1",
                                         "[::1",
                                         "[::1]x",
                                         "[]",
                                         ":80",
                                         "localhost:80x",
                                         "localhost:80:80",
                                         "user@localhost",
                                         "[fe80::1]:80"};
    for (size_t i = 0; i < sizeof(local) / sizeof(local[0]); i++) {
        cr_assert(is_local(local[i]), "%s", local[i]);
    }
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        cr_assert_not(is_local(others[i]), "%s", others[i]);
    }
    cr_assert(bridge_origin_is_local(VIEW_NONE));
}

Test(origin, a_name_longer_than_any_of_loopback_is_not_this_machine)
{
    char name[300];
    memset(name, '1', sizeof(name));
    cr_assert_not(bridge_origin_is_local(view_from(name, sizeof(name))));
    cr_assert_not(bridge_origin_is_local(view_from("localhost\0x", 11)));
}

Test(origin, a_request_that_no_page_made_is_trusted)
{
    cr_assert(is_trusted(NULL, "localhost", false));
    cr_assert(is_trusted(NULL, "anything", true));
}

Test(origin, a_page_of_loopback_is_trusted_and_no_other)
{
    cr_assert(is_trusted("http://localhost:3000", "localhost:8001", false));
    cr_assert(is_trusted("http://127.0.0.1", "localhost", false));
    cr_assert(is_trusted("https://[::1]:1", "localhost", false));
    static const char *const strange[] = {"null",
                                          "",
                                          "http://",
                                          "http://evil.example",
                                          "http://localhost.evil.example",
                                          "file://localhost",
                                          "localhost",
                                          "http://localhost, http://evil.example"};
    for (size_t i = 0; i < sizeof(strange) / sizeof(strange[0]); i++) {
        cr_assert_not(is_trusted(strange[i], "localhost:8001", false), "%s", strange[i]);
    }
}

Test(origin, with_any_host_a_page_of_the_same_host_is_trusted_too)
{
    cr_assert(is_trusted("http://Bus.example:8080", "bus.example:8001", true));
    cr_assert_not(is_trusted("http://bus.example:8080", "bus.example:8001", false));
    cr_assert_not(is_trusted("http://evil.example", "bus.example", true));
    cr_assert_not(is_trusted("http://bus.example.evil.example", "bus.example", true));
    cr_assert_not(is_trusted("null", "null", true));
    cr_assert_not(is_trusted("http://[", "[", true));
}
