// verification_findings.h - what is wrong with the audit log, as found so far and not yet
// disproved.
//
// Owner: the loop's thread. A finding stays until the same place is looked at again and found good.
// Pure but for memory; times are given to it.
#pragma once
#include "proto/auto.h"
#include "proto/pack.h"
#include <stdbool.h>
#include <stdint.h>

typedef enum {
    KERNEL_VERIFICATION_HEAD,      // the signed head: its signature, its size, its consistency
    KERNEL_VERIFICATION_PLACE,     // the entries are not those that a kept checkpoint signs
    KERNEL_VERIFICATION_LEAF,      // an entry's bytes do not match its hash
    KERNEL_VERIFICATION_ENTRY,     // an entry that Bucket itself finds damaged
    KERNEL_VERIFICATION_INCLUSION, // a sampled entry that cannot be proved
    KERNEL_VERIFICATION_KIND_COUNT
} kernel_verification_kind_t;

enum {
    KERNEL_VERIFICATION_FINDINGS_MAX = 200, // a log that is worse than that needs no list
    KERNEL_VERIFICATION_WHAT_SIZE = 256,
};

#define KERNEL_VERIFICATION_WHOLE UINT64_MAX // in place of a leaf: of the log as a whole

typedef struct {
    kernel_verification_kind_t kind;
    uint64_t leaf;     // index, or WHOLE
    uint64_t first_at; // microseconds since 1970
    uint64_t last_at;
    bool is_stale; // its place is being looked at again
    char what[KERNEL_VERIFICATION_WHAT_SIZE];
} kernel_verification_finding_t;

typedef struct {
    kernel_verification_finding_t at[KERNEL_VERIFICATION_FINDINGS_MAX];
    size_t count;
    uint64_t dropped; // that there was no room for, ever
    uint64_t changes; // findings that came or went, ever
} kernel_verification_findings_t;

// Adds a finding, or says again one that is there (of the same kind and leaf).
void kernel_verification_findings_add(kernel_verification_findings_t *self,
                                      kernel_verification_kind_t kind,
                                      uint64_t leaf,
                                      uint64_t now,
                                      const char *format,
                                      ...) __attribute__((format(printf, 5, 6)));
// Leaves [from, to) are looked at again: what is not added until ..._end with the same kind is
// gone.
void kernel_verification_findings_begin(kernel_verification_findings_t *self,
                                        kernel_verification_kind_t kind,
                                        uint64_t from,
                                        uint64_t to);
void kernel_verification_findings_end(kernel_verification_findings_t *self,
                                      kernel_verification_kind_t kind);
// All of the kind are gone.
void kernel_verification_findings_clear(kernel_verification_findings_t *self,
                                        kernel_verification_kind_t kind);

// One array of {kind, leaf_index, what, first_at, last_at}.
void kernel_verification_findings_pack(const kernel_verification_findings_t *self, pack_t *out);
// Reads it back; what makes no sense is left out.
void kernel_verification_findings_read(kernel_verification_findings_t *self, bus_view_t map);
