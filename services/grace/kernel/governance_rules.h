// governance_rules.h - the rules by which an intent may run. Pure functions, any thread.
#pragma once
#include "proto/schema.h"

typedef enum {
#define RULE(name, meaning) KERNEL_GOVERNANCE_RULE_##name,
#include "governance_rules.def"
    KERNEL_GOVERNANCE_RULE_COUNT
} kernel_governance_rule_t;

typedef struct {
    const char *name;
    const char *meaning;
} kernel_governance_rule_row_t;
extern const kernel_governance_rule_row_t kernel_governance_rules[KERNEL_GOVERNANCE_RULE_COUNT];

typedef struct {
    const char *name;
    const char *who;      // "brain" or "any"
    const char *top;      // the highest priority
    double sla_min;       // seconds
    double sla_max;       // seconds
    uint64_t open_max;    // at once; 0: any number
    const char *handlers; // words
    const char *actions;  // words; "": any
    const char *meaning;
} kernel_governance_intent_t;
extern const kernel_governance_intent_t kernel_governance_intents[];
extern const size_t kernel_governance_intent_count;

enum {
    KERNEL_GOVERNANCE_OPEN_MAX = 4096, // intents open at once: more is a storm, whoever's
    KERNEL_GOVERNANCE_DEPTH_MAX = 3,   // remediations in a row: the brain's own limit
    KERNEL_GOVERNANCE_REASON_SIZE = 512,
};

typedef struct {
    bus_view_t source;                  // the header's: who says it
    const schema_intent_task_t *intent; // what it says
    uint64_t open_of_kind;              // intents of the same name that are open
    uint64_t open_total;
} kernel_governance_ask_t;

typedef struct {
    kernel_governance_rule_t rule; // that decided; KERNEL_GOVERNANCE_RULE_allowed: it may run
    char reason[KERNEL_GOVERNANCE_REASON_SIZE]; // for a person
} kernel_governance_verdict_t;

// Decides. The same ask always gets the same verdict.
void kernel_governance_rules_decide(const kernel_governance_ask_t *ask,
                                    kernel_governance_verdict_t *ret_verdict);

// The intent of this name, or NULL.
const kernel_governance_intent_t *kernel_governance_rules_find(bus_view_t name);
// What the task will be: task_type, else details.action, else the intent.
bus_view_t kernel_governance_rules_action(const schema_intent_task_t *intent);
