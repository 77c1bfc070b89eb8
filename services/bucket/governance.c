// governance.c - refusals: audited, counted, answered in one shape.
//
// Whatever is refused, at whichever door, comes by here: the entry in the audit log first, so that
// the answer can name it, then the violation that it is, then the answer. What a caller sends is
// bounded by its schema or cut here; none of it decides anything but what is said of itself.
#include "governance.h"

#include "artifact.h"
#include "audit.h"
#include "governance_violation.h"
#include "monitor.h"
#include "proto/limits.h"
#include "proto/walk.h"
#include "threats.h"

#include <assert.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    WORD_SIZE = 65,     // of an operation, an error code or a violation, with its NUL
    SUBJECT_SIZE = 255, // of an artifact_id
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

// --- What is known of a request ------------------------------------------------------------------

static bus_view_t
cut(bus_view_t text, size_t size_max)
{
    if (text.size > size_max) {
        text.size = walk_utf8_size(view_from(text.data, size_max));
    }
    return text;
}

// The product that the request is about, where there is one of that name.
static bus_view_t
product_at(bus_view_t body)
{
    bus_view_t name = walk_text_at(body, "product");
    name = name.data != NULL ? name : walk_text_at(body, "metadata.product");
    channel_product_t product = channel_product(name);
    return product == CHANNEL_PRODUCT_COUNT ? VIEW_NONE
                                            : view_from_text(channel_product_name(product));
}

static bus_view_t
subject_at(bus_view_t body)
{
    return cut(walk_text_at(body, "artifact_id"), SUBJECT_SIZE);
}

// As C's texts are: up to its first NUL, and never empty where it is there.
static const char *
copy_word(bus_view_t word, char ret_text[WORD_SIZE])
{
    (void) snprintf(ret_text, WORD_SIZE, "%.*s", (int) word.size, word.size == 0 ? "" : word.data);
    return ret_text[0] != '\0' ? ret_text : word.size > 0 ? "unknown" : NULL;
}

// --- Refusing ------------------------------------------------------------------------------------

// A refusal, made whole.
typedef struct {
    bucket_refusal_t refusal;
    bool tells_details; // in the answer, too
    char rule[WORD_SIZE];
    bucket_audit_t entry;
    bucket_audit_place_t place;
    bool is_escalated;
} verdict_t;

static const char *
severity_of(const bucket_refusal_t *refusal)
{
    bool is_critical = refusal->threat != 0 &&
                       strcmp(bucket_threats_row(refusal->threat)->severity, "CRITICAL") == 0;
    bool is_ours = error_http(refusal->err) >= 500 && refusal->err != BUS_QUOTA_EXCEEDED;
    return (is_critical && !refusal->is_hidden) || is_ours ? "ERROR" : "WARNING";
}

static void
prepare(const service_apply_t *apply, verdict_t *self)
{
    bucket_refusal_t *refusal = &self->refusal;
    bus_view_t who = refusal->requester_id.size > 0 ? refusal->requester_id : apply->header->source;
    who = who.size > 0 ? who : VIEW_LITERAL("anonymous");
    refusal->requester_id = cut(who, BUCKET_GOVERNANCE_REQUESTER_SIZE);
    refusal->subject = cut(refusal->subject, SUBJECT_SIZE);
    if (refusal->rule == NULL) {
        const char *code = error_text(refusal->err);
        for (size_t i = 0; i < WORD_SIZE - 1 && code[i] != '\0'; i++) {
            self->rule[i] = (char) tolower((unsigned char) code[i]);
        }
        refusal->rule = self->rule;
    }
    self->entry = (bucket_audit_t){
        .event_type = "error",
        .operation = refusal->operation,
        .product = refusal->product,
        .requester_id = refusal->requester_id,
        .is_refused = true,
        .rule = refusal->rule,
        .err = refusal->err,
        .severity = severity_of(refusal),
        .subject = refusal->subject,
        .details = refusal->details,
    };
}

// The entry, the violation and the counters.
static bus_err_t
record(service_apply_t *apply, verdict_t *self)
{
    const bucket_refusal_t *refusal = &self->refusal;
    bucket_state_t *state = apply->state;
    bus_err_t err = bucket_audit_add(apply, &self->entry, &self->place);
    if (err == BUS_OK && refusal->violation != NULL) {
        err = bucket_governance_violation_add(apply, refusal, &self->place, &self->is_escalated);
        state->totals.violations++;
    }
    if (err == BUS_OK && refusal->threat != 0) {
        err = bucket_threats_add(apply->txn, refusal->threat, apply->header->at);
    }
    state->totals.refused++;
    return err == BUS_OK ? bucket_tables_save(apply->txn, &state->totals) : err;
}

static void
pack_answer(service_apply_t *apply, const verdict_t *self)
{
    const bucket_refusal_t *refusal = &self->refusal;
    const char *message = refusal->message != NULL ? refusal->message : error_meaning(refusal->err);
    pack_t *out = apply->answer;
    pack_clear(out);
    size_t map = pack_map_begin(out);
    uint32_t count = 7;
    pack_pair_text(out, "channel", "error_message");
    pack_pair_text(out, "status", "error");
    pack_pair_text(out, "error_code", error_text(refusal->err));
    pack_pair_text(out, "message", message);
    bucket_audit_answer(out, &self->entry, &self->place);
    if (refusal->details.data != NULL && self->tells_details) {
        pack_pair_raw(out, "details", refusal->details);
        count++;
    }
    if (refusal->violation != NULL && !refusal->is_hidden) {
        pack_pair_text(out, "violation_type", refusal->violation);
        pack_pair_rfc3339(out, "timestamp", apply->header->at);
        pack_pair_text(out, "action_taken", "REJECTED");
        count += 3;
    }
    if (self->is_escalated) {
        pack_pair_text(out, "escalation", "ADVISOR_NOTIFIED");
        count++;
    }
    pack_count(out, map, count);
}

// All of it. Returns BUS_OK, or what the store returned.
static bus_err_t
decide(service_apply_t *apply, verdict_t *self)
{
    prepare(apply, self);
    bus_err_t err = record(apply, self);
    if (err == BUS_OK) {
        pack_answer(apply, self);
        channel_product_t product = channel_product(self->refusal.product);
        bucket_monitor_tell(apply, "error_message", product, pack_view(apply->answer));
    }
    return err;
}

bus_err_t
bucket_governance_refuse(service_apply_t *apply, const bucket_refusal_t *refusal)
{
    assert(refusal->err != BUS_OK && refusal->operation != NULL);
    verdict_t verdict = {.refusal = *refusal, .tells_details = true};
    bus_err_t err = decide(apply, &verdict);
    if (err != BUS_OK) {
        return err;
    }
    // As what apply returns, these would undo the batch.
    bool is_stores =
        refusal->err == BUS_CORRUPT || refusal->err == BUS_IO || refusal->err == BUS_FULL;
    return is_stores ? BUS_INTERNAL : refusal->err;
}

bus_err_t
bucket_governance_refuse_row(service_apply_t *apply,
                             const refusal_t *row,
                             const char *operation,
                             bus_view_t body)
{
    BUS_AUTO(pack_destroy) pack_t *details = pack_new();
    pack_map(details, 1);
    pack_pair_text(details, "found", row->word);
    const bucket_refusal_t refusal = {
        .err = row->err,
        .message = row->message,
        .operation = operation,
        .rule = row->rule,
        .violation = row->violation,
        .threat = row->threat,
        .product = product_at(body),
        .requester_id = channel_requester(body),
        .subject = subject_at(body),
        .details = pack_view(details),
    };
    return bucket_governance_refuse(apply, &refusal);
}

bus_err_t
bucket_governance_refuse_problems(service_apply_t *apply,
                                  const schema_problems_t *problems,
                                  const char *operation,
                                  bus_view_t body)
{
    BUS_AUTO(pack_destroy) pack_t *details = pack_new();
    schema_pack_problems(problems, details);
    const bucket_refusal_t refusal = {
        .err = BUS_VALIDATION_FAILED,
        .operation = operation,
        .rule = "validation",
        .product = product_at(body),
        .requester_id = channel_requester(body),
        .subject = subject_at(body),
        .details = pack_view(details),
    };
    return bucket_governance_refuse(apply, &refusal);
}

const refusal_t *
bucket_governance_find_read(const service_apply_t *apply)
{
    const refusal_t *row = refusal_find(apply->body);
    bool is_executor = view_is(channel_requester(apply->body), "workflow_executor") ||
                       view_is(apply->header->source, "workflow_executor");
    return row == NULL && is_executor ? &refusal_not_yours : row;
}

bus_err_t
bucket_governance_count(service_apply_t *apply, unsigned threat)
{
    return bucket_threats_add(apply->txn, threat, apply->header->at);
}

// --- bucket.refused ------------------------------------------------------------------------------

// What was refused elsewhere is recorded here: the command itself is well, whatever it tells of, so
// it is BUS_OK, and its answer is the body of the 403.
bus_err_t
bucket_governance_refused(service_apply_t *apply, const void *message)
{
    const schema_refused_t *told = message;
    char operation[WORD_SIZE];
    char violation[WORD_SIZE];
    const refusal_t *row = refusal_by_word(told->violation);
    bus_err_t code = error_from_text(told->error_code.data, told->error_code.size);
    if (error_http(code) < 400 || error_http(code) >= 500) {
        const schema_problems_t problems = {.count = 1,
                                            .at = {{"error_code", "must be that of a refusal"}}};
        return bucket_governance_refuse_problems(apply, &problems, "refused", apply->body);
    }
    channel_product_t product = channel_product(told->product);
    verdict_t verdict = {
        .refusal = {
            .err = row != NULL ? row->err : code,
            .message = row != NULL ? row->message : NULL,
            .operation = copy_word(told->operation, operation),
            .rule = row != NULL ? row->rule : NULL,
            .violation = row != NULL ? row->violation : copy_word(told->violation, violation),
            .threat = row != NULL ? row->threat : 0,
            .product = product == CHANNEL_PRODUCT_COUNT
                           ? VIEW_NONE
                           : view_from_text(channel_product_name(product)),
            .requester_id = told->requester_id,
            .subject = told->subject,
            .details = told->details,
        }};
    return decide(apply, &verdict);
}

// --- bucket.request ------------------------------------------------------------------------------

bus_err_t
bucket_governance_request(service_apply_t *apply, const void *message)
{
    const refusal_t *row = refusal_find(apply->body);
    channel_t channel = channel_of(apply->body);
    if (row == NULL && channel == CHANNEL_COUNT) {
        row = &refusal_unknown_channel;
    }
    if (row != NULL) {
        return bucket_governance_refuse_row(apply, row, "request", apply->body);
    }
    switch (channel) {
    case CHANNEL_ARTIFACT_WRITE:
        return bucket_artifact_write(apply, message);
    case CHANNEL_ARTIFACT_READ:
        return bucket_artifact_read(apply, message);
    case CHANNEL_METADATA_QUERY:
        return bucket_artifact_query(apply, message);
    case CHANNEL_AUDIT_APPEND:
        return bucket_audit_append(apply, message);
    case CHANNEL_COUNT:
        break;
    }
    return BUS_INTERNAL; // it was refused above
}

// --- What the harness refused --------------------------------------------------------------------

// The schema of a topic's bodies; NULL: none is known.
static const schema_t *
schema_of(bus_view_t topic)
{
    for (size_t i = 0; i < schema_count; i++) {
        bus_view_t said = view_from_text(schema_all[i]->topic);
        bool is_prefix = said.size > 0 && said.data[said.size - 1] == '.';
        if (said.size > 0 && (is_prefix ? view_starts(topic, said) : view_equal(topic, said))) {
            return schema_all[i];
        }
    }
    return NULL;
}

// What is wrong with the body, found once more: the harness does not hand it on.
static void
find_problems(const service_apply_t *apply, schema_problems_t *ret_problems)
{
    const schema_t *schema = schema_of(apply->topic);
    ret_problems->count = 0;
    if (schema == NULL) {
        return;
    }
    void *decoded = calloc(1, schema->size);
    assert(decoded != NULL);
    if (schema_decode(schema, apply->body, decoded, ret_problems) == BUS_OK) {
        ret_problems->count = 0;
    }
    free(decoded);
}

// The refusal that the record tells of, or trips itself. NULL: none.
static const refusal_t *
find_violation(const service_apply_t *apply)
{
    bus_view_t word = walk_text_at(apply->body, "violation");
    if (view_is(apply->topic, "bucket.refused")) {
        return word.data != NULL ? refusal_by_word(word) : NULL;
    }
    if (view_is(apply->topic, "bucket.request")) {
        return refusal_find(apply->body);
    }
    for (channel_t channel = 0; channel < CHANNEL_COUNT; channel++) {
        if (view_is(apply->topic, channel_topic(channel))) {
            return refusal_find(apply->body);
        }
    }
    return NULL;
}

bus_err_t
bucket_governance_harness(service_apply_t *apply, bus_err_t err)
{
    char operation[TOPIC_SIZE_MAX + 1];
    (void) snprintf(
        operation, sizeof operation, "%.*s", (int) apply->topic.size, apply->topic.data);
    schema_problems_t problems = {.count = 0};
    if (err == BUS_VALIDATION_FAILED) {
        find_problems(apply, &problems);
    }
    if (problems.count > 0) {
        return bucket_governance_refuse_problems(apply, &problems, operation, apply->body);
    }
    bucket_refusal_t refusal = {
        .err = err,
        .operation = operation,
        .product = product_at(apply->body),
        .requester_id = channel_requester(apply->body),
        .subject = subject_at(apply->body),
    };
    // A key that was used before hides no attempt at what nobody may.
    const refusal_t *row = err == BUS_IDEMPOTENCY_KEY_REUSED ? find_violation(apply) : NULL;
    if (row != NULL) {
        refusal.violation = row->violation;
        refusal.threat = row->threat;
    }
    return bucket_governance_refuse(apply, &refusal);
}
