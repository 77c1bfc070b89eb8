// openapi_test.c - the page of the endpoints, for people.
#include "bridge-http/openapi.h"
#include <criterion/criterion.h>
#include <string.h>

Test(openapi, the_page_lists_what_each_route_takes_with_its_limits)
{
    static const char *const rows[] = {
        "### GET /core/events\n",
        "| `limit` | query | integer | optional | 1 to 1000 | ",
        "| `after_seq` | query | integer | optional | 0 or more | ",
        "| `seq` | path | integer | required | 1 or more | ",
        "| `requester_id` | body | text | required | 1 to 64 bytes | ",
        "| `event_data.event_type` | body | text | required | 1 to 255 bytes | ",
        "| `enabled` | body | true or false | required |  | "};
    BUS_AUTO(text_destroy) text_t *page = text_new();
    bridge_openapi_document(page);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        cr_assert_not_null(strstr(text_view(page).data, rows[i]), "%s", rows[i]);
    }
}
