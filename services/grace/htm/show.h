// show.h - a task as it is shown.
#pragma once
#include "state.h"

// Packs a task as schema htm_task; `whole`: with context, result and what happened to it. BUS_IO.
BUS_CHECK bus_err_t htm_show_task(store_txn_t *txn,
                                  const htm_task_t *task,
                                  bool whole,
                                  pack_t *out);
