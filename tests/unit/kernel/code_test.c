// code_test.c - which peers run what, and who differs.
#include "help.h"
#include "kernel/code_peers.h"
#include "proto/transcode.h"
#include <criterion/criterion.h>
#include <stdio.h>

static const kernel_code_peer_t ours = {
    .service = "kernel-code", .version = "1.0", .build = "aa", .schemas = "11", .protocol = 1};

static kernel_code_peers_t peers;
static kernel_watch_news_t news;
static pack_t *scratch;

static void
setup(void)
{
    kernel_code_peers_init(&peers);
    scratch = pack_new();
}

static void
teardown(void)
{
    kernel_code_peers_clear(&peers);
    kernel_watch_news_clear(&news);
    pack_destroy(&scratch);
}

TestSuite(code_peers, .init = setup, .fini = teardown);

static bus_view_t
from_json(const char *json)
{
    char why[200] = "";
    pack_clear(scratch);
    cr_assert_eq(
        transcode_from_json(view_from_text(json), scratch, why, sizeof why), BUS_OK, "%s", why);
    return pack_view(scratch);
}

#define PEER(service, instance, version, build)                                                    \
    "{\"service\":\"" service "\",\"instance\":\"" instance                                        \
    "\",\"source\":\"s\",\"version\":\"" version "\",\"build\":\"" build                           \
    "\",\"pid\":7,\"host\":\"h\"}"

Test(code_peers, differ_in_what_they_say_and_in_nothing_that_they_do_not)
{
    kernel_code_peer_t peer = ours;
    cr_expect_eq(kernel_code_peers_compare(&ours, &peer), 0);
    peer = (kernel_code_peer_t){.service = "core"};
    cr_expect_eq(kernel_code_peers_compare(&ours, &peer), 0, "it says nothing");
    peer = ours;
    snprintf(peer.version, sizeof peer.version, "1.1");
    cr_expect_eq(kernel_code_peers_compare(&ours, &peer), KERNEL_CODE_VERSION);
    snprintf(peer.build, sizeof peer.build, "ab");
    snprintf(peer.schemas, sizeof peer.schemas, "12");
    peer.protocol = 2;
    cr_expect_eq(kernel_code_peers_compare(&ours, &peer),
                 KERNEL_CODE_VERSION | KERNEL_CODE_BUILD | KERNEL_CODE_SCHEMAS |
                     KERNEL_CODE_PROTOCOL);
    peer.is_foreign = true;
    cr_expect_eq(kernel_code_peers_compare(&ours, &peer), 0, "it is none of ours");
}

Test(code_peers, are_said_in_words)
{
    char text[64];
    cr_expect_str_eq(kernel_code_peers_text(0, text, sizeof text), "");
    cr_expect_str_eq(
        kernel_code_peers_text(KERNEL_CODE_BUILD | KERNEL_CODE_PROTOCOL, text, sizeof text),
        "protocol, build");
    cr_expect_str_eq(kernel_code_peers_text(0xf, text, sizeof text),
                     "protocol, schemas, version, build");
}

Test(code_peers, are_named_when_they_run_another_build)
{
    // clang-format off
    static const char said[] = "{\"peers\":["
        PEER("core", "i1", "1.0", "aa") ","
        PEER("karma", "i2", "1.0", "bb") ","
        PEER("worker.py", "i3", "9", "") ","
        PEER("agent.py", "i5", "9", "") ","
        PEER("", "i4", "0.9", "") "]}";
    // clang-format on
    kernel_code_peers_take(&peers, from_json(said));
    cr_assert_eq(peers.count, 5);
    cr_expect_eq(kernel_code_peers_judge(&peers, &ours, &news), 2);
    BUS_AUTO(text_destroy) text_t *json = text_new();
    cr_assert_eq(news.count, 2);
    // Two maps, one behind the other: each by itself is whole.
    BUS_AUTO(pack_destroy) pack_t *list = pack_new();
    pack_array(list, news.count);
    pack_raw(list, pack_view(news.list));
    transcode_to_json(pack_view(list), 0, json);
    cr_expect_not_null(strstr(text_view(json).data, "karma (instance i2)"));
    cr_expect_not_null(strstr(text_view(json).data, "a peer (instance i4)"));
    cr_expect_not_null(strstr(text_view(json).data, "\"build_mismatch\""));
    cr_expect_null(strstr(text_view(json).data, "i1"));
    cr_expect_null(strstr(text_view(json).data, "i3"));
    cr_expect_null(strstr(text_view(json).data, "i5"));
}

Test(code_peers, have_the_tables_that_their_services_health_tells)
{
    kernel_code_peers_take(
        &peers,
        from_json("{\"peers\":[" PEER("core", "i1", "1.0", "aa") "," PEER(
            "core", "i2", "1.0", "bb") "," PEER("karma", "i3", "1.0", "bb") "]}"));
    kernel_code_peers_take_health(
        &peers, "core", from_json("{\"build\":\"bb\",\"schemas\":\"99\",\"protocol\":2}"));
    cr_expect_str_eq(peers.at[0].schemas, "", "the one of the other build did not say it");
    cr_expect_str_eq(peers.at[1].schemas, "99");
    cr_expect_eq(peers.at[1].protocol, 2);
    cr_expect_str_eq(peers.at[2].schemas, "");
    kernel_code_peers_take_broker(
        &peers,
        from_json("{\"version\":\"1.0\",\"build\":\"aa\",\"schemas\":\"11\","
                  "\"protocol\":1,\"pid\":9,\"boot\":\"b\"}"));
    cr_expect_str_eq(peers.at[3].service, "broker");
    cr_expect_eq(kernel_code_peers_compare(&ours, &peers.at[3]), 0);
}

Test(code_peers, that_are_more_than_can_be_compared_are_counted)
{
    BUS_AUTO(pack_destroy) pack_t *body = pack_new();
    pack_map(body, 1);
    pack_text(body, "peers");
    pack_array(body, KERNEL_CODE_PEERS_MAX + 5);
    for (int i = 0; i < KERNEL_CODE_PEERS_MAX + 5; i++) {
        pack_map(body, 1);
        pack_pair_text(body, "service", "core");
    }
    kernel_code_peers_take(&peers, pack_view(body));
    cr_expect_eq(peers.count, KERNEL_CODE_PEERS_MAX);
    cr_expect_eq(peers.skipped, 5);
}

Test(code_peers, survive_an_answer_of_any_form)
{
    static const char *const answers[] = {"[]", "{}", "{\"peers\":3}", "{\"peers\":[1,null,{}]}"};
    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++) {
        kernel_code_peers_take(&peers, from_json(answers[i]));
        cr_expect_eq(kernel_code_peers_judge(&peers, &ours, &news), 0);
    }
    char longest[400];
    snprintf(longest,
             sizeof longest,
             "{\"peers\":[{\"service\":\"%0200d\",\"version\":\"%080d\"}]}",
             1,
             2);
    kernel_code_peers_take(&peers, from_json(longest));
    cr_expect_eq(strlen(peers.at[0].service), KERNEL_CODE_PEERS_NAME_SIZE - 1);
    cr_expect_eq(strlen(peers.at[0].version), KERNEL_CODE_PEERS_TEXT_SIZE - 1);
}

Test(code, keeps_its_own_anomalies_alone)
{
    help_t *help = help_new(&kernel_code_definition);
    static const char json[] = "{\"anomalies\":[],\"timestamp\":\"2026-01-01T00:00:00Z\"}";
    help->source = "kernel-infrastructure";
    cr_assert_eq(help_apply(help, "hunter.anomaly.detected", json), BUS_OK);
    cr_expect_eq(help_count(help, KERNEL_WATCH_KEPT), 0);
    help->source = "kernel-code";
    cr_assert_eq(help_apply(help, "hunter.anomaly.detected", json), BUS_OK);
    cr_expect_eq(help_count(help, KERNEL_WATCH_KEPT), 1);
    cr_assert_eq(help_ask(help, "report", "{}"), BUS_OK);
    cr_expect_str_eq(help_at(help, "status"), "\"starting\"");
    cr_expect_str_eq(help_at(help, "protocol"), "1");
    cr_expect_eq(strlen(help_at(help, "schemas")), strlen("\"0123456789abcdef\""));
    help_destroy(&help);
}
