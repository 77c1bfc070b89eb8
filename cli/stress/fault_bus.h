// fault_bus.h - a scenario's own end of the bus: a numbered load that remembers every ack,
// questions that wait for their answer, what the broker says of peers, and the comparison at the
// end.
//
// Owner: the scenario's main thread. Every function that waits runs the loop meanwhile, so that the
// load goes on, and ends at its limit.
#pragma once
#include "fault.h"
#include "runtime/client.h"

typedef struct cli_fault_bus cli_fault_bus_t;

enum {
    CLI_FAULT_LOAD_MAX = 100000, // events that a scenario may publish; more are not begun
    CLI_FAULT_RATE = 1000,       // events a second, where nothing else is said
    CLI_FAULT_PEERS_MAX = 256    // comings and goings that are remembered
};

// Connects to a broker, and waits for its welcome. NULL, said as a failure, where none came.
cli_fault_bus_t *cli_fault_bus_open(cli_fault_t *fault, const char *ingress, const char *egress);
// The same, to a system's own sockets.
cli_fault_bus_t *cli_fault_bus_open_system(cli_fault_t *fault, const cli_stress_instance_t *system);
void cli_fault_bus_destroy(cli_fault_bus_t **self_p);

// Runs the loop until `is_true`, or so long. Returns whether it is.
bool cli_fault_bus_until(cli_fault_bus_t *self,
                         bool (*is_true)(void *arg),
                         void *arg,
                         unsigned timeout_ms);
// Runs the loop so long.
void cli_fault_bus_run(cli_fault_bus_t *self, unsigned ms);

// Asks, and waits for the answer. `body` NULL: {}. Returns BUS_OK, or what the answer says; its
// body is in *ret_body (NULL: not wanted) until the next question.
bus_err_t cli_fault_bus_ask(cli_fault_bus_t *self,
                            const char *topic,
                            pack_t *body,
                            unsigned timeout_ms,
                            bus_view_t *ret_body);
// Asks this service for its health until it answers. Returns the milliseconds that it took from
// `since_ms` (cli_fault_now_ms), or more than `timeout_ms` where it did not.
double cli_fault_bus_back(cli_fault_bus_t *self,
                          const char *service,
                          double since_ms,
                          unsigned timeout_ms);

// --- The load ----------------------------------------------------------------------------------

// Publishes numbered events, each with an ack, so many a second.
void cli_fault_bus_load(cli_fault_bus_t *self, unsigned rate);
// Ends it, and waits for what is on its way. False where something stays unanswered.
bool cli_fault_bus_load_end(cli_fault_bus_t *self, unsigned timeout_ms);

typedef struct {
    uint64_t sent;     // events begun
    uint64_t acked;    // of them, told to be durable
    uint64_t refused;  // of them, told not to be
    bus_err_t error;   // of the last refusal
    double p50_ms;     // from being handed to the client to its ack
    double p99_ms;     // the same
    double longest_ms; // the same
    double gap_ms;     // the longest time between two acks, while something was on its way
    uint64_t at_us;    // the journal's time of the last ack
    bool is_at_back;   // an ack's was before that of an earlier place in the journal
} cli_fault_load_t;
// As it stands; times are of what was acknowledged since cli_fault_bus_mark.
cli_fault_load_t cli_fault_bus_load_now(const cli_fault_bus_t *self);
// The times begin anew.
void cli_fault_bus_mark(cli_fault_bus_t *self);
// Waits until so many more events are acknowledged.
bool cli_fault_bus_acked(cli_fault_bus_t *self, uint64_t more, unsigned timeout_ms);
// Waits until an event that is begun after this call is acknowledged. Milliseconds from `since_ms`,
// or more than `timeout_ms`.
double cli_fault_bus_flows(cli_fault_bus_t *self, double since_ms, unsigned timeout_ms);

// --- Peers -------------------------------------------------------------------------------------

// Hears `$bus.peer.up` and `$bus.peer.down` from now on.
void cli_fault_bus_watch(cli_fault_bus_t *self);
// Waits for a word of `service`, that it went (or came), later than `since_ms`. Returns the
// milliseconds after it, or more than `timeout_ms`.
double cli_fault_bus_heard(
    cli_fault_bus_t *self, const char *service, bool is_up, double since_ms, unsigned timeout_ms);

// --- The comparison ----------------------------------------------------------------------------

// Ends the load and holds the system to its word: every acknowledged event is in the journal once,
// where its ack said, and with `has_bucket` in Bucket once, in the same order; each has exactly one
// life event for Karma. Says what is not as a failure, and the figures.
bool cli_fault_bus_verify(cli_fault_bus_t *self, bool has_bucket);

// --- A whole scenario --------------------------------------------------------------------------

// What happens while the load flows, between its beginning and the comparison.
typedef void(cli_fault_act_fn)(cli_fault_t *fault,
                               cli_fault_bus_t *bus,
                               cli_stress_instance_t *system);
// What most scenarios are: starts a system, lets a load flow, and when so many of its events are
// acknowledged calls `act`; then holds the system to its word (cli_fault_bus_verify, with Bucket).
// What cannot be had is said as a failure, and `act` is not called.
void cli_fault_bus_play(cli_fault_t *fault,
                        const cli_stress_instance_options_t *options,
                        uint64_t warm_events,
                        cli_fault_act_fn *act);

// For the comparison alone (fault_verify.c).
cli_fault_t *cli_fault_bus_fault(const cli_fault_bus_t *self);
client_t *cli_fault_bus_client(const cli_fault_bus_t *self);
// The seq that event n (from 1) was acknowledged with, 0: it was not.
uint64_t cli_fault_bus_seq(const cli_fault_bus_t *self, uint64_t n);
// Whether event n was refused for good.
bool cli_fault_bus_is_refused(const cli_fault_bus_t *self, uint64_t n);
#define CLI_FAULT_EVENT "fault_drill" // the type of the load's events
