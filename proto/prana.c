// prana.c - the words of PRANA's packets, and what its schema cannot say.
#include "prana.h"

#include "rfc3339.h"
#include "walk.h"

#include <assert.h>

static const char *const states[PRANA_STATE_COUNT] = {
    [PRANA_ON_TASK] = "ON_TASK",
    [PRANA_THINKING] = "THINKING",
    [PRANA_IDLE] = "IDLE",
    [PRANA_DISTRACTED] = "DISTRACTED",
    [PRANA_AWAY] = "AWAY",
    [PRANA_OFF_TASK] = "OFF_TASK",
    [PRANA_DEEP_FOCUS] = "DEEP_FOCUS",
};

static const char *const systems[PRANA_SYSTEM_COUNT] = {
    [PRANA_GURUKUL] = "gurukul",
    [PRANA_EMS] = "ems",
};

static const char *const roles[] = {"student", "employee"};

// The place of the word; `count` where it is none of them.
static unsigned
find(bus_view_t word, const char *const *words, unsigned count)
{
    unsigned i = 0;
    while (i < count && !view_is(word, words[i])) {
        i++;
    }
    return i;
}

const char *
prana_state_name(prana_state_t state)
{
    assert(state < PRANA_STATE_COUNT);
    return states[state];
}

prana_state_t
prana_state(bus_view_t word)
{
    return (prana_state_t) find(word, states, PRANA_STATE_COUNT);
}

const char *
prana_system_name(prana_system_t system)
{
    assert(system < PRANA_SYSTEM_COUNT);
    return systems[system];
}

prana_system_t
prana_system(bus_view_t word)
{
    return (prana_system_t) find(word, systems, PRANA_SYSTEM_COUNT);
}

static void
require(bool is_good, const char *field, const char *problem, schema_problems_t *problems)
{
    if (!is_good && problems->count < SCHEMA_PROBLEMS_MAX) {
        problems->at[problems->count++] = (schema_problem_t){.field = field, .problem = problem};
    }
}

static bool
is_share(schema_real_t seconds)
{
    return seconds.value >= 0 && seconds.value <= PRANA_SECONDS_MAX;
}

bus_err_t
prana_check(const schema_prana_packet_t *packet, schema_problems_t *reterr_problems)
{
    enum { ROLE_COUNT = sizeof roles / sizeof roles[0] };
    uint64_t time_us;
    schema_problems_t problems = {.count = 0};
    require(prana_system(packet->system_type) != PRANA_SYSTEM_COUNT,
            "system_type",
            "must be gurukul or ems",
            &problems);
    require(find(packet->role, roles, ROLE_COUNT) != ROLE_COUNT,
            "role",
            "must be student or employee",
            &problems);
    require(rfc3339_parse(packet->timestamp, &time_us) == BUS_OK,
            "timestamp",
            "must be an RFC 3339 time",
            &problems);
    require(prana_state(packet->cognitive_state) != PRANA_STATE_COUNT,
            "cognitive_state",
            "must be ON_TASK, THINKING, IDLE, DISTRACTED, AWAY, OFF_TASK or DEEP_FOCUS",
            &problems);
    require(is_share(packet->active_seconds), "active_seconds", "must be 0 to 5", &problems);
    require(is_share(packet->idle_seconds), "idle_seconds", "must be 0 to 5", &problems);
    require(is_share(packet->away_seconds), "away_seconds", "must be 0 to 5", &problems);
    if (problems.count == 0) {
        return BUS_OK;
    }
    *reterr_problems = problems;
    return BUS_VALIDATION_FAILED;
}

bus_err_t
prana_decode(bus_view_t array,
             schema_prana_packet_t ret_packets[PRANA_PACKETS_MAX],
             uint32_t *ret_count,
             schema_problems_t *reterr_problems)
{
    walk_t walk = walk_from(array);
    walk_item_t head;
    *ret_count = 0;
    if (walk_next(&walk, &head) != BUS_OK || head.type != WALK_ARRAY || head.count == 0 ||
        head.count > PRANA_PACKETS_MAX) {
        reterr_problems->count = 0;
        require(false, "packets", "must be 1 to 100 packets", reterr_problems);
        return BUS_VALIDATION_FAILED;
    }
    for (uint32_t i = 0; i < head.count; i++) {
        bus_view_t body;
        bus_err_t err = walk_skip(&walk, &body);
        *ret_count = i;
        if (err == BUS_OK) {
            err = schema_decode(&SCHEMA_prana_packet, body, &ret_packets[i], reterr_problems);
        }
        if (err == BUS_OK) {
            err = prana_check(&ret_packets[i], reterr_problems);
        }
        if (err != BUS_OK) {
            return err;
        }
    }
    *ret_count = head.count;
    return BUS_OK;
}
