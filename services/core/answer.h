// answer.h - what an agent answered: is it an answer at all, and what is it worth?
//
// Pure functions. An agent is somebody else's program: nothing of what it says is believed before
// it was looked at here.
#pragma once
#include "proto/auto.h"
#include "proto/pack.h"
#include "proto/schema.h"

enum {
    // With what is said around it an outcome stays one message of the bus, of 1 MiB.
    CORE_ANSWER_SIZE_MAX = 768 * 1024,
    CORE_ANSWER_WHY_SIZE = 200, // of a reason, with its NUL
};

typedef struct {
    bus_view_t body; // the whole map, as it came
    schema_agent_answer_t said;
    int64_t status; // 200 where it does not say
    double reward;  // by the formula
} core_answer_t;

// Looks at `body` (whole msgpack), into which *ret_answer points. BUS_VALIDATION_FAILED where it is
// no answer, and `reterr_why` says why.
BUS_CHECK bus_err_t core_answer_read(bus_view_t body,
                                     core_answer_t *ret_answer,
                                     char reterr_why[CORE_ANSWER_WHY_SIZE]);

// Whether a status is a success: 200 to 299, and 404: it looked, and there is nothing.
bool core_answer_is_success(int64_t status);

// Says what failed, of an answer whose status is none.
void core_answer_explain(const core_answer_t *answer, char ret_why[CORE_ANSWER_WHY_SIZE]);

// Packs agent_output: the answer as it came, with its status and how long it took.
void core_answer_pack(const core_answer_t *answer, double processing_s, pack_t *out);

// Words in all texts of a value: runs of anything but white space.
uint64_t core_answer_words(bus_view_t value);
