// grace.h - who of Grace is on the bus: HTM, the brain and the seven kernels. Pure functions.
#pragma once
#include "proto/pack.h"
#include "proto/view.h"
#include <stdbool.h>

#define KERNEL(name, meaning) +1
enum {
    BRIDGE_GRACE_KERNELS = 0
#include "proto/kernel.def"
};
#undef KERNEL

typedef struct {
    const char *name;    // "memory"
    const char *service; // "kernel-memory"
    const char *meaning; // for a person
} bridge_grace_row_t;
extern const bridge_grace_row_t bridge_grace_rows[BRIDGE_GRACE_KERNELS];

// Whether `peers`, as $bus.peers answers, name the service. *ret_peer (may be NULL) is its map; of
// several instances the first. An absent view names nobody.
bool bridge_grace_find(bus_view_t peers, const char *service, bus_view_t *ret_peer);

// Grace as one service among the five: each part of it may be missing.
typedef struct {
    bool has_htm;     // it answered lately
    bool is_htm_well; // and says that it is
    bool has_lag;
    uint64_t lag; // of HTM
    bool has_brain;
    unsigned kernels; // of BRIDGE_GRACE_KERNELS
} bridge_grace_t;

// What `peers` say of brain and kernels; what is known of HTM the caller adds.
bridge_grace_t bridge_grace_look(bus_view_t peers);
// Whether some of it is there; whether all of it is, and well.
bool bridge_grace_is_there(const bridge_grace_t *self);
bool bridge_grace_is_well(const bridge_grace_t *self);
// Packs one map: status, state, lag, htm, brain, kernels_up.
void bridge_grace_pack(const bridge_grace_t *self, pack_t *out);
