// watch.h - what the kernels that watch have in common: peers as the broker lists them, anomalies
// that are said, and those that were.
//
// An anomaly is said as hunter.anomaly.detected, journaled, at the next tick; each kernel keeps the
// last KERNEL_WATCH_KEPT_MAX of those it takes from the journal, so a report knows them after a
// restart too.
#pragma once
#include "proto/walk.h"
#include "runtime/service.h"
#include "runtime/setting.h"

// --- Settings ------------------------------------------------------------------------------------

// The bounds of a setting that is a time, in seconds: anything faster is a busy loop.
#define KERNEL_WATCH_SECONDS_MIN 0.05
#define KERNEL_WATCH_SECONDS_MAX (7.0 * 24 * 3600)

// clang-format off
// A row of a kernel's settings: a time in seconds.
#define KERNEL_WATCH_SECONDS_ROW(variable, type, field, preset) \
    {variable, SETTING_REAL, offsetof(type, field), preset, \
     KERNEL_WATCH_SECONDS_MIN, KERNEL_WATCH_SECONDS_MAX}
// How often what is still wrong is said again.
#define KERNEL_WATCH_ANOMALY_ROW(type, field) \
    KERNEL_WATCH_SECONDS_ROW("BHIV_ANOMALY_SECONDS", type, field, 60)
// clang-format on

// Such a setting as the loop's timers take it.
unsigned kernel_watch_ms(double seconds);

// --- Answers -------------------------------------------------------------------------------------

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
// Whether a service is a worker or an agent: anybody's program, of whatever version, which takes
// all that it is asked for work, a question for its health too.
bool kernel_watch_is_guest(bus_view_t service);

// --- Asking --------------------------------------------------------------------------------------

enum { KERNEL_WATCH_ASK_MS = 3000 }; // who has not answered by then hangs

// A question; `fn` is called with the final answer. False where it could not be sent; then `fn` is
// not called.
bool kernel_watch_ask(
    client_t *client, const char *topic, bus_view_t body, client_answer_fn *fn, void *arg);

// Whether a question was answered, and well.
static inline bool
kernel_watch_is_answered(const client_answer_t *answer)
{
    return answer->event == CLIENT_REPLIED && answer->err == BUS_OK;
}

// Whether it was given up because the process stops: nothing is to be done then.
static inline bool
kernel_watch_is_given_up(const client_answer_t *answer)
{
    return answer->err == BUS_ABORTED;
}

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
// BUS_FULL, BUS_IO.
bus_err_t kernel_watch_keep(service_apply_t *apply, const void *message, const char *kernel);
// Adds the pair "anomalies": what is kept, the newest first; what cannot be read is left out.
void kernel_watch_pack_kept(store_txn_t *txn, pack_t *out);
