// watch.c - what the kernels that watch have in common. See watch.h.
#include "watch.h"

#include "runtime/clock.h"
#include "runtime/log.h"

#include <math.h>

#define ANOMALY_TOPIC "hunter.anomaly.detected"

enum {
    WHAT_SIZE_MAX = 512,                     // bytes of an anomaly's text that are said
    NEWS_BYTES_MAX = 60000,                  // of the message's 64 KiB
    SNAPSHOT_BYTES_MAX = NEWS_BYTES_MAX / 2, // what is larger is left out
};

unsigned
kernel_watch_ms(double seconds)
{
    return (unsigned) lround(seconds * 1e3);
}

// --- Answers -------------------------------------------------------------------------------------

static bus_view_t
text_or_empty(bus_view_t map, const char *key)
{
    bus_view_t text = walk_text_at(map, key);
    return text.data == NULL ? VIEW_LITERAL("") : text;
}

void
kernel_watch_peer(bus_view_t item, kernel_watch_peer_t *ret_peer)
{
    uint64_t pid = walk_uint_at(item, "pid", 0);
    *ret_peer = (kernel_watch_peer_t){
        .service = text_or_empty(item, "service"),
        .instance = text_or_empty(item, "instance"),
        .version = text_or_empty(item, "version"),
        .build = text_or_empty(item, "build"),
        .host = text_or_empty(item, "host"),
        .pid = pid > INT32_MAX ? 0 : (int64_t) pid,
    };
}

bool
kernel_watch_is_guest(bus_view_t service)
{
    return view_starts(service, VIEW_LITERAL("worker.")) ||
           view_starts(service, VIEW_LITERAL("agent."));
}

// --- Asking --------------------------------------------------------------------------------------

bool
kernel_watch_ask(
    client_t *client, const char *topic, bus_view_t body, client_answer_fn *fn, void *arg)
{
    const client_message_t message = {
        .topic = topic,
        .body = body,
        .want = CLIENT_WANT_REPLY,
        .timeout_ms = KERNEL_WATCH_ASK_MS,
    };
    return client_send(client, &message, fn, arg, NULL) == BUS_OK;
}

// --- Anomalies -----------------------------------------------------------------------------------

void
kernel_watch_news_clear(kernel_watch_news_t *self)
{
    pack_destroy(&self->list);
    pack_destroy(&self->snapshot);
    self->count = 0;
}

void
kernel_watch_news_add(kernel_watch_news_t *self, const kernel_watch_anomaly_t *anomaly)
{
    if (self->list == NULL) {
        self->list = pack_new();
    }
    bus_view_t what = view_from_text(anomaly->what);
    if (what.size > WHAT_SIZE_MAX) {
        what.size = walk_utf8_size(view_from(what.data, WHAT_SIZE_MAX));
    }
    if (self->count == KERNEL_WATCH_NEWS_MAX ||
        pack_view(self->list).size > NEWS_BYTES_MAX / 2 - WHAT_SIZE_MAX) {
        return;
    }
    pack_map(self->list, 5);
    pack_pair_text(self->list, "type", anomaly->type);
    pack_pair_real(self->list, "value", anomaly->value);
    pack_pair_real(self->list, "threshold", anomaly->threshold);
    pack_pair_text(self->list, "severity", anomaly->severity);
    pack_pair_str(self->list, "what", what);
    self->count++;
}

void
kernel_watch_news_snapshot(kernel_watch_news_t *self, bus_view_t snapshot)
{
    if (self->snapshot == NULL) {
        self->snapshot = pack_new();
    }
    pack_clear(self->snapshot);
    if (snapshot.size <= SNAPSHOT_BYTES_MAX) {
        pack_raw(self->snapshot, snapshot);
    }
}

void
kernel_watch_news_say(kernel_watch_news_t *self, service_query_t *tick, const char *kernel)
{
    if (self->count == 0) {
        return;
    }
    bool has_snapshot = self->snapshot != NULL && pack_view(self->snapshot).size > 0;
    BUS_AUTO(pack_destroy) pack_t *body = pack_new();
    pack_map(body, has_snapshot ? 4 : 3);
    pack_text(body, "anomalies");
    pack_array(body, self->count);
    pack_raw(body, pack_view(self->list));
    if (has_snapshot) {
        pack_pair_raw(body, "snapshot", pack_view(self->snapshot));
    }
    pack_pair_rfc3339(body, "timestamp", clock_wall_us());
    pack_pair_text(body, "kernel", kernel);
    if (service_query_say(tick, ANOMALY_TOPIC, pack_view(body)) == BUS_OK) {
        log_warning("anomalies_said", "kernel=%s count=%u", kernel, self->count);
        self->said++;
        kernel_watch_news_clear(self);
    }
}

// --- Kept ----------------------------------------------------------------------------------------

// Removes the oldest where there are as many as may be.
static bus_err_t
make_room(store_txn_t *txn)
{
    uint64_t count = 0;
    bus_err_t err = store_count(txn, KERNEL_WATCH_KEPT, &count);
    if (err != BUS_OK || count < KERNEL_WATCH_KEPT_MAX) {
        return err;
    }
    uint64_t oldest;
    err = store_lowest(txn, KERNEL_WATCH_KEPT, &oldest);
    return err == BUS_OK ? store_del(txn, KERNEL_WATCH_KEPT, STORE_U64(oldest)) : err;
}

bus_err_t
kernel_watch_keep(service_apply_t *apply, const void *message, const char *kernel)
{
    const schema_hunter_anomaly_t *said = message;
    const header_t *header = apply->header;
    if (kernel != NULL && !view_is(header->source, kernel)) {
        return BUS_OK;
    }
    bus_err_t err = make_room(apply->txn);
    if (err != BUS_OK) {
        return err;
    }
    BUS_AUTO(pack_destroy) pack_t *row = pack_new();
    pack_map(row, 4);
    pack_pair_uint(row, "seq", header->seq);
    pack_pair_rfc3339(row, "at", header->at);
    pack_pair_str(row, "source", header->source);
    pack_pair_raw(row, "anomalies", said->anomalies);
    return store_put(apply->txn, KERNEL_WATCH_KEPT, STORE_U64(header->seq), pack_view(row));
}

void
kernel_watch_pack_kept(store_txn_t *txn, pack_t *out)
{
    BUS_AUTO(store_cursor_destroy) store_cursor_t *cursor = NULL;
    pack_text(out, "anomalies");
    size_t place = pack_array_begin(out);
    uint32_t count = 0;
    bus_view_t key;
    bus_view_t value;
    bus_err_t err = store_cursor_open(txn, KERNEL_WATCH_KEPT, &cursor);
    if (err == BUS_OK) {
        err = store_last(cursor, &key, &value);
    }
    while (err == BUS_OK || err == BUS_CORRUPT) {
        if (err == BUS_OK) {
            pack_raw(out, value);
            count++;
        }
        err = store_prev(cursor, &key, &value);
    }
    pack_count(out, place, count);
}
