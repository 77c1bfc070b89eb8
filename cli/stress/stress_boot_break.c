// stress_boot_break.c - the failure tests of the boot drill, in an instance of their own.
//
// kill_process: a kernel and a service get SIGKILL; the watchdog is `bhiv up`, and what it did is
// read from its log. config_corruption: bytes of the instance's drill.conf are flipped, so that no
// drill can start with it, and the self_healing kernel is asked for a diagnosis; it has to find the
// difference to the settings of the last drill that passed, and put them back. What counts is the
// file, byte by byte.
#include "stress_boot.h"

#include "proto/walk.h"
#include "runtime/clock.h"
#include "runtime/sha256.h"
#include "stress_ask.h"
#include "stress_env.h"
#include "stress_task.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    BACK_MS = 15000, // for a part that was killed to be ready again
    KEPT_MS = 10000, // for the self_healing kernel to have kept the good settings
    HEAL_MS = 60000, // for the diagnosis: it measures boots
    LOOK_MS = 10,
    GOOD_BOOT_MS = 100, // as told, so that the settings are kept on a slow machine too
    CONF_SIZE = 4096,   // of our own drill.conf
    ERROR_SIZE = 200
};

// What the drills of the instance are started with, before it is spoiled.
static const char GOOD[] = "# settings of drills\n"
                           "BHIV_BRAIN_DRILLS=false\n"
                           "BHIV_HTM_LEASE_SECONDS=30\n";
static const char TASK_ID[] = "config_corruption";

typedef struct {
    cli_stress_run_t *run;
    cli_stress_instance_t *instance;
    cli_stress_failures_t *result;
} break_t;

// One entry of failure_tests, and its line in the log.
static void
add_test(
    break_t *self, const char *test, const char *started_at, const char *error, bus_view_t more)
{
    char now[CLI_STRESS_TIME_SIZE];
    char event[64];
    cli_stress_run_now(now);
    snprintf(event, sizeof event, "stress.%s.test", test);
    BUS_AUTO(pack_destroy) pack_t *entry = pack_new();
    size_t place = pack_map_begin(entry);
    pack_pair_text(entry, "test", test);
    pack_pair_text(entry, "started_at", started_at);
    pack_pair_text(entry, "status", error == NULL ? "passed" : "failed");
    uint32_t count = 4;
    if (error != NULL) {
        pack_pair_text(entry, "error", error);
        ++count;
    }
    bus_view_t key, value;
    walk_pairs_t pairs = walk_pairs(more);
    while (walk_pairs_next(&pairs, &key, &value) == BUS_OK) {
        pack_str(entry, key);
        pack_raw(entry, value);
        ++count;
    }
    pack_pair_text(entry, "completed_at", now);
    pack_count(entry, place, count);
    pack_raw(self->result->tests, pack_view(entry));
    ++self->result->count;
    self->result->failed += error != NULL;
    cli_stress_run_event(
        self->run, event, error == NULL ? "What was broken came back" : error, pack_view(entry));
}

// --- kill_process ------------------------------------------------------------------------------

// Kills part `name` and waits until another process answers in its place; adds {component,
// pid_before, pid_after, recovery_ms}.
static int
kill_part(break_t *self, const char *name, pack_t *out, char error[ERROR_SIZE])
{
    cli_stress_part_t before = {.pid = 0};
    cli_stress_part_t after = {.pid = 0};
    bus_err_t health[CLI_STRESS_PARTS_MAX] = {BUS_OK};
    int status = cli_stress_instance_await(self->instance, name, 0, 0, &before); // all are ready
    uint64_t began_us = clock_boot_us();
    if (status == CLI_DONE && kill(before.pid, SIGKILL) != 0) {
        status = CLI_TIMED_OUT;
    }
    if (status == CLI_DONE) {
        status = cli_stress_instance_await(self->instance, name, before.pid, BACK_MS, &after);
    }
    if (status == CLI_DONE) {
        status = cli_stress_boot_health(self->instance, &after, 1, health);
    }
    double recovery_ms = (double) (clock_boot_us() - began_us) / 1e3;
    if (status == CLI_INTERRUPTED) {
        return status;
    }
    if (status != CLI_DONE || health[0] != BUS_OK) {
        snprintf(error, ERROR_SIZE, "%s was killed and did not come back", name);
    }
    pack_map(out, 4);
    pack_pair_text(out, "component", name);
    pack_pair_int(out, "pid_before", before.pid);
    pack_pair_int(out, "pid_after", after.pid);
    pack_pair_real(out, "recovery_ms", recovery_ms);
    return CLI_DONE;
}

static int
kill_process(break_t *self)
{
    static const char *const names[] = {"kernel-memory", "bucket"};
    enum { NAMES = sizeof names / sizeof names[0] };
    char started_at[CLI_STRESS_TIME_SIZE];
    char error[ERROR_SIZE] = "";
    unsigned before = cli_stress_instance_restarts(self->instance, NULL);
    cli_stress_run_now(started_at);
    BUS_AUTO(pack_destroy) pack_t *targets = pack_new();
    int status = CLI_DONE;
    for (size_t i = 0; i < NAMES && status == CLI_DONE; ++i) {
        status = kill_part(self, names[i], targets, error);
    }
    if (status != CLI_DONE) {
        return status;
    }
    unsigned triggers = cli_stress_instance_restarts(self->instance, NULL) - before;
    self->result->watchdog_triggers += triggers;
    if (error[0] == '\0' && triggers < NAMES) {
        snprintf(error, sizeof error, "the watchdog's log has %u restarts", triggers);
    }
    BUS_AUTO(pack_destroy) pack_t *more = pack_new();
    pack_map(more, 3);
    pack_pair_bool(more, "watchdog_expected", true);
    pack_pair_uint(more, "watchdog_triggers", triggers);
    pack_text(more, "targets");
    pack_array(more, NAMES);
    pack_raw(more, pack_view(targets));
    add_test(self, "kill_process", started_at, error[0] == '\0' ? NULL : error, pack_view(more));
    return CLI_DONE;
}

// --- config_corruption -------------------------------------------------------------------------

static int
write_conf(const char *path, bus_view_t text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    bool written = fd >= 0 && write(fd, text.data, text.size) == (ssize_t) text.size;
    if (fd >= 0) {
        close(fd);
    }
    return written ? CLI_DONE : cli_fail(CLI_IO, "cannot write %s: %s", path, strerror(errno));
}

static bool
is_good(const char *path)
{
    char text[CONF_SIZE];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t size = fd < 0 ? -1 : read(fd, text, sizeof text);
    if (fd >= 0) {
        close(fd);
    }
    return size == (ssize_t) sizeof GOOD - 1 && memcmp(text, GOOD, sizeof GOOD - 1) == 0;
}

// Waits until the self_healing kernel has kept the settings.
static int
wait_until_kept(const char *path)
{
    char kept[CLI_PATH_SIZE];
    snprintf(kept, sizeof kept, "%.4000s.good", path);
    uint64_t deadline_ms = clock_boot_ms() + KEPT_MS;
    int status = CLI_TIMED_OUT;
    while (access(kept, F_OK) != 0 && status == CLI_TIMED_OUT && clock_boot_ms() < deadline_ms) {
        status = cli_stress_instance_wait(-1, LOOK_MS);
    }
    return status == CLI_INTERRUPTED ? status : CLI_DONE; // the file decides in the end
}

// Tells the instance of a drill that passed with the settings as they are: the self_healing kernel
// keeps them.
static int
tell_passed(break_t *self)
{
    char now[CLI_STRESS_TIME_SIZE];
    cli_stress_run_now(now);
    char hash[SHA256_HEX_SIZE];
    sha256_hex(VIEW_LITERAL(GOOD), hash);
    BUS_AUTO(pack_destroy) pack_t *body = pack_new();
    pack_map(body, 7);
    pack_pair_text(body, "conf_sha256", hash);
    pack_pair_text(body, "test_id", cli_stress_run_id(self->run));
    pack_pair_text(body, "suite", "boot");
    pack_pair_bool(body, "passed", true);
    pack_text(body, "summary");
    pack_map(body, 1);
    pack_pair_real(body, "avg_boot_time", GOOD_BOOT_MS);
    pack_pair_text(body, "started_at", now);
    pack_pair_text(body, "completed_at", now);
    cli_stress_question_t said = {
        .topic = "stress.boot.completed", .body = pack_view(body), .want = CLIENT_WANT_ACK};
    int status = cli_stress_ask(self->instance, &said, 1, KEPT_MS);
    cli_stress_ask_clear(&said, 1);
    return status == CLI_DONE && said.err != BUS_OK ? CLI_NO_ANSWER : status;
}

// Asks the self_healing kernel for a diagnosis, through the queue. `ret_result`: the worker's.
static int
diagnose(break_t *self, pack_t *ret_result, char error[ERROR_SIZE])
{
    BUS_AUTO(pack_destroy) pack_t *body = pack_new();
    pack_map(body, 5);
    pack_pair_text(body, "task_id", TASK_ID);
    pack_pair_text(body, "task_type", "run_diagnostics");
    pack_pair_text(body, "handler", "self_healing");
    pack_pair_text(body, "priority", "high");
    pack_text(body, "context");
    pack_map(body, 2);
    pack_pair_text(body, "issue_type", "boot_performance_degradation");
    pack_pair_text(body, "intent", "remediate_drift");
    cli_stress_task_t task = {.body = pack_view(body)};
    snprintf(task.id, sizeof task.id, "%s", TASK_ID);
    const cli_stress_tasks_t tasks = {
        .instance = self->instance, .tasks = &task, .count = 1, .timeout_ms = HEAL_MS};
    int status = cli_stress_task_run(&tasks);
    bus_view_t result;
    if (task.err != BUS_OK) {
        snprintf(error, ERROR_SIZE, "run_diagnostics: %s", error_text(task.err));
    }
    if (walk_find(pack_view(task.done), "result", &result) == BUS_OK) {
        pack_raw(ret_result, result);
    } else {
        pack_map(ret_result, 0);
    }
    cli_stress_task_clear(&task, 1);
    return status;
}

static int
config_corruption(break_t *self)
{
    char started_at[CLI_STRESS_TIME_SIZE];
    char path[CLI_PATH_SIZE];
    char error[ERROR_SIZE] = "";
    cli_stress_run_now(started_at);
    snprintf(path, sizeof path, "%.4000s/drill.conf", cli_stress_instance_dir(self->instance));
    char bad[sizeof GOOD];
    memcpy(bad, GOOD, sizeof bad);
    bad[sizeof bad / 2] ^= 0x55; // in the middle of a name: no setting any more
    int status = write_conf(path, view_from(GOOD, sizeof GOOD - 1));
    if (status == CLI_DONE) {
        status = tell_passed(self);
    }
    if (status == CLI_DONE) {
        status = wait_until_kept(path);
    }
    if (status == CLI_DONE) {
        status = write_conf(path, view_from(bad, sizeof bad - 1));
    }
    uint64_t began_us = clock_boot_us();
    BUS_AUTO(pack_destroy) pack_t *result = pack_new();
    if (status == CLI_DONE) {
        status = diagnose(self, result, error);
    }
    if (status != CLI_DONE) {
        return status;
    }
    bool is_healed = is_good(path);
    if (error[0] == '\0' && !is_healed) {
        snprintf(error, sizeof error, "the spoiled drill.conf was not put right");
    }
    self->result->self_heal_activations += is_healed;
    BUS_AUTO(pack_destroy) pack_t *more = pack_new();
    pack_map(more, 5);
    pack_pair_bool(more, "self_heal_expected", true);
    pack_pair_uint(more, "self_heal_activations", is_healed ? 1 : 0);
    pack_pair_text(more, "flipped", "drill.conf");
    pack_pair_real(more, "recovery_ms", (double) (clock_boot_us() - began_us) / 1e3);
    pack_pair_raw(more, "result", pack_view(result));
    add_test(
        self, "config_corruption", started_at, error[0] == '\0' ? NULL : error, pack_view(more));
    return CLI_DONE;
}

// --- Both --------------------------------------------------------------------------------------

int
cli_stress_boot_failures(cli_stress_run_t *run, cli_stress_failures_t *ret_failures)
{
    // A diagnosis drills the system itself: one within a drill is not broken once more.
    if (cli_stress_env_depth() > 0) {
        return CLI_DONE;
    }
    const cli_stress_instance_options_t options = {.conf = cli_stress_run_conf(run)};
    BUS_AUTO(cli_stress_instance_destroy) cli_stress_instance_t *instance = NULL;
    int status = cli_stress_instance_start(&options, &instance);
    if (status != CLI_DONE) {
        return status;
    }
    break_t self = {.run = run, .instance = instance, .result = ret_failures};
    status = kill_process(&self);
    if (status == CLI_DONE) {
        status = config_corruption(&self);
    }
    if (status != CLI_INTERRUPTED && (status != CLI_DONE || ret_failures->failed > 0)) {
        cli_stress_run_keep(run, cli_stress_instance_log(instance));
    }
    return status;
}
