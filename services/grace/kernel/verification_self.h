// verification_self.h - what the verification kernel is made of, for its .c files alone.
//
// verification.c has its life and what it tells; verification_head.c the signed head of a round and
// what it must be proved by; verification_entries.c the samples and the sweep over all entries;
// verification_witness.c what is kept, verification_findings.c what is wrong. A round asks one
// question after the other: verification_head.c begins it, verification_entries.c ends it.
#pragma once
#include "runtime/service.h"
#include "verification_witness.h"
#include "watch.h"

enum {
    KERNEL_VERIFICATION_SAMPLES_MAX = 1000,
    KERNEL_VERIFICATION_PAGE = 2000,            // leaves of the sweep in one round
    KERNEL_VERIFICATION_LEAF_MAX = 1024 * 1024, // bytes; what is larger is no entry
};

typedef struct kernel_verification kernel_verification_t;
typedef void(kernel_verification_take_fn)(kernel_verification_t *self,
                                          const client_answer_t *answer);

struct kernel_verification {
    service_t *service;
    struct {
        double verify_s;
        double anomaly_s;
        int64_t samples; // entries sampled in a round
    } settings;
    kernel_verification_witness_t witness;
    kernel_verification_findings_t findings;

    // The round under way.
    bool is_open;
    bool is_judged;                    // a head was told, good or bad
    kernel_verification_take_fn *take; // of the answer that is awaited
    text_t *told_note;                 // owned: the head's text
    kernel_verification_told_t told;   // what it says
    bool is_second_look;               // it was shorter than what is kept, and is asked for again
    unsigned samples_left;
    uint64_t sampling_at;       // when the round's samples began, microseconds since 1970
    uint64_t sampled;           // the leaf
    merkle_hash_t sampled_hash; // as the log gives it
    uint64_t checked;           // leaves that Bucket has checked, of the pass under way
    merkle_tree_t tree;         // of the leaves that were swept, the same
    bool is_broken;             // this pass met a head that does not fit
    uint8_t *leaf;              // owned: LEAF_MAX bytes, decoded

    // So far.
    uint64_t rounds;        // in which a head was judged
    uint64_t unanswered;    // in which Bucket did not answer
    uint64_t refusals;      // in a row, of the consistency proof
    uint64_t behind;        // Bucket was still reading the journal
    uint64_t consistencies; // proofs that were good
    uint64_t inclusions;    // the same
    uint64_t key_changes;   // of keys, proved
    uint64_t swept;         // leaves
    uint64_t sweeps;        // whole passes over the log
    uint64_t verified_at;   // when a head was good last, microseconds since 1970; 0: never
    uint64_t verified_ms;   // the same by the boot clock; at first: of the start
    uint64_t changes_said;  // of findings, when an anomaly was said last
    uint64_t said_ms;       // boot clock
    kernel_watch_news_t news;
};

// --- verification.c
// Asks; `take` gets the final answer. Where nothing can be sent the round ends.
void kernel_verification_ask(kernel_verification_t *self,
                             const char *topic,
                             bus_view_t body,
                             kernel_verification_take_fn *take);
// Whether an answer says that what is stored is damaged, which is a finding; other failures are
// nobody's word on the log.
bool kernel_verification_is_damage(const client_answer_t *answer);
// Saves what the witness has to keep, where something changed.
void kernel_verification_keep(kernel_verification_t *self);
// Ends the round: keeps, and says what is wrong.
void kernel_verification_end(kernel_verification_t *self);
// Adds a finding with the head, and keeps its text as evidence.
void kernel_verification_blame(kernel_verification_t *self, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

// --- verification_head.c
void kernel_verification_head_begin(kernel_verification_t *self);

// --- verification_entries.c
// Samples entries under the last good head, then sweeps on; then the round ends.
void kernel_verification_entries_begin(kernel_verification_t *self);
// Only sweeps: the head is bad, and the entries may show where.
void kernel_verification_entries_sweep(kernel_verification_t *self);
// Reads a leaf's entry bytes of an answer's item {leaf, hash} into self->leaf. False where it is
// nil; *ret_is_good: whether they match the hash.
bool kernel_verification_entries_read(kernel_verification_t *self,
                                      bus_view_t item,
                                      merkle_hash_t *ret_hash,
                                      bus_view_t *ret_leaf,
                                      bool *ret_is_good);
// Whether the answer to audit_inclusion proves that `hash` is leaf `index` under `head`.
bool kernel_verification_entries_is_proved(bus_view_t answer,
                                           const merkle_hash_t *hash,
                                           uint64_t index,
                                           const merkle_head_t *head);
