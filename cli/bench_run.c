// bench_run.c - the cases of `bhiv bench`, each measured once. See bench.h.
#include "bench.h"

#include "proto/walk.h"
#include "runtime/clock.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    SUBSCRIBERS_MAX = 16,
    LEAD_MAX = 8000,     // messages that the publisher may be ahead of the slowest subscriber
    STUCK_MS = 10000,    // a subscriber that hears nothing for so long has lost something
    PREFILL_BATCH = 100, // messages in a batch, where records are only made to be fetched
    PREFILL_WINDOW = 10  // of those batches
};

// clock_boot_us has what this needs but its resolution: a round trip is some 50 us.
static double
now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double) now.tv_sec * 1e6 + (double) now.tv_nsec / 1e3;
}

static bool
failed(const char *what)
{
    cli_fail(CLI_TIMED_OUT, "bench: %s", what);
    return false;
}

// --- Percentiles -------------------------------------------------------------------------------

static int
compare_doubles(const void *a, const void *b)
{
    double left = *(const double *) a;
    double right = *(const double *) b;
    return (left > right) - (left < right);
}

void
cli_bench_percentiles(double *samples, uint64_t count, cli_bench_result_t *result)
{
    qsort(samples, count, sizeof *samples, compare_doubles);
    result->p50_us = samples[count / 2];
    result->p99_us = samples[count * 99 / 100];
    result->p999_us = samples[count * 999 / 1000];
}

// --- A window of publishes ---------------------------------------------------------------------

typedef struct {
    cli_bench_peer_t *peer;
    unsigned window; // units on their way: messages, or batches
    unsigned batch;  // messages of a unit; 0: single
    bool cumulative; // an ack stands for all before it
    uint64_t total;  // units
    uint64_t sent, acked;
    double *samples; // of each ack, NULL: none; only with a window of 1
    double said_us;
} flow_t;

static bool
say_next(flow_t *flow)
{
    ++flow->sent;
    if (flow->samples != NULL) {
        flow->said_us = now_us();
    }
    return flow->batch == 0 ? cli_bench_peer_say(flow->peer, flow->sent)
                            : cli_bench_peer_say_batch(flow->peer, flow->sent, flow->batch);
}

static bool
take_ack(flow_t *flow, const cli_bench_answer_t *answer)
{
    if (answer->is_error) {
        return failed("the broker refused a message");
    }
    if (flow->samples != NULL) {
        flow->samples[flow->acked] = now_us() - flow->said_us;
    }
    if (!flow->cumulative) {
        ++flow->acked;
    } else if (answer->number > flow->acked) {
        flow->acked = answer->number;
    }
    return true;
}

// Fills the window up to `limit` units in all, waits for one ack, and takes what else is there.
static bool
turn(flow_t *flow, uint64_t limit)
{
    while (flow->sent < limit && flow->sent - flow->acked < flow->window) {
        if (!say_next(flow)) {
            return failed("the broker takes nothing more");
        }
    }
    cli_bench_answer_t answer;
    bool wait = true;
    while (flow->acked < flow->sent && cli_bench_peer_hear(flow->peer, wait, &answer)) {
        if (!take_ack(flow, &answer)) {
            return false;
        }
        wait = false;
    }
    return !wait || flow->acked == flow->sent || failed("no ack came for 10 s");
}

static bool
run_publish(const cli_bench_case_t *case_,
            const cli_endpoints_t *bus,
            uint64_t count,
            cli_bench_result_t *result)
{
    BUS_AUTO(cli_bench_peer_destroy)
    cli_bench_peer_t *peer = cli_bench_peer_new(bus, NULL);
    if (peer == NULL) {
        return failed("no welcome");
    }
    unsigned unit = case_->batch == 0 ? 1 : case_->batch;
    flow_t flow = {
        .peer = peer,
        .window = case_->window / unit,
        .batch = case_->batch,
        .cumulative = case_->ack == CLI_BENCH_ACK_LAST,
        .total = count / unit,
    };
    if (case_->has_latency) {
        flow.samples = calloc(flow.total, sizeof *flow.samples);
        assert(flow.samples);
    }
    cli_bench_peer_prepare(peer, CLI_BENCH_DURABLE, case_->ack, true);
    double began = now_us();
    bool fine = true;
    while (fine && flow.acked < flow.total) {
        fine = turn(&flow, flow.total);
    }
    result->rate = (double) (flow.total * unit) / ((now_us() - began) / 1e6);
    if (fine && flow.samples != NULL) {
        cli_bench_percentiles(flow.samples, flow.total, result);
    }
    free(flow.samples);
    return fine;
}

// --- Live --------------------------------------------------------------------------------------

static bool
run_live_flow(const cli_bench_case_t *case_,
              const cli_endpoints_t *bus,
              uint64_t count,
              cli_bench_result_t *result)
{
    BUS_AUTO(cli_bench_peer_destroy)
    cli_bench_peer_t *peer = cli_bench_peer_new(bus, CLI_BENCH_LIVE);
    if (peer == NULL) {
        return failed("no welcome, or no subscription");
    }
    cli_bench_peer_prepare(peer, CLI_BENCH_LIVE, CLI_BENCH_ACK_NONE, false);
    double began = now_us();
    uint64_t sent = 0;
    uint64_t heard = 0;
    while (heard < count) {
        while (sent < count && sent - heard < case_->window) {
            if (!cli_bench_peer_say(peer, ++sent)) {
                return failed("the broker takes nothing more");
            }
        }
        if (!cli_bench_peer_listen(peer, true)) {
            return failed("a live message did not come back within 10 s");
        }
        ++heard;
        while (heard < sent && cli_bench_peer_listen(peer, false)) {
            ++heard;
        }
    }
    result->rate = (double) count / ((now_us() - began) / 1e6);
    return true;
}

static bool
run_latency(const cli_endpoints_t *bus, uint64_t count, cli_bench_result_t *result)
{
    BUS_AUTO(cli_bench_peer_destroy)
    cli_bench_peer_t *peer = cli_bench_peer_new(bus, CLI_BENCH_LIVE);
    if (peer == NULL) {
        return failed("no welcome, or no subscription");
    }
    cli_bench_peer_prepare(peer, CLI_BENCH_LIVE, CLI_BENCH_ACK_NONE, false);
    double *samples = calloc(count, sizeof *samples);
    assert(samples);
    bool fine = true;
    for (uint64_t i = 0; fine && i < count; ++i) {
        double said = now_us();
        fine = cli_bench_peer_say(peer, i + 1) && cli_bench_peer_listen(peer, true);
        samples[i] = now_us() - said;
    }
    if (fine) {
        cli_bench_percentiles(samples, count, result);
    }
    free(samples);
    return fine || failed("a live message did not come back within 10 s");
}

// --- Fan-out -----------------------------------------------------------------------------------

typedef struct {
    const cli_endpoints_t *bus;
    uint64_t count;
    atomic_uint_fast64_t *heard; // by this subscriber
    atomic_int *ready;           // 1 more for each that is
} listener_t;

// A subscriber: a thread with a context of its own, so that it shares nothing with the others.
static void *
listen(void *arg)
{
    const listener_t *self = arg;
    BUS_AUTO(cli_bench_peer_destroy)
    cli_bench_peer_t *peer = cli_bench_peer_new(self->bus, CLI_BENCH_DURABLE);
    atomic_fetch_add(self->ready, peer == NULL ? -SUBSCRIBERS_MAX : 1);
    uint64_t heard = 0;
    while (peer != NULL && heard < self->count && cli_bench_peer_listen(peer, true)) {
        ++heard;
        atomic_store_explicit(self->heard, heard, memory_order_release);
    }
    return NULL;
}

static uint64_t
slowest(atomic_uint_fast64_t *heard, unsigned subscribers)
{
    uint64_t least = UINT64_MAX;
    for (unsigned i = 0; i < subscribers; ++i) {
        uint64_t one = atomic_load_explicit(&heard[i], memory_order_acquire);
        least = one < least ? one : least;
    }
    return least;
}

static void
rest(void)
{
    const struct timespec moment = {.tv_nsec = 100000};
    nanosleep(&moment, NULL);
}

// Publishes so that nobody falls behind by more than LEAD_MAX, until all have heard all.
static bool
feed(flow_t *flow, atomic_uint_fast64_t *heard, unsigned subscribers)
{
    uint64_t moved = 0;
    double moved_us = now_us();
    for (uint64_t least = 0; least < flow->total; least = slowest(heard, subscribers)) {
        if (least > moved) {
            moved = least;
            moved_us = now_us();
        }
        if (now_us() - moved_us > STUCK_MS * 1e3) {
            return failed("a subscriber lost messages");
        }
        uint64_t limit = least + LEAD_MAX < flow->total ? least + LEAD_MAX : flow->total;
        if (flow->acked >= limit) {
            rest();
        } else if (!turn(flow, limit)) {
            return false;
        }
    }
    return true;
}

static bool
run_fan_out(const cli_bench_case_t *case_,
            const cli_endpoints_t *bus,
            uint64_t count,
            cli_bench_result_t *result)
{
    assert(case_->subscribers <= SUBSCRIBERS_MAX);
    BUS_AUTO(cli_bench_peer_destroy)
    cli_bench_peer_t *peer = cli_bench_peer_new(bus, NULL);
    if (peer == NULL) {
        return failed("no welcome");
    }
    atomic_uint_fast64_t heard[SUBSCRIBERS_MAX] = {0};
    atomic_int ready = 0;
    pthread_t threads[SUBSCRIBERS_MAX];
    listener_t listeners[SUBSCRIBERS_MAX];
    for (unsigned i = 0; i < case_->subscribers; ++i) {
        listeners[i] =
            (listener_t){.bus = bus, .count = count, .heard = &heard[i], .ready = &ready};
        int rc = pthread_create(&threads[i], NULL, listen, &listeners[i]);
        assert(rc == 0);
        // One after the other: each makes sure of its subscription by hearing itself.
        while (atomic_load(&ready) == (int) i) {
            rest();
        }
    }
    bool fine = atomic_load(&ready) == (int) case_->subscribers;
    for (unsigned i = 0; i < case_->subscribers; ++i) {
        atomic_store(&heard[i], 0);
    }
    flow_t flow = {.peer = peer, .window = case_->window, .total = count};
    cli_bench_peer_prepare(peer, CLI_BENCH_DURABLE, CLI_BENCH_ACK_EACH, true);
    double began = now_us();
    fine = fine && feed(&flow, heard, case_->subscribers);
    result->rate = (double) count / ((now_us() - began) / 1e6);
    for (unsigned i = 0; i < case_->subscribers; ++i) {
        pthread_join(threads[i], NULL);
    }
    return fine;
}

// --- Fetching ----------------------------------------------------------------------------------

static bool
read_page(const cli_bench_answer_t *answer, uint64_t *ret_next, uint32_t *ret_count)
{
    bus_view_t value;
    walk_item_t item;
    walk_t walk;
    if (answer->is_error || walk_find(answer->body, "next", &value) != BUS_OK ||
        walk_as_uint(value, ret_next) != BUS_OK ||
        walk_find(answer->body, "records", &value) != BUS_OK) {
        return false;
    }
    walk = walk_from(value);
    if (walk_next(&walk, &item) != BUS_OK || item.type != WALK_ARRAY) {
        return false;
    }
    *ret_count = item.count;
    return true;
}

static bool
prefill(cli_bench_peer_t *peer, uint64_t count)
{
    flow_t flow = {.peer = peer,
                   .window = PREFILL_WINDOW,
                   .batch = PREFILL_BATCH,
                   .total = count / PREFILL_BATCH};
    cli_bench_peer_prepare(peer, CLI_BENCH_DURABLE, CLI_BENCH_ACK_EACH, true);
    while (flow.acked < flow.total) {
        if (!turn(&flow, flow.total)) {
            return false;
        }
    }
    return true;
}

static bool
run_fetch(const cli_endpoints_t *bus, uint64_t count, cli_bench_result_t *result)
{
    BUS_AUTO(cli_bench_peer_destroy)
    cli_bench_peer_t *peer = cli_bench_peer_new(bus, NULL);
    if (peer == NULL) {
        return failed("no welcome");
    }
    if (!prefill(peer, count)) {
        return false;
    }
    cli_bench_peer_prepare(peer, CLI_BENCH_DURABLE, CLI_BENCH_ACK_NONE, false);
    uint64_t from = 1;
    uint64_t fetched = 0;
    double began = now_us();
    for (uint64_t number = 1; fetched < count; ++number) {
        cli_bench_answer_t answer;
        uint32_t records = 0;
        if (!cli_bench_peer_say_fetch(peer, number, from) ||
            !cli_bench_peer_hear(peer, true, &answer) || !read_page(&answer, &from, &records)) {
            return failed("a fetch was not answered");
        }
        fetched += records;
    }
    result->rate = (double) fetched / ((now_us() - began) / 1e6);
    return true;
}

bool
cli_bench_run(const cli_bench_case_t *case_,
              const cli_endpoints_t *bus,
              uint64_t count,
              cli_bench_result_t *ret_result)
{
    *ret_result = (cli_bench_result_t){0};
    switch (case_->kind) {
    case CLI_BENCH_PUBLISH:
    case CLI_BENCH_RESTART:
        return run_publish(case_, bus, count, ret_result);
    case CLI_BENCH_LIVE_FLOW:
        return run_live_flow(case_, bus, count, ret_result);
    case CLI_BENCH_LATENCY:
        return run_latency(bus, count, ret_result);
    case CLI_BENCH_FAN_OUT:
        return run_fan_out(case_, bus, count, ret_result);
    case CLI_BENCH_FETCH:
        return run_fetch(bus, count, ret_result);
    case CLI_BENCH_HTTP:
    case CLI_BENCH_START:
        break; // of the whole system, not of a bus
    }
    return false;
}
