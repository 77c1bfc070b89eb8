// outcome.h - what Core tells the others about a task: events for Bucket, karma, a workflow.
//
// All facts of one task go as one batch: durable together or not at all. Nobody waits for it; the
// client sends it again until the broker has it, or the process ends.
#pragma once
#include "core_self.h"

// Publishes it. `answer` is NULL for a task that failed. False: it is lost, and never applied.
bool core_outcome_publish(const core_task_t *task, const core_answer_t *answer);
// Whether there is room for the outcomes of what may be begun.
bool core_outcome_has_room(const core_state_t *core);
