// code_peers.h - who runs what: each instance's build, protocol and tables held against our own.
//
// Owner: the loop's thread. Memory only: everybody is asked again at each look.
//
// Version and build come from the hello of each instance, protocol and tables from the health of
// each service (of one instance of it, where there are several), and the broker's from its
// counters. What a peer does not say is not held against it: a peer written in another language has
// a version and a build of its own, so a worker (worker.<name>) is listed and not compared.
#pragma once
#include "runtime/identity.h"
#include "watch.h"

enum {
    KERNEL_CODE_PEERS_MAX = 512, // compared; more are counted
    KERNEL_CODE_PEERS_NAME_SIZE = 129,
    KERNEL_CODE_PEERS_TEXT_SIZE = 65,
};

// What an instance says that it is; "" and 0: it does not say.
typedef struct {
    char service[KERNEL_CODE_PEERS_NAME_SIZE]; // "broker" for the broker
    char instance[KERNEL_CODE_PEERS_TEXT_SIZE];
    char version[KERNEL_CODE_PEERS_TEXT_SIZE];
    char build[KERNEL_CODE_PEERS_TEXT_SIZE];
    char schemas[KERNEL_CODE_PEERS_TEXT_SIZE];
    uint64_t protocol;
    int64_t pid;
    bool is_foreign; // a worker or an agent: neither asked nor compared
} kernel_code_peer_t;

typedef enum {
    KERNEL_CODE_VERSION = 1 << 0,
    KERNEL_CODE_BUILD = 1 << 1,
    KERNEL_CODE_PROTOCOL = 1 << 2,
    KERNEL_CODE_SCHEMAS = 1 << 3,
} kernel_code_difference_t;

// In what the two differ: a set of kernel_code_difference_t. Pure.
unsigned kernel_code_peers_compare(const kernel_code_peer_t *ours, const kernel_code_peer_t *peer);
// "version, build": for a person. Returns `ret_text`.
const char *kernel_code_peers_text(unsigned differences, char *ret_text, size_t size);

typedef struct {
    kernel_code_peer_t *at; // owned
    size_t count;
    uint64_t skipped; // beyond PEERS_MAX
} kernel_code_peers_t;

void kernel_code_peers_init(kernel_code_peers_t *self);
void kernel_code_peers_clear(kernel_code_peers_t *self);

// Begins a look: takes the list of $bus.peers in place of what is known.
void kernel_code_peers_take(kernel_code_peers_t *self, bus_view_t answer);
// Adds the broker, from the answer to $bus.stats.
void kernel_code_peers_take_broker(kernel_code_peers_t *self, bus_view_t answer);
// What `service` says in its health: of each of its instances that has the same build.
void
kernel_code_peers_take_health(kernel_code_peers_t *self, const char *service, bus_view_t answer);

// Adds one anomaly build_mismatch for each that differs; returns how many do.
size_t kernel_code_peers_judge(const kernel_code_peers_t *self,
                               const kernel_code_peer_t *ours,
                               kernel_watch_news_t *news);
// One map of a peer.
void
kernel_code_peers_pack(const kernel_code_peer_t *peer, const kernel_code_peer_t *ours, pack_t *out);
