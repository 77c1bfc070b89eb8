// service_config.c - the configuration that `apply` goes by is journaled: a rebuild applies each
// record by the configuration of its time.
//
// At start, once caught up, what the process was given is compared with what was applied last;
// where they differ it is published as <name>.config, and the service is ready when it has read
// that back.
#include "log.h"
#include "proto/topic.h"
#include "service_self.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

enum { CONFIG_TOPIC_SIZE = 128 };

static void
config_topic(const service_t *self, char topic[CONFIG_TOPIC_SIZE])
{
    const char *own = self->definition->config_topic;
    int size = own != NULL
                   ? snprintf(topic, CONFIG_TOPIC_SIZE, "%s", own)
                   : snprintf(topic, CONFIG_TOPIC_SIZE, "%s.config", self->definition->name);
    assert(size > 0 && size < CONFIG_TOPIC_SIZE);
}

void
service_config_make(service_t *self)
{
    if (self->definition->config == NULL) {
        return;
    }
    char topic[CONFIG_TOPIC_SIZE];
    config_topic(self, topic);
    assert(topic_class(view_from_text(topic)) == TOPIC_JOURNALED);
    BUS_AUTO(pack_destroy) pack_t *out = pack_new();
    self->definition->config(self->options, out);
    bus_view_t config = pack_view(out);
    assert(config.size > 0);
    self->config = malloc(config.size);
    assert(self->config != NULL);
    memcpy(self->config, config.data, config.size);
    self->config_size = config.size;
}

void
service_config_clear(service_t *self)
{
    free(self->config);
    self->config = NULL;
}

// A row takes what lies below its topic too, so that is looked at as well.
bool
service_config_is(const service_t *self, bus_view_t topic)
{
    if (self->config == NULL) {
        return false;
    }
    char own[CONFIG_TOPIC_SIZE];
    config_topic(self, own);
    bus_view_t prefix = view_from_text(own);
    return view_starts(topic, prefix) &&
           (topic.size == prefix.size || topic.data[prefix.size] == '.');
}

bool
service_config_is_own(const service_t *self, const client_heard_t *record)
{
    char own[CONFIG_TOPIC_SIZE];
    config_topic(self, own);
    return view_is(record->topic, own) && view_is(record->header.source, self->definition->source);
}

static void
on_answer(void *arg, const client_answer_t *answer)
{
    service_t *self = arg;
    if (answer->event == CLIENT_FAILED && answer->err != BUS_ABORTED) {
        log_error("config_refused", "error=%s", error_text(answer->err));
        self->config_is_sent = false; // tried again when the next page was read
    }
}

static void
send_config(service_t *self)
{
    char topic[CONFIG_TOPIC_SIZE];
    config_topic(self, topic);
    client_message_t message = {
        .topic = topic,
        .body = view_from(self->config, self->config_size),
        .want = CLIENT_WANT_ACK,
    };
    bus_err_t err = client_send(self->client, &message, on_answer, self, NULL);
    if (err != BUS_OK) {
        log_error("config_not_sent", "error=%s", error_text(err));
        return;
    }
    self->config_is_sent = true;
    log_info("config_changed", "topic=%s", topic);
}

bool
service_config_is_applied(service_t *self)
{
    if (self->config == NULL) {
        return true;
    }
    BUS_AUTO(store_rollback) store_txn_t *txn = NULL;
    bus_view_t applied;
    bus_err_t err = store_begin(self->store, STORE_READ, &txn);
    if (err == BUS_OK) {
        err = service_store_config(txn, self, &applied);
    }
    if (err == BUS_OK && view_equal(applied, view_from(self->config, self->config_size))) {
        return true;
    }
    if (!self->config_is_sent) {
        send_config(self);
    }
    return false;
}
