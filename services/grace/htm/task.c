// task.c - a task as a row: numbers of fixed size, then the texts, each behind its size.
#include "task.h"

#include "event.h"

#include <assert.h>

enum {
    SIZES = HTM_TASK_TEXT_COUNT * (int) sizeof(uint16_t),
    ROW_SIZE_MAX = (int) sizeof(htm_task_row_t) + SIZES + HTM_TASK_TEXT_MAX,
};

_Static_assert(sizeof(htm_task_row_t) == 12 * 8 + 10 * 4, "rows are hashed: no padding");

static const size_t sizes_max[HTM_TASK_TEXT_COUNT] = {
    [HTM_TASK_ID] = HTM_TASK_NAME_MAX,
    [HTM_TASK_TYPE] = HTM_TASK_NAME_MAX,
    [HTM_TASK_HANDLER] = HTM_TASK_NAME_MAX,
    [HTM_TASK_WORKER] = HTM_TASK_NAME_MAX,
    [HTM_TASK_TRACE] = HTM_TASK_TRACE_MAX,
    [HTM_TASK_REQUESTER] = HTM_TASK_NAME_MAX,
    [HTM_TASK_INTENT] = HTM_TASK_NAME_MAX,
    [HTM_TASK_ISSUE] = HTM_TASK_NAME_MAX,
    [HTM_TASK_REASON] = HTM_TASK_REASON_MAX,
};

static bus_err_t
decode(bus_view_t value, htm_task_t *task)
{
    uint16_t sizes[HTM_TASK_TEXT_COUNT];
    size_t at = sizeof task->row + sizeof sizes;
    if (value.size < at || value.size > ROW_SIZE_MAX) {
        return BUS_CORRUPT;
    }
    memcpy(&task->row, value.data, sizeof task->row);
    memcpy(sizes, value.data + sizeof task->row, sizeof sizes);
    if (task->row.status >= HTM_STATUS_COUNT || task->row.rank >= HTM_RANK_COUNT ||
        task->row.asked_rank >= HTM_RANK_COUNT) {
        return BUS_CORRUPT;
    }
    memcpy(task->text, value.data + at, value.size - at);
    size_t used = 0;
    for (unsigned i = 0; i < HTM_TASK_TEXT_COUNT; i++) {
        if (sizes[i] > sizes_max[i] || at + used + sizes[i] > value.size) {
            return BUS_CORRUPT;
        }
        task->texts[i] = view_from(task->text + used, sizes[i]);
        used += sizes[i];
    }
    return at + used == value.size ? BUS_OK : BUS_CORRUPT;
}

bus_err_t
htm_task_load(store_txn_t *txn, uint64_t seq, htm_task_t *ret_task)
{
    bus_view_t value;
    bus_err_t err = store_get(txn, HTM_TASKS, STORE_U64(seq), &value);
    if (err == BUS_OK) {
        err = decode(value, ret_task);
    }
    return err == BUS_OK && ret_task->row.seq != seq ? BUS_CORRUPT : err;
}

bus_err_t
htm_task_find(store_txn_t *txn, bus_view_t task_id, htm_task_t *ret_task)
{
    bus_view_t value;
    bus_err_t err = store_get(txn, HTM_IDS, task_id, &value);
    if (err != BUS_OK) {
        return err;
    }
    uint64_t seq;
    if (value.size != sizeof seq) {
        return BUS_CORRUPT;
    }
    memcpy(&seq, value.data, sizeof seq);
    return htm_task_load(txn, seq, ret_task);
}

bus_err_t
htm_task_save(store_txn_t *txn, const htm_task_t *task)
{
    char value[ROW_SIZE_MAX];
    uint16_t sizes[HTM_TASK_TEXT_COUNT];
    size_t at = sizeof task->row + sizeof sizes;
    for (unsigned i = 0; i < HTM_TASK_TEXT_COUNT; i++) {
        bus_view_t text = task->texts[i];
        assert(text.size <= sizes_max[i]); // the schemas' own limits
        sizes[i] = (uint16_t) text.size;
        if (text.size > 0) {
            memcpy(value + at, text.data, text.size);
            at += text.size;
        }
    }
    memcpy(value, &task->row, sizeof task->row);
    memcpy(value + sizeof task->row, sizes, sizeof sizes);
    return store_put(txn, HTM_TASKS, STORE_U64(task->row.seq), view_from(value, at));
}

bus_err_t
htm_task_remove(store_txn_t *txn, const htm_task_t *task)
{
    bus_view_t key = STORE_U64(task->row.seq);
    bus_err_t err = htm_tables_drop(txn, HTM_TASKS, key);
    if (err == BUS_OK) {
        err = htm_tables_drop(txn, HTM_IDS, task->texts[HTM_TASK_ID]);
    }
    if (err == BUS_OK && task->row.context_size > 0) {
        err = htm_tables_drop(txn, HTM_CONTEXTS, key);
    }
    if (err == BUS_OK && task->row.result_size > 0) {
        err = htm_tables_drop(txn, HTM_RESULTS, key);
    }
    return err == BUS_OK ? htm_event_remove(txn, task) : err;
}

bus_err_t
htm_task_context(store_txn_t *txn, uint64_t seq, bus_view_t *ret_context)
{
    bus_err_t err = store_get(txn, HTM_CONTEXTS, STORE_U64(seq), ret_context);
    if (err == BUS_NOT_FOUND) {
        *ret_context = PACK_EMPTY_MAP;
        return BUS_OK;
    }
    return err;
}

bool
htm_task_is_over(const htm_task_t *task)
{
    return task->row.status >= HTM_IS_COMPLETED;
}

uint64_t
htm_task_deadline(const htm_task_t *task)
{
    return task->row.queued_us + task->row.sla_us;
}

bus_view_t
htm_task_text(const htm_task_t *task, htm_task_text_t which)
{
    return task->texts[which].size == 0 ? VIEW_NONE : task->texts[which];
}
