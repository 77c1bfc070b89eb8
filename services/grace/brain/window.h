// window.h - how many of the live queue's last tasks kept their SLA.
//
// A value of the metric is told from it once BRAIN_WINDOW_LEAST tasks are over, and no more often
// than once a cooldown: the queue can end thousands of tasks a second.
#pragma once
#include "config.h"

enum {
    BRAIN_WINDOW_TASKS = 100,
    BRAIN_WINDOW_LEAST = 20, // of fewer, one late task would be drift
};

typedef struct {
    uint64_t count; // tasks, at most BRAIN_WINDOW_TASKS
    uint64_t next;  // place of the next
    uint64_t told_at;
    uint8_t met[BRAIN_WINDOW_TASKS + 4]; // 0 or 1; the last four fill it up to whole words
} brain_window_t;

// Takes a task that is over. True: *ret_share is to be looked at now. Pure.
bool brain_window_take(
    brain_window_t *self, const brain_config_t *config, uint64_t at, bool met, double *ret_share);
// The share of those there are; 1 where there are none.
double brain_window_share(const brain_window_t *self);

// All zero before the first task. BUS_IO.
BUS_CHECK bus_err_t brain_window_load(store_txn_t *txn, brain_window_t *ret_window);
// BUS_FULL, BUS_IO.
BUS_CHECK bus_err_t brain_window_save(store_txn_t *txn, const brain_window_t *window);
