// connect.h - how the verbs find the bus, and a tool's life on it: connect, do, say why it ended.
//
// Owner: the main thread. A tool calls cli_connect_run once; everything that it does happens in
// callbacks of that run, until one calls cli_connect_end.
#pragma once
#include "cli.h"
#include "runtime/client.h"
#include "runtime/loop.h"

// Where the bus is, as flags and environment say it; embedded in a verb's options.
typedef struct {
    const char *dir;     // NULL: the default folder
    const char *ingress; // NULL: found
    const char *egress;
    const char *cert; // who we are on tcp: a certificate's name, or its file; NULL: plain
} cli_place_t;

// The four rows of a cli_place_t that is `field` of the options struct `type`.
// clang-format off
#define CLI_PLACE_ROWS(type, field) \
    {"dir", 'd', OPTION_TEXT, "DIR", NULL, offsetof(type, field.dir), 0, 0, \
     "the system's folder; default ~/.local/state/bhiv"}, \
    {"ingress", 0, OPTION_TEXT, "ENDPOINT", NULL, offsetof(type, field.ingress), 0, 0, \
     "where peers speak to the broker; default DIR's socket"}, \
    {"egress", 0, OPTION_TEXT, "ENDPOINT", NULL, offsetof(type, field.egress), 0, 0, \
     "where peers hear from it; default DIR's socket"}, \
    {"cert", 0, OPTION_TEXT, "NAME|FILE", NULL, offsetof(type, field.cert), 0, 0, \
     "who speaks on tcp: a certificate of DIR/certs, or its file"}
// clang-format on

typedef struct {
    char ingress[CLI_ENDPOINT_SIZE];
    char egress[CLI_ENDPOINT_SIZE];
    bool has_cert;
    cert_t cert; // where has_cert
} cli_endpoints_t;

// For client_options_t: as long as the endpoints. NULL: plain.
const cert_t *cli_connect_cert(const cli_endpoints_t *bus);

// For a part: the given endpoints, else the sockets in `dir`, which need not be there yet.
BUS_CHECK int
cli_connect_part(const cli_place_t *place, const cli_dir_t *dir, cli_endpoints_t *ret_bus);
// For a tool: the given endpoints, else the sockets in the folder where both are there, else
// tcp://127.0.0.1:5550 and 5551.
BUS_CHECK int cli_connect_tool(const cli_place_t *place, cli_endpoints_t *ret_bus);

// --- A tool's life -----------------------------------------------------------------------------

enum { CLI_CONNECT_TIMEOUT_MAX_MS = 86400 * 1000 }; // a day: longer is a mistake in the unit

// The row of a timeout, uint64_t `field`, of the options struct `type`.
// clang-format off
#define CLI_TIMEOUT_ROW(type, field, preset) \
    {"timeout", 't', OPTION_MS, "TIME", preset, offsetof(type, field), 1, \
     CLI_CONNECT_TIMEOUT_MAX_MS, "how long to wait for the broker and for an answer"}
// clang-format on

typedef struct {
    loop_t *loop;        // borrowed by whoever is called
    client_t *client;    // the same
    cli_endpoints_t bus; // where it is connected to
    int status;          // what cli_connect_run is to return
} cli_connect_t;

typedef void(cli_connect_fn)(void *arg, cli_connect_t *connect);

typedef struct {
    const cli_place_t *place;
    const char *source;    // who speaks; NULL: bhiv_cli
    uint64_t timeout_ms;   // for the first welcome; 0: 2,000
    cli_connect_fn *ready; // called once, at the first welcome
    void *arg;             // given to it
} cli_connect_options_t;

// Connects and runs until cli_connect_end, or a signal. Returns the exit status: that of
// cli_connect_end; CLI_NO_ANSWER, having said so, where no broker answered; CLI_INTERRUPTED.
BUS_CHECK int cli_connect_run(const cli_connect_options_t *options);
// Ends the run; the first status stays.
void cli_connect_end(cli_connect_t *self, int status);

// Ends the run, quietly, when whoever reads our standard output has gone: for a tool that may have
// nothing to say for hours. Once, after `ready` was called.
void cli_connect_watch_reader(cli_connect_t *self);

// --- Asking once -------------------------------------------------------------------------------

typedef struct {
    const cli_place_t *place;
    uint64_t timeout_ms;
    const char *topic;
    bus_view_t body;     // whole msgpack
    bus_view_t trace_id; // optional
    unsigned want;       // of client_want_t
    // Takes the last answer, good or bad, and returns the exit status.
    int (*take)(void *arg, const client_answer_t *answer);
    void *arg;
} cli_ask_t;

// Connects, asks, gives the answer to `take`, and returns the exit status.
BUS_CHECK int cli_connect_ask(const cli_ask_t *ask);
// Says a failed answer on stderr: its error_code and message. Returns the exit status.
int cli_connect_refused(const char *topic, const client_answer_t *answer);
