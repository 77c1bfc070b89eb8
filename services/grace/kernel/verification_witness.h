// verification_witness.h - what the witness of the audit log keeps: keys, signed heads, and its
// verdict on the next one.
//
// Owner: the loop's thread. It trusts the key and the head that it saw first (TOFU), and from then
// on nothing that these do not vouch for: a later head must be signed by a key that it knows, and
// be proved to be a longer form of the last one that was good. What it finds wrong it never keeps
// as a head. Kept in the kernel's own store, so a restart goes on from there.
// Sources: RFC 9162 sections 2.1.4 and 8; c2sp.org/tlog-checkpoint, tlog-witness.
#pragma once
#include "proto/note.h"
#include "runtime/store.h"
#include "verification_findings.h"

enum {
    KERNEL_VERIFICATION_KEYS_MAX = 64,   // rotations; the oldest goes
    KERNEL_VERIFICATION_HEADS_MAX = 512, // then every second one goes: they span the log's life
};

// The tables that it keeps itself in; neither is made from the journal.
typedef struct {
    unsigned state; // "witness" -> one map
    unsigned heads; // size -> root and when
} kernel_verification_tables_t;

typedef struct {
    merkle_head_t head;
    uint64_t at; // when it was seen, microseconds since 1970
} kernel_verification_head_t;

typedef struct {
    note_verifier_t keys[KERNEL_VERIFICATION_KEYS_MAX];
    size_t key_count;
    kernel_verification_head_t heads[KERNEL_VERIFICATION_HEADS_MAX]; // the smallest first
    size_t head_count;   // the last is the one that the next must follow from
    text_t *note;        // owned: its signed text; empty: none yet
    text_t *bad_note;    // owned: the last one that was refused, as evidence; empty: none
    uint64_t first_at;   // when trust began; 0: not yet
    uint64_t forgotten;  // times that it found its own store damaged, and began anew
    bool is_dirty;       // there is something to be saved
    bool heads_are_thin; // some were let go since they were saved
} kernel_verification_witness_t;

void kernel_verification_witness_init(kernel_verification_witness_t *self);
void kernel_verification_witness_clear(kernel_verification_witness_t *self);

// A head that was told, and how it relates to what is kept.
typedef enum {
    KERNEL_VERIFICATION_FIRST,    // nothing was kept: trust begins
    KERNEL_VERIFICATION_SAME,     // as kept
    KERNEL_VERIFICATION_LONGER,   // to be proved consistent
    KERNEL_VERIFICATION_SHORTER,  // entries are missing
    KERNEL_VERIFICATION_FORKED,   // as many entries, and another root
    KERNEL_VERIFICATION_UNSIGNED, // not by a key that is known, nor by the one it names
} kernel_verification_verdict_t;

typedef struct {
    kernel_verification_verdict_t verdict;
    merkle_head_t head;     // but for UNSIGNED
    note_verifier_t signer; // the same
    bool is_new_key;        // it is signed by a key that is not known yet: to be proved too
    const char *why;        // of UNSIGNED: a literal
} kernel_verification_told_t;

// Judges a checkpoint by what is kept. `vkey`: the key that Bucket says it signed with.
void kernel_verification_witness_judge(const kernel_verification_witness_t *self,
                                       bus_view_t note,
                                       bus_view_t vkey,
                                       kernel_verification_told_t *ret_told);
// The head that the next one must follow from; NULL: none yet.
const kernel_verification_head_t *
kernel_verification_witness_last(const kernel_verification_witness_t *self);
// It is good: keeps it, and the key that signed it.
void kernel_verification_witness_accept(kernel_verification_witness_t *self,
                                        const kernel_verification_told_t *told,
                                        bus_view_t note,
                                        uint64_t now);
// It is not: keeps it as evidence.
void kernel_verification_witness_refuse(kernel_verification_witness_t *self, bus_view_t note);

// BUS_FULL, BUS_IO. Does nothing where nothing changed.
BUS_CHECK bus_err_t kernel_verification_witness_save(kernel_verification_witness_t *self,
                                                     const kernel_verification_findings_t *findings,
                                                     const kernel_verification_tables_t *tables,
                                                     store_txn_t *txn);
// Reads both back. Where they are damaged it begins anew, and says so in `forgotten`. BUS_IO.
BUS_CHECK bus_err_t kernel_verification_witness_load(kernel_verification_witness_t *self,
                                                     kernel_verification_findings_t *findings,
                                                     const kernel_verification_tables_t *tables,
                                                     store_txn_t *txn);
