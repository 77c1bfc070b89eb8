// service_test.c - a small service in a process of its own, against the fake broker in ours: it is
// killed, refused, rebuilt, and told things twice, and must have applied and said each thing once.
#include "fake_broker.h"
#include "folder.h"
#include "proto/walk.h"
#include "runtime/clock.h"
#include "runtime/service.h"
#include <criterion/criterion.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { WAIT_MS = 30000, TEXT_SIZE = 4096 };

// --- The service ---------------------------------------------------------------------------------

// Counts what it applied by name: its whole state.
enum { COUNTS };
static const store_table_t tables[] = {
    [COUNTS] = {"counts", STORE_KEYS_BYTES, true, "what was applied, by name"},
};

typedef struct {
    unsigned fullness; // so many batches fail as if the store were full
    unsigned undone;
} state_t;

static bus_err_t
count_up(store_txn_t *txn, const char *name, uint64_t *ret_count)
{
    bus_view_t value;
    uint64_t count = 0;
    bus_err_t err = store_get(txn, COUNTS, view_from_text(name), &value);
    if (err == BUS_OK) {
        memcpy(&count, value.data, sizeof(count));
    } else if (err != BUS_NOT_FOUND) {
        return err;
    }
    count++;
    *ret_count = count;
    return store_put(txn, COUNTS, view_from_text(name), view_from(&count, sizeof(count)));
}

// An event: one consequence, two for each third.
static bus_err_t
apply_event(service_apply_t *self, const void *message BUS_UNUSED)
{
    static const uint8_t body[] = {0x80};
    uint64_t count;
    bus_err_t err = count_up(self->txn, "events", &count);
    if (err == BUS_OK) {
        err = service_say(self, "karma.life_event", view_from(body, sizeof(body)));
    }
    if (err == BUS_OK && count % 3 == 0) {
        err = service_say(self, "karma.third", view_from(body, sizeof(body)));
    }
    if (err == BUS_OK) {
        service_tell(self, "bucket.out.test", view_from(body, sizeof(body)));
    }
    return err;
}

// A command: answers how many there were; {op: "refuse"} and {op: "fill"} as they say.
static bus_err_t
apply_command(service_apply_t *self, const void *message BUS_UNUSED)
{
    state_t *state = self->state;
    bus_view_t value, op = VIEW_NONE;
    if (walk_find(self->body, "op", &value) == BUS_OK && walk_as_str(value, &op) == BUS_OK &&
        view_is(op, "refuse")) {
        return service_refuse(self, BUS_CONFLICT, "told to", VIEW_NONE);
    }
    uint64_t count;
    bus_err_t err = count_up(self->txn, "commands", &count);
    if (err != BUS_OK) {
        return err;
    }
    if (view_is(op, "fill") && state->fullness > 0) {
        state->fullness--;
        return BUS_FULL;
    }
    pack_map(self->answer, 1);
    pack_pair_uint(self->answer, "count", count);
    return BUS_OK;
}

static bus_err_t
apply_config(service_apply_t *self, const void *message BUS_UNUSED)
{
    uint64_t count;
    return count_up(self->txn, "configs", &count);
}

static const service_apply_row_t applies[] = {
    {"core.event.", &SCHEMA_core_event, true, apply_event, "counts", .event = true},
    {"bucket.", NULL, true, apply_command, "counts and answers", .event = false},
    {"bucket.forwarding.set", &SCHEMA_forwarding_set, true, apply_command, "is checked", false},
    {"bucket.config", NULL, false, apply_config, "counts", .event = false},
};

static bus_err_t
query_counts(service_query_t *self, const void *message BUS_UNUSED)
{
    static const char *const names[] = {"events", "commands", "configs"};
    pack_map(self->answer, 4);
    for (size_t i = 0; i < 3; i++) {
        bus_view_t value;
        uint64_t count = 0;
        bus_err_t err = store_get(self->txn, COUNTS, view_from_text(names[i]), &value);
        if (err == BUS_OK) {
            memcpy(&count, value.data, sizeof(count));
        }
        pack_pair_uint(self->answer, names[i], count);
    }
    pack_pair_uint(self->answer, "undone", ((state_t *) self->state)->undone);
    return BUS_OK;
}

static bus_err_t
query_refused(service_query_t *self, const void *message BUS_UNUSED)
{
    return service_query_refuse(self, BUS_USER_NOT_FOUND, "nobody", VIEW_NONE);
}

static const service_query_row_t queries[] = {
    {"counts", NULL, query_counts, "all"},
    {"refused", NULL, query_refused, "always"},
    {"checked", &SCHEMA_forwarding_set, query_refused, "wants enabled"},
};

static bus_err_t
open_state(store_txn_t *txn BUS_UNUSED, void **ret_state)
{
    state_t *state = calloc(1, sizeof(*state));
    state->fullness = 1;
    *ret_state = state;
    return BUS_OK;
}

static void
close_state(void **state_p)
{
    free(*state_p);
    *state_p = NULL;
}

static void
undone(void *state, store_txn_t *txn BUS_UNUSED)
{
    ((state_t *) state)->undone++;
}

static void
config_one(pack_t *out)
{
    pack_map(out, 1);
    pack_pair_uint(out, "limit", 1);
}

static void
config_two(pack_t *out)
{
    pack_map(out, 1);
    pack_pair_uint(out, "limit", 2);
}

static unsigned
health(void *state BUS_UNUSED, store_txn_t *txn BUS_UNUSED, pack_t *out)
{
    pack_pair_text(out, "mood", "fine");
    return 1;
}

static const service_definition_t definition = {
    .name = "bucket",
    .source = "bhiv_bucket",
    .rules_version = 3,
    .tables = tables,
    .table_count = 1,
    .applies = applies,
    .apply_count = sizeof(applies) / sizeof(applies[0]),
    .queries = queries,
    .query_count = sizeof(queries) / sizeof(queries[0]),
    .open = open_state,
    .close = close_state,
    .undone = undone,
    .health = health,
};

// --- The test's side -----------------------------------------------------------------------------

typedef struct {
    loop_t *loop;
    fake_broker_t *broker;
    client_t *client;
    folder_t folder;
    service_definition_t definition;
    pid_t pid;
    int out; // the service's stdout
    char printed[TEXT_SIZE];
    size_t printed_size;
    bool is_answered;
    client_answer_t answer;
    char body[TEXT_SIZE]; // of the answer
    size_t body_size;
    unsigned next_id;
    size_t target;
    unsigned answers; // of commands said and not awaited one by one
} fixture_t;

static void
start(fixture_t *self)
{
    int fds[2];
    cr_assert_eq(pipe2(fds, O_CLOEXEC | O_NONBLOCK), 0);
    fflush(stdout);
    self->printed_size = 0;
    self->pid = fork();
    cr_assert_geq(self->pid, 0);
    if (self->pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL); // a test that failed leaves nothing behind
        dup2(fds[1], STDOUT_FILENO);
        close_range(STDERR_FILENO + 1, ~0U, 0); // the broker's sockets, above all
        service_options_t options = {.dir = self->folder.path,
                                     .ingress = fake_broker_ingress(self->broker),
                                     .egress = fake_broker_egress(self->broker),
                                     .store_bytes = 64 << 20};
        _exit(service_run(&self->definition, &options));
    }
    close(fds[1]);
    self->out = fds[0];
}

// Ends the service. Returns its exit status, or minus the signal.
static int
stop(fixture_t *self, int signal_number)
{
    int status = 0;
    if (signal_number != 0) {
        kill(self->pid, signal_number);
    }
    cr_assert_eq(waitpid(self->pid, &status, 0), self->pid);
    close(self->out);
    self->pid = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static bool
is_ready(void *arg)
{
    fixture_t *self = arg;
    ssize_t got = read(self->out,
                       self->printed + self->printed_size,
                       sizeof(self->printed) - 1 - self->printed_size);
    self->printed_size += got > 0 ? (size_t) got : 0;
    self->printed[self->printed_size] = '\0';
    return strchr(self->printed, '\n') != NULL;
}

static void
await_ready(fixture_t *self)
{
    cr_assert(fake_run(self->loop, is_ready, self, WAIT_MS), "never ready");
    cr_assert_str_eq(self->printed, "ready bucket\n");
}

static fixture_t *
fixture_new(void)
{
    fixture_t *self = calloc(1, sizeof(*self));
    self->loop = loop_new();
    self->broker = fake_broker_new(self->loop, 1);
    self->folder = folder_make();
    self->definition = definition;
    client_options_t options = {.source = "bhiv_core",
                                .ingress = fake_broker_ingress(self->broker),
                                .egress = fake_broker_egress(self->broker)};
    self->client = client_new(self->loop, &options);
    return self;
}

static fixture_t *
fixture_started(void)
{
    fixture_t *self = fixture_new();
    start(self);
    await_ready(self);
    return self;
}

static void
fixture_destroy(fixture_t **self_p)
{
    fixture_t *self = *self_p;
    if (self->pid != 0) {
        cr_assert_eq(stop(self, SIGTERM), 0);
    }
    client_destroy(&self->client);
    fake_broker_destroy(&self->broker);
    loop_destroy(&self->loop);
    folder_remove(&self->folder);
    free(self);
    *self_p = NULL;
}

static void
on_answer(void *arg, const client_answer_t *answer)
{
    fixture_t *self = arg;
    if (answer->event == CLIENT_ACKED) {
        return;
    }
    self->answer = *answer;
    self->body_size = answer->body.size;
    cr_assert_lt(self->body_size, sizeof(self->body));
    if (self->body_size > 0) {
        memcpy(self->body, answer->body.data, self->body_size);
    }
    self->is_answered = true;
}

static bool
is_answered(void *arg)
{
    return ((fixture_t *) arg)->is_answered;
}

typedef struct {
    const char *topic;
    const char *op;   // of the body {op}; NULL: {}
    const char *id;   // NULL: made
    const char *idem; // NULL: none
    unsigned timeout_ms;
} ask_t;

// Says it and waits for the last word. Returns its error.
static bus_err_t
ask(fixture_t *self, const ask_t *what)
{
    BUS_AUTO(pack_destroy) pack_t *body = pack_new();
    pack_map(body, what->op != NULL);
    if (what->op != NULL) {
        pack_pair_text(body, "op", what->op);
    }
    self->is_answered = false;
    client_message_t message = {.topic = what->topic,
                                .body = pack_view(body),
                                .id = what->id,
                                .idem = view_from_text(what->idem),
                                .want = CLIENT_WANT_REPLY | CLIENT_WANT_ACK,
                                .timeout_ms = what->timeout_ms == 0 ? WAIT_MS : what->timeout_ms};
    cr_assert_eq(client_send(self->client, &message, on_answer, self, NULL), BUS_OK);
    cr_assert(fake_run(self->loop, is_answered, self, WAIT_MS), "%s: no answer", what->topic);
    return self->answer.err;
}

static int64_t
number(const fixture_t *self, const char *key)
{
    bus_view_t value;
    int64_t integer = -1;
    if (walk_find_path(view_from(self->body, self->body_size), key, &value) != BUS_OK ||
        walk_as_int(value, &integer) != BUS_OK) {
        return -1;
    }
    return integer;
}

static const char *
text(const fixture_t *self, const char *key, char ret_text[TEXT_SIZE])
{
    bus_view_t value;
    bus_view_t found = VIEW_LITERAL("");
    if (walk_find_path(view_from(self->body, self->body_size), key, &value) == BUS_OK &&
        walk_as_str(value, &found) != BUS_OK) {
        found = VIEW_LITERAL("");
    }
    snprintf(ret_text, TEXT_SIZE, "%.*s", (int) found.size, found.data);
    return ret_text;
}

static int64_t
counted(fixture_t *self, const char *name)
{
    cr_assert_eq(ask(self, &(ask_t){.topic = "req.bucket.counts"}), BUS_OK);
    return number(self, name);
}

// Journals `count` events as some peer would.
static void
add_events(fixture_t *self, size_t count, const char *trace)
{
    BUS_AUTO(pack_destroy) pack_t *body = pack_new();
    pack_map(body, 1);
    pack_pair_text(body, "requester_id", "bhiv_core");
    for (size_t i = 0; i < count; i++) {
        char id[40];
        snprintf(id, sizeof(id), "event-%u", self->next_id++);
        header_t header = {.id = view_from_text(id),
                           .source = VIEW_LITERAL("bhiv_core"),
                           .trace_id = view_from_text(trace)};
        fake_broker_append(self->broker, "core.event.test", &header, pack_view(body), 0);
    }
}

static bool
all_said(void *arg)
{
    const fixture_t *self = arg;
    return fake_broker_count_topic(self->broker, "karma.life_event") >= self->target &&
           fake_broker_count_topic(self->broker, "karma.third") >= self->target / 3;
}

// Each event has made one life event, each third another, in order, under numbers without gaps.
static void
check_said(fixture_t *self, size_t events)
{
    self->target = events;
    cr_assert(fake_run(self->loop, all_said, self, WAIT_MS), "not all was said");
    cr_assert_eq(fake_broker_count_topic(self->broker, "karma.life_event"), events);
    cr_assert_eq(fake_broker_count_topic(self->broker, "karma.third"), events / 3);
    uint64_t pseq = 0, seq = 0, n = 0;
    for (size_t i = 0; i < fake_broker_count(self->broker); i++) {
        const fake_record_t *record = fake_broker_record(self->broker, i);
        if (strcmp(record->source, "bhiv_bucket") != 0 || record->cause_seq == 0) {
            continue;
        }
        cr_assert_eq(record->pseq, ++pseq);
        cr_assert(record->cause_seq > seq ||
                  (record->cause_seq == seq && record->cause_n == n + 1));
        seq = record->cause_seq;
        n = record->cause_n;
    }
}

// Waits until the service has applied all that is journaled.
static void
await_read_all(fixture_t *self)
{
    int64_t head = (int64_t) fake_broker_count(self->broker);
    int64_t cursor = -1;
    for (uint64_t until_ms = clock_boot_ms() + WAIT_MS; cursor < head;) {
        cr_assert_lt(clock_boot_ms(), until_ms, "read up to %lld", (long long) cursor);
        cr_assert_eq(ask(self, &(ask_t){.topic = "req.bucket.health"}), BUS_OK);
        cursor = number(self, "cursor");
    }
}

// --- Life ----------------------------------------------------------------------------------------

Test(service, is_ready_when_it_has_caught_up)
{
    fixture_t *self = fixture_new();
    add_events(self, 100, NULL);
    start(self);
    await_ready(self);
    cr_assert_eq(counted(self, "events"), 100);
    check_said(self, 100);
    fixture_destroy(&self);
}

Test(service, is_ready_without_a_broker_and_works_once_there_is_one)
{
    fixture_t *self = fixture_new();
    fake_broker_stop(self->broker);
    start(self);
    await_ready(self);
    fake_broker_start(self->broker);
    add_events(self, 3, NULL);
    check_said(self, 3);
    cr_assert_eq(counted(self, "events"), 3);
    fixture_destroy(&self);
}

Test(service, ends_with_75_where_its_store_is_taken)
{
    fixture_t *self = fixture_started();
    pid_t first = self->pid;
    int out = self->out;
    start(self);
    cr_assert_eq(stop(self, 0), 75);
    self->pid = first;
    self->out = out;
    fixture_destroy(&self);
}

Test(service, ends_with_78_where_the_journal_is_another)
{
    fixture_t *self = fixture_started();
    fake_broker_stop(self->broker);
    fake_broker_replace_journal(self->broker);
    fake_broker_start(self->broker);
    int status = 0;
    siginfo_t info;
    fake_run_for(self->loop, 1); // the welcome needs the broker to run
    for (int i = 0; i < WAIT_MS && status == 0; i += 10) {
        fake_run_for(self->loop, 10);
        info.si_pid = 0;
        waitid(P_PID, (id_t) self->pid, &info, WEXITED | WNOHANG | WNOWAIT);
        status = info.si_pid;
    }
    cr_assert_eq(stop(self, 0), 78);
    fixture_destroy(&self);
}

// --- Once ----------------------------------------------------------------------------------------

Test(service, applies_and_says_everything_once_however_often_it_is_killed, .timeout = 200)
{
    fixture_t *self = fixture_new();
    unsigned random = 4711;
    size_t events = 0;
    for (int round = 0; round < 12; round++) {
        start(self);
        for (int burst = 0; burst < 5; burst++) {
            random = random * 1664525U + 1013904223U;
            size_t count = 1 + random % 150;
            add_events(self, count, NULL);
            events += count;
            fake_run_for(self->loop, 5 + random % 40);
        }
        cr_assert_eq(stop(self, SIGKILL), -SIGKILL);
    }
    start(self);
    await_ready(self);
    cr_assert_eq(counted(self, "events"), (int64_t) events);
    check_said(self, events);
    fixture_destroy(&self);
}

Test(service, answers_a_command_again_whose_answer_it_was_killed_before)
{
    fixture_t *self = fixture_started();
    fake_broker_faults(self->broker)->mute_replies = true;
    ask_t command = {.topic = "bucket.count", .id = "command-1", .timeout_ms = 300};
    cr_assert_eq(ask(self, &command), BUS_TIMEOUT);
    cr_assert_eq(fake_broker_count(self->broker), 1);
    cr_assert_eq(stop(self, SIGKILL), -SIGKILL);
    fake_broker_faults(self->broker)->mute_replies = false;
    start(self);
    await_ready(self);
    command.timeout_ms = 0;
    cr_assert_eq(ask(self, &command), BUS_OK);
    cr_assert_eq(number(self, "count"), 1);
    cr_assert_eq(fake_broker_count(self->broker), 2, "it was journaled again");
    cr_assert_eq(counted(self, "commands"), 1, "and not applied again");
    fixture_destroy(&self);
}

Test(service, ignores_an_id_that_it_applied_within_a_day_and_not_after)
{
    fixture_t *self = fixture_started();
    uint64_t now = clock_wall_us();
    uint64_t day = 24ULL * 3600 * 1000000;
    BUS_AUTO(pack_destroy) pack_t *body = pack_new();
    pack_map(body, 1);
    pack_pair_text(body, "requester_id", "bhiv_core");
    header_t header = {.id = VIEW_LITERAL("same"), .source = VIEW_LITERAL("a")};
    uint64_t start_at = now - 3 * day;
    fake_broker_append(self->broker, "core.event.x", &header, pack_view(body), start_at);
    fake_broker_append(self->broker, "core.event.x", &header, pack_view(body), start_at + day);
    header.source = VIEW_LITERAL("b");
    fake_broker_append(self->broker, "core.event.x", &header, pack_view(body), start_at + day);
    header.source = VIEW_LITERAL("a");
    fake_broker_append(self->broker, "core.event.x", &header, pack_view(body), start_at + day + 1);
    // Applied again, so its day begins anew.
    fake_broker_append(self->broker, "core.event.x", &header, pack_view(body), start_at + 2 * day);
    await_read_all(self);
    cr_assert_eq(counted(self, "events"), 3);
    fixture_destroy(&self);
}

Test(service, gives_an_idempotency_key_its_first_answer)
{
    fixture_t *self = fixture_started();
    ask_t command = {.topic = "bucket.count", .idem = "caller key-1", .op = "count"};
    cr_assert_eq(ask(self, &command), BUS_OK);
    cr_assert_eq(number(self, "count"), 1);
    cr_assert_eq(ask(self, &(ask_t){.topic = "bucket.count"}), BUS_OK);
    cr_assert_eq(number(self, "count"), 2);
    cr_assert_eq(ask(self, &command), BUS_OK);
    cr_assert_eq(number(self, "count"), 1, "the first answer");
    command.op = "other";
    cr_assert_eq(ask(self, &command), BUS_IDEMPOTENCY_KEY_REUSED);
    command.idem = "caller key-2";
    command.op = "refuse";
    cr_assert_eq(ask(self, &command), BUS_CONFLICT);
    cr_assert_eq(ask(self, &command), BUS_CONFLICT, "a refusal is an answer too");
    cr_assert_eq(counted(self, "commands"), 2);
    fixture_destroy(&self);
}

// --- Rebuilding ----------------------------------------------------------------------------------

static void
lose_store(const fixture_t *self)
{
    char path[2 * FOLDER_SIZE];
    folder_t store;
    snprintf(store.path, sizeof(store.path), "%s", folder_join(&self->folder, "bucket", path));
    folder_remove(&store);
}

static void
hash_of(fixture_t *self, char ret_hash[TEXT_SIZE])
{
    cr_assert_eq(ask(self, &(ask_t){.topic = "req.bucket.state_hash"}), BUS_OK);
    text(self, "state_hash", ret_hash);
    cr_assert_eq(strlen(ret_hash), 64);
}

Test(service, is_rebuilt_to_the_same_state_and_says_nothing_twice)
{
    fixture_t *self = fixture_started();
    char before[TEXT_SIZE], after[TEXT_SIZE];
    add_events(self, 500, NULL);
    check_said(self, 500);
    hash_of(self, before);
    cr_assert_eq(stop(self, SIGTERM), 0);
    lose_store(self);
    start(self);
    await_ready(self);
    hash_of(self, after);
    cr_assert_str_eq(before, after);
    add_events(self, 10, NULL);
    check_said(self, 510);
    fixture_destroy(&self);
}

Test(service, says_the_rest_where_its_store_was_lost_before_all_was_said)
{
    fixture_t *self = fixture_started();
    add_events(self, 200, NULL);
    check_said(self, 200);
    fake_broker_faults(self->broker)->lose_in = 1000; // nothing of it arrives
    add_events(self, 100, NULL);
    fake_run_for(self->loop, 100);
    cr_assert_eq(stop(self, SIGKILL), -SIGKILL);
    fake_broker_faults(self->broker)->lose_in = 0;
    lose_store(self);
    for (int i = 0; i < 3; i++) { // and is killed while it is being made again
        start(self);
        fake_run_for(self->loop, 30 + 20 * (unsigned) i);
        cr_assert_eq(stop(self, SIGKILL), -SIGKILL);
    }
    start(self);
    await_ready(self);
    check_said(self, 300);
    cr_assert_eq(counted(self, "events"), 300);
    fixture_destroy(&self);
}

Test(service, goes_on_from_an_older_copy_of_its_store)
{
    fixture_t *self = fixture_started();
    char path[2 * FOLDER_SIZE], copy[2 * FOLDER_SIZE];
    add_events(self, 50, NULL);
    check_said(self, 50);
    cr_assert_eq(store_copy(folder_join(&self->folder, "bucket", path),
                            folder_join(&self->folder, "copy", copy)),
                 BUS_OK);
    add_events(self, 50, NULL);
    check_said(self, 100);
    cr_assert_eq(stop(self, SIGTERM), 0);
    lose_store(self);
    cr_assert_eq(rename(copy, path), 0);
    start(self);
    await_ready(self);
    add_events(self, 50, NULL);
    check_said(self, 150);
    cr_assert_eq(counted(self, "events"), 150);
    fixture_destroy(&self);
}

Test(service, says_everything_once_to_a_broker_that_loses_and_refuses, .timeout = 120)
{
    fixture_t *self = fixture_started();
    *fake_broker_faults(self->broker) =
        (fake_faults_t){.lose_in = 3, .lose_ack = 300, .busy = 3, .full = 2};
    for (int round = 0; round < 5; round++) {
        add_events(self, 100, NULL);
        fake_run_for(self->loop, 50);
        fake_broker_stop(self->broker);
        fake_broker_start(self->broker);
    }
    fake_run_for(self->loop, 200);
    *fake_broker_faults(self->broker) = (fake_faults_t){.lose_in = 0};
    check_said(self, 500);
    fixture_destroy(&self);
}

// --- Refusing ------------------------------------------------------------------------------------

Test(service, refuses_what_does_not_fit_its_schema_and_names_the_field)
{
    fixture_t *self = fixture_started();
    char field[TEXT_SIZE];
    cr_assert_eq(ask(self, &(ask_t){.topic = "bucket.forwarding.set"}), BUS_VALIDATION_FAILED);
    bus_view_t details, first;
    walk_t walk;
    walk_item_t head;
    cr_assert_eq(walk_find(view_from(self->body, self->body_size), "details", &details), BUS_OK);
    walk = walk_from(details);
    cr_assert_eq(walk_next(&walk, &head), BUS_OK);
    cr_assert_eq(head.count, 1);
    cr_assert_eq(walk_skip(&walk, &first), BUS_OK);
    memmove(self->body, first.data, first.size);
    self->body_size = first.size;
    cr_assert_str_eq(text(self, "field", field), "enabled");
    cr_assert_eq(ask(self, &(ask_t){.topic = "bucket.count", .op = "refuse"}), BUS_CONFLICT);
    cr_assert_str_eq(text(self, "message", field), "told to");
    cr_assert_eq(counted(self, "commands"), 0);
    cr_assert_eq(ask(self, &(ask_t){.topic = "req.bucket.health"}), BUS_OK);
    cr_assert_eq(number(self, "refused"), 2);
    cr_assert_eq(number(self, "cursor"), 2);
    fixture_destroy(&self);
}

Test(service, undoes_a_batch_that_its_store_cannot_take_and_tries_again)
{
    fixture_t *self = fixture_started();
    cr_assert_eq(ask(self, &(ask_t){.topic = "bucket.count", .op = "fill"}), BUS_OK);
    cr_assert_eq(number(self, "count"), 1, "what it counted before it failed is gone");
    cr_assert_eq(counted(self, "undone"), 1);
    cr_assert_eq(counted(self, "commands"), 1);
    fixture_destroy(&self);
}

Test(service, does_not_answer_who_has_gone)
{
    fixture_t *self = fixture_started();
    BUS_AUTO(pack_destroy) pack_t *body = pack_new();
    pack_map(body, 0);
    header_t header = {.id = VIEW_LITERAL("old"),
                       .source = VIEW_LITERAL("a"),
                       .reply_to = view_from_text(client_inbox(self->client))};
    fake_broker_append(
        self->broker, "bucket.count", &header, pack_view(body), clock_wall_us() - 6000000);
    await_read_all(self);
    client_stats_t stats;
    client_stats(self->client, &stats);
    cr_assert_eq(stats.orphans, 0);
    header.id = VIEW_LITERAL("new");
    fake_broker_append(self->broker, "bucket.count", &header, pack_view(body), 0);
    await_read_all(self);
    client_stats(self->client, &stats);
    cr_assert_eq(stats.orphans, 1);
    fixture_destroy(&self);
}

// --- Questions -----------------------------------------------------------------------------------

Test(service, answers_what_every_service_answers)
{
    fixture_t *self = fixture_started();
    char word[TEXT_SIZE];
    cr_assert_eq(ask(self, &(ask_t){.topic = "bucket.count"}), BUS_OK);
    cr_assert_eq(ask(self, &(ask_t){.topic = "bucket.count", .op = "refuse"}), BUS_CONFLICT);
    cr_assert_eq(ask(self, &(ask_t){.topic = "req.bucket.health"}), BUS_OK);
    cr_assert_str_eq(text(self, "status", word), "healthy");
    cr_assert_str_eq(text(self, "service", word), "bucket");
    cr_assert_str_eq(text(self, "mood", word), "fine");
    cr_assert_eq(number(self, "applied"), 1);
    cr_assert_eq(number(self, "refused"), 1);
    cr_assert_eq(number(self, "rules_version"), 3);
    cr_assert_gt(number(self, "storage.bytes"), 0);
    cr_assert_eq(number(self, "storage.quota"), 64 << 20);
    cr_assert_eq(ask(self, &(ask_t){.topic = "req.bucket.nothing"}), BUS_NOT_FOUND);
    cr_assert_eq(ask(self, &(ask_t){.topic = "req.bucket.refused"}), BUS_USER_NOT_FOUND);
    cr_assert_str_eq(text(self, "message", word), "nobody");
    cr_assert_eq(ask(self, &(ask_t){.topic = "req.bucket.checked"}), BUS_VALIDATION_FAILED);
    fixture_destroy(&self);
}

static bus_err_t
ask_queue(fixture_t *self, uint64_t seq)
{
    BUS_AUTO(pack_destroy) pack_t *body = pack_new();
    pack_map(body, 1);
    pack_pair_uint(body, "seq", seq);
    self->is_answered = false;
    client_message_t message = {
        .topic = "req.bucket.queue", .body = pack_view(body), .want = CLIENT_WANT_REPLY};
    cr_assert_eq(client_send(self->client, &message, on_answer, self, NULL), BUS_OK);
    cr_assert(fake_run(self->loop, is_answered, self, WAIT_MS));
    return self->answer.err;
}

Test(service, says_what_became_of_a_command)
{
    fixture_t *self = fixture_started();
    char word[TEXT_SIZE];
    ask_t command = {.topic = "bucket.count", .idem = "k"};
    cr_assert_eq(ask(self, &command), BUS_OK);
    cr_assert_eq(ask(self, &(ask_t){.topic = "bucket.count", .op = "refuse"}), BUS_CONFLICT);
    cr_assert_eq(ask(self, &command), BUS_OK);
    cr_assert_eq(ask_queue(self, 1), BUS_OK);
    cr_assert_str_eq(text(self, "state", word), "applied");
    cr_assert_eq(number(self, "result.count"), 1);
    cr_assert_eq(ask_queue(self, 2), BUS_OK);
    cr_assert_str_eq(text(self, "state", word), "refused");
    cr_assert_str_eq(text(self, "result.error_code", word), "CONFLICT");
    cr_assert_eq(ask_queue(self, 3), BUS_OK);
    cr_assert_eq(number(self, "result.count"), 1, "of the one that it repeats");
    cr_assert_eq(ask_queue(self, 99), BUS_OK);
    cr_assert_str_eq(text(self, "state", word), "queued");
    cr_assert_eq(ask_queue(self, 0), BUS_VALIDATION_FAILED);
    fixture_destroy(&self);
}

// --- Configuration -------------------------------------------------------------------------------

Test(service, journals_its_configuration_when_it_changed_and_only_then)
{
    fixture_t *self = fixture_new();
    self->definition.config = config_one;
    start(self);
    await_ready(self);
    cr_assert_eq(fake_broker_count_topic(self->broker, "bucket.config"), 1);
    cr_assert_eq(counted(self, "configs"), 1, "applied before it was ready");
    cr_assert_eq(stop(self, SIGTERM), 0);
    start(self);
    await_ready(self);
    cr_assert_eq(fake_broker_count_topic(self->broker, "bucket.config"), 1);
    cr_assert_eq(stop(self, SIGTERM), 0);
    self->definition.config = config_two;
    start(self);
    await_ready(self);
    cr_assert_eq(fake_broker_count_topic(self->broker, "bucket.config"), 2);
    cr_assert_eq(stop(self, SIGTERM), 0);
    lose_store(self);
    start(self);
    await_ready(self);
    cr_assert_eq(fake_broker_count_topic(self->broker, "bucket.config"), 2, "it read them back");
    cr_assert_eq(counted(self, "configs"), 2);
    header_t header = {.id = VIEW_LITERAL("x"), .source = VIEW_LITERAL("somebody")};
    BUS_AUTO(pack_destroy) pack_t *body = pack_new();
    config_one(body);
    fake_broker_append(self->broker, "bucket.config", &header, pack_view(body), 0);
    await_read_all(self);
    cr_assert_eq(counted(self, "configs"), 2, "another's word does not count");
    fixture_destroy(&self);
}

// --- Keeping -------------------------------------------------------------------------------------

static bool
has_acked(void *arg)
{
    fixture_t *self = arg;
    return fake_broker_last_ack(self->broker) >= self->target;
}

Test(service, acks_what_is_flushed_and_never_more)
{
    fixture_t *self = fixture_started();
    add_events(self, 10, NULL);
    await_read_all(self);
    uint64_t cursor = (uint64_t) number(self, "cursor") + 1;
    cr_assert_lt(fake_broker_last_ack(self->broker), cursor, "the last commit may be lost");
    self->target = cursor;
    cr_assert(fake_run(self->loop, has_acked, self, WAIT_MS), "flushed when idle");
    fixture_destroy(&self);
}
