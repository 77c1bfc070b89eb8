// routes.c - the table of every endpoint. A row here is all that most endpoints are.
#include "handler.h"
#include "shapes.h"

#define KARMA BRIDGE_ON(BRIDGE_KARMA)
#define BUCKET BRIDGE_ON(BRIDGE_BUCKET)
#define CONSOLE BRIDGE_ON(BRIDGE_CONSOLE)
#define SERVICES (BRIDGE_ON_ALL & ~CONSOLE)
#define BODY(name) &BRIDGE_SHAPE_##name
#define SAID(name) &SCHEMA_##name

// clang-format off
const bridge_route_t bridge_routes[] = {
//   ports      method      path                          operation          access
//   topic, body, parameters, handler, summary
    {BRIDGE_ON_ALL, BRIDGE_GET, "/health", "health", BRIDGE_OPEN,
     "", NULL, NULL, bridge_health_show, "how the service is; always 200, never waits"},
    {BRIDGE_ON_ALL, BRIDGE_GET, "/healthz", "healthz", BRIDGE_OPEN,
     "", NULL, NULL, bridge_health_alive, "the bridge is alive"},
    {BRIDGE_ON_ALL, BRIDGE_GET, "/readyz", "readyz", BRIDGE_OPEN,
     "", NULL, NULL, bridge_health_ready, "200 when broker and service are there, else 503"},
    {BRIDGE_ON_ALL, BRIDGE_GET, "/metrics", "metrics", BRIDGE_OPEN,
     "", NULL, NULL, bridge_common_metrics, "Prometheus text, for all ports"},
    {BRIDGE_ON_ALL, BRIDGE_GET, "/openapi.json", "openapi", BRIDGE_OPEN,
     "", NULL, NULL, bridge_common_openapi, "this document"},
    {BRIDGE_ON_ALL, BRIDGE_GET, "/status", "status", BRIDGE_OPEN,
     "", NULL, NULL, bridge_health_status, "the five services and every link between them"},
    {SERVICES, BRIDGE_GET, "/", "index", BRIDGE_OPEN,
     "", NULL, NULL, bridge_common_index, "what this port is"},

    // Bucket: docs/contract.md section 2.
    {BUCKET, BRIDGE_POST, "/core/write-event", "write_event", BRIDGE_OPEN,
     "core.event.", BODY(write_event), NULL, bridge_bucket_write_event,
     "keeps an event; answered once it is durable"},
    {BUCKET, BRIDGE_POST, "/workflow/write-event", "workflow_write_event", BRIDGE_OPEN,
     "core.event.", BODY(write_event), NULL, bridge_bucket_write_event,
     "the same, for workflow_executor"},
    {BUCKET, BRIDGE_GET, "/core/events", "events", BRIDGE_OPEN,
     "req.bucket.events", NULL, SAID(events_query), bridge_common_question,
     "stored events, oldest first"},
    {BUCKET, BRIDGE_GET, "/core/stats", "stats", BRIDGE_OPEN,
     "req.bucket.stats", NULL, NULL, bridge_common_question, "what is stored, counted"},
    {BUCKET, BRIDGE_GET, "/core/read-context", "read_context", BRIDGE_OPEN,
     "bucket.context.read", NULL, SAID(context_read), bridge_bucket_read_context,
     "what is known of an agent; audited, for bhiv_core"},
    {BUCKET, BRIDGE_PUT, "/core/karma-forwarding", "karma_forwarding", BRIDGE_OWNER,
     "bucket.forwarding.set", SAID(forwarding_set), NULL, bridge_common_command,
     "switches the forwarding of events to Karma"},
    {BUCKET, BRIDGE_GET, "/bucket/queue/{seq}", "bucket_queue", BRIDGE_OPEN,
     "req.bucket.queue", NULL, BODY(queue_query), bridge_common_queue,
     "what became of a command that was answered 202"},
    {BUCKET, BRIDGE_GET, "/bucket/contract", "contract", BRIDGE_OPEN,
     "", NULL, NULL, bridge_bucket_contract, "version and status of this contract"},
    {BUCKET, BRIDGE_GET, "/bucket/sla", "sla", BRIDGE_OPEN,
     "", NULL, NULL, bridge_bucket_sla, "what was promised, and what is measured"},

    // Karma: docs/contract.md section 5.
    {KARMA, BRIDGE_POST, "/v1/event", "karma_event", BRIDGE_OPEN,
     "karma.life_event", BODY(karma_event), NULL, bridge_karma_event,
     "one door for life_event, atonement, appeal, death_event and stats_request"},
    {KARMA, BRIDGE_GET, "/api/v1/karma/{user_id}", "karma_profile", BRIDGE_OPEN,
     "req.karma.profile", NULL, SAID(karma_user), bridge_common_question, "a user's profile"},
    {KARMA, BRIDGE_GET, "/api/v1/karma/{user_id}/replay", "karma_replay", BRIDGE_OPEN,
     "req.karma.replay", NULL, SAID(karma_user), bridge_common_question,
     "replays the user's events into a fresh state and compares"},
    {KARMA, BRIDGE_GET, "/policy", "karma_policy", BRIDGE_OPEN,
     "req.karma.policy", NULL, NULL, bridge_common_question, "the best action of each role"},
    {KARMA, BRIDGE_GET, "/karma/queue/{seq}", "karma_queue", BRIDGE_OPEN,
     "req.karma.queue", NULL, BODY(queue_query), bridge_common_queue,
     "what became of a command that was answered 202"},
    {KARMA, BRIDGE_POST, "/v1/test/create-user", "test_create_user", BRIDGE_TEST_HELPER,
     "karma.test.create_user", SAID(test_create_user), NULL, bridge_karma_create_user,
     "makes or finds a test user"},
    {KARMA, BRIDGE_DELETE, "/v1/test/delete-user/{user_id}", "test_delete_user",
     BRIDGE_TEST_HELPER, "karma.test.delete_user", NULL, SAID(karma_user),
     bridge_karma_delete_user, "removes a test user"},
    {KARMA, BRIDGE_POST, "/v1/test/fix-timestamps", "test_fix_timestamps", BRIDGE_TEST_HELPER,
     "karma.test.fix_timestamps", SAID(test_fix_timestamps), NULL, bridge_karma_fix_timestamps,
     "repairs times without a zone"},

    // The console's port: docs/contract.md section 8.
    {CONSOLE, BRIDGE_GET, "/", "console", BRIDGE_OPEN,
     "", NULL, NULL, bridge_page_html, "a page with links and a live tail"},
    {CONSOLE, BRIDGE_GET, "/console.js", "console_script", BRIDGE_OPEN,
     "", NULL, NULL, bridge_page_script, "the page's script"},
    {CONSOLE, BRIDGE_GET, "/console.css", "console_style", BRIDGE_OPEN,
     "", NULL, NULL, bridge_page_style, "the page's style"},
    {CONSOLE, BRIDGE_GET, "/events/stream", "events_stream", BRIDGE_OPEN,
     "", NULL, BODY(bus_stream), bridge_stream_open,
     "server-sent events, each a CloudEvents 1.0 object; Last-Event-ID resumes"},
    {CONSOLE, BRIDGE_POST, "/bus/publish", "bus_publish", BRIDGE_OPEN,
     "", BODY(bus_publish), NULL, bridge_console_publish, "says something on the bus"},
    {CONSOLE, BRIDGE_GET, "/bus/events", "bus_events", BRIDGE_OPEN,
     "", NULL, BODY(bus_events), bridge_console_events, "reads the journal"},
    {CONSOLE, BRIDGE_GET, "/bus/stats", "bus_stats", BRIDGE_OPEN,
     "$bus.stats", NULL, NULL, bridge_common_question, "the broker's counters"},
    {CONSOLE, BRIDGE_GET, "/bus/peers", "bus_peers", BRIDGE_OPEN,
     "$bus.peers", NULL, NULL, bridge_common_question, "who is on the bus"},
    {CONSOLE, BRIDGE_GET, "/bus/topics", "bus_topics", BRIDGE_OPEN,
     "", NULL, NULL, bridge_console_topics, "the topic catalogue"},
};
// clang-format on

const size_t bridge_route_count = sizeof(bridge_routes) / sizeof(bridge_routes[0]);
