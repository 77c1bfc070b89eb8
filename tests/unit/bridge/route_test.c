// route_test.c - finding rows, and what every row must be.
#include "bridge-http/openapi.h"
#include "bridge-http/route.h"
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

static bridge_route_match_t
find(bridge_port_id_t port, const char *method, const char *path)
{
    return bridge_route_find(port, method, view_from_text(path));
}

Test(route, a_row_is_found_by_port_method_and_path)
{
    cr_assert_str_eq(find(BRIDGE_BUCKET, "POST", "/core/write-event").route->operation,
                     "write_event");
    cr_assert_null(find(BRIDGE_KARMA, "POST", "/core/write-event").route);
    cr_assert_eq(find(BRIDGE_KARMA, "POST", "/core/write-event").methods, 0);
    bridge_route_match_t match = find(BRIDGE_KARMA, "GET", "/api/v1/karma/u/replay");
    cr_assert_str_eq(match.route->operation, "karma_replay");
    cr_assert(view_is(match.params.at[0].value, "u"));
}

Test(route, head_is_get_and_a_wrong_method_says_what_there_is)
{
    cr_assert_str_eq(find(BRIDGE_CORE, "HEAD", "/health").route->operation, "health");
    bridge_route_match_t match = find(BRIDGE_BUCKET, "BREW", "/core/karma-forwarding");
    cr_assert_null(match.route);
    char allow[64];
    bridge_route_allow(match.methods, allow, sizeof(allow));
    cr_assert_str_eq(allow, "PUT, OPTIONS");
    bridge_route_allow(find(BRIDGE_BUCKET, "GET", "/health").methods, allow, sizeof(allow));
    cr_assert_str_eq(allow, "GET, HEAD, OPTIONS");
    bridge_route_allow(0, allow, sizeof(allow));
    cr_assert_str_eq(allow, "");
}

Test(route, the_versioned_alias_is_buckets_alone)
{
    cr_assert_str_eq(find(BRIDGE_BUCKET, "GET", "/v1/bucket/contract").route->operation,
                     "contract");
    cr_assert_null(find(BRIDGE_BUCKET, "GET", "/v1/core/stats").route);
    cr_assert_null(find(BRIDGE_CONSOLE, "GET", "/v1/bucket/contract").route);
}

Test(route, karmas_analytics_are_found_under_the_originals_doubled_prefix_too)
{
    const char *doubled = "/api/v1/api/v1/analytics/metrics/live";
    cr_assert_str_eq(find(BRIDGE_KARMA, "GET", doubled).route->operation, "karma_metrics_live");
    cr_assert_str_eq(
        find(BRIDGE_KARMA, "GET", "/api/v1/api/v1/analytics/karma_trends").route->operation,
        "karma_trends");
    cr_assert_null(find(BRIDGE_KARMA, "GET", "/api/v1/api/v1/karma/u").route);
    cr_assert_null(find(BRIDGE_BUCKET, "GET", doubled).route);
}

Test(route, operations_are_unique_and_rows_are_whole)
{
    for (size_t i = 0; i < bridge_route_count; i++) {
        const bridge_route_t *row = &bridge_routes[i];
        cr_assert(row->ports != 0 && row->handler != NULL && row->summary[0] != '\0');
        cr_assert(row->path[0] == '/' &&
                  (row->path[1] == '\0' || row->path[strlen(row->path) - 1] != '/'));
        // What is posted without a body acts on what its path names.
        bool names_it = strchr(row->path, '{') != NULL;
        cr_assert(row->method != BRIDGE_POST || row->body != NULL || names_it);
        cr_assert(strchr(row->path, '{') == NULL || row->query != NULL);
        for (size_t other = 0; other < i; other++) {
            cr_assert_str_neq(bridge_routes[other].operation, row->operation);
        }
    }
}

Test(route, what_is_guarded_is_known_by_its_topic)
{
    cr_assert_eq(bridge_route_guarding(VIEW_LITERAL("bucket.forwarding.set"))->access,
                 BRIDGE_OWNER);
    cr_assert_eq(bridge_route_guarding(VIEW_LITERAL("karma.test.create_user"))->access,
                 BRIDGE_TEST_HELPER);
    cr_assert_null(bridge_route_guarding(VIEW_LITERAL("core.event.x")));
    cr_assert_null(bridge_route_guarding(VIEW_LITERAL("")));
}

Test(route, a_document_names_every_row_of_its_port)
{
    for (unsigned port = 0; port < BRIDGE_PORT_COUNT; port++) {
        char *document = bridge_openapi_make((bridge_port_id_t) port);
        for (size_t i = 0; i < bridge_route_count; i++) {
            char wanted[80];
            snprintf(wanted, sizeof(wanted), "\"operationId\":\"%s\"", bridge_routes[i].operation);
            bool is_there = strstr(document, wanted) != NULL;
            cr_assert_eq(is_there, (bridge_routes[i].ports & BRIDGE_ON(port)) != 0);
        }
        free(document);
    }
}

Test(route, a_path_that_is_a_row_is_no_parameter_of_another)
{
    bridge_route_match_t match =
        bridge_route_find(BRIDGE_BUCKET, "PUT", VIEW_LITERAL("/bucket/artifact/read"));
    cr_assert(match.route == NULL && match.methods == 1U << BRIDGE_GET);
    match = bridge_route_find(BRIDGE_BUCKET, "PATCH", VIEW_LITERAL("/v1/bucket/artifact/reader"));
    cr_assert_not_null(match.route);
    cr_assert_str_eq(match.route->operation, "artifact_patch");
    cr_assert_eq(match.params.count, 1);
}

Test(route, what_is_guarded_is_guarded_below_its_topic_too)
{
    static const char *const topics[] = {"bucket.legal_hold",
                                         "bucket.deletion.approve.x",
                                         "bucket.retention.resume",
                                         "bucket.forwarding.set.now"};
    for (size_t i = 0; i < sizeof(topics) / sizeof(topics[0]); i++) {
        const bridge_route_t *row = bridge_route_guarding(view_from_text(topics[i]));
        cr_assert(row != NULL && row->access == BRIDGE_OWNER, "%s", topics[i]);
    }
    cr_assert_null(bridge_route_guarding(VIEW_LITERAL("bucket.legal_holds")));
    cr_assert_null(bridge_route_guarding(VIEW_LITERAL("bucket.refused")));
}

Test(route, what_is_on_its_way_out_says_since_when_and_until)
{
    char deprecation[BRIDGE_ROUTE_DATE_SIZE];
    char sunset[BRIDGE_ROUTE_DATE_SIZE];
    bridge_route_notice(1688169599, deprecation, sunset); // RFC 9745's own example
    cr_assert_str_eq(deprecation, "@1688169599");
    cr_assert_str_eq(sunset, "Thu, 28 Sep 2023 23:59:59 GMT"); // 90 days later
}
