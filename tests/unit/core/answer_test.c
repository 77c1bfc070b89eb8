// answer_test.c - what agents answer, and what they only pretend to.
#include "core/answer.h"
#include "proto/transcode.h"
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>

typedef struct {
    pack_t *body;
    core_answer_t answer;
    char why[CORE_ANSWER_WHY_SIZE];
    bus_err_t err;
} read_t;

static read_t
read_json(const char *json)
{
    read_t self = {.body = pack_new()};
    cr_assert_eq(transcode_from_json(view_from_text(json), self.body, NULL, 0), BUS_OK, "%s", json);
    self.err = core_answer_read(pack_view(self.body), &self.answer, self.why);
    return self;
}

static void
accepts(const char *json, int64_t status, double reward)
{
    read_t self = read_json(json);
    cr_assert_eq(self.err, BUS_OK, "%s: %s", json, self.why);
    cr_assert_eq(self.answer.status, status, "%s", json);
    cr_assert(fabs(self.answer.reward - reward) < 1e-12, "%s: %.17g", json, self.answer.reward);
    pack_destroy(&self.body);
}

static void
refuses(const char *json, const char *why)
{
    read_t self = read_json(json);
    cr_assert_eq(self.err, BUS_VALIDATION_FAILED, "%s", json);
    cr_assert_not_null(strstr(self.why, why), "%s: %s", json, self.why);
    pack_destroy(&self.body);
}

Test(answer, takes_what_an_agent_may_answer)
{
    accepts("{\"result\":\"one two three four\"}", 200, 1.02);
    accepts("{\"response\":\"one two\",\"status\":200}", 200, 1.01);
    accepts("{\"result\":\"\",\"status\":200}", 200, 1.0);
    accepts("{\"result\":{\"a\":\"one two\",\"b\":[\"three\"]}}", 200, 1.0 + 0.5 * 5 / 100);
    accepts("{\"response\":[],\"status\":404}", 404, 0.0);
    accepts("{\"result\":\"x\",\"status\":201}", 201, 0.005);
    accepts("{\"status\":500,\"error\":\"broken\"}", 500, 0.0);
    accepts("{\"result\":42,\"keywords\":[\"a\",\"b\"],\"unknown\":{\"kept\":true}}", 200, 1.2);
    accepts("{\"result\":42,\"keywords\":[],\"sources\":[\"a\"]}", 200, 1.1);
    accepts("{\"result\":42,\"sources\":[{\"title\":\"a\"},{\"title\":\"b\"}]}", 200, 1.2);
}

Test(answer, refuses_what_lies_in_its_shape)
{
    refuses("{}", "no result");
    refuses("{\"result\":null}", "no result");
    refuses("{\"status\":200}", "no result");
    refuses("{\"result\":\"x\",\"status\":\"fine\"}", "status");
    refuses("{\"result\":\"x\",\"status\":7}", "status");
    refuses("{\"result\":\"x\",\"keywords\":\"a, b\"}", "keywords");
    refuses("{\"result\":\"x\",\"requires_workflow\":\"yes\"}", "requires_workflow");
    refuses("{\"result\":\"x\",\"workflow_payload\":[1]}", "workflow_payload");
    refuses("[\"result\"]", "body");
    refuses("\"result\"", "body");
}

Test(answer, refuses_what_json_has_no_word_for)
{
    char why[CORE_ANSWER_WHY_SIZE];
    core_answer_t answer;
    BUS_AUTO(pack_destroy) pack_t *body = pack_new();
    pack_map(body, 1);
    pack_text(body, "result");
    pack_bin(body, VIEW_LITERAL("\x01\x02"));
    cr_assert_eq(core_answer_read(pack_view(body), &answer, why), BUS_VALIDATION_FAILED);
    pack_clear(body);
    pack_map(body, 1);
    pack_pair_real(body, "result", NAN);
    cr_assert_eq(core_answer_read(pack_view(body), &answer, why), BUS_VALIDATION_FAILED);
    pack_clear(body);
    pack_map(body, 2);
    pack_pair_text(body, "result", "x");
    pack_pair_text(body, "result", "y");
    cr_assert_eq(core_answer_read(pack_view(body), &answer, why), BUS_VALIDATION_FAILED);
    cr_assert_eq(core_answer_read(VIEW_LITERAL("\x81"), &answer, why), BUS_VALIDATION_FAILED);
}

Test(answer, refuses_what_is_too_large)
{
    char why[CORE_ANSWER_WHY_SIZE];
    core_answer_t answer;
    size_t size = 655360;
    char *text = malloc(size);
    cr_assert_not_null(text);
    memset(text, 'x', size);
    BUS_AUTO(pack_destroy) pack_t *body = pack_new();
    pack_map(body, 1);
    pack_pair_str(body, "result", view_from(text, size));
    cr_assert_eq(core_answer_read(pack_view(body), &answer, why), BUS_VALIDATION_FAILED);
    pack_clear(body);
    pack_map(body, 3);
    pack_pair_text(body, "result", "small");
    pack_pair_str(body, "more", view_from(text, size));
    pack_pair_str(body, "yet_more", view_from(text, size));
    cr_assert_eq(core_answer_read(pack_view(body), &answer, why), BUS_VALIDATION_FAILED);
    cr_assert_not_null(strstr(why, "768 KiB"));
    free(text);
}

Test(answer, counts_200_to_299_and_nothing_found_as_success)
{
    cr_assert(core_answer_is_success(200));
    cr_assert(core_answer_is_success(299));
    cr_assert(core_answer_is_success(404));
    cr_assert_not(core_answer_is_success(199));
    cr_assert_not(core_answer_is_success(300));
    cr_assert_not(core_answer_is_success(500));
}

Test(answer, tells_it_on_as_it_came_with_status_and_time)
{
    read_t self = read_json("{\"result\":\"x\",\"b\":1,\"processing_time\":\"mine\",\"a\":2}");
    BUS_AUTO(pack_destroy) pack_t *out = pack_new();
    BUS_AUTO(text_destroy) text_t *json = text_new();
    core_answer_pack(&self.answer, 0.5, out);
    transcode_to_json(pack_view(out), 0, json);
    cr_assert_str_eq(text_view(json).data,
                     "{\"result\":\"x\",\"b\":1,\"a\":2,\"status\":200,\"processing_time\":0.5}");
    pack_destroy(&self.body);
}

Test(answer, says_why_a_status_is_a_failure)
{
    char why[CORE_ANSWER_WHY_SIZE];
    read_t self = read_json("{\"status\":503,\"error\":\"no model\"}");
    core_answer_explain(&self.answer, why);
    cr_assert_str_eq(why, "the agent answered status 503: no model");
    pack_destroy(&self.body);
    self = read_json("{\"status\":503,\"error\":{\"not\":\"text\"}}");
    core_answer_explain(&self.answer, why);
    cr_assert_str_eq(why, "the agent answered status 503");
    pack_destroy(&self.body);
}
