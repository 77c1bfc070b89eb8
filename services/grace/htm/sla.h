// sla.h - a task's promise: when it goes up, when it is warned of, when it is broken.
#pragma once
#include "state.h"

// The next moment after which there is something to say of it; UINT64_MAX: none.
uint64_t htm_sla_next(const htm_task_t *task, const htm_settings_t *settings);
// Does and says what is due by the record's time; changes the task, which the caller saves.
// BUS_FULL, BUS_IO.
BUS_CHECK bus_err_t htm_sla_look(service_apply_t *apply, htm_task_t *task);
