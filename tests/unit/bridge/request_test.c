// request_test.c - what all requests together may hold.
#include "bridge-http/request.h"
#include <criterion/criterion.h>

Test(request, what_is_held_is_bounded_over_all_requests)
{
    bridge_t bridge = {0};
    bridge_request_t first = {.bridge = &bridge};
    bridge_request_t second = {.bridge = &bridge};
    cr_assert(bridge_request_hold(&first, BRIDGE_HELD_BYTES_MAX - 10));
    cr_assert(bridge_request_hold(&second, 10));
    cr_assert_not(bridge_request_hold(&second, 1));
    cr_assert_eq(bridge.held_bytes, (uint64_t) BRIDGE_HELD_BYTES_MAX);
    cr_assert_eq(second.held_bytes, 10);
}
