// access_test.c - refusals and changes of who may do what, in the audit log.
#include "bucket/access.h"
#include "help.h"
#include <criterion/criterion.h>

// Applies the fact, and says how many entries that made.
static uint64_t
entries_of(help_t *help, const char *source, const char *json)
{
    uint64_t before = help->state.tree.size;
    help->source = source;
    cr_assert_eq(help_apply(help, bucket_access_apply, &SCHEMA_access, "governance.access", json),
                 BUS_OK);
    return help->state.tree.size - before;
}

Test(access, a_refusal_or_a_certificates_change_is_the_brokers_word_alone)
{
    static const char *const facts[] = {
        "{\"name\":\"a\",\"reason\":\"publish\",\"count\":1}",
        "{\"name\":\"\",\"reason\":\"certificate\",\"count\":1}",
        "{\"kind\":\"changed\",\"name\":\"a\",\"reason\":\"certificate_added\",\"count\":1}",
        "{\"kind\":\"changed\",\"name\":\"access.zpl\",\"reason\":\"rules_loaded\",\"count\":0}",
        "{\"kind\":\"changed\",\"name\":\"access.zpl\",\"reason\":\"access_not_loaded\",\"count\":"
        "1}",
    };
    help_t *help = help_new();
    for (size_t i = 0; i < sizeof(facts) / sizeof(facts[0]); i++) {
        cr_assert_eq(entries_of(help, "$bus", facts[i]), 1);
        cr_assert_eq(entries_of(help, "bhiv_bridge", facts[i]), 0);
        cr_assert_eq(entries_of(help, "owner", facts[i]), 0);
    }
    help_destroy(&help);
}

Test(access, a_tokens_change_is_the_bridges_word_alone)
{
    static const char fact[] =
        "{\"kind\":\"changed\",\"name\":\"bhiv_core\",\"reason\":\"token_added\","
        "\"count\":1,\"subject\":\"0123456789ab\",\"products\":\"gurukul\"}";
    help_t *help = help_new();
    cr_assert_eq(entries_of(help, "bhiv_bridge", fact), 1);
    cr_assert_eq(entries_of(help, "$bus", fact), 0);
    cr_assert_eq(entries_of(help, "owner", fact), 0);
    help_destroy(&help);
}
