// trace_tree_test.c - what caused what, in which order, and what is said of what is missing.
#include "bridge-http/trace_tree.h"
#include "proto/transcode.h"
#include "proto/walk.h"
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

typedef void(add_fn)(bridge_trace_tree_t *tree, bus_view_t value);

static bridge_trace_tree_t *tree;

static void
setup(void)
{
    tree = bridge_trace_tree_new(VIEW_LITERAL("a-trace"));
}

static void
teardown(void)
{
    bridge_trace_tree_destroy(&tree);
}

TestSuite(trace_tree, .init = setup, .fini = teardown);

static void
parse(const char *json, pack_t *out)
{
    char message[120];
    cr_assert_eq(transcode_from_json(view_from_text(json), out, message, sizeof(message)),
                 BUS_OK,
                 "%s: %s",
                 json,
                 message);
}

static void
add(add_fn *fn, const char *json)
{
    BUS_AUTO(pack_destroy) pack_t *value = pack_new();
    parse(json, value);
    fn(tree, pack_view(value));
}

// A record of `source`, caused by `cause` (0: nothing), at `seq` milliseconds.
static void
record(uint64_t seq, uint64_t cause, const char *source, const char *topic, const char *json)
{
    BUS_AUTO(pack_destroy) pack_t *body = pack_new();
    parse(json, body);
    const header_t header = {
        .seq = seq, .at = seq * 1000, .cause_seq = cause, .source = view_from_text(source)};
    bridge_trace_tree_add_record(tree, view_from_text(topic), &header, pack_view(body));
}

static void
request(const char *path, uint64_t at_ms, uint64_t seq)
{
    char json[256];
    (void) snprintf(json,
                    sizeof(json),
                    "{\"method\":\"POST\",\"path\":\"%s\",\"port\":\"core\",\"status\":200,"
                    "\"at\":%llu,\"duration_us\":1500,\"seq\":%llu}",
                    path,
                    (unsigned long long) at_ms * 1000,
                    (unsigned long long) seq);
    add(bridge_trace_tree_add_request, json);
}

static pack_t *
packed(void)
{
    pack_t *out = pack_new();
    size_t map = pack_map_begin(out);
    pack_count(out, map, bridge_trace_tree_pack(tree, out));
    const char *why = NULL;
    cr_assert_eq(walk_check(pack_view(out), WALK_JSON, 24, &why), BUS_OK, "%s", why);
    return out;
}

static bus_view_t
find(bus_view_t map, const char *path)
{
    bus_view_t value;
    return walk_find_path(map, path, &value) == BUS_OK ? value : VIEW_NONE;
}

static const char *
text(bus_view_t map, const char *path)
{
    static char shown[2][256];
    static unsigned turn;
    bus_view_t view;
    char *out = shown[turn++ % 2];
    bus_view_t value = find(map, path);
    bool is_text = value.data != NULL && walk_as_str(value, &view) == BUS_OK;
    (void) snprintf(out, 256, "%.*s", is_text ? (int) view.size : 1, is_text ? view.data : "-");
    return out;
}

// Step number `index`, as it is packed.
static bus_view_t
step(bus_view_t said, uint32_t index)
{
    bus_view_t value;
    walk_item_t head;
    walk_t walk = walk_from(find(said, "steps"));
    cr_assert_eq(walk_next(&walk, &head), BUS_OK);
    cr_assert_lt(index, head.count);
    for (uint32_t i = 0; i <= index; i++) {
        cr_assert_eq(walk_skip(&walk, &value), BUS_OK);
    }
    return value;
}

// The tree as lines "<depth> <what> <parent_by>", compared with `wanted`.
static void
expect(const char *const wanted[], uint32_t count)
{
    BUS_AUTO(pack_destroy) pack_t *said = packed();
    cr_assert_eq(bridge_trace_tree_count(tree), count);
    for (uint32_t i = 0; i < count; i++) {
        bus_view_t one = step(pack_view(said), i);
        uint64_t depth = 0;
        char line[600];
        cr_assert_eq(walk_as_uint(find(one, "depth"), &depth), BUS_OK);
        (void) snprintf(line,
                        sizeof(line),
                        "%llu %s %s",
                        (unsigned long long) depth,
                        text(one, "what"),
                        text(one, "parent_by"));
        cr_assert_str_eq(line, wanted[i], "step %u", i + 1);
    }
}

#define EXPECT(...)                                                                                \
    do {                                                                                           \
        static const char *const lines[] = {__VA_ARGS__};                                          \
        expect(lines, sizeof(lines) / sizeof(lines[0]));                                           \
    } while (0)

Test(trace_tree, of_nothing_has_no_steps_and_no_times)
{
    BUS_AUTO(pack_destroy) pack_t *said = packed();
    cr_assert_eq(bridge_trace_tree_count(tree), 0);
    cr_assert_str_eq(text(pack_view(said), "trace_id"), "a-trace");
    cr_assert_str_eq(text(pack_view(said), "began_at"), "-");
}

Test(trace_tree, hangs_a_record_on_its_cause_and_on_the_request_that_made_it)
{
    request("/core/write-event", 9, 10);
    record(10, 0, "bhiv_bridge", "core.event.agent_result", "{\"agent_id\":\"edu\"}");
    record(11, 10, "bhiv_bucket", "karma.life_event", "{\"user_id\":\"asha\"}");
    EXPECT(
        "0 POST /core/write-event -", "1 core.event.agent_result seq", "2 karma.life_event cause");
}

Test(trace_tree, puts_children_behind_their_parents_and_siblings_in_time)
{
    record(1, 0, "a", "core.a", "{}");
    record(2, 0, "a", "core.b", "{}");
    record(3, 1, "a", "core.a1", "{}");
    record(4, 2, "a", "core.b1", "{}");
    record(5, 1, "a", "core.a2", "{}");
    record(6, 3, "a", "core.a11", "{}");
    EXPECT("0 core.a -",
           "1 core.a1 cause",
           "2 core.a11 cause",
           "1 core.a2 cause",
           "0 core.b -",
           "1 core.b1 cause");
}

Test(trace_tree, says_where_a_parent_is_only_a_guess)
{
    request("/first", 10, 0);
    request("/second", 30, 0);
    record(20, 0, "peer", "core.event.x", "{}");
    record(40, 0, "peer", "core.event.y", "{}");
    EXPECT("0 POST /first -", "1 core.event.x time", "0 POST /second -", "1 core.event.y time");
}

Test(trace_tree, hangs_what_was_before_any_request_on_none)
{
    request("/late", 1000, 0);
    record(5, 0, "peer", "core.event.x", "{}");
    EXPECT("0 core.event.x -", "0 POST /late -");
}

Test(trace_tree, never_follows_a_cause_that_is_not_before)
{
    record(7, 7, "liar", "core.a", "{}");
    record(8, 9, "liar", "core.b", "{}");
    record(9, 8, "liar", "core.c", "{}");
    EXPECT("0 core.a -", "0 core.b -", "1 core.c cause");
}

Test(trace_tree, puts_what_core_tells_of_a_task_under_the_agent_that_answered)
{
    request("/handle_task", 10, 0);
    record(20,
           0,
           "bhiv_core",
           "core.event.rl_outcome",
           "{\"task_id\":\"t1\",\"event_type\":\"rl_outcome\",\"agent_id\":\"good\",\"metadata\":"
           "{\"processing_time\":0.004},\"attempts\":[{\"agent_id\":\"bad\",\"error\":\"late\"}]}");
    record(21, 0, "bhiv_core", "core.event.agent_result", "{\"task_id\":\"t1\"}");
    record(22, 0, "bhiv_core", "karma.life_event", "{\"context\":{\"task_id\":\"t1\"}}");
    record(23, 0, "bhiv_core", "workflow.execute", "{\"task_id\":\"t1\"}");
    record(24, 0, "workflow_executor", "workflow.started", "{\"execution\":23}");
    record(25,
           0,
           "workflow_executor",
           "workflow.finished",
           "{\"execution\":23,\"success\":false,\"duration_us\":700}");
    record(26, 25, "workflow_executor", "karma.life_event", "{}");
    EXPECT("0 POST /handle_task -",
           "1 bad time",
           "1 good time",
           "2 core.event.rl_outcome task",
           "2 core.event.agent_result task",
           "2 karma.life_event task",
           "2 workflow.execute task",
           "3 workflow.started execution",
           "3 workflow.finished execution",
           "4 karma.life_event cause");
    BUS_AUTO(pack_destroy) pack_t *said = packed();
    double number = 0;
    cr_assert_str_eq(text(step(pack_view(said), 1), "status"), "error");
    cr_assert_str_eq(text(step(pack_view(said), 2), "status"), "success");
    cr_assert_eq(walk_as_real(find(step(pack_view(said), 2), "duration_ms"), &number), BUS_OK);
    cr_assert_float_eq(number, 4.0, 1e-9);
    cr_assert_eq(walk_as_real(find(step(pack_view(said), 2), "offset_ms"), &number), BUS_OK);
    cr_assert_float_eq(number, 6.0, 1e-9, "it began 4 ms before its outcome, at 20");
    cr_assert_str_eq(text(step(pack_view(said), 8), "status"), "failed");
    cr_assert_str_eq(text(step(pack_view(said), 8), "kind"), "effect");
}

Test(trace_tree, keeps_two_tasks_of_a_trace_apart)
{
    static const char outcome[] =
        "{\"task_id\":\"%s\",\"event_type\":\"rl_outcome\",\"agent_id\":\"%s\"}";
    char json[200];
    (void) snprintf(json, sizeof(json), outcome, "t1", "one");
    record(1, 0, "bhiv_core", "core.event.rl_outcome", json);
    (void) snprintf(json, sizeof(json), outcome, "t2", "two");
    record(2, 0, "bhiv_core", "core.event.rl_outcome", json);
    record(3, 0, "bhiv_core", "core.event.agent_result", "{\"task_id\":\"t1\"}");
    record(4, 0, "bhiv_core", "core.event.agent_result", "{\"task_id\":\"t2\"}");
    EXPECT("0 one -",
           "1 core.event.rl_outcome task",
           "1 core.event.agent_result task",
           "0 two -",
           "1 core.event.rl_outcome task",
           "1 core.event.agent_result task");
}

Test(trace_tree, tells_the_agent_of_a_task_that_failed)
{
    record(9,
           0,
           "bhiv_core",
           "core.event.task_error",
           "{\"task_id\":\"t\",\"event_type\":\"task_error\",\"agent_id\":\"b\",\"attempts\":"
           "[{\"agent_id\":\"a\",\"error\":\"x\"},{\"agent_id\":\"b\",\"error\":\"y\"}]}");
    EXPECT("0 a -", "0 b -", "1 core.event.task_error task");
    BUS_AUTO(pack_destroy) pack_t *said = packed();
    cr_assert_str_eq(text(step(pack_view(said), 1), "status"), "error");
}

Test(trace_tree, believes_no_other_that_tells_of_agents)
{
    record(9,
           0,
           "somebody",
           "core.event.rl_outcome",
           "{\"task_id\":\"t\",\"event_type\":\"rl_outcome\",\"agent_id\":\"a\"}");
    EXPECT("0 core.event.rl_outcome -");
}

Test(trace_tree, carries_audit_places_and_karma_on_their_steps)
{
    record(5, 0, "a", "core.event.x", "{}");
    record(6, 5, "b", "karma.life_event", "{}");
    add(bridge_trace_tree_add_place, "{\"seq\":5,\"audit_id\":\"audit_5\",\"leaf_index\":41}");
    add(bridge_trace_tree_add_place, "{\"seq\":5,\"audit_id\":\"audit_5.1\",\"leaf_index\":42}");
    add(bridge_trace_tree_add_place, "{\"seq\":7,\"audit_id\":\"audit_7\",\"leaf_index\":43}");
    add(bridge_trace_tree_add_karma, "{\"seq\":6,\"action\":\"agent_success\",\"reward\":1.0}");
    BUS_AUTO(pack_destroy) pack_t *said = packed();
    bus_view_t first = step(pack_view(said), 0);
    bus_view_t second = step(pack_view(said), 1);
    BUS_AUTO(text_destroy) text_t *json = text_new();
    transcode_to_json(find(first, "audit"), 0, json);
    cr_assert(view_is(text_view(json),
                      "[{\"audit_id\":\"audit_5\",\"leaf_index\":41},"
                      "{\"audit_id\":\"audit_5.1\",\"leaf_index\":42}]"));
    cr_assert_eq(find(second, "audit").data, NULL);
    cr_assert_str_eq(text(second, "karma.action"), "agent_success");
    cr_assert_str_eq(text(second, "status"), "applied");
}

Test(trace_tree, adds_what_only_others_know_and_says_who)
{
    record(50, 0, "a", "core.event.kept", "{}");
    bridge_trace_tree_set_first(tree, 40);
    add(bridge_trace_tree_add_event,
        "{\"seq\":50,\"event_type\":\"kept\",\"timestamp\":\"1970-01-01T00:00:00.05Z\"}");
    add(bridge_trace_tree_add_event,
        "{\"seq\":20,\"event_type\":\"old\",\"requester_id\":\"bhiv_core\","
        "\"timestamp\":\"1970-01-01T00:00:00.02Z\"}");
    add(bridge_trace_tree_add_execution,
        "{\"seq\":30,\"status\":\"success\",\"requested_at\":\"1970-01-01T00:00:00.03Z\","
        "\"finished_at\":\"1970-01-01T00:00:00.035Z\",\"duration_ms\":4.5}");
    EXPECT("0 core.event.old -",
           "0 workflow.execute -",
           "1 workflow.finished execution",
           "0 core.event.kept -");
    BUS_AUTO(pack_destroy) pack_t *said = packed();
    bool is_trimmed = false;
    cr_assert_str_eq(text(step(pack_view(said), 0), "known_by"), "bucket");
    cr_assert_str_eq(text(step(pack_view(said), 1), "known_by"), "workflow");
    cr_assert_str_eq(text(step(pack_view(said), 3), "known_by"), "-");
    cr_assert_eq(walk_as_bool(find(pack_view(said), "trimmed"), &is_trimmed), BUS_OK);
    cr_assert(is_trimmed);
}

Test(trace_tree, is_trimmed_where_a_cause_is_gone_and_only_there)
{
    bool is_trimmed = true;
    bridge_trace_tree_set_first(tree, 40);
    record(60, 0, "a", "core.a", "{}");
    BUS_AUTO(pack_destroy) pack_t *before = packed();
    cr_assert_eq(walk_as_bool(find(pack_view(before), "trimmed"), &is_trimmed), BUS_OK);
    cr_assert_not(is_trimmed);
    bridge_trace_tree_destroy(&tree);
    setup();
    bridge_trace_tree_set_first(tree, 40);
    record(60, 39, "a", "core.a", "{}");
    BUS_AUTO(pack_destroy) pack_t *after = packed();
    cr_assert_eq(walk_as_bool(find(pack_view(after), "trimmed"), &is_trimmed), BUS_OK);
    cr_assert(is_trimmed);
}

Test(trace_tree, stops_at_so_many_steps_and_says_so)
{
    for (uint64_t seq = 1; seq <= BRIDGE_TRACE_STEPS_MAX + 5; seq++) {
        record(seq, seq - 1, "a", "core.deep", "{}"); // each the cause of the next
    }
    cr_assert(bridge_trace_tree_is_truncated(tree));
    BUS_AUTO(pack_destroy) pack_t *said = packed();
    cr_assert_eq(bridge_trace_tree_count(tree), BRIDGE_TRACE_STEPS_MAX);
    uint64_t depth = 0;
    bus_view_t last = step(pack_view(said), BRIDGE_TRACE_STEPS_MAX - 1);
    cr_assert_eq(walk_as_uint(find(last, "depth"), &depth), BUS_OK);
    cr_assert_eq(depth, BRIDGE_TRACE_STEPS_MAX - 1);
}

Test(trace_tree, shows_words_of_a_body_and_never_its_content)
{
    record(1,
           0,
           "a",
           "core.event.x",
           "{\"agent_id\":\"edu\",\"reward\":0.5,\"content\":\"secret\",\"input\":\"secret\","
           "\"result\":{\"text\":\"secret\",\"error_code\":\"E\"},\"user_id\":[\"no text\"]}");
    BUS_AUTO(pack_destroy) pack_t *said = packed();
    BUS_AUTO(text_destroy) text_t *json = text_new();
    transcode_to_json(find(step(pack_view(said), 0), "about"), 0, json);
    cr_assert(
        view_is(text_view(json), "{\"agent_id\":\"edu\",\"reward\":0.5,\"error_code\":\"E\"}"));
}

Test(trace_tree, leaves_out_what_is_of_no_shape)
{
    static const char *const bad[] = {
        "{}",
        "[]",
        "5",
        "{\"seq\":\"x\",\"at\":\"y\"}",
        "{\"seq\":1}",
        "{\"method\":1,\"path\":2,\"at\":3}",
        "{\"seq\":1,\"event_type\":{},\"timestamp\":\"never\"}",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        add(bridge_trace_tree_add_request, bad[i]);
        add(bridge_trace_tree_add_event, bad[i]);
        add(bridge_trace_tree_add_execution, bad[i]);
        add(bridge_trace_tree_add_place, bad[i]);
        add(bridge_trace_tree_add_karma, bad[i]);
    }
    cr_assert_eq(bridge_trace_tree_count(tree), 0);
}
