// story.h - the record in hand, as the brain's part of one trace: who carries on what.
//
// What shows a drift, the drift, its intent and its task share one trace; where the first has none
// the brain makes one of its seq. A trace remembers how many remediations in a row lie on it, for
// BRAIN_STORY_US: what is seen on it is that deep.
#pragma once
#include "config.h"

enum { BRAIN_STORY_TRACES_MAX = 10000 };     // traces remembered; the oldest goes first
#define BRAIN_STORY_US UINT64_C(86400000000) // a story that is a day old is another

typedef struct {
    service_apply_t *apply;
    brain_config_t config;
    uint64_t at;
    uint64_t depth; // remediations in a row that lie behind this record
    bus_view_t trace_id;
    char made[32];
} brain_story_t;

// Begins with a record. Lives no longer than its `apply`. BUS_IO.
BUS_CHECK bus_err_t brain_story_begin(brain_story_t *self, service_apply_t *apply);
// BUS_OK where `source` said the record; else refuses it: others' word for it is no fact.
BUS_CHECK bus_err_t brain_story_only(service_apply_t *apply, const char *source);
// Has what is said from here on carry a trace: where the record has none, "<word>_<seq>".
void brain_story_trace(brain_story_t *self, const char *word);
// A remediation was said: what comes on this trace is one deeper. BUS_FULL, BUS_IO.
BUS_CHECK bus_err_t brain_story_deepen(brain_story_t *self);
