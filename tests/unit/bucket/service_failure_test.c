// service_failure_test.c - Core's word that it was kept waiting is audited, and the executor told.
#include "artifact_help.h"
#include "bucket/config.h"
#include "bucket/service_failure.h"
#include <string.h>

#define FAILURE                                                                                    \
    "{\"service_failure\":\"write_timeout\",\"sla_violated\":\"5_second_response_time\","          \
    "\"escalation\":\"EXECUTOR_NOTIFIED\"}"

static bool
tells(help_t *help, const char *source)
{
    help->source = source;
    cr_assert_eq(help_apply(help,
                            bucket_service_failure_apply,
                            &SCHEMA_service_failure,
                            "governance.service_failure",
                            FAILURE),
                 BUS_OK);
    help->source = "tests";
    return strstr(help_text(help->said), "\"recipient\":\"executor@example.org\"") != NULL;
}

static help_t *
help_with_executor(void)
{
    help_t *help = help_new();
    help->source = "bhiv_bucket";
    cr_assert_eq(help_apply(help,
                            bucket_config_apply,
                            &SCHEMA_bucket_config,
                            "bucket.config",
                            "{\"executor_email\":\"executor@example.org\",\"quotas\":{}}"),
                 BUS_OK);
    return help;
}

Test(service_failure, is_audited_each_time_and_mailed_once_an_hour)
{
    help_t *help = help_with_executor();
    uint64_t before = help->state.tree.size;
    cr_assert(tells(help, "bhiv_core"));
    cr_assert_not(tells(help, "bhiv_core"));
    help_reopen(help);
    cr_assert_not(tells(help, "bhiv_core"), "a restart begins no new hour");
    help->at += UINT64_C(3600000000);
    cr_assert(tells(help, "bhiv_core"));
    cr_assert_eq(help->state.tree.size, before + 4);
    help_destroy(&help);
}

Test(service_failure, is_believed_from_core_alone)
{
    help_t *help = help_with_executor();
    uint64_t before = help->state.tree.size;
    cr_assert_not(tells(help, "somebody"));
    cr_assert_eq(help->state.tree.size, before);
    help_destroy(&help);
}
