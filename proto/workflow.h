// workflow.h - what the bridge and the executor check alike of a workflow.execute. Pure functions.
#pragma once
#include "auto.h"
#include "schema.h"

// Whether `word` is one of respond, task, workflow, insight, fallback: of these only workflow acts.
bool workflow_is_decision(bus_view_t word);

// The payload in `data` (as workflow.execute has it; may be absent), decoded: what all actions know
// into *ret_known, its bytes into *ret_payload. BUS_VALIDATION_FAILED with the problems, and the
// schema that they are of in *reterr_schema (NULL: of none); BUS_INVALID_REQUEST where there is no
// payload, or an empty one.
typedef struct {
    schema_problems_t problems;
    const schema_t *schema;
} workflow_problems_t;
BUS_CHECK bus_err_t workflow_payload(bus_view_t data,
                                     schema_workflow_payload_t *ret_known,
                                     bus_view_t *ret_payload,
                                     workflow_problems_t *reterr_problems);

// What is said where there is no payload.
#define WORKFLOW_NO_PAYLOAD "missing_workflow_payload"
