// bench_proto.c - what the broker and the bridge do to each message, in nanoseconds.
#include "proto/header.h"
#include "proto/limits.h"
#include "proto/topic.h"
#include "proto/transcode.h"
#include "proto/walk.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { ROUNDS = 5 }; // the best one counts: the others were disturbed

static const char event_json[] =
    "{\"requester_id\":\"bhiv_core\",\"event_type\":\"agent_result\",\"agent_id\":\"edumentor_"
    "agent\","
    "\"timestamp\":\"2025-11-20T16:14:00.123456Z\",\"user_id\":\"user-000123\",\"result\":{"
    "\"status\":"
    "200,\"score\":0.875,\"took_ms\":1234,\"summary\":\"Lesson 7 done, 3 of 4 answers right\"},"
    "\"tags\":[\"math\",\"grade-9\"],\"retry\":false}";

static const char header_json[] =
    "{\"id\":\"01932f6e-3f2a-7cc1-9d52-7a2f4b1c9e01\",\"source\":\"bhiv_core\","
    "\"time\":1732119240123456,\"trace_id\":\"task_123\",\"reply_to\":"
    "\"_inbox.core.01932f6e-3f2a\",\"ack\":true,\"pseq\":123456,\"pstream\":\"\"}";

// What the cases work on.
typedef struct {
    bus_view_t event;  // msgpack
    bus_view_t header; // msgpack
    bus_view_t wide;   // a body of 1 MiB: one map of short keys
    bus_view_t topic;
    pack_t *out;
    text_t *text;
    uint64_t sum; // of what was computed, so that it is not left out
} bench_t;

static void
check_event(bench_t *self)
{
    const char *why;
    self->sum += walk_check(self->event, WALK_JSON, BODY_DEPTH_MAX, &why);
}

static void
check_live_event(bench_t *self)
{
    const char *why;
    self->sum += walk_check(self->event, WALK_ANY, BODY_DEPTH_MAX, &why);
}

static void
check_wide(bench_t *self)
{
    const char *why;
    self->sum += walk_check(self->wide, WALK_JSON, BODY_DEPTH_MAX, &why);
}

static void
decode_header(bench_t *self)
{
    const char *why;
    header_t header;
    self->sum += header_decode(self->header, &header, &why);
    self->sum += header.pseq;
}

static void
restamp_header(bench_t *self)
{
    const header_stamp_t stamp = {.journaled = true};
    pack_clear(self->out);
    header_restamp(self->header, &stamp, self->out);
    self->sum += pack_view(self->out).size;
}

static void
restamp_header_with_source(bench_t *self)
{
    const header_stamp_t stamp = {.source = VIEW_LITERAL("certified"), .journaled = true};
    pack_clear(self->out);
    header_restamp(self->header, &stamp, self->out);
    self->sum += pack_view(self->out).size;
}

static void
class_topic(bench_t *self)
{
    self->sum += topic_is_legal(self->topic, NULL);
    self->sum += topic_class(self->topic);
    self->sum += topic_family(self->topic);
}

static void
event_from_json(bench_t *self)
{
    pack_clear(self->out);
    self->sum += transcode_from_json(view_from_text(event_json), self->out, NULL, 0);
}

static void
event_to_json(bench_t *self)
{
    text_clear(self->text);
    transcode_to_json(self->event, 0, self->text);
    self->sum += text_view(self->text).size;
}

static double
seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double) now.tv_sec + (double) now.tv_nsec / 1e9;
}

static void
measure(bench_t *self, const char *name, void (*run)(bench_t *), int times)
{
    double best = 0;
    for (int round = 0; round < ROUNDS; round++) {
        double begin = seconds();
        for (int i = 0; i < times; i++) {
            run(self);
        }
        double took = (seconds() - begin) / times;
        best = round == 0 || took < best ? took : best;
    }
    printf("%-44s %10.0f ns\n", name, best * 1e9);
}

// The msgpack of a JSON text, in a packer of its own.
static bus_view_t
packed(const char *json, pack_t *out)
{
    bus_err_t err = transcode_from_json(view_from_text(json), out, NULL, 0);
    assert(err == BUS_OK);
    return pack_view(out);
}

// As many keys as a body holds, out of order.
static bus_view_t
packed_wide(pack_t *out)
{
    enum { COUNT = 100000 };
    pack_map(out, COUNT);
    for (uint32_t i = 0; i < COUNT; i++) {
        char key[16];
        snprintf(key, sizeof(key), "%u", i * 7919U % COUNT);
        pack_pair_bool(out, key, true);
    }
    return pack_view(out);
}

int
main(void)
{
    BUS_AUTO(pack_destroy) pack_t *event = pack_new();
    BUS_AUTO(pack_destroy) pack_t *header = pack_new();
    BUS_AUTO(pack_destroy) pack_t *wide = pack_new();
    BUS_AUTO(pack_destroy) pack_t *out = pack_new();
    BUS_AUTO(text_destroy) text_t *text = text_new();
    bench_t bench = {.event = packed(event_json, event),
                     .header = packed(header_json, header),
                     .wide = packed_wide(wide),
                     .topic = VIEW_LITERAL("workflow.run.started"),
                     .out = out,
                     .text = text};
    printf("event %zu bytes, header %zu bytes, wide map %zu bytes\n",
           bench.event.size,
           bench.header.size,
           bench.wide.size);
    measure(&bench, "walk_check, journaled event", check_event, 1000000);
    measure(&bench, "walk_check, live event", check_live_event, 1000000);
    measure(&bench, "walk_check, a map of 100,000 keys", check_wide, 5);
    measure(&bench, "header_decode", decode_header, 1000000);
    measure(&bench, "header_restamp, nothing replaced", restamp_header, 1000000);
    measure(&bench, "header_restamp, source replaced", restamp_header_with_source, 1000000);
    measure(&bench, "topic_is_legal, _class and _family", class_topic, 1000000);
    measure(&bench, "transcode_from_json", event_from_json, 100000);
    measure(&bench, "transcode_to_json", event_to_json, 100000);
    return bench.sum == 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
