// spawner.h - starts and reaps services for a test from a process that has no threads.
//
// A fork of a process with ZeroMQ's threads may find an allocator's lock taken for ever. So a
// helper is forked before there are any; it forks the services, and dies with the test, as they do.
#pragma once
#include "runtime/service.h"
#include <sys/types.h>

enum { SPAWNER_PATH_SIZE = 300 };

typedef struct {
    service_definition_t definition; // static data: the same at the same place in both
    char dir[SPAWNER_PATH_SIZE];
    char ingress[SPAWNER_PATH_SIZE];
    char egress[SPAWNER_PATH_SIZE];
    uint64_t store_bytes;
    bool rebuild;
    unsigned alone_ms; // 0: the harness's own
} spawner_start_t;

typedef struct {
    pid_t pid;  // of the helper
    int orders; // what it is told
    int words;  // what it says
    int out;    // what the services print, not blocking
} spawner_t;

// Before any ZeroMQ context or thread of the test.
void spawner_init(spawner_t *self);
void spawner_clear(spawner_t *self);
pid_t spawner_start(spawner_t *self, const spawner_start_t *start);
// Waits for a service to end. Returns its exit status, or minus the signal.
int spawner_wait(spawner_t *self, pid_t pid);
// Whether it has ended; it is still to be waited for.
bool spawner_has_ended(spawner_t *self, pid_t pid);
