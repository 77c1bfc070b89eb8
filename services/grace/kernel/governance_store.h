// governance_store.h - what the kernel governance keeps: verdicts, what is open, the gate.
//
// Owner: the service's thread. Every function may return BUS_FULL, BUS_IO; where a row is damaged
// it is as good as none, and what goes by it is counted anew.
#pragma once
#include "governance_rules.h"
#include "runtime/service.h"

typedef enum {
    KERNEL_GOVERNANCE_VERDICTS, // seq of the intent -> governance_kept
    KERNEL_GOVERNANCE_OPEN,     // seq of an allowed intent whose task is not over -> its name
    KERNEL_GOVERNANCE_COUNTS,   // kernel_governance_count_t, name -> uint64_t
    KERNEL_GOVERNANCE_GATE,     // "gate" -> governance.gate, as it was journaled last
    KERNEL_GOVERNANCE_TABLE_COUNT
} kernel_governance_table_t;

extern const store_table_t kernel_governance_tables[KERNEL_GOVERNANCE_TABLE_COUNT];

// What is counted: the first byte of a key of KERNEL_GOVERNANCE_COUNTS, before the name.
typedef enum {
    KERNEL_GOVERNANCE_COUNT_OPEN = 'o',    // intents of a name that are open
    KERNEL_GOVERNANCE_COUNT_DECIDED = 'r', // verdicts that a rule gave, so far
} kernel_governance_count_t;

enum { KERNEL_GOVERNANCE_VERDICTS_MAX = 10000 }; // the latest; the journal has all of them

// How many intents of this name are open, or verdicts of this rule were given.
BUS_CHECK bus_err_t kernel_governance_store_count(store_txn_t *txn,
                                                  kernel_governance_count_t kind,
                                                  bus_view_t name,
                                                  uint64_t *ret_count);
// Keeps a verdict, forgets the oldest one over the limit, counts its rule and, where it is allowed,
// its intent as open.
BUS_CHECK bus_err_t kernel_governance_store_put(store_txn_t *txn,
                                                const schema_governance_kept_t *kept);
// The task of intent `seq` is over. BUS_OK, too, where that was not open.
BUS_CHECK bus_err_t kernel_governance_store_close(store_txn_t *txn, uint64_t seq);
