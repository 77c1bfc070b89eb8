// drill.c - proactive drills. See drill.h.
#include "drill.h"

#define REASONING "Queue light, opportunistic stress testing" // the original's words

static bus_view_t
drill_key(brain_issue_key_t *key)
{
    return brain_issue_key(key, brain_intent_rows[BRAIN_INTENT_DRILL].name, VIEW_NONE);
}

bus_err_t
brain_drill_last(store_txn_t *txn, brain_issue_t *ret_last)
{
    brain_issue_key_t key;
    return brain_issue_load(txn, drill_key(&key), ret_last);
}

bool
brain_drill_is_due(const brain_issue_t *last, const brain_config_t *config, uint64_t at)
{
    bool is_open = last->open_at != 0 && at < last->until;
    return config->drills && !is_open &&
           (last->acted_at == 0 || at >= last->acted_at + config->drill_us);
}

bus_err_t
brain_drill_apply(service_apply_t *apply, const void *message)
{
    const schema_brain_clock_t *clock = message;
    brain_story_t story = {.at = 0};
    brain_weighed_t weighed = {.kind = BRAIN_INTENT_DRILL};
    bus_err_t err = brain_story_only(apply, "brain");
    if (err == BUS_OK) {
        err = brain_story_begin(&story, apply);
    }
    if (err == BUS_OK) {
        err = brain_issue_load(apply->txn, drill_key(&weighed.key), &weighed.issue);
    }
    if (err != BUS_OK || !brain_drill_is_due(&weighed.issue, &story.config, story.at)) {
        return err;
    }
    // Compared one by one: their sum may be more than an integer holds.
    bool is_light = clock->queued.has && clock->running.has &&
                    clock->queued.value < BRAIN_DRILL_QUEUE &&
                    clock->running.value < BRAIN_DRILL_QUEUE &&
                    clock->queued.value + clock->running.value < BRAIN_DRILL_QUEUE;
    if (!is_light) {
        return BUS_OK;
    }
    brain_issue_see(&weighed.issue, &story.config, story.at);
    brain_story_trace(&story, "drill");
    return brain_intent_say(&story, &weighed, NULL, VIEW_NONE, view_from_text(REASONING));
}
