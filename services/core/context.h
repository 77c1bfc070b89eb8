// context.h - what an agent is told of the one whose task it is: the user's karma, and what Bucket
// knows of the agent.
//
// Optional: each read has two seconds, both go at once, and what fails is left out in silence.
// Whoever is not on the bus, or lately let a read time out, is not asked: then nothing waits.
#pragma once
#include "presence.h"
#include "proto/pack.h"

typedef struct core_task core_task_t;

typedef struct {
    uint64_t calls[CORE_PEER_COUNT]; // on their way; 0: none
    pack_t *parts[CORE_PEER_COUNT];  // what came; NULL: nothing
} core_context_t;

// Asks. True: core_task_context_ready will be called, later. False: there is nothing to wait for.
bool core_context_begin(core_task_t *task);
// Gives up what is on its way, and forgets what came.
void core_context_clear(core_task_t *task);
// Whether there is any.
bool core_context_is_there(const core_context_t *self);
// Packs what came as one map: {karma?, bucket?}.
void core_context_pack(const core_context_t *self, pack_t *out);
