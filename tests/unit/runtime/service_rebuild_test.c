// service_rebuild_test.c - a process that only rebuilds, beside the service itself.
#include "proto/transcode.h"
#include "service_fixture.h"
#include <sys/stat.h>

static unsigned
rebuilt(void *state BUS_UNUSED, store_txn_t *txn, pack_t *out)
{
    pack_pair_uint(out, "events", get_count(txn, COUNTS, "events"));
    return 1;
}

static bool
has_ended(void *arg)
{
    fixture_t *self = arg;
    (void) is_ready(self); // reads what it prints, which a pipe holds only so much of
    return spawner_has_ended(&self->spawner, self->pid);
}

// Runs a rebuild to its end; what it printed is the body. Returns its exit status.
static int
rebuild(fixture_t *self)
{
    pid_t live = self->pid;
    self->rebuild = true;
    start(self);
    cr_assert(fake_run(self->loop, has_ended, self, WAIT_MS), "the rebuild never ends");
    int status = stop(self, 0);
    (void) is_ready(self);
    self->rebuild = false;
    self->pid = live;
    BUS_AUTO(pack_destroy) pack_t *out = pack_new();
    self->body_size = 0;
    if (self->printed_size > 0) {
        cr_assert_eq(transcode_from_json(view_from_text(self->printed), out, NULL, 0), BUS_OK);
        self->body_size = pack_view(out).size;
        memcpy(self->body, pack_view(out).data, self->body_size);
    }
    return status;
}

static bool
is_there(const fixture_t *self, const char *name)
{
    char path[2 * FOLDER_SIZE];
    struct stat found;
    return stat(folder_join(&self->folder, name, path), &found) == 0;
}

Test(service_rebuild, comes_to_the_state_of_the_one_that_runs_and_leaves_no_trace)
{
    fixture_t *self = fixture_new();
    char word[TEXT_SIZE], hash[TEXT_SIZE];
    self->definition.config = config_one;
    self->definition.rebuilt = rebuilt;
    start(self);
    await_ready(self);
    add_events(self, 3000, NULL);
    check_said(self, 3000);
    cr_assert_eq(ask(self, &(ask_t){.topic = "bucket.count", .op = "refuse"}), BUS_CONFLICT);
    await_read_all(self);
    size_t records = fake_broker_count(self->broker);
    unsigned hellos = fake_broker_counts(self->broker)->hellos;
    self->definition.config = config_two; // what it was given does not matter
    cr_assert_eq(rebuild(self), 0);
    cr_assert_str_eq(text(self, "service", word), "bucket");
    cr_assert_eq(number(self, "cursor"), (int64_t) records);
    cr_assert_eq(number(self, "rules_version"), 3);
    cr_assert_eq(number(self, "applied"), 3001);
    cr_assert_eq(number(self, "refused"), 1);
    cr_assert_eq(number(self, "events"), 3000);
    snprintf(hash, sizeof(hash), "%s", text(self, "state_hash", word));
    cr_assert_eq(ask(self, &(ask_t){.topic = "req.bucket.state_hash"}), BUS_OK);
    cr_assert_str_eq(text(self, "state_hash", word), hash);
    cr_assert_eq(number(self, "cursor"), (int64_t) records);
    fake_run_for(self->loop, 300);
    cr_assert_eq(fake_broker_count(self->broker), records, "it journaled something");
    cr_assert_eq(fake_broker_counts(self->broker)->hellos, hellos, "it registered");
    cr_assert(!is_there(self, "bucket.rebuild"));
    fixture_destroy(&self);
}

static bool
is_filled(void *arg)
{
    const fixture_t *self = arg;
    return fake_broker_counts(self->broker)->fetches >= self->target;
}

Test(service_rebuild, stops_at_the_head_that_it_was_welcomed_with)
{
    fixture_t *self = fixture_new();
    add_events(self, 4000, NULL);
    self->rebuild = true;
    start(self);
    self->target = 1;
    cr_assert(fake_run(self->loop, is_filled, self, WAIT_MS));
    add_events(self, 100, NULL); // while it reads
    cr_assert(fake_run(self->loop, has_ended, self, WAIT_MS));
    cr_assert_eq(stop(self, 0), 0);
    cr_assert_not_null(strstr(self->printed, "\"cursor\":4000,"), "%s", self->printed);
    cr_assert_not_null(strstr(self->printed, "\"applied\":4000,"), "%s", self->printed);
    fixture_destroy(&self);
}

Test(service_rebuild, is_done_at_once_with_an_empty_journal)
{
    fixture_t *self = fixture_new();
    cr_assert_eq(rebuild(self), 0);
    cr_assert_eq(number(self, "cursor"), 0);
    cr_assert_eq(number(self, "applied"), 0);
    fixture_destroy(&self);
}

Test(service_rebuild, ends_with_69_without_a_broker)
{
    fixture_t *self = fixture_new();
    fake_broker_stop(self->broker);
    cr_assert_eq(rebuild(self), 69);
    cr_assert_eq(self->printed_size, 0);
    cr_assert(!is_there(self, "bucket.rebuild"));
    fake_broker_start(self->broker);
    fixture_destroy(&self);
}

Test(service_rebuild, is_one_at_a_time_and_takes_over_what_a_killed_one_left)
{
    fixture_t *self = fixture_new();
    char path[2 * FOLDER_SIZE];
    folder_join(&self->folder, "bucket.rebuild", path);
    store_options_t options = {
        .path = path, .tables = tables, .table_count = 2, .size_max = 64 << 20};
    store_t *store = NULL;
    cr_assert_eq(store_open(&options, &store), BUS_OK);
    cr_assert_eq(rebuild(self), 75);
    cr_assert(is_there(self, "bucket.rebuild"), "it belongs to the other");
    store_txn_t *txn = NULL;
    cr_assert_eq(store_begin(store, STORE_WRITE, &txn), BUS_OK);
    cr_assert_eq(put_count(txn, COUNTS, "events", 5), BUS_OK);
    cr_assert_eq(store_commit(&txn), BUS_OK);
    store_destroy(&store);
    self->definition.rebuilt = rebuilt;
    cr_assert_eq(rebuild(self), 0);
    cr_assert_eq(number(self, "events"), 0);
    cr_assert(!is_there(self, "bucket.rebuild"));
    fixture_destroy(&self);
}

Test(service_rebuild, ends_where_its_store_is_full)
{
    fixture_t *self = fixture_new();
    add_events(self, 1, NULL);
    header_t header = {.id = VIEW_LITERAL("x"), .source = VIEW_LITERAL("a")};
    BUS_AUTO(pack_destroy) pack_t *body = pack_new();
    pack_map(body, 1);
    pack_pair_text(body, "op", "fill");
    fake_broker_append(self->broker, "bucket.count", &header, pack_view(body), 0);
    cr_assert_eq(rebuild(self), 74);
    cr_assert(!is_there(self, "bucket.rebuild"));
    fixture_destroy(&self);
}

// Its loop, which takes signals, is made before its store.
static bool
has_begun(void *arg)
{
    return is_there(arg, "bucket.rebuild");
}

Test(service_rebuild, can_be_stopped)
{
    fixture_t *self = fixture_new();
    fake_broker_stop(self->broker);
    self->rebuild = true;
    start(self);
    cr_assert(fake_run(self->loop, has_begun, self, WAIT_MS));
    cr_assert_eq(stop(self, SIGTERM), 128 + SIGTERM);
    cr_assert(!is_there(self, "bucket.rebuild"));
    fake_broker_start(self->broker);
    fixture_destroy(&self);
}
