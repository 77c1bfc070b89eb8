// verification.c - the kernel that witnesses the audit log.
//
// Every BHIV_VERIFY_SECONDS (60) a round: Bucket's signed head must follow from the last good one
// (verification_head.c), some entries at random must be proved under it, and a page of all entries
// is computed anew (verification_entries.c). It keeps heads and keys in its own store: somebody who
// rewrites Bucket's, and signs it anew with Bucket's own key, is found by what is kept here. It
// trusts what it saw first; who has to know more keeps checkpoints elsewhere (docs/operations.md)
// and compares: the report has the text of the last good one.
#include "verification_self.h"

#include "kernel.h"
#include "runtime/clock.h"
#include "runtime/log.h"

#include <assert.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define NAME "kernel-verification"

enum {
    FIRST_MS = 1000,      // after the start, when nobody waits for us any more
    UNVERIFIED_TIMES = 10 // rounds without a verdict, and at least:
};
static const uint64_t unverified_ms_min = UINT64_C(600000); // a restart is no anomaly

typedef enum { TABLE_KEPT = KERNEL_WATCH_KEPT, TABLE_WITNESS, TABLE_HEADS, TABLE_COUNT } table_t;

static const store_table_t tables[TABLE_COUNT] = {
    KERNEL_WATCH_TABLE,
    [TABLE_WITNESS] = {"witness", STORE_KEYS_BYTES, false, "\"witness\" -> keys, head, findings"},
    [TABLE_HEADS] = {"heads", STORE_KEYS_UINT64, false, "entries -> root, and when it was seen"},
};
static const kernel_verification_tables_t places = {TABLE_WITNESS, TABLE_HEADS};

static const setting_row_t settings[] = {
    KERNEL_WATCH_SECONDS_ROW("BHIV_VERIFY_SECONDS", kernel_verification_t, settings.verify_s, 60),
    {"BHIV_VERIFY_SAMPLES",
     SETTING_COUNT,
     offsetof(kernel_verification_t, settings.samples),
     8,
     0,
     KERNEL_VERIFICATION_SAMPLES_MAX},
    KERNEL_WATCH_ANOMALY_ROW(kernel_verification_t, settings.anomaly_s),
};

// --- Rounds --------------------------------------------------------------------------------------

static void
on_answer(void *arg, const client_answer_t *answer)
{
    kernel_verification_t *self = arg;
    if (!kernel_watch_is_given_up(answer)) {
        self->take(self, answer);
    }
}

void
kernel_verification_ask(kernel_verification_t *self,
                        const char *topic,
                        bus_view_t body,
                        kernel_verification_take_fn *take)
{
    self->take = take;
    if (!kernel_watch_ask(service_client(self->service), topic, body, on_answer, self)) {
        kernel_verification_end(self);
    }
}

bool
kernel_verification_is_damage(const client_answer_t *answer)
{
    return answer->err == BUS_CORRUPT || answer->err == BUS_IO;
}

void
kernel_verification_blame(kernel_verification_t *self, const char *format, ...)
{
    char what[KERNEL_VERIFICATION_WHAT_SIZE];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(what, sizeof what, format, arguments);
    va_end(arguments);
    kernel_verification_findings_add(&self->findings,
                                     KERNEL_VERIFICATION_HEAD,
                                     KERNEL_VERIFICATION_WHOLE,
                                     clock_wall_us(),
                                     "%s",
                                     what);
    kernel_verification_witness_refuse(&self->witness, text_view(self->told_note));
}

// --- What is said --------------------------------------------------------------------------------

static void
add_damage(kernel_verification_t *self)
{
    for (size_t i = 0; i < self->findings.count; i++) {
        const kernel_verification_finding_t *finding = &self->findings.at[i];
        char what[KERNEL_VERIFICATION_WHAT_SIZE + 64];
        if (finding->leaf == KERNEL_VERIFICATION_WHOLE) {
            snprintf(what, sizeof what, "the audit log: %s", finding->what);
        } else {
            snprintf(what,
                     sizeof what,
                     "audit entry %llu: %s",
                     (unsigned long long) finding->leaf,
                     finding->what);
        }
        const kernel_watch_anomaly_t anomaly = {
            .type = "audit_damaged",
            .value = (double) self->findings.count,
            .threshold = 0,
            .severity = "critical",
            .what = what,
        };
        kernel_watch_news_add(&self->news, &anomaly);
    }
}

static void
add_silence(kernel_verification_t *self, uint64_t now_ms)
{
    uint64_t patience_ms = (uint64_t) kernel_watch_ms(self->settings.verify_s) * UNVERIFIED_TIMES;
    patience_ms = patience_ms > unverified_ms_min ? patience_ms : unverified_ms_min;
    uint64_t silent_ms = now_ms - self->verified_ms;
    if (silent_ms > patience_ms && self->findings.count == 0) {
        const kernel_watch_anomaly_t anomaly = {
            .type = "audit_unverified",
            .value = (double) silent_ms / 1e3,
            .threshold = (double) patience_ms / 1e3,
            .severity = "high",
            .what = "Bucket gives no signed head of the audit log that could be verified",
        };
        kernel_watch_news_add(&self->news, &anomaly);
    }
}

// Says what is wrong when something came or went, and then every anomaly_ms.
static void
say(kernel_verification_t *self)
{
    uint64_t now_ms = clock_boot_ms();
    bool is_news = self->findings.changes != self->changes_said;
    if (!is_news && self->said_ms != 0 &&
        now_ms - self->said_ms < kernel_watch_ms(self->settings.anomaly_s)) {
        return;
    }
    kernel_watch_news_clear(&self->news);
    add_damage(self);
    add_silence(self, now_ms);
    self->changes_said = self->findings.changes;
    if (self->news.count > 0) {
        self->said_ms = now_ms;
        service_tick_soon(self->service);
    } else if (is_news) {
        log_info("audit_log_good_again", "rounds=%llu", (unsigned long long) self->rounds);
    }
}

void
kernel_verification_keep(kernel_verification_t *self)
{
    bus_err_t err = self->witness.is_dirty ? service_keep(self->service) : BUS_OK;
    if (err != BUS_OK) {
        log_error("witness_not_kept", "error=%s", error_text(err));
    }
}

void
kernel_verification_end(kernel_verification_t *self)
{
    self->is_open = false;
    self->rounds += self->is_judged;
    self->witness.is_dirty = self->witness.is_dirty || self->findings.changes != self->changes_said;
    kernel_verification_keep(self);
    say(self);
}

static void
tick(service_query_t *query)
{
    kernel_verification_t *self = query->state;
    kernel_watch_news_say(&self->news, query, NAME);
}

static void
on_timer(void *arg)
{
    kernel_verification_t *self = arg;
    if (self->is_open || !client_is_connected(service_client(self->service))) {
        return;
    }
    self->is_open = true;
    self->is_judged = false;
    kernel_verification_head_begin(self);
}

static void
on_first(void *arg)
{
    kernel_verification_t *self = arg;
    on_timer(self);
    (void) loop_add_timer(
        service_loop(self->service), kernel_watch_ms(self->settings.verify_s), 0, on_timer, self);
}

// --- What is asked -------------------------------------------------------------------------------

static const char *
status(const kernel_verification_t *self)
{
    if (self->findings.count > 0) {
        return "damaged";
    }
    if (self->verified_at == 0) {
        return self->unanswered > 0 ? "unanswered" : "starting";
    }
    return "verified";
}

static void
pack_time(pack_t *out, const char *key, uint64_t at)
{
    if (at == 0) {
        pack_pair_nil(out, key);
    } else {
        pack_pair_rfc3339(out, key, at);
    }
}

static void
pack_keys(const kernel_verification_witness_t *witness, pack_t *out)
{
    pack_text(out, "keys");
    pack_array(out, (uint32_t) witness->key_count);
    for (size_t i = 0; i < witness->key_count; i++) {
        char vkey[NOTE_VKEY_SIZE];
        note_verifier_format(&witness->keys[i], vkey);
        pack_text(out, vkey);
    }
}

static void
pack_trust(const kernel_verification_witness_t *witness, pack_t *out)
{
    const kernel_verification_head_t *last = kernel_verification_witness_last(witness);
    pack_pair_text(out, "trust", "first use: the first head and key that Bucket told are believed");
    pack_time(out, "trusted_since", witness->first_at);
    pack_pair_uint(out, "trust_begun_again", witness->forgotten);
    pack_pair_uint(out, "first_size", last == NULL ? 0 : witness->heads[0].head.size);
    pack_pair_uint(out, "tree_size", last == NULL ? 0 : last->head.size);
    pack_time(out, "head_at", last == NULL ? 0 : last->at);
    pack_pair_str(out, "checkpoint", text_view(witness->note));
    pack_pair_str(out, "refused_checkpoint", text_view(witness->bad_note));
    pack_pair_uint(out, "heads_kept", witness->head_count);
    pack_keys(witness, out);
}

static bus_err_t
report(service_query_t *query, const void *message BUS_UNUSED)
{
    const kernel_verification_t *self = query->state;
    pack_t *out = query->answer;
    pack_map(out, 24);
    pack_pair_text(out, "status", status(self));
    pack_trust(&self->witness, out);
    pack_time(out, "verified_at", self->verified_at);
    pack_pair_uint(out, "rounds", self->rounds);
    pack_pair_uint(out, "unanswered", self->unanswered);
    pack_pair_uint(out, "behind", self->behind);
    pack_pair_uint(out, "consistency_proofs", self->consistencies);
    pack_pair_uint(out, "inclusion_proofs", self->inclusions);
    pack_pair_uint(out, "key_changes", self->key_changes);
    pack_pair_uint(out, "swept", self->swept);
    pack_pair_uint(out, "sweeps", self->sweeps);
    pack_pair_uint(out, "problems", self->findings.count);
    pack_pair_uint(out, "problems_dropped", self->findings.dropped);
    pack_text(out, "findings");
    kernel_verification_findings_pack(&self->findings, out);
    kernel_watch_pack_kept(query->txn, out);
    return BUS_OK;
}

static unsigned
health(void *state, store_txn_t *txn BUS_UNUSED, pack_t *out)
{
    const kernel_verification_t *self = state;
    pack_pair_text(out, "audit", status(self));
    return 1;
}

// --- Life ----------------------------------------------------------------------------------------

static bus_err_t
take_anomaly(service_apply_t *apply, const void *message)
{
    return kernel_watch_keep(apply, message, NAME);
}

static bus_err_t
save(void *state, store_txn_t *txn)
{
    kernel_verification_t *self = state;
    return kernel_verification_witness_save(&self->witness, &self->findings, &places, txn);
}

static void
undone(void *state, store_txn_t *txn BUS_UNUSED)
{
    kernel_verification_t *self = state;
    self->witness.is_dirty = self->witness.first_at != 0; // what was saved went with the batch
    self->witness.heads_are_thin = true;
}

static void
close_state(void **state_p)
{
    kernel_verification_t *self = *state_p;
    kernel_verification_witness_clear(&self->witness);
    kernel_watch_news_clear(&self->news);
    text_destroy(&self->told_note);
    free(self->leaf);
    free(self);
    *state_p = NULL;
}

static bus_err_t
open_state(const service_options_t *options BUS_UNUSED, store_txn_t *txn, void **ret_state)
{
    kernel_verification_t *self = calloc(1, sizeof *self);
    assert(self);
    self->told_note = text_new();
    self->leaf = malloc(KERNEL_VERIFICATION_LEAF_MAX);
    assert(self->leaf);
    self->verified_ms = clock_boot_ms();
    kernel_verification_witness_init(&self->witness);
    *ret_state = self;
    bus_err_t err = setting_read(settings, COUNT(settings), self);
    if (err == BUS_OK) {
        err = kernel_verification_witness_load(&self->witness, &self->findings, &places, txn);
    }
    if (self->witness.forgotten > 0 && self->witness.is_dirty) {
        log_error("witness_damaged", "trust=begins_again");
    }
    if (err != BUS_OK) {
        close_state(ret_state);
    }
    return err;
}

static bus_err_t
start(service_t *service, void *state)
{
    kernel_verification_t *self = state;
    self->service = service;
    unsigned verify_ms = kernel_watch_ms(self->settings.verify_s);
    unsigned first_ms = verify_ms < FIRST_MS ? verify_ms : FIRST_MS;
    (void) loop_add_timer(service_loop(service), first_ms, 1, on_first, self);
    return BUS_OK;
}

static const service_apply_row_t applies[] = {
    {.prefix = "hunter.anomaly.detected",
     .schema = &SCHEMA_hunter_anomaly,
     .apply = take_anomaly,
     .meaning = "an anomaly: its own last hundred are kept"},
};

static const service_query_row_t queries[] = {
    {"report", NULL, report, "what the witness of the audit log keeps, did and found"},
};

const service_definition_t kernel_verification_definition = {
    .name = NAME,
    .source = NAME,
    .rules_version = 1,
    .tables = tables,
    .table_count = COUNT(tables),
    .applies = applies,
    .apply_count = COUNT(applies),
    .queries = queries,
    .query_count = COUNT(queries),
    .open = open_state,
    .close = close_state,
    .undone = undone,
    .save = save,
    .start = start,
    .tick = tick,
    .health = health,
};
