// bench.h - what the files of `bhiv bench` share.
//
// A case is run against a server (our broker, or the bare one of bench_bare.c) by the same load
// generator over the same raw ZeroMQ sockets and the same bytes, so the server is all that differs.
#pragma once
#include "cli.h"
#include "connect.h"
#include <stdint.h>
#include <sys/types.h>

// --- The frames --------------------------------------------------------------------------------

// Every message of the generator has the same header up to `ack`, so that the bare server finds
// what it needs at fixed places, and does nothing that costs:
//
//   8x a2 "id" d9 24 <36 bytes> a8 "reply_to" d9 2d <45 bytes> a3 "ack" <c2 | c3 | a4 "last"> …
enum {
    CLI_BENCH_ID_AT = 6,
    CLI_BENCH_ID_SIZE = 36,
    CLI_BENCH_REPLY_AT = 53,
    CLI_BENCH_REPLY_SIZE = 45,
    CLI_BENCH_ACK_AT = 102,        // 0xc2 false, 0xc3 true, 0xa4 "last"
    CLI_BENCH_COUNTER_DIGITS = 16, // the last of an id are its message's number, in hex
    CLI_BENCH_BODY_SIZE = 256      // encoded, as in all figures of this kind
};
#define CLI_BENCH_DURABLE "stress.bench" // a journaled topic that no service owns
#define CLI_BENCH_LIVE "bench.live"

// --- A peer on raw sockets (bench_peer.c) ------------------------------------------------------

typedef struct cli_bench_peer cli_bench_peer_t;

// What an answer said.
typedef struct {
    uint64_t number; // of the message that it answers
    bool is_error;
    bus_view_t body; // valid until the next receive
} cli_bench_answer_t;

// Connects and waits for its welcome; hears `subscription` too where that is not NULL. NULL where
// nobody answers within 5 s.
cli_bench_peer_t *cli_bench_peer_new(const cli_endpoints_t *bus, const char *subscription);
void cli_bench_peer_destroy(cli_bench_peer_t **self_p);

typedef enum { CLI_BENCH_ACK_NONE, CLI_BENCH_ACK_EACH, CLI_BENCH_ACK_LAST } cli_bench_ack_t;

// Sets what the following messages are; `has_pseq` gives each its number in a fresh stream.
void cli_bench_peer_prepare(cli_bench_peer_t *self,
                            const char *topic,
                            cli_bench_ack_t ack,
                            bool has_pseq);
// Sends message `number` (from 1), with the body of all. False where the queue stayed full for 10
// s.
BUS_CHECK bool cli_bench_peer_say(cli_bench_peer_t *self, uint64_t number);
// The same as one $bus.batch of `count` messages.
BUS_CHECK bool cli_bench_peer_say_batch(cli_bench_peer_t *self, uint64_t number, uint32_t count);
// Asks for a page of the journal.
BUS_CHECK bool cli_bench_peer_say_fetch(cli_bench_peer_t *self, uint64_t number, uint64_t from);

// The next answer, waiting up to 10 s for it; or, without `wait`, none where none is there.
BUS_CHECK bool
cli_bench_peer_hear(cli_bench_peer_t *self, bool wait, cli_bench_answer_t *ret_answer);
// The next message of the subscription, the same way.
BUS_CHECK bool cli_bench_peer_listen(cli_bench_peer_t *self, bool wait);

// --- Measuring (bench_run.c) -------------------------------------------------------------------

typedef enum {
    CLI_BENCH_PUBLISH,   // a window of messages, until all are acked
    CLI_BENCH_LIVE_FLOW, // published and heard by one subscriber, at most a window apart
    CLI_BENCH_LATENCY,   // live, one at a time: from publishing to hearing
    CLI_BENCH_FAN_OUT,   // a window of durable messages, heard by all subscribers
    CLI_BENCH_FETCH,     // pages of the journal
    CLI_BENCH_RESTART,   // published, and then the server killed and started again
    CLI_BENCH_HTTP,      // `bhiv up`, and a window of events over HTTP
    CLI_BENCH_START      // `bhiv up` in an empty folder
} cli_bench_kind_t;

typedef enum {
    CLI_BENCH_EVENT,          // POST /core/write-event
    CLI_BENCH_ARTIFACT_WRITE, // POST /bucket/artifact/write, of 1 KiB, each another one
    CLI_BENCH_ARTIFACT_READ,  // GET /bucket/artifact/read, of a thousand that were written before
    CLI_BENCH_TASK            // POST /handle_task, answered by the built-in text_agent
} cli_bench_request_t;

typedef struct {
    const char *name;    // in JSON
    const char *meaning; // in the table
    cli_bench_kind_t kind;
    cli_bench_ack_t ack;
    cli_bench_request_t request; // of HTTP
    unsigned window;             // messages on their way; of HTTP: connections
    unsigned batch;              // messages in a $bus.batch; 0: single ones
    unsigned subscribers;        // of a fan-out
    unsigned divisor;            // of the count: slow cases take fewer
    unsigned multiple;           // of the count, where one takes more; 0: 1
    bool has_latency;            // percentiles are figures of it, too
    bool has_rate;               // messages a second is a figure of it
    bool has_ready;              // the time until it is ready is one
    bool has_memory;             // the memory of all processes together is one
    bool is_system;              // of all parts together, with which nothing bare can be compared
    bool is_pinned;              // generator and server on one core
} cli_bench_case_t;

typedef struct {
    double rate; // messages a second
    double p50_us, p99_us, p999_us;
    double ready_ms;   // from starting to its line on stdout
    double memory_mib; // proportional set size (proc_pid_smaps(5)) of all processes
} cli_bench_result_t;

// Runs the case once with `count` messages. False, having said why, where it failed.
BUS_CHECK bool cli_bench_run(const cli_bench_case_t *case_,
                             const cli_endpoints_t *bus,
                             uint64_t count,
                             cli_bench_result_t *ret_result);

// Sorts the samples, and writes their percentiles.
void cli_bench_percentiles(double *samples, uint64_t count, cli_bench_result_t *result);

// --- HTTP (bench_http.c) -----------------------------------------------------------------------

// Makes `count` requests over so many connections to the bridge, whose port for Bucket is `port`
// of loopback, each answered before its connection's next. With `token` as its bearer; NULL: with
// none. False, having said why, where one was not answered with 200.
BUS_CHECK bool cli_bench_http(unsigned port,
                              const char *token,
                              cli_bench_request_t kind,
                              unsigned connections,
                              uint64_t count,
                              cli_bench_result_t *ret_result);

// --- Servers (bench_server.c) ------------------------------------------------------------------

typedef enum { CLI_BENCH_IPC, CLI_BENCH_TCP, CLI_BENCH_CURVE } cli_bench_transport_t;

typedef struct {
    char dir[CLI_PATH_SIZE]; // of its own, removed at its end
    cli_endpoints_t bus;
    pid_t pid;
    bool bare;          // what it is
    bool is_system;     // `bhiv up`
    bool is_secure;     // with --secure, whatever it is
    unsigned ports[2];  // of its bus over tcp; 0: ipc
    unsigned http_port; // Bucket's, of a system
} cli_bench_server_t;

// Starts our broker, or the bare one, in a fresh folder below `parent`, and waits until it is
// ready. Over CURVE both have a certificate, and ours its rules. Returns 0 or an exit status.
BUS_CHECK int cli_bench_server_start(const char *parent,
                                     bool bare,
                                     cli_bench_transport_t transport,
                                     cli_bench_server_t *ret_server);
// Starts the whole system, in the same way; `secure`: behind certificates and tokens.
BUS_CHECK int cli_bench_server_up(const char *parent, bool secure, cli_bench_server_t *ret_server);
// Kills the server and starts it again in its folder.
BUS_CHECK int cli_bench_server_again(cli_bench_server_t *self, double *ret_ready_ms);
void cli_bench_server_stop(cli_bench_server_t *self);
// The memory of a system's processes together, in MiB; 0 where it cannot be read.
double cli_bench_server_memory(const cli_bench_server_t *self);
// Writes what it runs on as one line of text: processor, cores, kernel, file system of `dir`.
void cli_bench_server_machine(const char *dir, char *ret_text, size_t size);
