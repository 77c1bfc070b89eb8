// workflow.c - the Workflow Executor's endpoints that are more than a row. docs/contract.md
// section 7.
#include "proto/workflow.h"
#include "answer.h"
#include "ask.h"
#include "handler.h"
#include "params.h"
#include "shapes.h"

// --- POST /api/workflow/execute ------------------------------------------------------------------

static void
answer_skipped(bridge_request_t *self)
{
    BUS_AUTO(pack_destroy) pack_t *body = pack_new();
    pack_map(body, 3);
    pack_pair_text(body, "trace_id", bridge_request_trace(self));
    pack_pair_text(body, "status", "skipped");
    pack_pair_text(body, "reason", "decision_not_workflow");
    bridge_answer(self, MHD_HTTP_OK, pack_view(body));
}

// Whether `data` is of the shape that the executor takes. False: it answered.
static bool
is_whole(bridge_request_t *self, bus_view_t data)
{
    schema_workflow_payload_t known;
    workflow_problems_t problems;
    bus_view_t payload;
    bus_err_t err = workflow_payload(data, &known, &payload, &problems);
    if (err == BUS_INVALID_REQUEST) {
        bridge_answer_refuse(self, err, WORKFLOW_NO_PAYLOAD);
    } else if (err != BUS_OK) {
        bridge_answer_problems(self, problems.schema, &problems.problems);
    }
    return err == BUS_OK;
}

// What cannot be executed is answered here, and is in no journal: the executor itself decides the
// same of what comes by the bus.
void
bridge_workflow_execute(bridge_request_t *self)
{
    schema_workflow_execute_t asked;
    if (!bridge_params_decode(self, &SCHEMA_workflow_execute, self->body, &asked)) {
        return;
    }
    if (!workflow_is_decision(asked.decision)) {
        bridge_answer_invalid(
            self, "decision", "must be respond, task, workflow, insight or fallback");
        return;
    }
    if (!view_is(asked.decision, "workflow")) {
        answer_skipped(self);
        return;
    }
    if (!is_whole(self, asked.data)) {
        return;
    }
    bridge_ask(self,
               &(bridge_ask_t){.kind = BRIDGE_ASK_COMMAND,
                               .topic = self->route->topic,
                               .body = self->body,
                               .idem = true});
}

// --- POST /api/workflow/tasks/{task_id}/complete -------------------------------------------------

void
bridge_workflow_complete(bridge_request_t *self)
{
    schema_workflow_task_query_t path;
    bridge_shape_task_note_t asked;
    BUS_AUTO(pack_destroy) pack_t *params = pack_new();
    BUS_AUTO(pack_destroy) pack_t *body = pack_new();
    if (!bridge_params_read(self, params, &path) ||
        !bridge_params_decode(self, &BRIDGE_SHAPE_task_note, self->body, &asked)) {
        return;
    }
    const schema_workflow_task_complete_t command = {.task_id = path.task_id, .note = asked.note};
    schema_encode(&SCHEMA_workflow_task_complete, &command, body);
    bridge_ask(self,
               &(bridge_ask_t){.kind = BRIDGE_ASK_COMMAND,
                               .topic = self->route->topic,
                               .body = pack_view(body),
                               .idem = true});
}
