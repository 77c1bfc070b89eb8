// error_test.c - the error table.
#include "help.h"
#include "proto/error.h"

Test(error, every_text_reads_back_as_its_error)
{
    for (int i = 1; i < BUS_ERROR_COUNT; i++) {
        const char *text = error_text((bus_err_t) i);
        cr_assert_eq(error_from_text(text, strlen(text)), (bus_err_t) i, "%s", text);
    }
}

Test(error, texts_are_stable_upper_case_words)
{
    for (int i = 1; i < BUS_ERROR_COUNT; i++) {
        const char *text = error_text((bus_err_t) i);
        cr_assert_gt(strlen(text), 0);
        cr_assert_eq(strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_"), strlen(text), "%s", text);
        cr_assert_gt(strlen(error_meaning((bus_err_t) i)), 0);
    }
}

Test(error, http_statuses_are_errors)
{
    cr_assert_eq(error_http(BUS_OK), 200);
    for (int i = 1; i < BUS_ERROR_COUNT; i++) {
        int http = error_http((bus_err_t) i);
        cr_assert(http >= 400 && http < 600, "%s is %d", error_text((bus_err_t) i), http);
    }
}

Test(error, rows_say_what_the_protocol_says)
{
    cr_assert_str_eq(error_text(BUS_OK), "OK");
    cr_assert_str_eq(error_text(BUS_PSEQ_GAP), "PSEQ_GAP");
    cr_assert_str_eq(error_text(BUS_CORRUPT), "INTEGRITY_ERROR");
    cr_assert_eq(error_http(BUS_JOURNAL_FULL), 507);
    cr_assert_eq(error_http(BUS_VALIDATION_FAILED), 422);
    cr_assert(error_retry(BUS_BUSY));
    cr_assert(!error_retry(BUS_MALFORMED_MESSAGE));
}

Test(error, an_unknown_text_is_internal)
{
    cr_assert_eq(error_from_text("NO_SUCH_WORD", 12), BUS_INTERNAL);
    cr_assert_eq(error_from_text("BUSY!", 4), BUS_BUSY); // the size counts, not a NUL
    cr_assert_eq(error_from_text("BUS", 3), BUS_INTERNAL);
    cr_assert_eq(error_from_text("", 0), BUS_INTERNAL);
}

Test(error, a_number_that_is_no_error_is_internal)
{
    cr_assert_str_eq(error_text(BUS_ERROR_COUNT), error_text(BUS_INTERNAL));
    cr_assert_eq(error_http((bus_err_t) 10000), 500);
}
