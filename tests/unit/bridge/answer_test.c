// answer_test.c - the two shapes of an error.
#include "bridge-http/answer.h"
#include "proto/transcode.h"
#include <criterion/criterion.h>

static void
error_is(bridge_error_shape_t shape, const bridge_error_t *error, const char *expected)
{
    const bridge_error_frame_t frame = {
        .shape = shape, .trace_id = "t", .path = VIEW_LITERAL("/p"), .time_us = 1000000};
    BUS_AUTO(pack_destroy) pack_t *body = pack_new();
    BUS_AUTO(text_destroy) text_t *text = text_new();
    bridge_answer_pack_error(&frame, error, body);
    transcode_to_json(pack_view(body), 0, text);
    cr_assert_str_eq(text_view(text).data, expected);
}

Test(answer, the_common_shape_has_the_originals_names_beside_its_own)
{
    error_is(BRIDGE_ERROR_COMMON,
             &(bridge_error_t){.err = BUS_NOT_FOUND},
             "{\"status\":\"error\",\"error_code\":\"NOT_FOUND\",\"trace_id\":\"t\","
             "\"message\":\"nothing is known under this name\",\"error\":\"NOT_FOUND\","
             "\"detail\":\"nothing is known under this name\"}");
}

Test(answer, karmas_shape_nests_code_and_message)
{
    error_is(
        BRIDGE_ERROR_KARMA,
        &(bridge_error_t){.err = BUS_INVALID_REQUEST, .message = VIEW_LITERAL("Invalid action.")},
        "{\"status\":\"error\",\"error_code\":\"INVALID_REQUEST\",\"trace_id\":\"t\","
        "\"error\":{\"code\":400,\"message\":\"Invalid action.\"},\"path\":\"/p\","
        "\"timestamp\":\"1970-01-01T00:00:01.000000Z\"}");
}

Test(answer, details_retry_after_and_extras_are_added)
{
    error_is(BRIDGE_ERROR_COMMON,
             &(bridge_error_t){.err = BUS_BUSY,
                               .code = VIEW_LITERAL("X"),
                               .message = VIEW_LITERAL("m"),
                               .details = VIEW_LITERAL("\x91\x01"),
                               .extra = VIEW_LITERAL("\x81\xa7success\xc2"),
                               .retry_after_s = 3},
             "{\"status\":\"error\",\"error_code\":\"X\",\"trace_id\":\"t\",\"message\":\"m\","
             "\"error\":\"X\",\"detail\":\"m\",\"details\":[1],\"retry_after\":3,"
             "\"success\":false}");
}

Test(answer, a_status_of_its_own_is_what_karma_says)
{
    error_is(BRIDGE_ERROR_KARMA,
             &(bridge_error_t){
                 .err = BUS_MALFORMED_MESSAGE, .status = 431, .message = VIEW_LITERAL("m")},
             "{\"status\":\"error\",\"error_code\":\"MALFORMED_MESSAGE\",\"trace_id\":\"t\","
             "\"error\":{\"code\":431,\"message\":\"m\"},\"path\":\"/p\","
             "\"timestamp\":\"1970-01-01T00:00:01.000000Z\"}");
}
