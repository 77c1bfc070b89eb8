// connect.c - see connect.h.
#include "connect.h"

#include "proto/walk.h"
#include "runtime/log.h"

#include <assert.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int
copy_endpoint(const char *given, char ret_endpoint[CLI_ENDPOINT_SIZE])
{
    if (strstr(given, "://") == NULL) {
        return cli_fail(CLI_CONFIG, "`%s` is no endpoint: tcp://HOST:PORT or ipc://PATH", given);
    }
    if (snprintf(ret_endpoint, CLI_ENDPOINT_SIZE, "%s", given) >= CLI_ENDPOINT_SIZE) {
        return cli_fail(CLI_CONFIG, "the endpoint %.32s... is too long", given);
    }
    return CLI_DONE;
}

static bool
is_given(const char *text)
{
    return text != NULL && text[0] != '\0';
}

// Either both are given or none: half a bus is a mistake that looks like silence.
static int
given_endpoints(const cli_place_t *place, cli_endpoints_t *ret_bus)
{
    if (!is_given(place->ingress) || !is_given(place->egress)) {
        return cli_fail(CLI_CONFIG, "--ingress and --egress belong together");
    }
    int status = copy_endpoint(place->ingress, ret_bus->ingress);
    return status == CLI_DONE ? copy_endpoint(place->egress, ret_bus->egress) : status;
}

static int
dir_endpoints(const cli_dir_t *dir, cli_endpoints_t *ret_bus)
{
    int status = cli_dir_endpoint(dir, "bus.in", ret_bus->ingress);
    return status == CLI_DONE ? cli_dir_endpoint(dir, "bus.out", ret_bus->egress) : status;
}

const cert_t *
cli_connect_cert(const cli_endpoints_t *bus)
{
    return bus->has_cert ? &bus->cert : NULL;
}

static int
load_cert(const cli_place_t *place, const cli_dir_t *dir, cli_endpoints_t *ret_bus)
{
    ret_bus->has_cert = is_given(place->cert);
    if (!ret_bus->has_cert) {
        return CLI_DONE;
    }
    cli_dir_t found = {.path = ""};
    if (dir == NULL) { // endpoints were given: the folder matters for the certificate alone
        int status = cli_dir_find(place->dir, &found);
        if (status != CLI_DONE) {
            return status;
        }
        dir = &found;
    }
    const char *why = NULL;
    bus_err_t err = cert_load(dir->path, place->cert, &ret_bus->cert, &why);
    return err == BUS_OK ? CLI_DONE
                         : cli_fail(CLI_CONFIG, "certificate `%s`: %s", place->cert, why);
}

int
cli_connect_part(const cli_place_t *place, const cli_dir_t *dir, cli_endpoints_t *ret_bus)
{
    int status = load_cert(place, dir, ret_bus);
    if (status != CLI_DONE) {
        return status;
    }
    if (is_given(place->ingress) || is_given(place->egress)) {
        return given_endpoints(place, ret_bus);
    }
    return dir_endpoints(dir, ret_bus);
}

static bool
has_sockets(const cli_dir_t *dir)
{
    char in[CLI_PATH_SIZE];
    char out[CLI_PATH_SIZE];
    return cli_dir_join(dir, "bus.in", in) == CLI_DONE &&
           cli_dir_join(dir, "bus.out", out) == CLI_DONE && access(in, F_OK) == 0 &&
           access(out, F_OK) == 0;
}

int
cli_connect_tool(const cli_place_t *place, cli_endpoints_t *ret_bus)
{
    int status = load_cert(place, NULL, ret_bus);
    if (status != CLI_DONE) {
        return status;
    }
    if (is_given(place->ingress) || is_given(place->egress)) {
        return given_endpoints(place, ret_bus);
    }
    cli_dir_t dir;
    status = cli_dir_find(place->dir, &dir);
    if (status != CLI_DONE) {
        return status;
    }
    // A folder that was named is meant, be it empty: not some other system's tcp ports.
    if (is_given(place->dir) || has_sockets(&dir)) {
        return dir_endpoints(&dir, ret_bus);
    }
    snprintf(ret_bus->ingress, sizeof ret_bus->ingress, "tcp://127.0.0.1:5550");
    snprintf(ret_bus->egress, sizeof ret_bus->egress, "tcp://127.0.0.1:5551");
    return CLI_DONE;
}

// --- A tool's life -----------------------------------------------------------------------------

enum { TIMEOUT_MS = 2000 }; // for a broker on this machine

typedef struct {
    cli_connect_t connect;
    const cli_connect_options_t *options;
    int timer;  // until the welcome, 0 after it
    bool ended; // cli_connect_end was called
    bool welcomed;
} run_t;

static void
begin(void *arg)
{
    run_t *self = arg;
    if (!self->ended) {
        self->options->ready(self->options->arg, &self->connect);
    }
}

// What is unanswered goes again after this call, so nothing begins within it.
static void
on_welcome(void *arg, const client_welcome_t *welcome BUS_UNUSED)
{
    run_t *self = arg;
    if (!self->welcomed) {
        self->welcomed = true;
        loop_cancel_timer(self->connect.loop, self->timer);
        loop_add_timer(self->connect.loop, 0, 1, begin, self);
    }
}

static void
on_silence(void *arg)
{
    run_t *self = arg;
    const cli_endpoints_t *bus = &self->connect.bus;
    int status = CLI_NO_ANSWER;
    if (client_is_refused(self->connect.client)) {
        status = cli_fail(CLI_CONFIG,
                          "the broker at %s does not know this certificate of %s (there: bhiv keys "
                          "cert %s)",
                          bus->ingress,
                          bus->cert.name,
                          bus->cert.name);
    } else {
        bool is_tcp = strncmp(bus->ingress, "tcp://", strlen("tcp://")) == 0;
        const char *hint = bus->has_cert ? "start one: bhiv up; is it the one of this broker.cert?"
                           : is_tcp ? "start one: bhiv up; another folder: --dir or BHIV_DIR; with "
                                      "--secure it asks for --cert"
                                    : "start one: bhiv up; another folder: --dir or BHIV_DIR";
        (void) cli_fail(
            status, "no broker answers at %s and %s (%s)", bus->ingress, bus->egress, hint);
    }
    cli_connect_end(&self->connect, status);
}

void
cli_connect_end(cli_connect_t *connect, int status)
{
    run_t *self = (run_t *) connect; // its first member
    if (!self->ended) {
        self->ended = true;
        connect->status = status;
        loop_stop(connect->loop);
    }
}

static void
on_reader_gone(void *arg)
{
    run_t *self = arg;
    loop_remove_fd(self->connect.loop, STDOUT_FILENO);
    cli_connect_end(&self->connect, CLI_DONE);
}

void
cli_connect_watch_reader(cli_connect_t *connect)
{
    struct stat out;
    // Of a file or a terminal nobody goes away.
    if (fstat(STDOUT_FILENO, &out) == 0 && (S_ISFIFO(out.st_mode) || S_ISSOCK(out.st_mode))) {
        loop_add_fd(connect->loop, STDOUT_FILENO, 0, on_reader_gone, connect);
    }
}

int
cli_connect_run(const cli_connect_options_t *options)
{
    run_t self = {.options = options};
    int status = cli_connect_tool(options->place, &self.connect.bus);
    if (status != CLI_DONE) {
        return status;
    }
    log_start("bhiv");
    if (getenv("BHIV_LOG_LEVEL") == NULL) {
        log_set_level(LOG_WARNING); // a tool says what it was asked for
    }
    BUS_AUTO(loop_destroy) loop_t *loop = loop_new();
    const client_options_t speaking = {
        .source = options->source != NULL ? options->source : "bhiv_cli",
        .ingress = self.connect.bus.ingress,
        .egress = self.connect.bus.egress,
        .cert = cli_connect_cert(&self.connect.bus),
    };
    // Destroyed before the loop: cleanups run in the opposite order.
    BUS_AUTO(client_destroy) client_t *client = client_new(loop, &speaking);
    if (client == NULL) {
        return cli_fail(
            CLI_CONFIG, "cannot connect to %s and %s", speaking.ingress, speaking.egress);
    }
    self.connect.loop = loop;
    self.connect.client = client;
    unsigned timeout_ms = options->timeout_ms == 0 ? TIMEOUT_MS : (unsigned) options->timeout_ms;
    self.timer = loop_add_timer(loop, timeout_ms, 1, on_silence, &self);
    client_on_welcome(client, on_welcome, &self);
    int number = loop_run(loop);
    self.ended = true; // what is unanswered is aborted by client_destroy, and changes nothing
    return number != 0 ? CLI_INTERRUPTED : self.connect.status;
}

// --- Asking once -------------------------------------------------------------------------------

typedef struct {
    const cli_ask_t *ask;
    cli_connect_t *connect; // NULL before the welcome
} asking_t;

static void
on_answer(void *arg, const client_answer_t *answer)
{
    asking_t *self = arg;
    bool more = answer->event == CLIENT_ACKED && (self->ask->want & CLIENT_WANT_REPLY) != 0;
    if (!more && answer->err != BUS_ABORTED) {
        cli_connect_end(self->connect, self->ask->take(self->ask->arg, answer));
    }
}

static void
ask_now(void *arg, cli_connect_t *connect)
{
    asking_t *self = arg;
    self->connect = connect;
    const client_message_t message = {
        .topic = self->ask->topic,
        .body = self->ask->body,
        .trace_id = self->ask->trace_id,
        .want = self->ask->want,
        .timeout_ms = (unsigned) self->ask->timeout_ms,
    };
    bus_err_t err = client_send(connect->client, &message, on_answer, self, NULL);
    if (err != BUS_OK) {
        int status = cli_fail(cli_exit_of(err), "%s: %s", message.topic, error_meaning(err));
        cli_connect_end(connect, status);
    }
}

int
cli_connect_ask(const cli_ask_t *ask)
{
    asking_t self = {.ask = ask};
    const cli_connect_options_t options = {
        .place = ask->place,
        .timeout_ms = ask->timeout_ms,
        .ready = ask_now,
        .arg = &self,
    };
    return cli_connect_run(&options);
}

enum { PROBLEM_SIZE = 200 };

// "<field>: <problem>" of the first of the answer's details. False: it has none.
static bool
first_problem(bus_view_t body, char ret_text[PROBLEM_SIZE])
{
    bus_view_t value, row, field, problem;
    if (body.data == NULL || walk_find(body, "details", &value) != BUS_OK) {
        return false;
    }
    walk_t walk = walk_from(value);
    walk_item_t head;
    if (walk_next(&walk, &head) != BUS_OK || head.type != WALK_ARRAY || head.count == 0 ||
        walk_skip(&walk, &row) != BUS_OK || walk_find(row, "field", &value) != BUS_OK ||
        walk_as_str(value, &field) != BUS_OK || walk_find(row, "problem", &value) != BUS_OK ||
        walk_as_str(value, &problem) != BUS_OK) {
        return false;
    }
    snprintf(ret_text,
             PROBLEM_SIZE,
             "%.*s: %.*s",
             (int) field.size,
             field.data,
             (int) problem.size,
             problem.data);
    return true;
}

int
cli_connect_refused(const char *topic, const client_answer_t *answer)
{
    bus_view_t value;
    bus_view_t text = VIEW_NONE;
    char problem[PROBLEM_SIZE];
    if (first_problem(answer->body, problem)) {
        text = view_from_text(problem);
    } else if (answer->body.data == NULL || walk_find(answer->body, "message", &value) != BUS_OK ||
               walk_as_str(value, &text) != BUS_OK) {
        text = view_from_text(error_meaning(answer->err));
    }
    char shown[256];
    return cli_fail(cli_exit_of(answer->err),
                    "%s: %s: %s",
                    topic,
                    error_text(answer->err),
                    log_escape(text, shown, sizeof shown));
}
