// grant_test.c - what changes who may do what is told one by one, in its order, and bounded.
#include "proto/schema.h"
#include "proto/text.h"
#include "proto/transcode.h"
#include "runtime/grant.h"
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static void
add(grant_log_t *log, grant_kind_t kind, const char *name, const char *subject, uint64_t now_ms)
{
    grant_t grant = {.kind = kind, .count = 1};
    (void) snprintf(grant.name, sizeof(grant.name), "%s", name);
    (void) snprintf(grant.subject, sizeof(grant.subject), "%s", subject);
    grant_log_add(log, &grant, now_ms);
}

// Takes all that is due, and says how many facts that were, and of how many changes.
static size_t
take_all(grant_log_t *log, uint64_t now_ms, bool is_last, uint64_t *ret_changes, grant_t *ret_last)
{
    size_t facts = 0;
    *ret_changes = 0;
    const grant_t *grant;
    while ((grant = grant_log_next(log, now_ms, is_last)) != NULL) {
        *ret_last = *grant;
        *ret_changes += grant->count;
        grant_log_done(log);
        facts++;
    }
    return facts;
}

Test(grant, is_told_until_it_is_durable_and_then_the_next_one)
{
    BUS_AUTO(grant_log_destroy) grant_log_t *log = grant_log_new();
    cr_assert_null(grant_log_next(log, 1, true));
    add(log, GRANT_CERTIFICATE_ADDED, "a", "", 1);
    add(log, GRANT_CERTIFICATE_REVOKED, "b", "", 1);
    cr_assert_str_eq(grant_log_next(log, 2, false)->name, "a");
    cr_assert_str_eq(grant_log_next(log, 3, false)->name, "a", "it was not journaled");
    grant_log_done(log);
    cr_assert_str_eq(grant_log_next(log, 4, false)->name, "b");
    grant_log_done(log);
    cr_assert_null(grant_log_next(log, 5, true));
}

Test(grant, ten_thousand_changes_are_a_bounded_number_of_facts_with_counts)
{
    BUS_AUTO(grant_log_destroy) grant_log_t *log = grant_log_new();
    char name[16];
    uint64_t changes = 0;
    grant_t last = {.count = 0};
    for (int i = 0; i < 10000; i++) {
        (void) snprintf(name, sizeof(name), "n%d", i);
        add(log, GRANT_CERTIFICATE_ADDED, name, "", 100000);
    }
    cr_assert_eq(take_all(log, 100000, false, &changes, &last), GRANT_SINGLE_MAX + 1);
    cr_assert_eq(changes, 10000);
    cr_assert_str_eq(last.name, "(others)");
    cr_assert_str_eq(last.subject, "n9999");
    cr_assert_eq(last.count, 10000 - GRANT_SINGLE_MAX);
}

Test(grant, a_flood_that_lasts_is_a_bounded_number_of_facts_a_minute)
{
    BUS_AUTO(grant_log_destroy) grant_log_t *log = grant_log_new();
    uint64_t changes = 0;
    uint64_t told = 0;
    size_t facts = 0;
    grant_t last;
    const uint64_t begin_ms = 100000;
    for (uint64_t ms = 0; ms < 3 * GRANT_MINUTE_MS; ms += 100) {
        add(log, GRANT_TOKEN_ADDED, "core", "id-a", begin_ms + ms);
        add(log, GRANT_TOKEN_REVOKED, "core", "id-r", begin_ms + ms);
        facts += take_all(log, begin_ms + ms, false, &changes, &last);
        told += changes;
    }
    cr_assert_leq(facts, 3 * (GRANT_SINGLE_MAX + 2));
    facts += take_all(log, begin_ms + 3 * GRANT_MINUTE_MS - 1, true, &changes, &last);
    cr_assert_eq(told + changes, 2 * 3 * GRANT_MINUTE_MS / 100, "none is lost");
    cr_assert_str_eq(last.subject, "id-r");
}

Test(grant, what_cannot_be_told_for_long_is_counted_and_not_kept)
{
    BUS_AUTO(grant_log_destroy) grant_log_t *log = grant_log_new();
    uint64_t changes = 0;
    grant_t last;
    for (uint64_t i = 0; i < 1000; i++) { // each in a minute of its own
        add(log, GRANT_RULES_LOADED, "access.zpl", "", i * GRANT_MINUTE_MS);
    }
    cr_assert_eq(take_all(log, 1000 * GRANT_MINUTE_MS, false, &changes, &last),
                 GRANT_SINGLE_MAX + 1);
    cr_assert_eq(changes, 1000);
}

static const char *
pack_json(const grant_t *grant, text_t *out)
{
    BUS_AUTO(pack_destroy) pack_t *body = pack_new();
    grant_pack(grant, body);
    schema_access_t said;
    schema_problems_t problems;
    cr_assert_eq(schema_decode(&SCHEMA_access, pack_view(body), &said, &problems), BUS_OK);
    text_clear(out);
    transcode_to_json(pack_view(body), 0, out);
    text_add(out, VIEW_LITERAL("\0"));
    return text_view(out).data;
}

Test(grant, a_fact_has_what_is_known_of_it_and_passes_its_schema)
{
    BUS_AUTO(text_destroy) text_t *out = text_new();
    const grant_t token = {.kind = GRANT_TOKEN_ADDED,
                           .count = 1,
                           .name = "bhiv_core",
                           .subject = "0123456789ab",
                           .products = 6,
                           .expires_at = 7};
    cr_assert_str_eq(pack_json(&token, out),
                     "{\"kind\":\"changed\",\"name\":\"bhiv_core\",\"reason\":\"token_added\","
                     "\"count\":1,\"subject\":\"0123456789ab\",\"products\":\"ai_avatar,gurukul\","
                     "\"expires_at\":7}");
    const grant_t certificate = {.kind = GRANT_CERTIFICATE_REVOKED, .count = 1, .name = "a"};
    cr_assert_str_eq(pack_json(&certificate, out),
                     "{\"kind\":\"changed\",\"name\":\"a\",\"reason\":\"certificate_revoked\","
                     "\"count\":1}");
    for (int i = 0; i < GRANT_KINDS; i++) {
        const grant_t any = {.kind = (grant_kind_t) i};
        (void) pack_json(&any, out);
        bool is_tokens = i >= GRANT_TOKENS_KNOWN;
        cr_assert_eq(grant_is_of_tokens(view_from_text(grant_kind_text((grant_kind_t) i))),
                     is_tokens);
    }
}
