// watch.h - what the kernels that watch have in common: peers as the broker lists them, anomalies
// that are said, and those that were.
//
// An anomaly is said as hunter.anomaly.detected, journaled, at the next tick; each kernel keeps the
// last KERNEL_WATCH_KEPT_MAX of those it takes from the journal, so a report knows them after a
// restart too.
#pragma once
#include "proto/walk.h"
#include "runtime/service.h"

// --- Settings ------------------------------------------------------------------------------------

// A number from the environment: a row of a kernel's table of settings.
typedef struct {
    const char *variable;
    size_t offset; // of the double in the kernel's settings
    double preset;
    double min, max;
} kernel_watch_setting_t;

// Most seconds of a setting; the fewest are KERNEL_WATCH_SECONDS_MIN: anything faster is a busy
// loop.
#define KERNEL_WATCH_SECONDS_MIN 0.05
#define KERNEL_WATCH_SECONDS_MAX (7.0 * 24 * 3600)

// clang-format off
// How often what is still wrong is said again.
#define KERNEL_WATCH_ANOMALY_ROW(type, field) \
    {"BHIV_ANOMALY_SECONDS", offsetof(type, field), 60, \
     KERNEL_WATCH_SECONDS_MIN, KERNEL_WATCH_SECONDS_MAX}
// clang-format on

// Reads them all. BUS_VALIDATION_FAILED, having said which one does not fit.
BUS_CHECK bus_err_t kernel_watch_settings(const kernel_watch_setting_t *rows,
                                          size_t count,
                                          void *ret_settings);
unsigned kernel_watch_ms(double seconds);

// --- Answers -------------------------------------------------------------------------------------

// A field of a map: absent, or `absent`, where it is not there or of another type.
bus_view_t kernel_watch_text(bus_view_t map, const char *key);
uint64_t kernel_watch_uint(bus_view_t map, const char *key, uint64_t absent);
// Steps through an array that is a field of a map: nothing where there is none.
typedef struct {
    walk_t walk;
    uint32_t left;
} kernel_watch_items_t;
kernel_watch_items_t kernel_watch_items(bus_view_t map, const char *key);
bool kernel_watch_next(kernel_watch_items_t *self, bus_view_t *ret_item);

// An instance as $bus.peers lists it; views into the answer. "" where it did not say.
typedef struct {
    bus_view_t service;
    bus_view_t instance;
    bus_view_t version;
    bus_view_t build;
    bus_view_t host;
    int64_t pid; // 0: not said
} kernel_watch_peer_t;
void kernel_watch_peer(bus_view_t item, kernel_watch_peer_t *ret_peer);

// --- Asking --------------------------------------------------------------------------------------

enum { KERNEL_WATCH_ASK_MS = 3000 }; // who has not answered by then hangs

// A question; `fn` is called with the final answer. False where it could not be sent; then `fn` is
// not called.
bool kernel_watch_ask(
    client_t *client, const char *topic, bus_view_t body, client_answer_fn *fn, void *arg);

// --- Anomalies -----------------------------------------------------------------------------------

typedef struct {
    const char *type; // "high_cpu"
    double value;
    double threshold;
    const char *severity; // critical, high, medium or low
    const char *what;     // for a person
} kernel_watch_anomaly_t;

// What is to be said at the next tick. All zero: nothing.
typedef struct {
    pack_t *list;     // owned: maps, one behind the other; NULL: none
    pack_t *snapshot; // owned: one whole map, or NULL
    uint32_t count;
    uint64_t said; // messages so far
} kernel_watch_news_t;

enum { KERNEL_WATCH_NEWS_MAX = 100 }; // anomalies of one message; the rest is in the report

// Forgets what was not said yet.
void kernel_watch_news_clear(kernel_watch_news_t *self);
void kernel_watch_news_add(kernel_watch_news_t *self, const kernel_watch_anomaly_t *anomaly);
// The figures around it: one whole map; replaces what was set before.
void kernel_watch_news_snapshot(kernel_watch_news_t *self, bus_view_t snapshot);
// From a tick: says what there is, as `kernel`. What cannot be said yet stays for the next tick.
void kernel_watch_news_say(kernel_watch_news_t *self, service_query_t *tick, const char *kernel);

// --- Kept ----------------------------------------------------------------------------------------

enum {
    KERNEL_WATCH_KEPT = 0,       // the table's place in the kernel's tables
    KERNEL_WATCH_KEPT_MAX = 100, // messages; a person reads back hours, not weeks
};

// clang-format off
#define KERNEL_WATCH_TABLE \
    [KERNEL_WATCH_KEPT] = {"anomalies", STORE_KEYS_UINT64, true, \
        "seq of hunter.anomaly.detected -> {seq, at, source, anomalies}"}
// clang-format on

// Applies hunter.anomaly.detected: keeps it, where its source is `kernel` or that is NULL.
bus_err_t kernel_watch_keep(service_apply_t *apply, const void *message, const char *kernel);
// Adds the pair "anomalies": what is kept, the newest first.
void kernel_watch_pack_kept(store_txn_t *txn, pack_t *out);
