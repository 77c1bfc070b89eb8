// prana.h - PRANA's packets: the words in them, and one check of them for every door.
// docs/contract.md section 4, docs/originals.md section 5; the shape is in schema/bucket.def. Pure.
#pragma once
#include "schema.h"

typedef enum {
    PRANA_ON_TASK,
    PRANA_THINKING,
    PRANA_IDLE,
    PRANA_DISTRACTED,
    PRANA_AWAY,
    PRANA_OFF_TASK,
    PRANA_DEEP_FOCUS,
    PRANA_STATE_COUNT
} prana_state_t;
const char *prana_state_name(prana_state_t state);
// PRANA_STATE_COUNT: none.
prana_state_t prana_state(bus_view_t word);

typedef enum { PRANA_GURUKUL, PRANA_EMS, PRANA_SYSTEM_COUNT } prana_system_t;
const char *prana_system_name(prana_system_t system);
// PRANA_SYSTEM_COUNT: none.
prana_system_t prana_system(bus_view_t word);

enum {
    PRANA_PACKETS_MAX = 100, // of one request: what a browser gathers in eight minutes
    PRANA_SECONDS_MAX = 5    // of one packet's window
};

// What the schema cannot say of a decoded packet: words, times, seconds. BUS_VALIDATION_FAILED with
// every problem.
BUS_CHECK bus_err_t prana_check(const schema_prana_packet_t *packet,
                                schema_problems_t *reterr_problems);

// Decodes and checks the array of several, which is 1 to PRANA_PACKETS_MAX maps.
// BUS_VALIDATION_FAILED with the problems of the first that has some, whose place is *ret_count.
BUS_CHECK bus_err_t prana_decode(bus_view_t array,
                                 schema_prana_packet_t ret_packets[PRANA_PACKETS_MAX],
                                 uint32_t *ret_count,
                                 schema_problems_t *reterr_problems);
