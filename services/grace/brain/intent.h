// intent.h - what the brain wants done: the table of its intents, weighing one, saying one.
//
// Each has a real trigger, named in its row, and each is bounded as issue.h says: never two open
// for one issue, a cooldown between them, no chain deeper than depth_max.
#pragma once
#include "issue.h"
#include "story.h"

typedef enum {
    BRAIN_INTENT_REMEDIATE,
    BRAIN_INTENT_DRILL,
    BRAIN_INTENT_INVESTIGATE,
    BRAIN_INTENT_TRUST,
    BRAIN_INTENT_REPROCESS,
    BRAIN_INTENT_AUDIT,
    BRAIN_INTENT_INDEX,
    BRAIN_INTENT_RETRIEVAL,
    BRAIN_INTENT_COUNT
} brain_intent_kind_t;

typedef struct {
    const char *name;
    const char *priority;
    double sla_seconds;
    const char *handler;
    const char *task_type; // NULL: the action that was chosen
    const char *trigger;   // what brings it about, for a person
    bool is_remedy;        // wanted again it did not help: such ones in a row grow rarer (issue.h)
} brain_intent_row_t;

extern const brain_intent_row_t brain_intent_rows[BRAIN_INTENT_COUNT];

enum {
    BRAIN_INTENT_DOCUMENTS = 10, // ingested since the last index_new_documents
    BRAIN_INTENT_DISTRUSTED = 3, // kept out since the last audit_external_feeds
    BRAIN_INTENT_QUEUE = 10,     // tasks in the queue beyond which optimize_retrieval is wanted
};

// The kind of an intent's name; BRAIN_INTENT_COUNT where it is none of ours.
brain_intent_kind_t brain_intent_find(bus_view_t name);

// What may be done now.
typedef struct {
    brain_intent_kind_t kind;
    bus_view_t issue_type; // absent: none
    brain_issue_key_t key;
    brain_issue_t issue;
    bool may_act;
    const char *held; // why not, for a person; NULL: it may
} brain_weighed_t;

// Something was seen that calls for an intent of this kind: counts it, and says whether it may be
// said. BUS_FULL, BUS_IO.
BUS_CHECK bus_err_t brain_intent_weigh(const brain_story_t *story,
                                       brain_intent_kind_t kind,
                                       bus_view_t issue_type,
                                       brain_weighed_t *ret_weighed);

// Says layer3.intent.task and keeps that it is open. `action`: the task_type where the row has
// none; `details`: a whole map. The story has a trace. BUS_FULL, BUS_IO.
BUS_CHECK bus_err_t brain_intent_say(brain_story_t *story,
                                     brain_weighed_t *weighed,
                                     const char *action,
                                     bus_view_t details,
                                     bus_view_t reasoning);

// Both in one, for all but remediations: `details` NONE is {}. *ret_said (may be NULL): whether it
// was said. BUS_FULL, BUS_IO.
BUS_CHECK bus_err_t brain_intent_offer(brain_story_t *story,
                                       brain_intent_kind_t kind,
                                       bus_view_t issue_type,
                                       bus_view_t details,
                                       const char *reasoning,
                                       bool *ret_said);

// A task that came of an intent is over: the issue is no longer open where it was that one's.
// BUS_FULL, BUS_IO.
BUS_CHECK bus_err_t brain_intent_over(const brain_story_t *story,
                                      bus_view_t intent,
                                      bus_view_t issue_type);
