// adapter_test.c - what an adapter makes of a payload, and of what its server answers.
#include "proto/transcode.h"
#include "proto/walk.h"
#include "workflow/adapter.h"
#include "workflow/redact.h"
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

static pack_t *
from_json(const char *json)
{
    pack_t *packed = pack_new();
    cr_assert_eq(transcode_from_json(view_from_text(json), packed, NULL, 0), BUS_OK, "%s", json);
    return packed;
}

static const workflow_adapter_t *
adapter_of(const char *action)
{
    workflow_action_t found = workflow_adapter_find(view_from_text(action));
    cr_assert_lt(found, WORKFLOW_ACTION_COUNT);
    return workflow_adapter_of(found);
}

static const workflow_servers_t servers = {
    .smtp_url = "smtp://127.0.0.1:25",
    .smtp_from = "bus@example.org",
    .smtp_password = "smtp-secret",
    .whatsapp_url = "https://graph.example.org/v19.0//",
    .whatsapp_phone_id = "106",
    .whatsapp_token = "wa-secret",
    .ai_url = "http://127.0.0.1:1/v1/",
    .ai_key = "ai-secret",
};

// --- Checking ------------------------------------------------------------------------------------

Test(adapter, finds_its_four_actions_and_no_other)
{
    const char *const none[] = {"", "Task", "tasks", "reminder", "task "};
    cr_assert_eq(workflow_adapter_find(VIEW_LITERAL("task")), WORKFLOW_TASK);
    cr_assert_eq(workflow_adapter_find(VIEW_LITERAL("email")), WORKFLOW_EMAIL);
    cr_assert_eq(workflow_adapter_find(VIEW_LITERAL("whatsapp")), WORKFLOW_WHATSAPP);
    cr_assert_eq(workflow_adapter_find(VIEW_LITERAL("ai")), WORKFLOW_AI);
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++) {
        cr_assert_eq(workflow_adapter_find(view_from_text(none[i])), WORKFLOW_ACTION_COUNT);
    }
    cr_assert_eq(workflow_adapter_find(VIEW_NONE), WORKFLOW_ACTION_COUNT);
}

Test(adapter, says_the_first_that_is_missing_or_is_not_as_it_must_be)
{
    const struct {
        const char *action;
        const char *payload;
        const char *code; // NULL: nothing is wrong
    } cases[] = {
        {"task", "{}", "missing_task_title"},
        {"task", "{\"title\":\"\"}", "missing_task_title"},
        {"task", "{\"title\":\"\",\"content\":\"c\"}", NULL},
        {"task", "{\"title\":\"t\",\"description\":5}", NULL},
        {"whatsapp", "{\"message\":\"m\"}", "missing_recipient"},
        {"whatsapp", "{\"phone\":\"1\"}", "missing_message"},
        {"whatsapp", "{\"phone\":\"1\",\"content\":\"m\"}", NULL},
        {"whatsapp", "{\"recipient\":\"\xc3\xbc\",\"content\":\"m\"}", "invalid_recipient"},
        {"email", "{\"phone\":\"1\",\"subject\":\"s\",\"body\":\"b\"}", "missing_recipient"},
        {"email", "{\"recipient\":\"x\",\"body\":\"b\"}", "invalid_recipient"},
        {"email", "{\"recipient\":\"a@b\",\"content\":\"b\"}", "missing_subject"},
        {"email", "{\"recipient\":\"a@b\",\"subject\":\"s\"}", "missing_body"},
        {"email", "{\"recipient\":\"a@b\",\"subject\":\"s\",\"content\":\"b\"}", NULL},
        {"ai", "{\"message\":\"m\"}", "missing_prompt"},
        {"ai", "{\"content\":\"m\"}", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        BUS_AUTO(pack_destroy) pack_t *payload = from_json(cases[i].payload);
        workflow_values_t values;
        workflow_fault_t fault = {.error_code = ""};
        bool good = workflow_adapter_check(
            adapter_of(cases[i].action), pack_view(payload), &values, &fault);
        cr_assert_eq(good, cases[i].code == NULL, "%s", cases[i].payload);
        if (!good) {
            cr_assert_str_eq(fault.error_code, cases[i].code);
            cr_assert_gt(strlen(fault.text), 0);
        }
    }
}

// --- Asking --------------------------------------------------------------------------------------

typedef struct {
    pack_t *payload;
    workflow_job_t job;
    const workflow_adapter_t *adapter;
} job_t;

static job_t
job_make(const char *action, const char *json)
{
    job_t self = {.payload = from_json(json), .adapter = adapter_of(action)};
    workflow_fault_t fault;
    self.job = (workflow_job_t){.seq = 0x1a2b,
                                .boot = "boot-1",
                                .trace_id = VIEW_LITERAL("t-1"),
                                .at = UINT64_C(1767225600000000),
                                .wall_us = UINT64_C(1767225601000000)};
    cr_assert(
        workflow_adapter_check(self.adapter, pack_view(self.payload), &self.job.values, &fault));
    return self;
}

static void
job_clear(job_t *self)
{
    pack_destroy(&self->payload);
}

Test(adapter, asks_each_server_where_and_as_it_wants)
{
    const struct {
        const char *action;
        const char *payload;
        const char *url;
        const char *body; // its beginning
        const char *bearer;
    } cases[] = {
        {"whatsapp",
         "{\"recipient\":\"+49\",\"message\":\"\\\"x\\\"\"}",
         "https://graph.example.org/v19.0/106/messages",
         "{\"messaging_product\":\"whatsapp\",\"recipient_type\":\"individual\",\"to\":\"+49\","
         "\"type\":\"text\",\"text\":{\"preview_url\":false,\"body\":\"\\\"x\\\"\"}}",
         "wa-secret"},
        {"ai",
         "{\"prompt\":\"p\"}",
         "http://127.0.0.1:1/v1/chat/completions",
         "{\"messages\":[{\"role\":\"user\",\"content\":\"p\"}],\"stream\":false}",
         "ai-secret"},
        {"email",
         "{\"recipient\":\"a@b\",\"subject\":\"s\",\"body\":\"b\"}",
         "smtp://127.0.0.1:25",
         "From: bus@example.org\r\nTo: a@b\r\nSubject: s\r\n",
         NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        job_t job = job_make(cases[i].action, cases[i].payload);
        workflow_letter_t letter;
        workflow_adapter_letter_init(&letter);
        cr_assert(job.adapter->is_configured(&servers));
        cr_assert_not(job.adapter->is_configured(&(workflow_servers_t){.smtp_url = NULL}));
        job.adapter->compose(&job.job, &servers, &letter);
        cr_assert_str_eq(letter.request.url, cases[i].url);
        cr_assert(view_starts(letter.request.body, view_from_text(cases[i].body)),
                  "%.*s",
                  (int) letter.request.body.size,
                  letter.request.body.data);
        cr_assert_eq(letter.request.bearer == NULL, cases[i].bearer == NULL);
        if (cases[i].bearer != NULL) {
            cr_assert_str_eq(letter.request.bearer, cases[i].bearer);
        } else {
            cr_assert_str_eq(letter.request.mail_from, "bus@example.org");
            cr_assert_str_eq(letter.request.mail_to[0], "a@b");
        }
        workflow_adapter_letter_clear(&letter);
        job_clear(&job);
    }
}

// --- Concluding ----------------------------------------------------------------------------------

// The result as JSON; the caller's.
static char *
conclude(job_t *job, const transfer_answer_t *answer, bool *ret_success)
{
    BUS_AUTO(pack_destroy) pack_t *result = pack_new();
    BUS_AUTO(text_destroy) text_t *json = text_new();
    *ret_success = workflow_adapter_conclude(job->adapter, &job->job, &servers, answer, result);
    const char *why = "";
    cr_assert_eq(walk_check(pack_view(result), WALK_JSON, 20, &why), BUS_OK, "%s", why);
    transcode_to_json(pack_view(result), 0, json);
    return strdup(text_view(json).data);
}

static void
expect(job_t *job, const transfer_answer_t *answer, const char *json)
{
    bool success = false;
    char *result = conclude(job, answer, &success);
    cr_assert_str_eq(result, json);
    cr_assert_eq(success, strstr(json, "\"success\":true") != NULL);
    free(result);
}

Test(adapter, makes_results_with_the_servers_own_ids)
{
    job_t whatsapp = job_make("whatsapp", "{\"recipient\":\"+49\",\"message\":\"m\"}");
    expect(&whatsapp,
           &(transfer_answer_t){.was_sent = true,
                                .status = 200,
                                .body = VIEW_LITERAL("{\"messages\":[{\"id\":\"wamid.X\"}]}"),
                                .why = ""},
           "{\"success\":true,\"whatsapp_message_id\":\"wamid.X\",\"recipient\":\"+49\","
           "\"message\":\"m\",\"status\":\"SENT\",\"sent_at\":\"2026-01-01T00:00:01.000000Z\","
           "\"was_sent\":true}");
    job_t ai = job_make("ai", "{\"prompt\":\"p\"}");
    expect(&ai,
           &(transfer_answer_t){
               .was_sent = true,
               .status = 200,
               .body = VIEW_LITERAL("{\"choices\":[{\"message\":{\"content\":\"r\"}}]}"),
               .why = ""},
           "{\"success\":true,\"request_id\":\"ai_00001a2b\",\"prompt\":\"p\",\"response\":\"r\","
           "\"model\":null,\"health\":\"OK\",\"requested_at\":\"2026-01-01T00:00:01.000000Z\","
           "\"was_sent\":true}");
    job_t mail = job_make("email", "{\"recipient\":\"a@b\",\"subject\":\"s\",\"body\":\"b\"}");
    expect(
        &mail,
        &(transfer_answer_t){.was_sent = true, .status = 250, .body = VIEW_LITERAL(""), .why = ""},
        "{\"success\":true,\"message_id\":\"email_00001a2b.boot-1@bhiv\",\"recipient\":\"a@b\","
        "\"subject\":\"s\",\"status\":\"SENT\",\"sent_at\":\"2026-01-01T00:00:01.000000Z\","
        "\"was_sent\":true}");
    job_clear(&whatsapp);
    job_clear(&ai);
    job_clear(&mail);
}

Test(adapter, tells_every_end_of_a_transfer_apart)
{
    const struct {
        const char *action;
        transfer_answer_t answer;
        const char *code;
        bool was_sent;
    } cases[] = {
        {"ai", {.err = BUS_TIMEOUT, .was_sent = true, .why = "x"}, "adapter_timeout", true},
        {"ai", {.err = BUS_TIMEOUT, .why = "x"}, "adapter_timeout", false},
        {"ai", {.err = BUS_SERVICE_UNAVAILABLE, .why = "x"}, "adapter_unreachable", false},
        {"ai", {.err = BUS_IO, .was_sent = true, .why = "x"}, "adapter_unreachable", true},
        {"ai",
         {.err = BUS_IO, .status = 500, .was_sent = true, .why = "x"},
         "adapter_unreachable",
         true},
        {"ai",
         {.err = BUS_PAYLOAD_TOO_LARGE, .status = 200, .was_sent = true, .why = "x"},
         "invalid_adapter_response",
         true},
        {"ai", {.status = 404, .was_sent = true, .why = ""}, "adapter_rejected", false},
        {"ai", {.status = 302, .was_sent = true, .why = ""}, "adapter_rejected", false},
        {"ai", {.status = 502, .was_sent = true, .why = ""}, "adapter_rejected", true},
        {"email",
         {.err = BUS_IO, .status = 354, .was_sent = true, .why = "x"},
         "adapter_unreachable",
         true},
        {"email", {.err = BUS_IO, .status = 0, .why = "x"}, "adapter_unreachable", false},
        {"email",
         {.err = BUS_IO, .status = 550, .was_sent = true, .why = "x"},
         "adapter_rejected",
         false},
        {"email", {.err = BUS_IO, .status = 451, .why = "x"}, "adapter_rejected", false},
        {"email",
         {.err = BUS_UNAUTHENTICATED, .status = 535, .why = "x"},
         "adapter_rejected",
         false},
        {"email", {.err = BUS_TIMEOUT, .status = 250, .why = "x"}, "adapter_timeout", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        job_t job = job_make(cases[i].action,
                             "{\"prompt\":\"p\",\"recipient\":\"a@b\",\"subject\":\"s\","
                             "\"body\":\"b\"}");
        bool success = true;
        char expected[100];
        transfer_answer_t answer = cases[i].answer;
        answer.body = VIEW_LITERAL("");
        char *result = conclude(&job, &answer, &success);
        cr_assert_not(success);
        snprintf(expected, sizeof expected, "\"error_code\":\"%s\"", cases[i].code);
        cr_assert_not_null(strstr(result, expected), "%zu: %s", i, result);
        snprintf(
            expected, sizeof expected, "\"was_sent\":%s", cases[i].was_sent ? "true" : "false");
        cr_assert_not_null(strstr(result, expected), "%zu: %s", i, result);
        free(result);
        job_clear(&job);
    }
}

Test(adapter, quotes_a_server_in_one_clean_line_without_our_secret)
{
    const struct {
        const char *said;
        const char *excerpt;
    } cases[] = {
        {"no\r\n\x1b[31m", "no   [31m"},
        {"you sent wa-secret, twice wa-secret!", "you sent *, twice *!"},
        {"gr\xc3\xbc\xc3", "gr\xc3\xbc"},
        {"\xff\xfe", ""},
    };
    job_t job = job_make("whatsapp", "{\"recipient\":\"1\",\"message\":\"m\"}");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        bool success;
        char expected[200];
        const transfer_answer_t answer = {
            .status = 400, .body = view_from_text(cases[i].said), .why = ""};
        char *result = conclude(&job, &answer, &success);
        snprintf(expected, sizeof expected, "\"excerpt\":\"%s\"", cases[i].excerpt);
        cr_assert_not_null(strstr(result, expected), "%s", result);
        free(result);
    }
    job_clear(&job);
}

// --- Redacting -----------------------------------------------------------------------------------

Test(adapter, tells_nobody_what_a_payload_calls_a_secret)
{
    const char *const cases[][2] = {
        {"{}", "{}"},
        {"{\"a\":1,\"password\":\"x\"}", "{\"a\":1,\"password\":\"[redacted]\"}"},
        {"{\"X_API_Key\":{\"deep\":[1,2]},\"b\":[{\"accessToken\":null}],\"c\":[]}",
         "{\"X_API_Key\":\"[redacted]\",\"b\":[{\"accessToken\":\"[redacted]\"}],\"c\":[]}"},
        {"{\"a\":{\"b\":{\"c\":{\"Authorization\":\"x\",\"d\":2}}},\"e\":\"token\"}",
         "{\"a\":{\"b\":{\"c\":{\"Authorization\":\"[redacted]\",\"d\":2}}},\"e\":\"token\"}"},
        {"[{\"secret\":1},{\"credentials\":{}}]",
         "[{\"secret\":\"[redacted]\"},{\"credentials\":\"[redacted]\"}]"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        BUS_AUTO(pack_destroy) pack_t *given = from_json(cases[i][0]);
        BUS_AUTO(pack_destroy) pack_t *wanted = from_json(cases[i][1]);
        BUS_AUTO(pack_destroy) pack_t *out = pack_new();
        workflow_redact(pack_view(given), out);
        cr_assert(view_equal(pack_view(out), pack_view(wanted)), "%s", cases[i][0]);
    }
}
