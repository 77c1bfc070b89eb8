// presence.c - hello, beat, bye and silence, and the two topics that tell of them.
#include "router_state.h"
#include "runtime/clock.h"

// Publishes {service, instance, source, …} on a live topic, as the bus.
static void
tell(router_t *self, const char *topic, const peer_t *peer, const char *reason)
{
    char id[ID_TEXT_SIZE];
    id_make(id);
    const header_t header = {
        .id = view_from_text(id),
        .source = VIEW_LITERAL("$bus"),
        .time = clock_wall_us(),
    };
    pack_clear(self->header);
    header_encode(&header, self->header);
    pack_clear(self->body);
    pack_map(self->body, reason == NULL ? 6 : 4);
    pack_pair_str(
        self->body, "service", peer->service.data == NULL ? VIEW_LITERAL("") : peer->service);
    pack_pair_str(self->body, "instance", peer->instance);
    pack_pair_str(self->body, "source", peer->source);
    if (reason != NULL) {
        pack_pair_text(self->body, "reason", reason);
    } else {
        pack_pair_uint(self->body, "since", peer->since);
        pack_pair_real(self->body, "boot_ms", peer->boot_ms);
        pack_pair_str(
            self->body, "version", peer->version.data == NULL ? VIEW_LITERAL("") : peer->version);
    }
    zmq_msg_t frames[3];
    egress_frame(&frames[0], view_from_text(topic));
    egress_frame(&frames[1], pack_view(self->header));
    egress_frame(&frames[2], pack_view(self->body));
    egress_publish(self->egress, TOPIC_BUS, &frames[0], &frames[1], &frames[2]);
}

static void
on_down(void *arg, const peer_t *peer, const char *why)
{
    tell(arg, "$bus.peer.down", peer, why);
}

bus_err_t
presence_take(router_t *self,
              const message_t *message,
              const schema_hello_t *hello,
              const char **reterr_why)
{
    const char *why = NULL;
    if (hello->inbox.data != NULL && !topic_is_inbox(hello->inbox)) {
        *reterr_why = "inbox must be _inbox.<name>.<unique>";
        return BUS_VALIDATION_FAILED;
    }
    if (hello->service.size > 0 &&
        (!topic_is_legal(hello->service, &why) || hello->service.data[0] == '$')) {
        *reterr_why = "service must be tokens of [A-Za-z0-9_-] joined by dots";
        return BUS_VALIDATION_FAILED;
    }
    if (hello->service.size > 0 && hello->inbox.data == NULL) {
        *reterr_why = "a service needs an inbox, where requests are handed to";
        return BUS_VALIDATION_FAILED;
    }
    bus_err_t err = warden_may_serve(self, message, hello, reterr_why);
    if (err != BUS_OK) {
        return err;
    }
    const peer_t peer = {
        .service = hello->service,
        .instance = hello->instance,
        .inbox = hello->inbox,
        .source = message->header.source,
        .version = hello->version,
        .build = hello->build,
        .host = hello->host,
        .pid = hello->pid.has ? hello->pid.value : 0,
        .boot_ms = hello->boot_ms.has ? hello->boot_ms.value : 0,
        .since = clock_wall_us(),
    };
    bool is_new;
    err = peer_register(self->peers, &peer, clock_boot_ms(), &is_new);
    if (err != BUS_OK) {
        *reterr_why = "as many peers are known as may be";
        return err;
    }
    if (is_new) {
        tell(self, "$bus.peer.up", &peer, NULL);
    }
    return BUS_OK;
}

void
presence_leave(router_t *self, bus_view_t instance)
{
    peer_leave(self->peers, instance, "bye", on_down, self);
}

void
presence_tick(router_t *self)
{
    peer_expire(self->peers, clock_boot_ms(), on_down, self);
}
