// say.h - what the queue says of a task, each under the task's own trace. All return what
// service_say does.
#pragma once
#include "state.h"

// A task was given to a worker: the fact, and the live hand-out.
typedef struct {
    const htm_task_t *task;
    bus_view_t context;   // one map
    uint64_t overtook;    // earlier tasks of a lower priority that it starts before
    uint64_t dispatch_us; // from when task and free worker were both there
} htm_say_start_t;
BUS_CHECK bus_err_t htm_say_started(service_apply_t *apply, const htm_say_start_t *start);
// Packs the hand-out alone.
void htm_say_pack_execute(const htm_task_t *task, bus_view_t context, pack_t *out);
enum { HTM_SAY_TOPIC_SIZE = 128 }; // task.execute.<handler>
void htm_say_execute_topic(const htm_task_t *task, char ret_topic[HTM_SAY_TOPIC_SIZE]);

// It is to be tried again. `reason`: failed, lapsed or gone; `error`: its worker's, or absent.
BUS_CHECK bus_err_t htm_say_retry(service_apply_t *apply,
                                  const htm_task_t *task,
                                  const char *reason,
                                  bus_view_t error,
                                  uint64_t delay_us);
// Its priority went up, from `from`.
BUS_CHECK bus_err_t htm_say_escalated(service_apply_t *apply,
                                      const htm_task_t *task,
                                      htm_rank_t from);
// `topic`: task.sla.warning or task.sla.breached.
BUS_CHECK bus_err_t htm_say_sla(service_apply_t *apply, const htm_task_t *task, const char *topic);
// It is over. `result`: absent where there is none.
BUS_CHECK bus_err_t htm_say_done(service_apply_t *apply, const htm_task_t *task, bus_view_t result);
