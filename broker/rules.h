// rules.h - who may do what: names, rights, patterns.
//
// Built-in rows (access.def) and those of a file, of which one replaces the built-in one of its
// name. The file is ZPL (czmq's zconfig): any number of
//
//     peer
//         name = "agent_*"
//         publish = "agent.> core.event.agent_result"
//         subscribe = "$bus.peer.>"
//
// with publish, subscribe, request, fetch and serve, each optional. A name is looked up exactly
// first, then by the longest row that ends in `*`. A name without a row may do nothing.
// Pure memory after loading; any thread.
#pragma once
#include "proto/auto.h"
#include "proto/error.h"
#include "proto/view.h"
#include "runtime/sha256.h"
#include <stdbool.h>

typedef enum {
    RULES_PUBLISH,   // journaled and live topics
    RULES_SUBSCRIBE, // what is heard as it is said
    RULES_REQUEST,   // req. topics, and $bus.stats, $bus.peers
    RULES_FETCH,     // what is read of the journal
    RULES_SERVE,     // names that it may say hello for
} rules_right_t;

enum {
    RULES_RIGHTS = RULES_SERVE + 1,
    RULES_ROWS_MAX = 4096,    // as many certificates as there may be, see who.h
    RULES_PATTERNS_MAX = 256, // of one right: each is tried on each message
    RULES_FILE_SIZE_MAX = 1 << 20,
    RULES_PROBLEM_SIZE = 256,
};

const char *rules_right_text(rules_right_t right);

typedef struct rules rules_t;

// The built-in rows, and over them those of the file. NULL or a path where nothing is: those alone.
// BUS_INVALID_REQUEST, BUS_IO: `reterr_problem` says what is wrong where.
BUS_CHECK bus_err_t rules_load(const char *path,
                               rules_t **ret_self,
                               char reterr_problem[RULES_PROBLEM_SIZE]);
void rules_destroy(rules_t **self_p);

// SHA-256 of the file's bytes, in hex digits; "" where there was none.
const char *rules_hash(const rules_t *self);
// How many names' rows are others in `b` than in `a`, or are in one of them alone. Writes the first
// of the names, with blanks between, and "..." where there are more than fit.
size_t rules_differ(const rules_t *a, const rules_t *b, char *ret_names, size_t size);

// --- One name's ---------------------------------------------------------------------------------

typedef struct rules_set rules_set_t;

// What `name` may do, with {name} put in. Without a row, or without rules (NULL), it is empty,
// never NULL. Independent of the rules it was made from.
rules_set_t *rules_of(const rules_t *self, bus_view_t name);
void rules_set_destroy(rules_set_t **self_p);

// Whether the right holds for a topic, or for a service's name.
bool rules_allow(const rules_set_t *self, rules_right_t right, bus_view_t topic);
// Whether it holds for every topic that begins with `prefix`; where the prefix is a whole topic
// that is allowed, that is enough, although ZeroMQ also gives what goes on behind it.
bool rules_cover(const rules_set_t *self, rules_right_t right, bus_view_t prefix);
// Whether there is anything at all under this right.
bool rules_has(const rules_set_t *self, rules_right_t right);
bool rules_are_equal(const rules_set_t *a, const rules_set_t *b);
