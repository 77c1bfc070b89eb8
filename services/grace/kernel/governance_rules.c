// governance_rules.c - the rules by which an intent may run. See governance_rules.h.
//
// Each rule is a function that returns whether it holds, and says why where it does not.
#include "governance_rules.h"

#include "proto/walk.h"

#include <stdarg.h>
#include <stdio.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define BRAIN "brain"
#define BRAIN_SIGNATURE "agentic_brain_auto"

enum { SHOWN_MAX = 64 }; // bytes of a word of a peer's in a reason

const kernel_governance_rule_row_t kernel_governance_rules[] = {
#define RULE(name, meaning) {#name, meaning},
#include "governance_rules.def"
};

const kernel_governance_intent_t kernel_governance_intents[] = {
#define INTENT(name, who, top, sla_min, sla_max, open_max, handlers, actions, meaning)             \
    {name, who, top, sla_min, sla_max, open_max, handlers, actions, meaning},
#include "governance_rules.def"
};
const size_t kernel_governance_intent_count = COUNT(kernel_governance_intents);

static const struct {
    const char *name;
    bool may;
    const char *why;
} parts[] = {
#define PART(name, may, why) {name, may, why},
#include "governance_rules.def"
};

// What a rule looks at.
typedef struct {
    const kernel_governance_ask_t *ask;
    const kernel_governance_intent_t *row; // NULL for the first rule alone
    kernel_governance_verdict_t *verdict;
} case_t;

// --- Words ---------------------------------------------------------------------------------------

static bool __attribute__((format(printf, 2, 3))) no(case_t *self, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void) vsnprintf(self->verdict->reason, sizeof self->verdict->reason, format, arguments);
    va_end(arguments);
    return false;
}

// A peer's word, as a reason shows it: short enough never to be cut in mid-character.
static int
shown(bus_view_t word)
{
    return (int) (word.size <= SHOWN_MAX ? word.size : 0);
}

static bool
has_word(const char *words, bus_view_t word)
{
    while (*words != '\0') {
        size_t size = strcspn(words, " ");
        if (word.size == size && memcmp(words, word.data, size) == 0) {
            return true;
        }
        words += size;
        words += *words == ' ' ? 1 : 0;
    }
    return false;
}

bus_view_t
kernel_governance_rules_action(const schema_intent_task_t *intent)
{
    if (intent->task_type.size > 0) {
        return intent->task_type;
    }
    bus_view_t action = walk_text_at(intent->details, "action");
    return action.size > 0 ? action : intent->intent;
}

static bus_view_t
handler_of(const schema_intent_task_t *intent)
{
    if (intent->handler.size > 0) {
        return intent->handler;
    }
    return view_is(intent->intent, "remediate_drift") ? VIEW_LITERAL("self_healing")
                                                      : VIEW_LITERAL("unknown");
}

static unsigned
priority_of(bus_view_t word)
{
    static const char *const words[] = {"low", "normal", "high", "critical"};
    for (unsigned i = 0; i < COUNT(words); i++) {
        if (view_is(word, words[i])) {
            return i;
        }
    }
    return 1; // as the queue takes it
}

// --- The rules -----------------------------------------------------------------------------------

static bool
known_intent(case_t *self)
{
    bus_view_t name = self->ask->intent->intent;
    return self->row != NULL || no(self, "governance knows no intent %.*s", shown(name), name.data);
}

static bool
may_ask(case_t *self)
{
    bus_view_t source = self->ask->source;
    bus_view_t created_by = self->ask->intent->created_by;
    if (view_is(source, BRAIN)) {
        return true;
    }
    if (strcmp(self->row->who, BRAIN) == 0) {
        return no(self,
                  "%s is the brain's to ask for, not %.*s's",
                  self->row->name,
                  shown(source),
                  source.data);
    }
    return !view_is(created_by, BRAIN_SIGNATURE) ||
           no(self,
              "%.*s signs as %s, which is the brain's signature",
              shown(source),
              source.data,
              BRAIN_SIGNATURE);
}

static bool
priority_cap(case_t *self)
{
    bus_view_t priority = self->ask->intent->priority;
    return priority_of(priority) <= priority_of(view_from_text(self->row->top)) ||
           no(self,
              "%s may ask for at most %s, not %.*s",
              self->row->name,
              self->row->top,
              shown(priority),
              priority.data);
}

static bool
sla_bounds(case_t *self)
{
    schema_real_t sla = self->ask->intent->sla_seconds;
    return !sla.has || (sla.value >= self->row->sla_min && sla.value <= self->row->sla_max) ||
           no(self,
              "%s may ask for an SLA of %g to %g s, not %g",
              self->row->name,
              self->row->sla_min,
              self->row->sla_max,
              sla.value);
}

static bool
handler_fits(case_t *self)
{
    bus_view_t handler = handler_of(self->ask->intent);
    return has_word(self->row->handlers, handler) || no(self,
                                                        "%s is for %s, not for %.*s",
                                                        self->row->name,
                                                        self->row->handlers,
                                                        shown(handler),
                                                        handler.data);
}

static bool
known_action(case_t *self)
{
    bus_view_t action = kernel_governance_rules_action(self->ask->intent);
    return self->row->actions[0] == '\0' || has_word(self->row->actions, action) ||
           no(self,
              "%s may ask for one of: %s; not for %.*s",
              self->row->name,
              self->row->actions,
              shown(action),
              action.data);
}

static bool
part_fits(case_t *self, bus_view_t part)
{
    for (size_t i = 0; i < COUNT(parts); i++) {
        if (view_is(part, parts[i].name)) {
            return parts[i].may ||
                   no(self, "restart_peer may not restart the %s: %s", parts[i].name, parts[i].why);
        }
    }
    return no(self, "restart_peer knows no part %.*s", shown(part), part.data);
}

// Wherever the playbook may look for the part's name. None at all: it finds out which by itself,
// and the broker is none that it ever takes.
static bool
restart_part(case_t *self)
{
    static const char *const keys[] = {"part", "peer", "service", "target"};
    const schema_intent_task_t *intent = self->ask->intent;
    if (!view_is(kernel_governance_rules_action(intent), "restart_peer")) {
        return true;
    }
    const bus_view_t maps[] = {intent->context, intent->details};
    for (size_t i = 0; i < COUNT(maps); i++) {
        for (size_t j = 0; j < COUNT(keys); j++) {
            bus_view_t part = walk_text_at(maps[i], keys[j]);
            if (part.data != NULL && !part_fits(self, part)) {
                return false;
            }
        }
    }
    return true;
}

static bool
depth_max(case_t *self)
{
    bus_view_t details = self->ask->intent->details;
    bus_view_t value;
    int64_t depth = 0;
    if (details.data != NULL && walk_find(details, "depth", &value) == BUS_OK &&
        walk_as_int(value, &depth) != BUS_OK) {
        return no(self, "details.depth is no number of remediations");
    }
    return (depth >= 0 && depth <= KERNEL_GOVERNANCE_DEPTH_MAX) ||
           no(self,
              "a remediation may follow %d others, not %lld",
              KERNEL_GOVERNANCE_DEPTH_MAX,
              (long long) depth);
}

static bool
open_max(case_t *self)
{
    uint64_t most = self->row->open_max;
    return most == 0 || self->ask->open_of_kind < most ||
           no(self,
              "%llu of %s are open, and no more may be",
              (unsigned long long) self->ask->open_of_kind,
              self->row->name);
}

static bool
open_total(case_t *self)
{
    return self->ask->open_total < KERNEL_GOVERNANCE_OPEN_MAX ||
           no(self,
              "%llu intents are open, and no more may be",
              (unsigned long long) self->ask->open_total);
}

static bool
allowed(case_t *self)
{
    (void) snprintf(self->verdict->reason,
                    sizeof self->verdict->reason,
                    "no rule is broken: %s",
                    self->row->meaning);
    return false; // the last word
}

// --- Deciding ------------------------------------------------------------------------------------

static bool (*const checks[])(case_t *self) = {
#define RULE(name, meaning) name,
#include "governance_rules.def"
};

const kernel_governance_intent_t *
kernel_governance_rules_find(bus_view_t name)
{
    for (size_t i = 0; i < kernel_governance_intent_count; i++) {
        if (view_is(name, kernel_governance_intents[i].name)) {
            return &kernel_governance_intents[i];
        }
    }
    return NULL;
}

void
kernel_governance_rules_decide(const kernel_governance_ask_t *ask,
                               kernel_governance_verdict_t *ret_verdict)
{
    case_t this = {
        .ask = ask,
        .row = kernel_governance_rules_find(ask->intent->intent),
        .verdict = ret_verdict,
    };
    unsigned rule = 0;
    while (checks[rule](&this)) {
        rule++; // `allowed` never holds, so it ends there
    }
    ret_verdict->rule = (kernel_governance_rule_t) rule;
}
