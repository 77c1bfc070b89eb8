// agent_knowledge.c - the built-in agent that answers from the knowledge base, with its sources.
#include "attempt.h"
#include "kb_search.h"
#include "proto/walk.h"
#include "runtime/clock.h"

#include <assert.h>

bus_err_t
core_agent_knowledge_answer(const core_task_t *task,
                            store_txn_t *txn,
                            pack_t *out,
                            const char **reterr_why)
{
    bus_view_t query;
    bus_err_t err = walk_as_str(pack_view(task->input), &query);
    assert(err == BUS_OK); // we packed it
    const core_kb_question_t question = {
        .query = query,
        .filters = task->filters == NULL ? VIEW_NONE : pack_view(task->filters),
        .limit = task->limit,
        .query_id = view_from_text(task->task_id),
        .tags = pack_view(task->tags),
        .at = clock_wall_us(),
    };
    const char *field = NULL;
    return core_kb_search_answer(txn, &question, out, &field, reterr_why);
}
