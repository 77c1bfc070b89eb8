// prana_test.c - the words of PRANA's packets, and several of them decoded.
#include "proto/pack.h"
#include "proto/prana.h"
#include <criterion/criterion.h>
#include <stdlib.h>

Test(prana, has_the_originals_words)
{
    static const char *const states[] = {
        "ON_TASK", "THINKING", "IDLE", "DISTRACTED", "AWAY", "OFF_TASK", "DEEP_FOCUS"};
    cr_assert_eq(sizeof states / sizeof states[0], PRANA_STATE_COUNT);
    for (unsigned i = 0; i < PRANA_STATE_COUNT; i++) {
        cr_expect_eq(prana_state(view_from_text(states[i])), i);
        cr_expect_str_eq(prana_state_name((prana_state_t) i), states[i]);
    }
    cr_expect_eq(prana_state(VIEW_LITERAL("on_task")), PRANA_STATE_COUNT);
    cr_expect_eq(prana_state(VIEW_NONE), PRANA_STATE_COUNT);
    cr_expect_eq(prana_system(VIEW_LITERAL("gurukul")), PRANA_GURUKUL);
    cr_expect_eq(prana_system(VIEW_LITERAL("ems")), PRANA_EMS);
    cr_expect_eq(prana_system(VIEW_LITERAL("emss")), PRANA_SYSTEM_COUNT);
}

static void
pack_packet(pack_t *out, const char *role)
{
    pack_map(out, 11);
    pack_pair_text(out, "user_id", "u");
    pack_pair_text(out, "session_id", "s");
    pack_pair_text(out, "system_type", "ems");
    pack_pair_text(out, "role", role);
    pack_pair_text(out, "timestamp", "2026-01-01T00:00:05Z");
    pack_pair_text(out, "cognitive_state", "IDLE");
    pack_pair_real(out, "active_seconds", 0.0);
    pack_pair_int(out, "idle_seconds", 5);
    pack_pair_real(out, "away_seconds", 0.0);
    pack_pair_int(out, "focus_score", 0);
    pack_text(out, "raw_signals");
    pack_map(out, 0);
}

// `odd`: the place of one whose role is none.
static bus_err_t
decode(uint32_t count, uint32_t odd, uint32_t *ret_count, schema_problems_t *ret_problems)
{
    BUS_AUTO(pack_destroy) pack_t *array = pack_new();
    schema_prana_packet_t *packets = calloc(PRANA_PACKETS_MAX, sizeof *packets);
    cr_assert_not_null(packets);
    pack_array(array, count);
    for (uint32_t i = 0; i < count; i++) {
        pack_packet(array, i == odd ? "teacher" : "employee");
    }
    bus_err_t err = prana_decode(pack_view(array), packets, ret_count, ret_problems);
    free(packets);
    return err;
}

Test(prana, decodes_one_to_a_hundred)
{
    uint32_t count = 0;
    schema_problems_t problems;
    cr_expect_eq(decode(1, UINT32_MAX, &count, &problems), BUS_OK);
    cr_expect_eq(decode(PRANA_PACKETS_MAX, UINT32_MAX, &count, &problems), BUS_OK);
    cr_expect_eq(count, PRANA_PACKETS_MAX);
    cr_expect_eq(decode(0, UINT32_MAX, &count, &problems), BUS_VALIDATION_FAILED);
    cr_expect_str_eq(problems.at[0].field, "packets");
    cr_expect_eq(decode(PRANA_PACKETS_MAX + 1, UINT32_MAX, &count, &problems),
                 BUS_VALIDATION_FAILED);
    cr_expect_eq(prana_decode(VIEW_LITERAL("\xa1x"), NULL, &count, &problems),
                 BUS_VALIDATION_FAILED);
}

Test(prana, names_the_first_that_is_bad)
{
    uint32_t count = 0;
    schema_problems_t problems;
    cr_assert_eq(decode(5, 3, &count, &problems), BUS_VALIDATION_FAILED);
    cr_expect_eq(count, 3);
    cr_expect_eq(problems.count, 1);
    cr_expect_str_eq(problems.at[0].field, "role");
}
