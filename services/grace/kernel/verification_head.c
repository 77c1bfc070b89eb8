// verification_head.c - the signed head of a round, and what it must be proved by.
//
// A head that is longer than the last good one must come with a proof of consistency. One that is
// shorter is a log that was cut, unless Bucket is still reading the journal (after it was rebuilt,
// or set back by a power cut): its health says so, and what it reads makes the same tree again. A
// key that was never seen is taken where the log, proved consistent, has the entry of its creation:
// a rotation is the owner's signed command, and is audited (services/bucket/keys_public.c).
#include "verification_self.h"

#include "runtime/clock.h"
#include "runtime/log.h"

#include <inttypes.h>
#include <string.h>

enum {
    REFUSALS_MAX =
        2, // of the proof, in a row: the first may be of a Bucket that has just restarted
    KEYS_LIMIT = 1000,
};

// --- It is good ----------------------------------------------------------------------------------

static void
accept(kernel_verification_t *self)
{
    uint64_t now = clock_wall_us();
    bool is_first = self->told.verdict == KERNEL_VERIFICATION_FIRST;
    if (self->told.is_new_key && !is_first) {
        self->key_changes++;
        log_warning("audit_key_rotated", "key=%08x", (unsigned) self->told.signer.id);
    }
    if (is_first) {
        log_info("audit_trust_begins",
                 "log=%s size=%" PRIu64,
                 self->told.signer.name,
                 self->told.head.size);
    }
    kernel_verification_findings_clear(&self->findings, KERNEL_VERIFICATION_HEAD);
    kernel_verification_witness_accept(
        &self->witness, &self->told, text_view(self->told_note), now);
    kernel_verification_keep(self); // before anybody hears that we trust it
    self->verified_at = now;
    self->verified_ms = clock_boot_ms();
    self->refusals = 0;
    kernel_verification_entries_begin(self);
}

// --- A new key -----------------------------------------------------------------------------------

static void
blame_key(kernel_verification_t *self)
{
    kernel_verification_blame(self,
                              "signed by key %08x, which was never seen and which the log cannot "
                              "prove to be its own",
                              (unsigned) self->told.signer.id);
    kernel_verification_entries_sweep(self);
}

static void
take_key_proof(kernel_verification_t *self, const client_answer_t *answer)
{
    if (answer->err == BUS_OK &&
        kernel_verification_entries_is_proved(
            answer->body, &self->sampled_hash, self->sampled, &self->told.head)) {
        accept(self);
    } else {
        blame_key(self);
    }
}

// Whether the entry is the creation of the key that signed.
static bool
is_creation(const kernel_verification_t *self, bus_view_t entry)
{
    bus_view_t value;
    bus_view_t text;
    uint8_t key[NOTE_KEY_SIZE];
    size_t size = 0;
    return view_is(walk_text_at(entry, "operation"), "crypto.key.created") &&
           view_is(walk_text_at(entry, "decision"), "allowed") &&
           walk_find_path(entry, "details.public_key", &value) == BUS_OK &&
           walk_as_str(value, &text) == BUS_OK &&
           note_unbase64(text, key, sizeof key, &size) == BUS_OK && size == sizeof key &&
           memcmp(key, self->told.signer.key, sizeof key) == 0;
}

static void
take_key_leaf(kernel_verification_t *self, const client_answer_t *answer)
{
    walk_items_t items = walk_items_at(answer->body, "leaves");
    bus_view_t item;
    bus_view_t leaf;
    bool is_good = false;
    if (answer->err != BUS_OK || !walk_items_next(&items, &item) ||
        !kernel_verification_entries_read(self, item, &self->sampled_hash, &leaf, &is_good) ||
        !is_good || !is_creation(self, leaf)) {
        blame_key(self);
        return;
    }
    BUS_AUTO(pack_destroy) pack_t *body = pack_new();
    pack_map(body, 2);
    pack_pair_str(body, "audit_id", walk_text_at(leaf, "audit_id"));
    pack_pair_uint(body, "tree_size", self->told.head.size);
    kernel_verification_ask(self, "req.bucket.audit_inclusion", pack_view(body), take_key_proof);
}

// Which of the entries about keys is it? What is listed is only a hint: the leaf itself is proved.
static void
take_key_entries(kernel_verification_t *self, const client_answer_t *answer)
{
    walk_items_t items = walk_items_at(answer->body, "entries");
    bus_view_t item;
    self->sampled = KERNEL_VERIFICATION_WHOLE;
    while (answer->err == BUS_OK && walk_items_next(&items, &item)) {
        if (is_creation(self, item)) {
            self->sampled = walk_uint_at(item, "leaf_index", KERNEL_VERIFICATION_WHOLE);
        }
    }
    if (self->sampled >= self->told.head.size) {
        blame_key(self);
        return;
    }
    BUS_AUTO(pack_destroy) pack_t *body = pack_new();
    pack_map(body, 2);
    pack_pair_uint(body, "from", self->sampled);
    pack_pair_uint(body, "limit", 1);
    kernel_verification_ask(self, "req.bucket.audit_leaves", pack_view(body), take_key_leaf);
}

// The head follows from the last one. Is its key the log's?
static void
check_key(kernel_verification_t *self)
{
    if (!self->told.is_new_key || self->told.verdict == KERNEL_VERIFICATION_FIRST) {
        accept(self);
        return;
    }
    BUS_AUTO(pack_destroy) pack_t *body = pack_new();
    pack_map(body, 2);
    pack_pair_text(body, "event_type", "key");
    pack_pair_uint(body, "limit", KEYS_LIMIT);
    kernel_verification_ask(self, "req.bucket.audit_log", pack_view(body), take_key_entries);
}

// --- Longer --------------------------------------------------------------------------------------

static void
blame_consistency(kernel_verification_t *self)
{
    const kernel_verification_head_t *last = kernel_verification_witness_last(&self->witness);
    kernel_verification_blame(self,
                              "the log of %" PRIu64 " entries cannot prove that it is a longer "
                              "form of the %" PRIu64 " that were signed before",
                              self->told.head.size,
                              last->head.size);
    kernel_verification_entries_sweep(self);
}

static void
take_consistency(kernel_verification_t *self, const client_answer_t *answer)
{
    const kernel_verification_head_t *last = kernel_verification_witness_last(&self->witness);
    merkle_path_t path;
    bus_view_t array;
    if (answer->err != BUS_OK && !kernel_verification_is_damage(answer)) {
        if (answer->err == BUS_VALIDATION_FAILED && ++self->refusals >= REFUSALS_MAX) {
            blame_consistency(self);
        } else {
            kernel_verification_end(self);
        }
        return;
    }
    bool is_good = answer->err == BUS_OK && walk_find(answer->body, "path", &array) == BUS_OK &&
                   note_path(array, &path) == BUS_OK &&
                   merkle_verify_consistency(&last->head, &self->told.head, &path);
    if (is_good) {
        self->consistencies++;
        check_key(self);
    } else {
        blame_consistency(self);
    }
}

static void
ask_consistency(kernel_verification_t *self)
{
    BUS_AUTO(pack_destroy) pack_t *body = pack_new();
    pack_map(body, 2);
    pack_pair_uint(body, "from", kernel_verification_witness_last(&self->witness)->head.size);
    pack_pair_uint(body, "to", self->told.head.size);
    kernel_verification_ask(
        self, "req.bucket.audit_consistency", pack_view(body), take_consistency);
}

// --- Shorter -------------------------------------------------------------------------------------

static void take_checkpoint(kernel_verification_t *self, const client_answer_t *answer);

static void
take_health(kernel_verification_t *self, const client_answer_t *answer)
{
    bool is_settled = answer->err == BUS_OK && walk_uint_at(answer->body, "lag", 1) == 0 &&
                      walk_uint_at(answer->body, "head", 0) > 0;
    if (!is_settled) {
        self->behind++;
        kernel_verification_end(self);
        return;
    }
    self->is_second_look = true; // it may have caught up between the two
    kernel_verification_ask(self, "req.bucket.audit_checkpoint", PACK_EMPTY_MAP, take_checkpoint);
}

static void
look_twice(kernel_verification_t *self)
{
    if (!self->is_second_look) {
        kernel_verification_ask(self, "req.bucket.health", PACK_EMPTY_MAP, take_health);
        return;
    }
    uint64_t kept = kernel_verification_witness_last(&self->witness)->head.size;
    kernel_verification_blame(self,
                              "the log has %" PRIu64 " entries, and %" PRIu64
                              " were signed before: it was cut",
                              self->told.head.size,
                              kept);
    kernel_verification_entries_sweep(self);
}

// --- The head ------------------------------------------------------------------------------------

static void
judge(kernel_verification_t *self)
{
    switch (self->told.verdict) {
    case KERNEL_VERIFICATION_FIRST:
    case KERNEL_VERIFICATION_SAME:
        check_key(self);
        return;
    case KERNEL_VERIFICATION_LONGER:
        ask_consistency(self);
        return;
    case KERNEL_VERIFICATION_SHORTER:
        look_twice(self);
        return;
    case KERNEL_VERIFICATION_FORKED:
        kernel_verification_blame(self,
                                  "two heads of %" PRIu64 " entries are signed: the log was forked",
                                  self->told.head.size);
        break;
    case KERNEL_VERIFICATION_UNSIGNED:
        kernel_verification_blame(self, "the signed head: %s", self->told.why);
        break;
    }
    kernel_verification_entries_sweep(self);
}

static void
take_checkpoint(kernel_verification_t *self, const client_answer_t *answer)
{
    if (answer->err != BUS_OK && !kernel_verification_is_damage(answer)) {
        self->unanswered++;
        kernel_verification_end(self);
        return;
    }
    self->is_judged = true;
    text_clear(self->told_note);
    if (answer->err != BUS_OK) {
        kernel_verification_blame(self, "the log can give no signed head: it is damaged");
        kernel_verification_entries_sweep(self);
        return;
    }
    text_add(self->told_note, walk_text_at(answer->body, "checkpoint"));
    kernel_verification_witness_judge(&self->witness,
                                      text_view(self->told_note),
                                      walk_text_at(answer->body, "vkey"),
                                      &self->told);
    judge(self);
}

void
kernel_verification_head_begin(kernel_verification_t *self)
{
    self->is_second_look = false;
    kernel_verification_ask(self, "req.bucket.audit_checkpoint", PACK_EMPTY_MAP, take_checkpoint);
}
