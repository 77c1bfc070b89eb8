// history.c - what Core learns and keeps of tasks. See history.h.
//
// A task is a small record under the seq of its outcome, found by its id, and what its agent
// answered beside it, which may be large and is never written again. The oldest go when there are
// too many, when they are too old, or when their answers take too much room.
#include "history.h"

#include "proto/walk.h"
#include "runtime/log.h"

#include <math.h>

enum {
    EXPIRE_EACH = 3, // records that a new one may push out: more than come in
    REWARD_MAX = 10, // of a person's verdict, either way; what a task earns is far below
};
#define AGE_MAX_US ((uint64_t) CORE_HISTORY_DAYS * 24 * 3600 * 1000000)

static bool
is_ours(const service_apply_t *apply)
{
    return view_is(apply->header->source, "bhiv_core");
}

// Decodes what Core itself said. False: it is somebody else's, or none of ours ever was like that.
static bool
is_ours_as(const service_apply_t *apply, const schema_t *schema, void *ret_struct)
{
    schema_problems_t problems = {.count = 0};
    return is_ours(apply) && schema_decode(schema, apply->body, ret_struct, &problems) == BUS_OK;
}

// As Core says of how a task ended. A reward that neither it nor a person can give would be all
// that its agent is known by for ever: whoever may publish may use our name.
static bool
is_our_outcome(const service_apply_t *apply, schema_core_outcome_t *ret_outcome)
{
    return is_ours_as(apply, &SCHEMA_core_outcome, ret_outcome) &&
           (!ret_outcome->reward.has || fabs(ret_outcome->reward.value) <= REWARD_MAX);
}

// An error of one damaged record, which must not stop the journal.
static bool
is_damage(bus_err_t err)
{
    return err == BUS_CORRUPT || err == BUS_NOT_FOUND;
}

// --- Reading and writing -------------------------------------------------------------------------

static bus_err_t
read_task(store_txn_t *txn, uint64_t seq, schema_core_task_t *ret_task)
{
    bus_view_t value;
    schema_problems_t problems = {.count = 0};
    bus_err_t err = store_get(txn, CORE_TASKS, STORE_U64(seq), &value);
    if (err == BUS_OK && schema_decode(&SCHEMA_core_task, value, ret_task, &problems) != BUS_OK) {
        err = BUS_CORRUPT;
    }
    return err;
}

static bus_err_t
find_seq(store_txn_t *txn, bus_view_t task_id, uint64_t *ret_seq)
{
    bus_view_t value;
    bus_err_t err = store_get(txn, CORE_TASK_IDS, task_id, &value);
    if (err == BUS_OK && value.size != sizeof *ret_seq) {
        err = BUS_CORRUPT;
    }
    if (err == BUS_OK) {
        memcpy(ret_seq, value.data, sizeof *ret_seq);
    }
    return err;
}

bus_err_t
core_history_find(store_txn_t *txn,
                  bus_view_t task_id,
                  uint64_t *ret_seq,
                  schema_core_task_t *ret_task)
{
    bus_err_t err = find_seq(txn, task_id, ret_seq);
    return err == BUS_OK ? read_task(txn, *ret_seq, ret_task) : err;
}

bus_err_t
core_history_output(store_txn_t *txn, uint64_t seq, bus_view_t *ret_output)
{
    return store_get(txn, CORE_OUTPUTS, STORE_U64(seq), ret_output);
}

// Writes the task, whose views may point into the store: it is encoded before the first write.
static bus_err_t
write_task(service_apply_t *apply, uint64_t seq, const schema_core_task_t *task)
{
    core_state_t *core = apply->state;
    pack_clear(core->scratch);
    schema_encode(&SCHEMA_core_task, task, core->scratch);
    return store_put(apply->txn, CORE_TASKS, STORE_U64(seq), pack_view(core->scratch));
}

// --- Letting go ----------------------------------------------------------------------------------

static bus_err_t
delete_if_there(store_txn_t *txn, core_table_t table, bus_view_t key)
{
    bus_err_t err = store_del(txn, table, key);
    return err == BUS_NOT_FOUND ? BUS_OK : err;
}

static bus_err_t
forget(service_apply_t *apply, core_totals_t *totals, uint64_t seq)
{
    schema_core_task_t task;
    bus_view_t output;
    bus_err_t err = core_history_output(apply->txn, seq, &output);
    if (err == BUS_OK) {
        totals->output_bytes -=
            totals->output_bytes < output.size ? totals->output_bytes : output.size;
    } else if (!is_damage(err)) {
        return err;
    }
    err = read_task(apply->txn, seq, &task);
    if (err == BUS_OK) {
        uint64_t workflow_seq = task.workflow_seq.has ? (uint64_t) task.workflow_seq.value : 0;
        err = delete_if_there(apply->txn, CORE_TASK_IDS, task.task_id);
        if (err == BUS_OK && workflow_seq != 0) {
            err = delete_if_there(apply->txn, CORE_WORKFLOWS, STORE_U64(workflow_seq));
        }
    }
    if (err == BUS_OK || is_damage(err)) {
        err = delete_if_there(apply->txn, CORE_OUTPUTS, STORE_U64(seq));
    }
    return err == BUS_OK ? delete_if_there(apply->txn, CORE_TASKS, STORE_U64(seq)) : err;
}

// The oldest task and whether it is to go. BUS_NOT_FOUND where there is none.
static bus_err_t
find_oldest(const service_apply_t *apply, uint64_t *ret_seq, bool *ret_is_old)
{
    BUS_AUTO(store_cursor_destroy) store_cursor_t *cursor = NULL;
    bus_view_t key = VIEW_NONE;
    bus_view_t value = VIEW_NONE;
    schema_core_task_t task;
    schema_problems_t problems = {.count = 0};
    bus_err_t err = store_cursor_open(apply->txn, CORE_TASKS, &cursor);
    if (err == BUS_OK) {
        err = store_first(cursor, &key, &value);
    }
    if (err != BUS_OK && err != BUS_CORRUPT) {
        return err;
    }
    if (key.size != sizeof *ret_seq) {
        return BUS_NOT_FOUND;
    }
    memcpy(ret_seq, key.data, sizeof *ret_seq);
    bool is_whole =
        err == BUS_OK && schema_decode(&SCHEMA_core_task, value, &task, &problems) == BUS_OK;
    *ret_is_old = !is_whole || (uint64_t) task.at.value + AGE_MAX_US < apply->header->at;
    return BUS_OK;
}

static bus_err_t
expire(service_apply_t *apply, core_totals_t *totals)
{
    for (unsigned i = 0; i < EXPIRE_EACH; i++) {
        uint64_t count = 0;
        uint64_t seq = 0;
        bool is_old = false;
        bus_err_t err = store_count(apply->txn, CORE_TASKS, &count);
        if (err == BUS_OK) {
            err = find_oldest(apply, &seq, &is_old);
        }
        if (err == BUS_NOT_FOUND) {
            return BUS_OK;
        }
        bool goes = is_old || count > CORE_HISTORY_TASKS_MAX ||
                    totals->output_bytes > CORE_HISTORY_BYTES_MAX;
        if (err != BUS_OK || !goes) {
            return err;
        }
        err = forget(apply, totals, seq);
        if (err != BUS_OK) {
            return err;
        }
    }
    return BUS_OK;
}

// --- Outcomes ------------------------------------------------------------------------------------

// Each agent that was asked and failed at the task learns from it.
static bus_err_t
count_attempts(service_apply_t *apply, bus_view_t attempts)
{
    walk_t walk = walk_from(attempts);
    walk_item_t head;
    if (attempts.data == NULL || walk_next(&walk, &head) != BUS_OK || head.type != WALK_ARRAY) {
        return BUS_OK;
    }
    for (uint32_t i = 0; i < head.count && i <= CORE_TASK_RETRIES_MAX; i++) {
        bus_view_t value;
        schema_core_attempt_t attempt;
        schema_problems_t problems = {.count = 0};
        if (walk_skip(&walk, &value) != BUS_OK) {
            return BUS_OK;
        }
        if (schema_decode(&SCHEMA_core_attempt, value, &attempt, &problems) != BUS_OK) {
            continue;
        }
        if (attempt.asked.has && !attempt.asked.value) {
            continue;
        }
        bus_err_t err = core_score_add(apply->txn,
                                       &(core_score_outcome_t){.agent_id = attempt.agent_id,
                                                               .failed = true,
                                                               .at = apply->header->at});
        if (err != BUS_OK) {
            return err;
        }
    }
    return BUS_OK;
}

static bus_view_t
text_at(bus_view_t map, const char *key, size_t size_max)
{
    bus_view_t value;
    bus_view_t text;
    if (map.data == NULL || walk_find(map, key, &value) != BUS_OK ||
        walk_as_str(value, &text) != BUS_OK || text.size > size_max) {
        return VIEW_NONE;
    }
    return text;
}

// Keeps the task under this record's seq. One of this id that was kept before is forgotten.
static bus_err_t
keep_task(service_apply_t *apply,
          const schema_core_outcome_t *outcome,
          bool succeeded,
          core_totals_t *totals)
{
    const header_t *header = apply->header;
    uint64_t before = 0;
    bus_err_t err = find_seq(apply->txn, outcome->task_id, &before);
    if (err == BUS_OK) {
        err = forget(apply, totals, before);
    }
    if (err != BUS_OK && !is_damage(err)) {
        return err;
    }
    const schema_core_task_t task = {
        .task_id = outcome->task_id,
        .status = succeeded ? VIEW_LITERAL("success") : VIEW_LITERAL("error"),
        .agent_id = outcome->agent_id,
        .user_id = outcome->user_id,
        .trace_id = header->trace_id,
        .input_type = text_at(outcome->metadata, "input_type", 16),
        .reward = {.has = true, .value = outcome->reward.has ? outcome->reward.value : 0},
        .processing_time = {.has = true,
                            .value = walk_real_at(outcome->metadata, "processing_time", 0)},
        .at = {.has = true, .value = (int64_t) header->at},
        .attempts = outcome->attempts,
        .request_hash = outcome->request_hash,
    };
    err = store_put(apply->txn, CORE_TASK_IDS, task.task_id, STORE_U64(header->seq));
    return err == BUS_OK ? write_task(apply, header->seq, &task) : err;
}

// What both outcomes have in common, once what is theirs alone is done.
static bus_err_t
conclude(service_apply_t *apply,
         const schema_core_outcome_t *outcome,
         bool succeeded,
         core_totals_t *totals)
{
    bus_err_t err = keep_task(apply, outcome, succeeded, totals);
    if (err == BUS_OK) {
        err = count_attempts(apply, outcome->attempts);
    }
    if (err == BUS_OK) {
        err = expire(apply, totals);
    }
    if (err == BUS_OK) {
        totals->tasks++;
        totals->succeeded += succeeded ? 1 : 0;
        totals->failed += succeeded ? 0 : 1;
        err = core_tables_save(apply->txn, totals);
    }
    return err;
}

bus_err_t
core_history_outcome(service_apply_t *apply, BUS_UNUSED const void *message)
{
    schema_core_outcome_t outcome;
    core_totals_t totals;
    if (!is_our_outcome(apply, &outcome) || outcome.agent_id.size == 0 || !outcome.reward.has) {
        return BUS_OK; // Bucket keeps it; it teaches nothing
    }
    bus_err_t err = core_tables_load(apply->txn, &totals);
    if (err == BUS_OK) {
        err = core_score_add(apply->txn,
                             &(core_score_outcome_t){.agent_id = outcome.agent_id,
                                                     .reward = outcome.reward.value,
                                                     .at = apply->header->at});
    }
    return err == BUS_OK ? conclude(apply, &outcome, true, &totals) : err;
}

// Keeps what the agent answered, and lets go of the task in memory.
static bus_err_t
keep_output(service_apply_t *apply, core_totals_t *totals, uint64_t seq, bus_view_t output)
{
    bus_err_t err = store_put(apply->txn, CORE_OUTPUTS, STORE_U64(seq), output);
    if (err == BUS_OK) {
        totals->output_bytes += output.size;
        err = core_tables_save(apply->txn, totals);
    }
    return err;
}

bus_err_t
core_history_result(service_apply_t *apply, BUS_UNUSED const void *message)
{
    schema_core_result_t result;
    core_totals_t totals;
    uint64_t seq;
    if (!is_ours_as(apply, &SCHEMA_core_result, &result)) {
        return BUS_OK;
    }
    bus_err_t err = find_seq(apply->txn, result.task_id, &seq);
    if (is_damage(err)) {
        return BUS_OK; // its outcome is not known
    }
    if (err == BUS_OK) {
        err = core_tables_load(apply->txn, &totals);
    }
    if (err == BUS_OK) {
        err = keep_output(apply, &totals, seq, result.result);
    }
    if (err == BUS_OK) {
        core_task_applied(apply->state, result.task_id);
    }
    return err;
}

bus_err_t
core_history_error(service_apply_t *apply, BUS_UNUSED const void *message)
{
    schema_core_outcome_t outcome;
    core_totals_t totals;
    if (!is_our_outcome(apply, &outcome)) {
        return BUS_OK;
    }
    bus_err_t err = core_tables_load(apply->txn, &totals);
    if (err == BUS_OK) {
        err = conclude(apply, &outcome, false, &totals);
    }
    if (err == BUS_OK) {
        BUS_AUTO(pack_destroy) pack_t *output = pack_new();
        core_task_pack_error(outcome.error, output);
        err = keep_output(apply, &totals, apply->header->seq, pack_view(output));
    }
    if (err == BUS_OK) {
        core_task_applied(apply->state, outcome.task_id);
    }
    return err;
}

// --- A person's verdict --------------------------------------------------------------------------

static void
answer_feedback(service_apply_t *apply,
                const schema_core_feedback_t *feedback,
                bus_view_t agent_id,
                double previous)
{
    core_score_t score;
    bus_err_t err = core_score_get(apply->txn, agent_id, &score);
    if (err != BUS_OK) {
        score = (core_score_t){.failures = 0};
    }
    pack_map(apply->answer, 7);
    pack_pair_text(apply->answer, "status", "success");
    pack_pair_str(apply->answer, "task_id", feedback->task_id);
    pack_pair_str(apply->answer, "agent_id", agent_id);
    pack_pair_real(apply->answer, "reward", feedback->reward.value);
    pack_pair_real(apply->answer, "previous", previous);
    pack_pair_real(apply->answer,
                   "average_reward",
                   score.sum.count == 0 ? 0 : score.sum.reward_sum / (double) score.sum.count);
    pack_pair_uint(apply->answer, "count", score.sum.count);
}

bus_err_t
core_history_feedback(service_apply_t *apply, const void *message)
{
    const schema_core_feedback_t *feedback = message;
    core_totals_t totals;
    schema_core_task_t task;
    uint64_t seq;
    double reward = feedback->reward.value;
    if (!(fabs(reward) <= REWARD_MAX)) {
        return service_refuse(
            apply, BUS_VALIDATION_FAILED, "reward must be from -10 to 10", VIEW_NONE);
    }
    bus_err_t err = core_history_find(apply->txn, feedback->task_id, &seq, &task);
    if (is_damage(err)) {
        return service_refuse(apply, BUS_NOT_FOUND, "no task of this id is kept", VIEW_NONE);
    }
    if (err == BUS_OK) {
        err = core_tables_load(apply->txn, &totals);
    }
    if (err != BUS_OK) {
        return err;
    }
    bool is_first = !task.feedback.has;
    double previous = is_first ? task.reward.value : task.feedback.value;
    char kept[CORE_AGENT_ID_MAX]; // the store's own view dies with the first write
    size_t size = task.agent_id.size;
    memcpy(kept, task.agent_id.data, size);
    bus_view_t agent_id = view_from(kept, size);
    task.feedback = (schema_real_t){.has = true, .value = reward};
    err = write_task(apply, seq, &task);
    if (err == BUS_OK && size > 0) {
        err = core_score_correct(apply->txn, agent_id, reward - previous, is_first);
    }
    if (err == BUS_OK) {
        totals.feedbacks++;
        err = core_tables_save(apply->txn, &totals);
    }
    if (err == BUS_OK) {
        answer_feedback(apply, feedback, agent_id, previous);
    }
    return err;
}

// --- Workflows -----------------------------------------------------------------------------------

bus_err_t
core_history_workflow(service_apply_t *apply, BUS_UNUSED const void *message)
{
    core_totals_t totals;
    schema_core_task_t task;
    uint64_t seq;
    bus_view_t task_id = text_at(apply->body, "task_id", CORE_TASK_ID_MAX);
    if (!is_ours(apply) || task_id.size == 0) {
        return BUS_OK; // not asked for by a task
    }
    bus_err_t err = core_history_find(apply->txn, task_id, &seq, &task);
    if (is_damage(err)) {
        return BUS_OK;
    }
    if (err == BUS_OK) {
        task.workflow = VIEW_LITERAL("requested");
        task.workflow_seq = (schema_int_t){.has = true, .value = (int64_t) apply->header->seq};
        err = write_task(apply, seq, &task);
    }
    if (err == BUS_OK) {
        err = store_put(apply->txn, CORE_WORKFLOWS, STORE_U64(apply->header->seq), STORE_U64(seq));
    }
    if (err == BUS_OK) {
        err = core_tables_load(apply->txn, &totals);
    }
    if (err == BUS_OK) {
        totals.workflows++;
        err = core_tables_save(apply->txn, &totals);
    }
    return err;
}

static bool
is_executors(const service_apply_t *apply)
{
    return view_is(apply->header->source, "workflow_executor");
}

static bus_err_t
conclude_workflow(service_apply_t *apply,
                  uint64_t seq,
                  schema_core_task_t *task,
                  bool succeeded,
                  bus_view_t result)
{
    task->workflow = succeeded ? VIEW_LITERAL("success") : VIEW_LITERAL("failed");
    task->workflow_result = result;
    return write_task(apply, seq, task);
}

bus_err_t
core_history_execution(service_apply_t *apply, BUS_UNUSED const void *message)
{
    schema_core_task_t task;
    uint64_t seq;
    bus_view_t result;
    bus_view_t task_id = text_at(apply->body, "execution_id", CORE_TASK_ID_MAX);
    bus_view_t status = text_at(apply->body, "status", 16);
    if (!is_executors(apply) || task_id.size == 0 ||
        walk_find(apply->body, "execution_result", &result) != BUS_OK ||
        !walk_pairs(result).is_whole) {
        return BUS_OK;
    }
    bus_err_t err = core_history_find(apply->txn, task_id, &seq, &task);
    if (is_damage(err)) {
        return BUS_OK; // somebody else's, or the task is kept no more
    }
    bool is_its = err == BUS_OK && task.workflow.data != NULL &&
                  view_equal(task.trace_id, text_at(apply->body, "trace_id", NAME_SIZE_MAX));
    return is_its ? conclude_workflow(apply, seq, &task, view_is(status, "success"), result) : err;
}

bus_err_t
core_history_finished(service_apply_t *apply, BUS_UNUSED const void *message)
{
    schema_workflow_finished_t finished;
    schema_problems_t problems = {.count = 0};
    schema_core_task_t task;
    bus_view_t value;
    uint64_t seq = 0;
    if (!is_executors(apply) ||
        schema_decode(&SCHEMA_workflow_finished, apply->body, &finished, &problems) != BUS_OK) {
        return BUS_OK;
    }
    uint64_t execution = (uint64_t) finished.execution.value;
    bus_err_t err = store_get(apply->txn, CORE_WORKFLOWS, STORE_U64(execution), &value);
    if (err == BUS_OK && value.size == sizeof seq) {
        memcpy(&seq, value.data, sizeof seq);
        err = read_task(apply->txn, seq, &task);
    } else if (err == BUS_OK) {
        err = BUS_CORRUPT;
    }
    if (is_damage(err)) {
        return BUS_OK; // somebody else's, or the task is kept no more
    }
    if (err == BUS_OK) {
        err = conclude_workflow(apply, seq, &task, finished.success.value, finished.result);
    }
    return err == BUS_OK ? store_del(apply->txn, CORE_WORKFLOWS, STORE_U64(execution)) : err;
}
