// plan.h - plans of atonement: what an appeal prescribed, and what was submitted for it.
//
// A user's plans are numbered from 0 in the order in which they were made; the plan_id is
// "<user_id>_<wrong>_<number>". What the class demanded then stays demanded. Owner: the service's
// thread. Source: docs/originals.md 1.6.
#pragma once
#include "ledger.h"
#include "proto/pack.h"
#include "runtime/store.h"
#include "tables.h"

enum {
    // Of a plan that are kept, and shown with it: a proof has up to 4.5 KB, and the greatest plan
    // may be done in ten thousand parts. All are counted, and in the journal.
    KARMA_PROOFS_MAX = 20,
    // Of a user that are pending: an appeal costs nothing, and each makes one.
    KARMA_PLANS_PENDING_MAX = 1000,
    KARMA_PLAN_DIGITS_MAX = 20,
    KARMA_PLAN_ID_MAX = KARMA_USER_ID_MAX + 1 + KARMA_WORD_MAX + 1 + KARMA_PLAN_DIGITS_MAX,
    // Of one submission: sums of such stay far from infinity.
    KARMA_AMOUNT_MAX = 1000000000
};

typedef struct {
    uint64_t number;
    karma_word_t wrong;
    const karma_atonement_row_t *atonement; // its class
    uint64_t created_at;
    uint64_t completed_at; // 0: pending
    uint64_t proofs;       // submitted
    double required[KARMA_PRACTICE_COUNT];
    double progress[KARMA_PRACTICE_COUNT];
} karma_plan_t;

// One submission.
typedef struct {
    karma_practice_t practice;
    double amount;
    uint64_t at;
    bus_view_t text; // absent where there is none
    bus_view_t tx_hash;
} karma_proof_t;

// A new plan.
karma_plan_t karma_plan_make(uint64_t number,
                             bus_view_t wrong,
                             const karma_atonement_row_t *atonement,
                             uint64_t at);
// Writes its plan_id, and a NUL; returns it as a view.
bus_view_t
karma_plan_id(const karma_plan_t *self, bus_view_t user_id, char ret_bytes[KARMA_PLAN_ID_MAX + 1]);

// Finds a user's plan by its id. BUS_NOT_FOUND, BUS_CORRUPT, BUS_IO.
BUS_CHECK bus_err_t karma_plan_find(store_txn_t *txn,
                                    bus_view_t user_id,
                                    bus_view_t plan_id,
                                    karma_plan_t *ret_self);
// `scratch` is cleared and used. BUS_FULL, BUS_IO.
BUS_CHECK bus_err_t karma_plan_save(store_txn_t *txn,
                                    bus_view_t user_id,
                                    const karma_plan_t *self,
                                    pack_t *scratch);

// Adds a submission to the progress; returns whether that completed the plan (and then notes when).
bool karma_plan_submit(karma_plan_t *self, const karma_proof_t *proof);
// Keeps it, as the last of the plan's proofs, if it is among the first. `scratch` is cleared and
// used. BUS_FULL, BUS_IO.
BUS_CHECK bus_err_t karma_plan_keep(store_txn_t *txn,
                                    bus_view_t user_id,
                                    const karma_plan_t *self,
                                    const karma_proof_t *proof,
                                    pack_t *scratch);

// Appends the plan as it is answered, with its first proofs; a damaged one has the status "damaged"
// and no more. BUS_IO.
BUS_CHECK bus_err_t karma_plan_pack(store_txn_t *txn,
                                    bus_view_t user_id,
                                    const karma_plan_t *self,
                                    pack_t *out);

// Calls `fn` for each of the user's plans from number `from` on, until it returns another error
// than BUS_OK, which is then returned. BUS_CORRUPT, BUS_IO.
typedef bus_err_t(karma_plan_fn)(void *arg, const karma_plan_t *plan);
BUS_CHECK bus_err_t
karma_plan_each(store_txn_t *txn, bus_view_t user_id, uint64_t from, karma_plan_fn *fn, void *arg);
