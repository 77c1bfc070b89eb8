// fault_shim.h - the page that a test and the processes under fault share.
//
// A file of FAULT_PAGE_SIZE bytes, mapped by both: numbers of 64 bits, native byte order.
// tests/support/faults.py has the same list, in the same order.
#pragma once
#include <stdint.h>

enum {
    FAULT_PAGE_SIZE = 4096,
    FAULT_SECTOR = 512, // what a disk writes whole or not at all
    FAULT_FILES_MAX = 32,
};

// What may fail, as bits of `ops`.
enum { FAULT_WRITE = 1, FAULT_SYNC = 2, FAULT_MALLOC = 4 };

typedef enum {
    FAULT_ACTION_FAIL,  // the call fails with `error`, and nothing was done
    FAULT_ACTION_SHORT, // a write writes `bytes` of it and says so
    FAULT_ACTION_DIE    // a write writes `bytes` of it, and the process is killed; a sync does not
} fault_action_t;

// What becomes of writes that no flush followed, when the process is cut or dies by a fault.
typedef enum {
    FAULT_POWER_STAYS, // they stay: the process died, the machine did not
    FAULT_POWER_LOST,  // all of them are gone
    FAULT_POWER_MIXED  // each sector of each by chance, from `seed`
} fault_power_t;

typedef struct {
    // Said by the test.
    uint64_t ops;      // of the bits above: which calls may fail; 0: none
    uint64_t action;   // of fault_action_t
    uint64_t error;    // errno
    uint64_t from;     // the first call that does, from 1
    uint64_t count;    // how many do; 0: all from there on
    uint64_t bytes;    // see the actions
    uint64_t hold;     // a flush waits while this is not 0
    uint64_t cut;      // not 0: every process dies now
    uint64_t power;    // of fault_power_t; to be set before the process starts
    uint64_t seed;     // of FAULT_POWER_MIXED
    int64_t clock_us;  // the wall clock is off by so much
    uint64_t only_pid; // 0: every process
    // Told by the processes.
    uint64_t writes;  // calls that were seen, of each kind
    uint64_t syncs;   //
    uint64_t mallocs; // only while they may fail
    uint64_t matched; // calls of `ops` since the test set this to 0
    uint64_t failed;  // calls that were made to fail
    uint64_t died;    // processes that were cut, or died by a fault
    uint64_t waiting; // flushes that are held
    uint64_t foreign; // failed allocations that libzmq had asked for: its end is its own
} fault_page_t;
