// held.c - a frame inside a frame, whose end is told.
#include "held.h"
#include "runtime/id.h"
#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>

struct held {
    _Atomic uint64_t bytes; // one of them is the owner's; who takes off the last frees it all
    _Atomic uint64_t turn;  // times that the dice was cast
    uint64_t seed;          // of the dice
};

typedef struct {
    zmq_msg_t inner; // what was charged
    held_t *held;
    _Atomic uint64_t charge; // written last and read first: it hands the others over
} hold_t;

held_t *
held_new(void)
{
    held_t *self = calloc(1, sizeof(*self));
    assert(self != NULL);
    id_random(&self->seed, sizeof(self->seed));
    atomic_init(&self->bytes, 1);
    return self;
}

static void
take_off(held_t *self, uint64_t charge)
{
    uint64_t before = atomic_fetch_sub_explicit(&self->bytes, charge, memory_order_acq_rel);
    assert(before >= charge);
    if (before == charge) {
        free(self);
    }
}

void
held_destroy(held_t **self_p)
{
    if (*self_p != NULL) {
        take_off(*self_p, 1);
        *self_p = NULL;
    }
}

uint64_t
held_bytes(const held_t *self)
{
    return atomic_load_explicit(&self->bytes, memory_order_relaxed) - 1;
}

// The next of a sequence that looks random: splitmix64.
static uint64_t
cast_dice(held_t *self)
{
    uint64_t turn = atomic_fetch_add_explicit(&self->turn, 1, memory_order_relaxed);
    uint64_t z = self->seed + turn * UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static void
let_go(void *data, void *hint)
{
    (void) data; // the inner frame's
    hold_t *hold = hint;
    uint64_t charge = atomic_load_explicit(&hold->charge, memory_order_acquire);
    zmq_msg_close(&hold->inner);
    take_off(hold->held, charge);
    free(hold);
}

void
held_charge(held_t *self, zmq_msg_t *frame, size_t size)
{
    uint64_t charge = size + HELD_EACH;
    if (charge < HELD_GRAIN) {
        if (cast_dice(self) % HELD_GRAIN >= charge) {
            return;
        }
        charge = HELD_GRAIN;
    }
    hold_t *hold = malloc(sizeof(*hold));
    assert(hold != NULL);
    zmq_msg_init(&hold->inner);
    zmq_msg_move(&hold->inner, frame);
    hold->held = self;
    atomic_fetch_add_explicit(&self->bytes, charge, memory_order_relaxed);
    atomic_init(&hold->charge, 0);
    atomic_store_explicit(&hold->charge, charge, memory_order_release);
    int rc = zmq_msg_init_data(
        frame, zmq_msg_data(&hold->inner), zmq_msg_size(&hold->inner), let_go, hold);
    assert(rc == 0);
}
