// supervise_bus.c - see supervise_bus.h.
//
// A restart is answered when the part is ready again, so whoever asked knows that it is over. One
// request a part waits at a time: a second meanwhile is a conflict, not a second restart.
#include "supervise_bus.h"

#include "proto/schema.h"
#include "runtime/client.h"
#include "runtime/clock.h"
#include "runtime/identity.h"
#include "runtime/log.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    ANSWER_MS = 15000, // after which whoever waits is told that the part is not ready
    REASON_SIZE = 257  // supervisor_restart's, with its NUL
};

// A request that waits for its part.
typedef struct {
    cli_supervise_bus_t *owner;
    bool is_open;
    size_t index;     // the part's
    pid_t pid_before; // 0: it did not run
    int timer;
    char *id; // of the request, as the next two; owned
    char *reply_to;
    char *trace_id; // NULL: none
} waiting_t;

struct cli_supervise_bus {
    loop_t *loop; // borrowed
    client_t *client;
    cli_supervise_acts_t acts;
    uint64_t started_ms; // boot clock
    identity_t identity;
    waiting_t waiting[CLI_SUPERVISE_CHILDREN_MAX]; // by the part's index
};

// --- Answers -----------------------------------------------------------------------------------

static void
refuse(cli_supervise_bus_t *self, const header_t *asked, bus_err_t err, const char *message)
{
    BUS_AUTO(pack_destroy) pack_t *out = pack_new();
    schema_pack_error(out, err, message, VIEW_NONE, 0);
    client_reply(self->client, asked, err, pack_view(out));
}

static char *
copy_view(bus_view_t view)
{
    if (view.data == NULL) {
        return NULL;
    }
    char *copy = strndup(view.data, view.size);
    assert(copy);
    return copy;
}

static header_t
asked_of(const waiting_t *waiting)
{
    return (header_t){.id = view_from_text(waiting->id),
                      .reply_to = view_from_text(waiting->reply_to),
                      .trace_id = view_from_text(waiting->trace_id)};
}

static void
forget(waiting_t *waiting)
{
    if (waiting->timer != 0) {
        loop_cancel_timer(waiting->owner->loop, waiting->timer);
    }
    free(waiting->id);
    free(waiting->reply_to);
    free(waiting->trace_id);
    *waiting = (waiting_t){.is_open = false};
}

static void
on_late(void *arg)
{
    waiting_t *waiting = arg;
    waiting->timer = 0;
    header_t asked = asked_of(waiting);
    refuse(waiting->owner, &asked, BUS_TIMEOUT, "it was started again, and is not ready yet");
    forget(waiting);
}

void
cli_supervise_bus_ready(cli_supervise_bus_t *self, size_t index)
{
    waiting_t *waiting = &self->waiting[index];
    cli_supervise_part_t part;
    if (!waiting->is_open || !self->acts.part(self->acts.arg, index, &part) ||
        part.pid == waiting->pid_before) {
        return;
    }
    BUS_AUTO(pack_destroy) pack_t *out = pack_new();
    pack_map(out, 4);
    pack_pair_text(out, "part", part.name);
    pack_pair_int(out, "pid_before", waiting->pid_before);
    pack_pair_int(out, "pid", part.pid);
    pack_pair_uint(out, "boot_ms", part.boot_ms);
    header_t asked = asked_of(waiting);
    client_reply(self->client, &asked, BUS_OK, pack_view(out));
    forget(waiting);
}

// --- Questions ---------------------------------------------------------------------------------

static bool
find_part(const cli_supervise_bus_t *self, bus_view_t name, size_t *ret_index)
{
    cli_supervise_part_t part;
    for (size_t i = 0; self->acts.part(self->acts.arg, i, &part); ++i) {
        if (view_is(name, part.name)) {
            *ret_index = i;
            return true;
        }
    }
    return false;
}

static void
on_restart(cli_supervise_bus_t *self, const client_heard_t *heard)
{
    schema_supervisor_restart_t message;
    schema_problems_t problems;
    size_t index = 0;
    if (schema_decode(&SCHEMA_supervisor_restart, heard->body, &message, &problems) != BUS_OK) {
        refuse(self, &heard->header, BUS_VALIDATION_FAILED, "part must be the name of a part");
        return;
    }
    if (view_is(message.part, "broker")) {
        refuse(self, &heard->header, BUS_FORBIDDEN, "not the broker: this very answer needs it");
        return;
    }
    if (!find_part(self, message.part, &index)) {
        refuse(self, &heard->header, BUS_NOT_FOUND, "no such part runs here");
        return;
    }
    waiting_t *waiting = &self->waiting[index];
    if (waiting->is_open) {
        refuse(self, &heard->header, BUS_CONFLICT, "it is being restarted already");
        return;
    }
    cli_supervise_part_t part;
    bool is_there = self->acts.part(self->acts.arg, index, &part);
    assert(is_there);
    char reason[REASON_SIZE];
    log_warning("part_restart_asked",
                "part=%s pid=%d reason=%s",
                part.name,
                (int) part.pid,
                log_escape(message.reason, reason, sizeof reason));
    *waiting = (waiting_t){
        .owner = self,
        .is_open = true,
        .index = index,
        .pid_before = part.pid,
        .timer = loop_add_timer(self->loop, ANSWER_MS, 1, on_late, waiting),
        .id = copy_view(heard->header.id),
        .reply_to = copy_view(heard->header.reply_to),
        .trace_id = copy_view(heard->header.trace_id),
    };
    self->acts.restart(self->acts.arg, index);
}

static void
on_parts(cli_supervise_bus_t *self, const client_heard_t *heard)
{
    BUS_AUTO(pack_destroy) pack_t *out = pack_new();
    cli_supervise_part_t part;
    pack_map(out, 1);
    pack_text(out, "parts");
    size_t place = pack_array_begin(out);
    uint32_t count = 0;
    for (; self->acts.part(self->acts.arg, count, &part); ++count) {
        pack_map(out, 6);
        pack_pair_text(out, "part", part.name);
        pack_pair_text(out,
                       "state",
                       part.is_ready   ? "ready"
                       : part.pid != 0 ? "starting"
                                       : "waiting");
        pack_pair_int(out, "pid", part.pid);
        pack_pair_uint(out, "boot_ms", part.boot_ms);
        pack_pair_real(out, "uptime_seconds", (double) part.uptime_ms / 1000);
        pack_pair_uint(out, "restarts", part.restarts);
    }
    pack_count(out, place, count);
    client_reply(self->client, &heard->header, BUS_OK, pack_view(out));
}

static void
on_health(cli_supervise_bus_t *self, const client_heard_t *heard)
{
    BUS_AUTO(pack_destroy) pack_t *out = pack_new();
    cli_supervise_part_t part;
    bool is_whole = true;
    for (size_t i = 0; self->acts.part(self->acts.arg, i, &part); ++i) {
        is_whole = is_whole && part.is_ready;
    }
    pack_map(out, 7);
    pack_pair_text(out, "status", is_whole ? "healthy" : "degraded");
    pack_pair_text(out, "service", "supervisor");
    pack_pair_text(out, "version", BHIV_VERSION);
    pack_pair_text(out, "build", self->identity.build);
    pack_pair_uint(out, "protocol", IDENTITY_PROTOCOL);
    pack_pair_text(out, "schemas", self->identity.schemas);
    pack_pair_uint(out, "uptime_seconds", (clock_boot_ms() - self->started_ms) / 1000);
    client_reply(self->client, &heard->header, BUS_OK, pack_view(out));
}

static void
on_request(void *arg, const client_heard_t *heard)
{
    static const struct {
        const char *topic;
        void (*fn)(cli_supervise_bus_t *self, const client_heard_t *heard);
    } rows[] = {
        {"req.supervisor.restart", on_restart},
        {"req.supervisor.parts", on_parts},
        {"req.supervisor.health", on_health},
    };
    cli_supervise_bus_t *self = arg;
    if (heard->header.reply_to.data == NULL) {
        return; // nobody to tell: as for every service
    }
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; ++i) {
        if (view_is(heard->topic, rows[i].topic)) {
            rows[i].fn(self, heard);
            return;
        }
    }
    refuse(self, &heard->header, BUS_NOT_FOUND, "no such operation");
}

// --- Life --------------------------------------------------------------------------------------

cli_supervise_bus_t *
cli_supervise_bus_new(loop_t *loop,
                      const char *ingress,
                      const char *egress,
                      const cli_supervise_acts_t *acts)
{
    // Its process may be older than it: scripts/up builds first.
    const client_options_t options = {
        .source = "supervisor",
        .service = "supervisor",
        .ingress = ingress,
        .egress = egress,
        .started_ms = clock_boot_ms(),
    };
    client_t *client = client_new(loop, &options);
    if (client == NULL) {
        log_warning("no_supervisor_on_the_bus", "in=%s out=%s", ingress, egress);
        return NULL;
    }
    cli_supervise_bus_t *self = calloc(1, sizeof *self);
    assert(self);
    self->loop = loop;
    self->client = client;
    self->acts = *acts;
    self->started_ms = clock_boot_ms();
    identity_read(&self->identity);
    client_on_request(client, on_request, self);
    return self;
}

void
cli_supervise_bus_destroy(cli_supervise_bus_t **self_p)
{
    cli_supervise_bus_t *self = *self_p;
    if (self == NULL) {
        return;
    }
    for (size_t i = 0; i < CLI_SUPERVISE_CHILDREN_MAX; ++i) {
        waiting_t *waiting = &self->waiting[i];
        if (waiting->is_open) {
            header_t asked = asked_of(waiting);
            refuse(self, &asked, BUS_ABORTED, NULL);
            forget(waiting);
        }
    }
    client_destroy(&self->client);
    free(self);
    *self_p = NULL;
}
