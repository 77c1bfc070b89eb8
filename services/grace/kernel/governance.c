// governance.c - the kernel governance: may this intent run?
//
// A reducer: each layer3.intent.task is judged by the rules of governance_rules.def and by what is
// open, as the journal tells it; the verdict is said in consequence, in the intent's own trace. So
// while this kernel is away intents wait, and are judged in their order when it is back.
//
// Intents wait only once governance.gate said so. It says that once, when none ever did: a gate
// that a person closed or opened stays as it is.
#include "governance_store.h"
#include "kernel.h"

#include "proto/rfc3339.h"
#include "proto/walk.h"
#include "runtime/log.h"

#include <assert.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define NAME "kernel-governance"
#define GATE_KEY VIEW_LITERAL("gate")
#define TASK_PREFIX "task_"

enum { PAGE = 100 }; // verdicts of a list that names no limit

// --- Applying ------------------------------------------------------------------------------------

static bus_err_t
say_verdict(service_apply_t *self, const schema_governance_kept_t *kept)
{
    const schema_governance_verdict_t verdict = {
        .intent_seq = kept->intent_seq,
        .intent = kept->intent,
        .allowed = kept->allowed,
        .rule = kept->rule,
        .reason = kept->reason,
    };
    BUS_AUTO(pack_destroy) pack_t *body = pack_new();
    schema_encode(&SCHEMA_governance_verdict, &verdict, body);
    return service_say(self, "governance.verdict", pack_view(body));
}

static bus_err_t
judge(service_apply_t *self, const void *message)
{
    const schema_intent_task_t *intent = message;
    kernel_governance_ask_t ask = {.source = self->header->source, .intent = intent};
    kernel_governance_verdict_t verdict;
    bus_err_t err = kernel_governance_store_count(
        self->txn, KERNEL_GOVERNANCE_COUNT_OPEN, intent->intent, &ask.open_of_kind);
    if (err == BUS_OK) {
        err = store_count(self->txn, KERNEL_GOVERNANCE_OPEN, &ask.open_total);
    }
    if (err != BUS_OK) {
        return err;
    }
    kernel_governance_rules_decide(&ask, &verdict);
    char at[RFC3339_SIZE];
    rfc3339_format(self->header->at, at);
    bus_view_t action = kernel_governance_rules_action(intent);
    const schema_governance_kept_t kept = {
        .intent_seq = {.has = true, .value = (int64_t) self->header->seq},
        .intent = intent->intent,
        .allowed = {.has = true, .value = verdict.rule == KERNEL_GOVERNANCE_RULE_allowed},
        .rule = view_from_text(kernel_governance_rules[verdict.rule].name),
        .reason = view_from_text(verdict.reason),
        .source = self->header->source,
        .task_type = action.size <= 64 ? action : intent->intent,
        .issue_type = intent->issue_type,
        .trace_id = self->header->trace_id,
        .at = view_from_text(at),
    };
    err = kernel_governance_store_put(self->txn, &kept);
    return err == BUS_OK ? say_verdict(self, &kept) : err;
}

// The intent that a task came from: the queue calls it task_<seq>. 0: it came from none.
static uint64_t
intent_of(bus_view_t task_id)
{
    size_t prefix = strlen(TASK_PREFIX);
    if (!view_starts(task_id, VIEW_LITERAL(TASK_PREFIX)) || task_id.size > prefix + 18) {
        return 0;
    }
    uint64_t seq = 0;
    for (size_t i = prefix; i < task_id.size; i++) {
        if (task_id.data[i] < '0' || task_id.data[i] > '9') {
            return 0;
        }
        seq = seq * 10 + (uint64_t) (task_id.data[i] - '0');
    }
    return seq;
}

static bus_err_t
take_done(service_apply_t *self, const void *message)
{
    const schema_task_done_t *done = message;
    if (!view_is(self->header->source, "htm")) {
        return service_refuse(self, BUS_UNAUTHORIZED_ACCESS, "HTM alone says so", VIEW_NONE);
    }
    uint64_t seq = intent_of(done->task_id);
    return seq > 0 ? kernel_governance_store_close(self->txn, seq) : BUS_OK;
}

static bus_err_t
take_gate(service_apply_t *self, const void *message BUS_UNUSED)
{
    return store_put(self->txn, KERNEL_GOVERNANCE_GATE, GATE_KEY, self->body);
}

// --- The gate ------------------------------------------------------------------------------------

// False where nobody ever said.
static bool
find_gate(store_txn_t *txn, schema_governance_gate_t *ret_gate)
{
    schema_problems_t problems;
    bus_view_t value;
    return store_get(txn, KERNEL_GOVERNANCE_GATE, GATE_KEY, &value) == BUS_OK &&
           schema_decode(&SCHEMA_governance_gate, value, ret_gate, &problems) == BUS_OK;
}

static void
close_gate(service_query_t *query)
{
    schema_governance_gate_t gate;
    if (find_gate(query->txn, &gate)) {
        return;
    }
    gate = (schema_governance_gate_t){
        .on = {.has = true, .value = true},
        .reason = VIEW_LITERAL("the kernel governance judges intents from here on"),
    };
    BUS_AUTO(pack_destroy) pack_t *body = pack_new();
    schema_encode(&SCHEMA_governance_gate, &gate, body);
    bus_err_t err = service_query_say(query, "governance.gate", pack_view(body));
    if (err != BUS_OK) {
        log_warning("gate_not_said", "error=%s hint=said_again_at_the_next_tick", error_text(err));
    }
}

// The first tick shall not wait for a second: intents go ungoverned until then.
static bus_err_t
start(service_t *service, void *state BUS_UNUSED)
{
    service_tick_soon(service);
    return BUS_OK;
}

// --- Answering -----------------------------------------------------------------------------------

static void
pack_words(pack_t *out, const char *key, const char *words)
{
    pack_text(out, key);
    size_t place = pack_array_begin(out);
    uint32_t count = 0;
    while (*words != '\0') {
        size_t size = strcspn(words, " ");
        pack_str(out, view_from(words, size));
        count++;
        words += size;
        words += *words == ' ' ? 1 : 0;
    }
    pack_count(out, place, count);
}

static bus_err_t
pack_intent(service_query_t *query, const kernel_governance_intent_t *row)
{
    uint64_t open;
    bus_err_t err = kernel_governance_store_count(
        query->txn, KERNEL_GOVERNANCE_COUNT_OPEN, view_from_text(row->name), &open);
    pack_t *out = query->answer;
    pack_map(out, 10);
    pack_pair_text(out, "intent", row->name);
    pack_pair_text(out, "meaning", row->meaning);
    pack_pair_text(out, "who", row->who);
    pack_pair_text(out, "priority_max", row->top);
    pack_pair_real(out, "sla_seconds_min", row->sla_min);
    pack_pair_real(out, "sla_seconds_max", row->sla_max);
    pack_pair_uint(out, "open", open);
    pack_pair_uint(out, "open_max", row->open_max);
    pack_words(out, "handlers", row->handlers);
    pack_words(out, "actions", row->actions);
    return err;
}

static void
pack_gate(store_txn_t *txn, pack_t *out)
{
    schema_governance_gate_t gate;
    bool is_known = find_gate(txn, &gate);
    pack_map(out, 2);
    pack_pair_bool(out, "on", is_known && gate.on.value);
    pack_pair_str(out, "reason", is_known ? gate.reason : VIEW_NONE);
}

static bus_err_t
show_rules(service_query_t *query, const void *message BUS_UNUSED)
{
    pack_t *out = query->answer;
    bus_err_t err = BUS_OK;
    pack_map(out, 3);
    pack_text(out, "gate");
    pack_gate(query->txn, out);
    pack_text(out, "rules");
    pack_array(out, KERNEL_GOVERNANCE_RULE_COUNT);
    for (size_t i = 0; i < KERNEL_GOVERNANCE_RULE_COUNT && err == BUS_OK; i++) {
        const kernel_governance_rule_row_t *row = &kernel_governance_rules[i];
        uint64_t decided;
        err = kernel_governance_store_count(
            query->txn, KERNEL_GOVERNANCE_COUNT_DECIDED, view_from_text(row->name), &decided);
        pack_map(out, 3);
        pack_pair_text(out, "rule", row->name);
        pack_pair_text(out, "meaning", row->meaning);
        pack_pair_uint(out, "decided", decided);
    }
    pack_text(out, "intents");
    pack_array(out, (uint32_t) kernel_governance_intent_count);
    for (size_t i = 0; i < kernel_governance_intent_count && err == BUS_OK; i++) {
        err = pack_intent(query, &kernel_governance_intents[i]);
    }
    return err;
}

static bool
is_asked_for(const schema_governance_verdicts_query_t *asked, bus_view_t stored)
{
    schema_governance_kept_t kept;
    schema_problems_t problems;
    return schema_decode(&SCHEMA_governance_kept, stored, &kept, &problems) == BUS_OK &&
           (!asked->allowed.has || asked->allowed.value == kept.allowed.value) &&
           (asked->intent.data == NULL || view_equal(asked->intent, kept.intent));
}

static bus_err_t
list_verdicts(service_query_t *query, const void *message)
{
    const schema_governance_verdicts_query_t *asked = message;
    uint32_t limit = asked->limit.has ? (uint32_t) asked->limit.value : PAGE;
    BUS_AUTO(store_cursor_destroy) store_cursor_t *cursor = NULL;
    bus_view_t key;
    bus_view_t value;
    uint32_t count = 0;
    pack_map(query->answer, 1);
    pack_text(query->answer, "verdicts");
    size_t place = pack_array_begin(query->answer);
    bus_err_t err = store_cursor_open(query->txn, KERNEL_GOVERNANCE_VERDICTS, &cursor);
    if (err == BUS_OK) {
        err = store_last(cursor, &key, &value);
    }
    while ((err == BUS_OK || err == BUS_CORRUPT) && count < limit) {
        if (err == BUS_OK && is_asked_for(asked, value)) {
            pack_raw(query->answer, value);
            count++;
        }
        err = store_prev(cursor, &key, &value);
    }
    pack_count(query->answer, place, count);
    return store_forgive(err);
}

static unsigned
pack_health(void *state BUS_UNUSED, store_txn_t *txn, pack_t *out)
{
    uint64_t open = 0;
    uint64_t decided = 0;
    if (store_count(txn, KERNEL_GOVERNANCE_OPEN, &open) != BUS_OK ||
        store_count(txn, KERNEL_GOVERNANCE_VERDICTS, &decided) != BUS_OK) {
        return 0;
    }
    pack_text(out, "gate");
    pack_gate(txn, out);
    pack_pair_uint(out, "open", open);
    pack_pair_uint(out, "verdicts", decided);
    return 3;
}

// --- The kernel ----------------------------------------------------------------------------------

static const service_apply_row_t applies[] = {
    {.prefix = "layer3.intent.task",
     .schema = &SCHEMA_intent_task,
     .apply = judge,
     .meaning = "an intent: judged"},
    {.prefix = "task.done",
     .schema = &SCHEMA_task_done,
     .apply = take_done,
     .meaning = "a task is over: its intent is no longer open"},
    {.prefix = "governance.gate",
     .schema = &SCHEMA_governance_gate,
     .apply = take_gate,
     .meaning = "whether intents wait for a verdict"},
};

static const service_query_row_t queries[] = {
    {"rules", NULL, show_rules, "the rules, the intents, how often each decided, what is open"},
    {"verdicts", &SCHEMA_governance_verdicts_query, list_verdicts, "verdicts, the latest first"},
};

const service_definition_t kernel_governance_definition = {
    .name = NAME,
    .source = NAME,
    .rules_version = 1,
    .tables = kernel_governance_tables,
    .table_count = KERNEL_GOVERNANCE_TABLE_COUNT,
    .applies = applies,
    .apply_count = COUNT(applies),
    .queries = queries,
    .query_count = COUNT(queries),
    .tick = close_gate,
    .start = start,
    .health = pack_health,
};
