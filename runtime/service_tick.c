// service_tick.c - what is due: the service is asked once a second, when it knows all there is.
//
// `apply` has no clock, so what time brings about is said by the one who looks at the clock, as a
// fact like any other, and decided where that fact is applied. A tick comes only when the service
// has read whatever the last one said: it sees its own consequences, and says nothing twice.
#include "clock.h"
#include "log.h"
#include "service_self.h"

// The journal's time. Its clock follows the boot clock, so what came before our eyes tells how far
// ahead it is; before that the wall clock must do.
static uint64_t
journal_now(const service_t *self)
{
    uint64_t now_us = clock_wall_us();
    if (self->knows_ahead) {
        now_us = (uint64_t) ((int64_t) clock_boot_us() + self->ahead_us);
    }
    return now_us > self->committed.at ? now_us : self->committed.at;
}

static bool
is_time(const service_t *self)
{
    const service_tick_t *tick = &self->tick;
    return tick->is_due && !tick->is_asked && tick->missing == 0 &&
           tick->said < self->committed.cursor && self->is_settled && self->is_current &&
           self->knows_outbox && !self->is_failing && self->status == 0 &&
           client_is_connected(self->client);
}

void
service_tick_look(service_t *self)
{
    if (self->definition->tick == NULL || !is_time(self)) {
        return;
    }
    self->tick.is_due = false;
    BUS_AUTO(store_rollback) store_txn_t *txn = NULL;
    bus_err_t err = store_begin(self->store, STORE_READ, &txn);
    if (err != BUS_OK) {
        log_error("tick_not_read", "error=%s", error_text(err));
        return;
    }
    pack_clear(self->answer);
    self->hand = (service_hand_t){.record = NULL};
    header_t header = {.source = view_from_text(self->definition->source), .at = journal_now(self)};
    service_query_t query = {
        .service = self,
        .state = self->state,
        .txn = txn,
        .header = &header,
        .topic = VIEW_NONE,
        .body = VIEW_NONE,
        .answer = self->answer,
    };
    self->tick.is_asked = true;
    self->definition->tick(&query);
    self->tick.is_asked = false;
}

void
service_tick_soon(service_t *self)
{
    self->tick.is_due = true;
    service_tick_look(self);
}

static void
on_answer(void *arg, const client_answer_t *answer)
{
    service_t *self = arg;
    self->tick.missing--;
    if (answer->event == CLIENT_ACKED) {
        self->tick.said = answer->seq > self->tick.said ? answer->seq : self->tick.said;
    } else if (answer->err != BUS_ABORTED) {
        log_warning("tick_refused", "error=%s", error_text(answer->err));
    }
}

bus_err_t
service_tick_say(service_t *self, const char *topic, bus_view_t body)
{
    client_message_t message = {.topic = topic, .body = body, .want = CLIENT_WANT_ACK};
    bus_err_t err = client_send(self->client, &message, on_answer, self, NULL);
    if (err == BUS_OK) {
        self->tick.missing++;
    }
    return err;
}
