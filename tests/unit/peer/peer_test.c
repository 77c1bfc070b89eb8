// peer_test.c - clients against the real broker, which is killed without a word and started again.
#include "runtime/client.h"
#include "runtime/clock.h"
#include <assert.h>
#include <criterion/criterion.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

enum { WAIT_MS = 60000, PATH_SIZE = 256, CALLS = 20000, IN_FLIGHT = 2000, KILLS = 4 };

extern char **environ;

typedef struct {
    loop_t *loop;
    char dir[PATH_SIZE], ingress[2 * PATH_SIZE], egress[2 * PATH_SIZE];
    pid_t pid; // of the broker
    client_t *client;
    pack_t *body;
    size_t said, acked, kills;
    uint64_t seqs[CALLS]; // of acked messages, by number
    uint64_t next;        // to be read
    size_t read;          // records that were read
    bool is_read;
    uint64_t until_ms;
    bool is_done;
} fixture_t;

static void
broker_start(fixture_t *self)
{
    char *arguments[] = {(char *) "bhiv",
                         (char *) "broker",
                         (char *) "--dir",
                         self->dir,
                         (char *) "--bus-in",
                         (char *) "0",
                         (char *) "--bus-out",
                         (char *) "0",
                         NULL};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none;
    sigemptyset(&none);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
    int rc = posix_spawn(&self->pid, BHIV_PROGRAM, &actions, &attributes, arguments, environ);
    cr_assert_eq(rc, 0);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
}

static void
broker_end(fixture_t *self, int signal_number)
{
    kill(self->pid, signal_number);
    cr_assert_eq(waitpid(self->pid, NULL, 0), self->pid);
}

static client_t *
join(fixture_t *self, const char *source, const char *service)
{
    client_options_t options = {
        .source = source, .service = service, .ingress = self->ingress, .egress = self->egress};
    return client_new(self->loop, &options);
}

static fixture_t *
fixture_new(void)
{
    fixture_t *self = calloc(1, sizeof(*self));
    const char *base = getenv("TMPDIR");
    snprintf(self->dir, PATH_SIZE, "%s/bus-peer-XXXXXX", base != NULL ? base : P_tmpdir);
    cr_assert_not_null(mkdtemp(self->dir));
    snprintf(self->ingress, sizeof(self->ingress), "ipc://%s/bus.in", self->dir);
    snprintf(self->egress, sizeof(self->egress), "ipc://%s/bus.out", self->dir);
    self->loop = loop_new();
    self->client = join(self, "tester", NULL);
    self->body = pack_new();
    pack_map(self->body, 1);
    pack_pair_text(self->body, "requester_id", "bhiv_core");
    broker_start(self);
    return self;
}

static int
remove_one(const char *path, const struct stat *stat, int type, struct FTW *where)
{
    (void) stat;
    (void) type;
    (void) where;
    return remove(path);
}

static void
fixture_destroy(fixture_t **self_p)
{
    fixture_t *self = *self_p;
    broker_end(self, SIGTERM);
    client_destroy(&self->client);
    loop_destroy(&self->loop);
    pack_destroy(&self->body);
    (void) nftw(self->dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    free(self);
    *self_p = NULL;
}

static void
watch(void *arg)
{
    fixture_t *self = arg;
    if (clock_boot_ms() >= self->until_ms) {
        loop_stop(self->loop);
    }
}

// Runs the loop until something sets is_done. False where nothing did in time.
static bool
run(fixture_t *self)
{
    self->is_done = false;
    self->until_ms = clock_boot_ms() + WAIT_MS;
    int timer = loop_add_timer(self->loop, 100, 0, watch, self);
    loop_run(self->loop);
    loop_cancel_timer(self->loop, timer);
    return self->is_done;
}

static void
done(fixture_t *self)
{
    self->is_done = true;
    loop_stop(self->loop);
}

// --- Publishing ----------------------------------------------------------------------------------

static void say_more(fixture_t *self);

static void
on_ack(void *arg, const client_answer_t *answer)
{
    fixture_t *self = arg;
    cr_assert_eq(answer->event, CLIENT_ACKED);
    self->acked++;
    if (self->kills < KILLS && self->acked > (self->kills + 1) * CALLS / (KILLS + 1)) {
        self->kills++;
        broker_end(self, SIGKILL);
        broker_start(self);
    }
    if (self->acked == CALLS) {
        done(self);
    } else {
        say_more(self);
    }
}

static void
say_more(fixture_t *self)
{
    while (self->said < CALLS && self->said < self->acked + IN_FLIGHT) {
        char id[32];
        snprintf(id, sizeof(id), "m-%zu", self->said);
        client_message_t message = {.topic = "core.event.test",
                                    .body = pack_view(self->body),
                                    .id = id,
                                    .want = CLIENT_WANT_ACK};
        cr_assert_eq(client_send(self->client, &message, on_ack, self, NULL), BUS_OK);
        self->said++;
    }
}

static void read_more(fixture_t *self);

// Every record is the next message that was said: none is missing, doubled or out of order.
static void
on_page(void *arg, const client_page_t *page)
{
    fixture_t *self = arg;
    cr_assert_eq(page->err, BUS_OK);
    client_records_t records = client_records(page);
    client_heard_t record;
    while (client_next_record(&records, &record) == BUS_OK) {
        char id[32];
        snprintf(id, sizeof(id), "m-%zu", self->read++);
        cr_assert(view_is(record.header.id, id), "%s is not next", id);
    }
    self->next = page->next;
    if (self->next > page->head) {
        done(self);
    } else {
        read_more(self);
    }
}

static void
read_more(fixture_t *self)
{
    static const char *const filters[] = {"core."};
    client_fetch_t fetch = {
        .consumer = "tester", .filters = filters, .filter_count = 1, .from = self->next};
    cr_assert_eq(client_fetch(self->client, &fetch, on_page, self), BUS_OK);
}

Test(peer, publishes_each_message_once_and_in_order_through_a_broker_that_is_killed, .timeout = 200)
{
    fixture_t *self = fixture_new();
    say_more(self);
    cr_assert(run(self), "%zu of %d acked", self->acked, CALLS);
    cr_assert_eq(self->kills, KILLS);
    self->next = 1;
    read_more(self);
    cr_assert(run(self));
    cr_assert_eq(self->read, CALLS);
    fixture_destroy(&self);
}

// --- Asking --------------------------------------------------------------------------------------

typedef struct {
    fixture_t *fixture;
    client_t *client;
    unsigned asked, replied, hellos;
} server_t;

static void
serve(void *arg, const client_heard_t *heard)
{
    server_t *server = arg;
    server->asked++;
    client_reply(server->client, &heard->header, BUS_OK, heard->body);
}

static void
on_reply(void *arg, const client_answer_t *answer)
{
    server_t *server = arg;
    cr_assert_eq(answer->event, CLIENT_REPLIED, "%s", error_text(answer->err));
    cr_assert_eq(answer->err, BUS_OK);
    cr_assert(view_equal(answer->body, pack_view(server->fixture->body)));
    server->replied++;
    done(server->fixture);
}

static void
on_hello(void *arg, const client_outbox_t *where)
{
    server_t *server = arg;
    cr_assert_eq(where->pseq, 0);
    server->hellos++;
    done(server->fixture);
}

static void
ask(server_t *server)
{
    client_message_t message = {.topic = "req.agent.echo.shout",
                                .body = pack_view(server->fixture->body),
                                .want = CLIENT_WANT_REPLY,
                                .timeout_ms = 10000};
    cr_assert_eq(client_send(server->fixture->client, &message, on_reply, server, NULL), BUS_OK);
    cr_assert(run(server->fixture));
}

Test(peer, asks_and_answers_before_and_after_the_broker_is_killed, .timeout = 200)
{
    fixture_t *self = fixture_new();
    server_t server = {.fixture = self};
    server.client = join(self, "agent_echo", "agent.echo");
    client_on_request(server.client, serve, &server);
    client_on_hello(server.client, on_hello, &server);
    cr_assert(run(self), "no answer to hello");
    ask(&server);
    broker_end(self, SIGKILL);
    broker_start(self);
    cr_assert(run(self), "no answer to hello");
    ask(&server);
    cr_assert_eq(server.replied, 2);
    cr_assert_eq(server.hellos, 2);
    client_destroy(&server.client);
    fixture_destroy(&self);
}
