// service_fixture.h - a small service in a process of its own, the fake broker and a client in
// ours.
#pragma once
#include "fake_broker.h"
#include "folder.h"
#include "proto/walk.h"
#include "runtime/clock.h"
#include "runtime/service.h"
#include "spawner.h"
#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

enum { WAIT_MS = 30000, TEXT_SIZE = 4096 };

// --- The service ---------------------------------------------------------------------------------

// Counts what it applied by name: its whole state. And, beside it, how often it was opened, and the
// questions that it was asked.
enum { COUNTS, MARKS };
static const store_table_t tables[] = {
    [COUNTS] = {"counts", STORE_KEYS_BYTES, true, "what was applied, by name"},
    [MARKS] = {"marks", STORE_KEYS_BYTES, false, "what open and save wrote, by name"},
};

typedef struct {
    unsigned fullness; // so many batches fail as if the store were full
    unsigned undone;
    uint64_t asked; // questions, before this start too
} state_t;

// 0 where there is none.
static inline uint64_t
get_count(store_txn_t *txn, unsigned table, const char *name)
{
    bus_view_t value;
    uint64_t count = 0;
    if (store_get(txn, table, view_from_text(name), &value) == BUS_OK) {
        memcpy(&count, value.data, sizeof(count));
    }
    return count;
}

static inline bus_err_t
put_count(store_txn_t *txn, unsigned table, const char *name, uint64_t count)
{
    return store_put(txn, table, view_from_text(name), view_from(&count, sizeof(count)));
}

static inline bus_err_t
count_up(store_txn_t *txn, const char *name, uint64_t *ret_count)
{
    *ret_count = get_count(txn, COUNTS, name) + 1;
    return put_count(txn, COUNTS, name, *ret_count);
}

// An event: one consequence, two for each third.
static inline bus_err_t
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
static inline bus_err_t
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

static inline bus_err_t
apply_config(service_apply_t *self, const void *message BUS_UNUSED)
{
    uint64_t count;
    return count_up(self->txn, "configs", &count);
}

static const service_apply_row_t applies[] = {
    {"core.event.", &SCHEMA_core_event, true, apply_event, "counts", .event = true},
    {"bucket.", NULL, true, apply_command, "counts and answers", .event = false},
    {"bucket.read", NULL, true, apply_command, "counts and answers", .read = true},
    {"bucket.forwarding.set",
     &SCHEMA_forwarding_set,
     true,
     apply_command,
     "checked",
     .event = false},
    {"bucket.config", NULL, false, apply_config, "counts", .event = false},
};

static inline bus_err_t
query_counts(service_query_t *self, const void *message BUS_UNUSED)
{
    static const char *const names[] = {"events", "commands", "configs", "refusals"};
    state_t *state = self->state;
    pack_map(self->answer, 7);
    for (size_t i = 0; i < 4; i++) {
        pack_pair_uint(self->answer, names[i], get_count(self->txn, COUNTS, names[i]));
    }
    pack_pair_uint(self->answer, "opened", get_count(self->txn, MARKS, "opened"));
    pack_pair_uint(self->answer, "asked", ++state->asked);
    pack_pair_uint(self->answer, "undone", state->undone);
    return BUS_OK;
}

static inline bus_err_t
query_refused(service_query_t *self, const void *message BUS_UNUSED)
{
    return service_query_refuse(self, BUS_USER_NOT_FOUND, "nobody", VIEW_NONE);
}

static const service_query_row_t queries[] = {
    {"counts", NULL, query_counts, "all"},
    {"refused", NULL, query_refused, "always"},
    {"checked", &SCHEMA_forwarding_set, query_refused, "wants enabled"},
};

static inline bus_err_t
open_state(const service_options_t *options BUS_UNUSED, store_txn_t *txn, void **ret_state)
{
    state_t *state = calloc(1, sizeof(*state));
    state->fullness = 1;
    state->asked = get_count(txn, MARKS, "asked");
    *ret_state = state;
    return put_count(txn, MARKS, "opened", get_count(txn, MARKS, "opened") + 1);
}

static inline void
close_state(void **state_p)
{
    free(*state_p);
    *state_p = NULL;
}

static inline void
undone(void *state, store_txn_t *txn BUS_UNUSED)
{
    ((state_t *) state)->undone++;
}

static inline void
config_one(const service_options_t *options BUS_UNUSED, pack_t *out)
{
    pack_map(out, 1);
    pack_pair_uint(out, "limit", 1);
}

static inline void
config_two(const service_options_t *options BUS_UNUSED, pack_t *out)
{
    pack_map(out, 1);
    pack_pair_uint(out, "limit", 2);
}

static inline unsigned
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
    .table_count = 2,
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
    spawner_t spawner;
    pid_t pid; // of the service; 0: none runs
    char printed[TEXT_SIZE];
    size_t printed_size;
    bool is_answered;
    client_answer_t answer;
    char body[TEXT_SIZE]; // of the answer
    size_t body_size;
    unsigned next_id;
    size_t target;
    unsigned answers;  // of commands said and not awaited one by one
    bool rebuild;      // what is started only rebuilds
    unsigned alone_ms; // of what is started; 0: the harness's own, for who has no broker
    const char *word;  // that has_printed looks for
} fixture_t;

static inline void
start(fixture_t *self)
{
    char old[TEXT_SIZE];
    while (read(self->spawner.out, old, sizeof(old)) > 0) {
    }
    self->printed_size = 0;
    spawner_start_t order = {.definition = self->definition,
                             .store_bytes = 64 << 20,
                             .rebuild = self->rebuild,
                             .alone_ms = self->alone_ms};
    snprintf(order.dir, sizeof(order.dir), "%s", self->folder.path);
    snprintf(order.ingress, sizeof(order.ingress), "%s", fake_broker_ingress(self->broker));
    snprintf(order.egress, sizeof(order.egress), "%s", fake_broker_egress(self->broker));
    self->pid = spawner_start(&self->spawner, &order);
}

// Ends the service. Returns its exit status, or minus the signal.
static inline int
stop(fixture_t *self, int signal_number)
{
    if (signal_number != 0) {
        kill(self->pid, signal_number);
    }
    int status = spawner_wait(&self->spawner, self->pid);
    self->pid = 0;
    return status;
}

static inline bool
is_ready(void *arg)
{
    fixture_t *self = arg;
    ssize_t got = read(self->spawner.out,
                       self->printed + self->printed_size,
                       sizeof(self->printed) - 1 - self->printed_size);
    self->printed_size += got > 0 ? (size_t) got : 0;
    self->printed[self->printed_size] = '\0';
    return strchr(self->printed, '\n') != NULL;
}

static inline void
await_ready(fixture_t *self)
{
    cr_assert(fake_run(self->loop, is_ready, self, WAIT_MS), "never ready");
    cr_assert_str_eq(self->printed, "ready bucket\n");
}

static inline bool
has_printed(void *arg)
{
    fixture_t *self = arg;
    (void) is_ready(self);
    return strstr(self->printed, self->word) != NULL;
}

static inline void
await_printed(fixture_t *self, const char *word)
{
    self->word = word;
    cr_assert(fake_run(self->loop, has_printed, self, WAIT_MS), "never said %s", word);
}

static inline fixture_t *
fixture_new(void)
{
    fixture_t *self = calloc(1, sizeof(*self));
    spawner_init(&self->spawner);
    self->loop = loop_new();
    self->broker = fake_broker_new(self->loop, 1);
    self->folder = folder_make();
    self->definition = definition;
    self->alone_ms = WAIT_MS; // a broker that is slow to be reached is there
    client_options_t options = {.source = "bhiv_core",
                                .ingress = fake_broker_ingress(self->broker),
                                .egress = fake_broker_egress(self->broker)};
    self->client = client_new(self->loop, &options);
    return self;
}

static inline fixture_t *
fixture_started(void)
{
    fixture_t *self = fixture_new();
    start(self);
    await_ready(self);
    return self;
}

static inline void
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
    spawner_clear(&self->spawner);
    free(self);
    *self_p = NULL;
}

static inline void
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

static inline bool
is_answered(void *arg)
{
    return ((fixture_t *) arg)->is_answered;
}

typedef struct {
    const char *topic;
    const char *op;   // of the body {op}; NULL: {}
    const char *id;   // NULL: made
    const char *idem; // NULL: none
    const char *trace;
    unsigned timeout_ms;
} ask_t;

// Says it and waits for the last word. Returns its error.
static inline bus_err_t
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
                                .trace_id = view_from_text(what->trace),
                                .want = CLIENT_WANT_REPLY | CLIENT_WANT_ACK,
                                .timeout_ms = what->timeout_ms == 0 ? WAIT_MS : what->timeout_ms};
    cr_assert_eq(client_send(self->client, &message, on_answer, self, NULL), BUS_OK);
    cr_assert(fake_run(self->loop, is_answered, self, WAIT_MS), "%s: no answer", what->topic);
    return self->answer.err;
}

static inline int64_t
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

static inline int64_t
counted(fixture_t *self, const char *name)
{
    cr_assert_eq(ask(self, &(ask_t){.topic = "req.bucket.counts"}), BUS_OK);
    return number(self, name);
}

// Journals `count` events as some peer would.
static inline void
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

static inline bool
all_said(void *arg)
{
    const fixture_t *self = arg;
    return fake_broker_count_topic(self->broker, "karma.life_event") >= self->target &&
           fake_broker_count_topic(self->broker, "karma.third") >= self->target / 3;
}

// Each event has made one life event, each third another, in order, under numbers without gaps.
static inline void
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

// Waits until the service has applied all that is journaled. Returns the last that it applied.
static inline int64_t
await_read_all(fixture_t *self)
{
    int64_t head = (int64_t) fake_broker_count(self->broker);
    int64_t cursor = -1;
    for (uint64_t until_ms = clock_boot_ms() + WAIT_MS; cursor < head;) {
        cr_assert_lt(clock_boot_ms(), until_ms, "read up to %lld", (long long) cursor);
        cr_assert_eq(ask(self, &(ask_t){.topic = "req.bucket.health"}), BUS_OK);
        cursor = number(self, "cursor");
    }
    return cursor;
}

static inline void
lose_store(const fixture_t *self)
{
    folder_t store;
    int size = snprintf(store.path, sizeof(store.path), "%s/%s", self->folder.path, "bucket");
    cr_assert(size > 0 && size < FOLDER_SIZE);
    folder_remove(&store);
}
