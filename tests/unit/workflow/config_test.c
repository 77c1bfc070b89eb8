// config_test.c - what the executor takes from its environment.
#include "workflow/config.h"
#include <criterion/criterion.h>
#include <stdlib.h>

static const char *const variables[] = {"WORKFLOW_TIMEOUT",
                                        "WORKFLOW_TIMEOUT_EMAIL",
                                        "WORKFLOW_TIMEOUT_AI",
                                        "ENABLE_WORKFLOW_EXECUTION",
                                        "WORKFLOW_EVENTS_ENABLED",
                                        "WORKFLOW_BEHAVIORAL_TRACKING",
                                        "BHIV_SMTP_URL",
                                        "BHIV_SMTP_FROM",
                                        "BHIV_SMTP_USER",
                                        "BHIV_SMTP_PASSWORD",
                                        "BHIV_WHATSAPP_URL",
                                        "BHIV_WHATSAPP_PHONE_ID",
                                        "BHIV_WHATSAPP_TOKEN",
                                        "BHIV_AI_URL",
                                        "BHIV_AI_MODEL",
                                        "BHIV_AI_KEY",
                                        "SSL_CERT_FILE",
                                        "WORKFLOW_EXECUTOR_URL"};

static void
setup(void)
{
    for (size_t i = 0; i < sizeof variables / sizeof variables[0]; i++) {
        unsetenv(variables[i]);
    }
}

TestSuite(config, .init = setup);

Test(config, has_defaults_for_everything_but_servers)
{
    workflow_servers_t servers;
    cr_assert_eq(workflow_config_read(&servers), BUS_OK);
    for (unsigned i = 0; i < WORKFLOW_ACTION_COUNT; i++) {
        cr_assert_eq(servers.timeouts_ms[i], 2000);
    }
    cr_assert_null(servers.smtp_url);
    cr_assert_null(servers.whatsapp_url);
    cr_assert_null(servers.ai_url);
    cr_assert_str_eq(servers.smtp_from, "bhiv@localhost");
}

Test(config, takes_seconds_for_all_adapters_and_for_one)
{
    const struct {
        const char *text;
        unsigned ms; // 0: refused
    } cases[] = {{"2.0", 2000},
                 {"0.001", 1},
                 {"600", 600000},
                 {"1e1", 10000},
                 {"0.0004", 0},
                 {"600.1", 0},
                 {"-1", 0},
                 {"two", 0},
                 {"2s", 0},
                 {"nan", 0},
                 {"inf", 0},
                 {"1e999", 0},
                 {" ", 0}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        workflow_servers_t servers;
        cr_assert_eq(setenv("WORKFLOW_TIMEOUT_AI", cases[i].text, 1), 0);
        bus_err_t err = workflow_config_read(&servers);
        cr_assert_eq(err, cases[i].ms == 0 ? BUS_VALIDATION_FAILED : BUS_OK, "%s", cases[i].text);
        if (err == BUS_OK) {
            cr_assert_eq(servers.timeouts_ms[WORKFLOW_AI], cases[i].ms);
            cr_assert_eq(servers.timeouts_ms[WORKFLOW_EMAIL], 2000);
        }
    }
    workflow_servers_t servers;
    setenv("WORKFLOW_TIMEOUT_AI", "9", 1);
    setenv("WORKFLOW_TIMEOUT", "3", 1);
    cr_assert_eq(workflow_config_read(&servers), BUS_OK);
    cr_assert_eq(servers.timeouts_ms[WORKFLOW_AI], 9000);
    cr_assert_eq(servers.timeouts_ms[WORKFLOW_EMAIL], 3000);
    cr_assert_eq(servers.timeouts_ms[WORKFLOW_WHATSAPP], 3000);
}

Test(config, refuses_what_could_not_work_or_would_leak)
{
    const char *const cases[][2] = {
        {"BHIV_SMTP_URL", "host:25"},
        {"BHIV_SMTP_URL", "http://host"},
        {"BHIV_SMTP_URL", "smtp://"},
        {"BHIV_SMTP_URL", "smtp://user:secret@host"},
        {"BHIV_SMTP_URL", "smtp://host/\r\nQUIT"},
        {"BHIV_AI_URL", "file:///etc/passwd"},
        {"BHIV_AI_URL", "https://host/v1?key=1"},
        {"BHIV_AI_KEY", "a\r\nb"},
        {"BHIV_SMTP_FROM", "nobody"},
        {"BHIV_SMTP_FROM", "A <a@b>"},
        {"BHIV_WHATSAPP_PHONE_ID", "1/../2"},
        {"WORKFLOW_EVENTS_ENABLED", "perhaps"},
        {"WORKFLOW_BEHAVIORAL_TRACKING", "2"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        workflow_servers_t servers;
        cr_assert_eq(setenv(cases[i][0], cases[i][1], 1), 0);
        cr_assert_eq(workflow_config_read(&servers), BUS_VALIDATION_FAILED, "%s", cases[i][1]);
        unsetenv(cases[i][0]);
        cr_assert_eq(workflow_config_read(&servers), BUS_OK);
    }
}

Test(config, packs_the_switches_and_nothing_else)
{
    static const uint8_t wanted[] = "\x83\xa7"
                                    "enabled\xc2\xa6"
                                    "events\xc3\xa5"
                                    "karma\xc2";
    setenv("ENABLE_WORKFLOW_EXECUTION", "False", 1);
    setenv("WORKFLOW_EVENTS_ENABLED", "yes", 1);
    setenv("WORKFLOW_BEHAVIORAL_TRACKING", "0", 1);
    setenv("BHIV_AI_KEY", "secret", 1);
    workflow_servers_t servers;
    cr_assert_eq(workflow_config_read(&servers), BUS_OK);
    BUS_AUTO(pack_destroy) pack_t *out = pack_new();
    workflow_config_pack(NULL, out);
    cr_assert(view_equal(pack_view(out), view_from(wanted, sizeof wanted - 1)));
}
