// workflow.c - what the bridge and the executor check alike of a workflow.execute.
#include "workflow.h"

#include "walk.h"

bool
workflow_is_decision(bus_view_t word)
{
    static const char *const words[] = {"respond", "task", "workflow", "insight", "fallback"};
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (view_is(word, words[i])) {
            return true;
        }
    }
    return false;
}

static bus_err_t
decode(const schema_t *schema, bus_view_t body, void *ret_struct, workflow_problems_t *reterr)
{
    reterr->schema = schema;
    return schema_decode(schema, body, ret_struct, &reterr->problems);
}

bus_err_t
workflow_payload(bus_view_t data,
                 schema_workflow_payload_t *ret_known,
                 bus_view_t *ret_payload,
                 workflow_problems_t *reterr_problems)
{
    schema_workflow_data_t inside = {.payload = VIEW_NONE};
    *reterr_problems = (workflow_problems_t){.schema = NULL};
    if (data.data != NULL) {
        bus_err_t err = decode(&SCHEMA_workflow_data, data, &inside, reterr_problems);
        if (err != BUS_OK) {
            return err;
        }
        if (!view_is(inside.workflow_type, "workflow")) {
            reterr_problems->schema = NULL;
            reterr_problems->problems =
                (schema_problems_t){.count = 1, .at = {{"workflow_type", "must be workflow"}}};
            return BUS_VALIDATION_FAILED;
        }
    }
    walk_pairs_t pairs = walk_pairs(inside.payload);
    if (inside.payload.data == NULL || pairs.left == 0) {
        return BUS_INVALID_REQUEST;
    }
    *ret_payload = inside.payload;
    return decode(&SCHEMA_workflow_payload, inside.payload, ret_known, reterr_problems);
}
