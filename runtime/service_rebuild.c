// service_rebuild.c - a process that reads the whole journal into a new store, says what came of
// it, and ends: the proof that a service's state is a function of the journal.
//
// It runs beside the service itself. So it says no hello (it answers nothing, and has no outbox),
// fetches as a consumer of its own, and acks nothing, so that the broker keeps nothing of it.
#include "clock.h"
#include "log.h"
#include "proto/text.h"
#include "proto/transcode.h"
#include "service_self.h"
#include <stdio.h>
#include <sysexits.h>

enum {
    LOOK_MS = 200,      // how often the broker's absence is looked at
    PATIENCE_MS = 5000, // without a broker
};

static void
on_welcome(void *arg, const client_welcome_t *welcome)
{
    service_t *self = arg;
    service_read_on_welcome(self, welcome);
    service_rebuild_check(self); // an empty journal is read already
    service_read_more(self);
}

static void
on_look(void *arg)
{
    service_t *self = arg;
    uint64_t now_ms = clock_boot_ms();
    if (client_is_connected(self->client)) {
        self->connected_ms = now_ms;
    } else if (now_ms >= self->connected_ms + PATIENCE_MS) {
        log_error("no_broker", "in=%s out=%s", self->options->ingress, self->options->egress);
        service_stop(self, EX_UNAVAILABLE);
        return;
    }
    service_read_more(self); // a fetch that could not be sent; busy otherwise
}

bool
service_rebuild_start(service_t *self)
{
    client_options_t options = {
        .source = self->definition->source,
        .ingress = self->options->ingress,
        .egress = self->options->egress,
        .cert = self->options->cert,
    };
    self->client = client_new(self->loop, &options);
    if (self->client == NULL) {
        log_error("endpoint_invalid", "in=%s out=%s", options.ingress, options.egress);
        return false;
    }
    client_on_welcome(self->client, on_welcome, self);
    self->knows_outbox = true; // it has none
    self->connected_ms = self->start_ms;
    (void) loop_add_timer(self->loop, LOOK_MS, 0, on_look, self);
    return true;
}

static bus_err_t
pack_result(service_t *self, pack_t *out)
{
    const service_definition_t *definition = self->definition;
    BUS_AUTO(store_rollback) store_txn_t *txn = NULL;
    char hash[STORE_HASH_SIZE];
    bus_err_t err = store_begin(self->store, STORE_READ, &txn);
    if (err == BUS_OK) {
        err = store_state_hash(txn, hash);
    }
    if (err != BUS_OK) {
        return err;
    }
    size_t place = pack_map_begin(out);
    uint32_t pairs = 6;
    pack_pair_text(out, "service", definition->name);
    pack_pair_text(out, "state_hash", hash);
    pack_pair_uint(out, "cursor", self->committed.cursor - 1);
    pack_pair_uint(out, "rules_version", definition->rules_version);
    pack_pair_uint(out, "applied", self->committed.applied);
    pack_pair_uint(out, "refused", self->committed.refused);
    if (definition->rebuilt != NULL) {
        pairs += definition->rebuilt(self->state, txn, out);
    }
    pack_count(out, place, pairs);
    return BUS_OK;
}

// Says what came of it. Returns the exit status.
static int
report(service_t *self)
{
    BUS_AUTO(pack_destroy) pack_t *out = pack_new();
    bus_err_t err = pack_result(self, out);
    if (err != BUS_OK) {
        log_error("result_not_read", "error=%s", error_text(err));
        return EX_IOERR;
    }
    BUS_AUTO(text_destroy) text_t *text = text_new();
    transcode_to_json(pack_view(out), 0, text);
    bus_view_t json = text_view(text);
    bool is_said = fwrite(json.data, 1, json.size, stdout) == json.size &&
                   fputc('\n', stdout) != EOF && fflush(stdout) == 0;
    return is_said ? EX_OK : EX_IOERR;
}

void
service_rebuild_check(service_t *self)
{
    if (self->is_settled || self->status != 0 || self->is_failing || !self->knows_goal ||
        self->committed.cursor <= self->goal) {
        return;
    }
    self->is_settled = true;
    service_stop(self, report(self));
}
