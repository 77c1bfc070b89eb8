// prana_self.h - what the files of prana.c share: what a person's packets sum to.
#pragma once
#include "prana.h"
#include "proto/prana.h"

// A record of BUCKET_PEOPLE.
typedef struct {
    uint64_t packets;
    uint64_t focus; // the scores added up
    uint64_t states[PRANA_STATE_COUNT];
    uint64_t systems[PRANA_SYSTEM_COUNT];
} bucket_prana_person_t;

// BUS_NOT_FOUND for who has none, and all zero then; BUS_CORRUPT, BUS_IO.
BUS_CHECK bus_err_t bucket_prana_person(store_txn_t *txn,
                                        bus_view_t user_id,
                                        bucket_prana_person_t *ret_person);
