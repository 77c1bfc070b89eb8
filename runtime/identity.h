// identity.h - what this process is made of: which build, which protocol, which tables; and where
// its process id means something.
//
// A peer says it in its hello and its health, so that parts of different builds that talk to each
// other are noticed (services/grace/kernel/code.c). Reads the process's own memory and two small
// files of /proc; some 100 microseconds. Any thread.
#pragma once
#include "proto/auto.h"

enum {
    IDENTITY_PROTOCOL = 1,    // docs/protocol.md: frames and headers
    IDENTITY_BUILD_SIZE = 41, // hex digits of a SHA-1, as linkers make build-ids, and the NUL
    IDENTITY_TABLES_SIZE = 17,
    IDENTITY_HOST_SIZE = 40,
};

typedef struct {
    // The linker's build-id of the program, at most 40 hex digits; where it was linked without one,
    // 16 of a hash over the program's file; "" where even that cannot be read.
    char build[IDENTITY_BUILD_SIZE];
    // 16 hex digits of a hash over all messages, their fields and limits, and all topics.
    char schemas[IDENTITY_TABLES_SIZE];
    // The same for processes that see each other's ids: the machine's boot and the namespace of
    // process ids. "" where it cannot be told.
    char host[IDENTITY_HOST_SIZE];
} identity_t;

void identity_read(identity_t *ret_identity);
