// heal_diagnose.c - the playbook run_diagnostics: how is everything, what is slow, and can it be
// mended?
//
// It asks the supervisor and every service. For an issue of boot times it then measures a boot of a
// private instance; where that is slow and drill.conf is another than in the last good drill, it
// puts the good one in its place and measures again. What did not help is undone. It says what it
// saw, and that the issue is gone only where the last measurement says so.
#include "heal_conf.h"
#include "heal_run.h"
#include "watch.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    ASK_MS = 1500,  // who has not answered by then hangs, which is a finding
    SLOW_NAMED = 3, // parts
    NAME_SIZE = 65  // of a service, with its NUL
};

static const double HELPED_SHARE = 0.8; // of the boot time before: less is more than noise

typedef struct {
    char peers[KERNEL_HEAL_PEERS_MAX][NAME_SIZE];
    size_t peer_count;
    size_t asked;               // of them
    size_t unhealthy;           // of those
    double before_ms;           // the first measurement
    kernel_heal_conf_t current; // while the good one is in its place
    kernel_heal_conf_t good;
} diagnosis_t;

// --- Parts and peers -----------------------------------------------------------------------------

static void ask_next_peer(kernel_heal_run_t *run);
static void measure(kernel_heal_run_t *run);

static bool
is_about_boots(const kernel_heal_run_t *run)
{
    return view_is(kernel_heal_run_text(run, "issue_type"), "boot_performance_degradation") ||
           view_is(kernel_heal_run_text(run, "metric"), "boot_time_ms");
}

static void
on_health(kernel_heal_run_t *run, bus_err_t err, bus_view_t body)
{
    diagnosis_t *own = run->own;
    const char *name = own->peers[own->asked++];
    bus_view_t status = walk_text_at(body, "status");
    // One that has no health to tell of answers too: a second name of a service, the bridge.
    if (err != BUS_OK && err != BUS_NOT_FOUND) {
        ++own->unhealthy;
        kernel_heal_run_finding(run, "%s does not answer: %s", name, error_text(err));
    } else if (err == BUS_OK && !view_is(status, "healthy")) {
        ++own->unhealthy;
        kernel_heal_run_finding(run, "%s is %.*s", name, (int) status.size, status.data);
    }
    ask_next_peer(run);
}

static void
ask_next_peer(kernel_heal_run_t *run)
{
    diagnosis_t *own = run->own;
    if (own->asked < own->peer_count) {
        char topic[NAME_SIZE + 16];
        snprintf(topic, sizeof topic, "req.%s.health", own->peers[own->asked]);
        kernel_heal_run_ask(run, topic, VIEW_NONE, ASK_MS, on_health);
        return;
    }
    if (own->unhealthy == 0) {
        kernel_heal_run_finding(run, "all %zu services answer and are healthy", own->peer_count);
    }
    if (is_about_boots(run)) {
        measure(run);
        return;
    }
    kernel_heal_run_end(run, own->unhealthy == 0 ? KERNEL_HEAL_RESOLVED : KERNEL_HEAL_UNRESOLVED);
}

static bool
is_known(const diagnosis_t *own, bus_view_t service)
{
    for (size_t i = 0; i < own->peer_count; ++i) {
        if (view_is(service, own->peers[i])) {
            return true;
        }
    }
    return false;
}

static void
on_peers(kernel_heal_run_t *run, bus_err_t err, bus_view_t body)
{
    diagnosis_t *own = run->own;
    if (err != BUS_OK) {
        kernel_heal_run_fail(run, "the broker does not say who is there", true);
        return;
    }
    walk_items_t items = walk_items_at(body, "peers");
    bus_view_t item;
    while (own->peer_count < KERNEL_HEAL_PEERS_MAX && walk_items_next(&items, &item)) {
        bus_view_t service = walk_text_at(item, "service");
        // Whoever asks answers by that.
        if (service.size > 0 && service.size < NAME_SIZE && !kernel_watch_is_guest(service) &&
            !view_is(service, "kernel-self_healing") && !is_known(own, service)) {
            snprintf(
                own->peers[own->peer_count++], NAME_SIZE, "%.*s", (int) service.size, service.data);
        }
    }
    ask_next_peer(run);
}

static void
on_parts(kernel_heal_run_t *run, bus_err_t err, bus_view_t body)
{
    if (err != BUS_OK) {
        kernel_heal_run_finding(run, "no supervisor is on this bus: %s", error_text(err));
    }
    walk_items_t items = walk_items_at(body, "parts");
    bus_view_t item;
    while (err == BUS_OK && walk_items_next(&items, &item)) {
        bus_view_t part = walk_text_at(item, "part");
        uint64_t restarts = walk_uint_at(item, "restarts", 0);
        uint64_t boot_ms = walk_uint_at(item, "boot_ms", 0);
        bus_view_t state = walk_text_at(item, "state");
        if (!view_is(state, "ready")) {
            kernel_heal_run_finding(
                run, "%.*s is %.*s", (int) part.size, part.data, (int) state.size, state.data);
        }
        if (restarts > 0) {
            kernel_heal_run_finding(run,
                                    "%.*s was started again %llu times",
                                    (int) part.size,
                                    part.data,
                                    (unsigned long long) restarts);
        }
        if (boot_ms > KERNEL_HEAL_BOOT_MS_MAX) {
            kernel_heal_run_finding(run,
                                    "%.*s took %llu ms to start",
                                    (int) part.size,
                                    part.data,
                                    (unsigned long long) boot_ms);
        }
    }
    kernel_heal_run_ask(run, "$bus.peers", VIEW_NONE, ASK_MS, on_peers);
}

// --- Boots ---------------------------------------------------------------------------------------

// The slowest parts of a drill's boots, the slowest first.
static void
name_slow_parts(kernel_heal_run_t *run, bus_view_t summary)
{
    bus_view_t components;
    double below = 1e18;
    if (walk_find(summary, "components", &components) != BUS_OK) {
        return;
    }
    for (int i = 0; i < SLOW_NAMED; ++i) {
        walk_pairs_t pairs = walk_pairs(components);
        bus_view_t key, value;
        bus_view_t slowest = VIEW_NONE;
        double ms = 0;
        while (walk_pairs_next(&pairs, &key, &value) == BUS_OK) {
            double candidate = 0;
            if (walk_as_real(value, &candidate) == BUS_OK && candidate > ms && candidate < below) {
                ms = candidate;
                slowest = key;
            }
        }
        if (slowest.data == NULL) {
            return;
        }
        below = ms;
        kernel_heal_run_finding(
            run, "part %.*s takes %.0f ms to be ready", (int) slowest.size, slowest.data, ms);
    }
}

// Whether the drill told how long a boot takes; *ret_ms is that.
static bool
take_measurement(kernel_heal_run_t *run, int status, bus_view_t drill, double *ret_ms)
{
    bus_view_t summary;
    if (drill.data == NULL || walk_find(drill, "summary", &summary) != BUS_OK ||
        walk_real_at(summary, "successful_boots", 0) < 1) {
        kernel_heal_run_finding(run, "the boot drill measured nothing (status %d)", status);
        return false;
    }
    *ret_ms =
        walk_real_at(summary, "p50_boot_time", 0); // one boot among busy neighbours says little
    kernel_heal_run_finding(run, "a boot of the whole system takes %.0f ms", *ret_ms);
    if (*ret_ms > KERNEL_HEAL_BOOT_MS_MAX) {
        name_slow_parts(run, summary);
    }
    return true;
}

static void
put_back(kernel_heal_run_t *run)
{
    diagnosis_t *own = run->own;
    bus_err_t err = kernel_heal_conf_put_back(run->heal->dir, &own->good, &own->current);
    kernel_heal_run_action(run,
                           err == BUS_OK ? "put drill.conf back as it was: it is not the cause"
                                         : "left the last good drill.conf: %s",
                           error_text(err));
}

// Whether the drill was cut short: then it says nothing of the settings. One that could not start
// its instance with them does.
static bool
is_cut_short(int status)
{
    return status < 0 || status >= KERNEL_HEAL_CHILD_SIGNALLED;
}

static void
on_second(kernel_heal_run_t *run, int status, bus_view_t drill)
{
    const diagnosis_t *own = run->own;
    double after_ms = 0;
    if (is_cut_short(status)) {
        put_back(run);
        kernel_heal_run_fail(run, "the boot drill was cut short", true);
        return;
    }
    bool is_measured = take_measurement(run, status, drill, &after_ms);
    if (is_measured) {
        kernel_heal_run_real(run, "boot_ms_after", after_ms);
    }
    bool is_fast = is_measured && after_ms <= KERNEL_HEAL_BOOT_MS_MAX;
    bool helped = is_measured && after_ms < own->before_ms * HELPED_SHARE;
    if (!is_fast && !helped) {
        put_back(run);
    }
    kernel_heal_run_end(run, is_fast ? KERNEL_HEAL_RESOLVED : KERNEL_HEAL_UNRESOLVED);
}

static void
drill(kernel_heal_run_t *run, kernel_heal_drill_fn *fn)
{
    const kernel_heal_order_t order = {
        .suite = "boot", .size_flag = "--cycles", .size = "3", .flag = "--no-failures"};
    kernel_heal_run_drill(run, &order, fn);
}

static void
name_differences(kernel_heal_run_t *run)
{
    const diagnosis_t *own = run->own;
    char name[NAME_SIZE];
    for (size_t i = 0; i < SLOW_NAMED &&
                       kernel_heal_conf_difference(&own->good, &own->current, i, name, sizeof name);
         ++i) {
        kernel_heal_run_finding(run, "drill.conf: %s is not as in the last good boot drill", name);
    }
}

// Boots are slow: is it what drills are given?
static void
look_at_conf(kernel_heal_run_t *run)
{
    diagnosis_t *own = run->own;
    const char *dir = run->heal->dir;
    bus_err_t err = kernel_heal_conf_read(dir, &own->current);
    if (err == BUS_OK) {
        err = kernel_heal_conf_read_good(dir, &own->good);
    }
    if (err != BUS_OK) {
        kernel_heal_run_finding(
            run,
            err == BUS_NOT_FOUND ? "no boot drill was good before: there is nothing to go back to"
                                 : "drill.conf cannot be read: %s",
            error_text(err));
        kernel_heal_run_end(run, KERNEL_HEAL_UNRESOLVED);
        return;
    }
    if (kernel_heal_conf_equal(&own->current, &own->good)) {
        kernel_heal_run_finding(run, "drill.conf is as in the last good boot drill");
        kernel_heal_run_end(run, KERNEL_HEAL_UNRESOLVED);
        return;
    }
    name_differences(run);
    err = kernel_heal_conf_restore(dir, &own->current, &own->good);
    if (err != BUS_OK) {
        kernel_heal_run_finding(run, "drill.conf cannot be restored: %s", error_text(err));
        kernel_heal_run_end(run, KERNEL_HEAL_UNRESOLVED);
        return;
    }
    kernel_heal_run_action(run,
                           "restored the drill.conf of the last good boot drill; the other is "
                           "drill.conf.rejected");
    drill(run, on_second);
}

static void
on_first(kernel_heal_run_t *run, int status, bus_view_t result)
{
    diagnosis_t *own = run->own;
    if (is_cut_short(status)) {
        kernel_heal_run_fail(run, "the boot drill was cut short", true);
        return;
    }
    bool is_measured = take_measurement(run, status, result, &own->before_ms);
    if (is_measured) {
        kernel_heal_run_real(run, "boot_ms_before", own->before_ms);
    } else {
        own->before_ms = HUGE_VAL; // with these settings it does not even start
    }
    if (is_measured && own->before_ms <= KERNEL_HEAL_BOOT_MS_MAX) {
        kernel_heal_run_real(run, "boot_ms_after", own->before_ms);
        kernel_heal_run_finding(run, "boots are not slow any more");
        kernel_heal_run_end(run, KERNEL_HEAL_RESOLVED);
        return;
    }
    look_at_conf(run);
}

static void
measure(kernel_heal_run_t *run)
{
    drill(run, on_first);
}

static void
clear_own(void *arg)
{
    diagnosis_t *own = arg;
    kernel_heal_conf_clear(&own->current);
    kernel_heal_conf_clear(&own->good);
}

void
kernel_heal_diagnose(kernel_heal_run_t *run)
{
    run->own = calloc(1, sizeof(diagnosis_t));
    assert(run->own);
    run->clear_own = clear_own;
    kernel_heal_run_ask(run, "req.supervisor.parts", VIEW_NONE, ASK_MS, on_parts);
}
