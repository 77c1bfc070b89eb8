// verification_entries.c - the entries under the heads: samples, and a sweep over all of them.
//
// A sample takes an entry at random, computes its hash from its bytes, and has its place in the log
// proved under the last good head: whoever shows one person another entry than the log has is
// found by some sample. The sweep goes over the whole log, a page a round: Bucket checks its own
// page (which names damage), and tells the leaves, from which the tree is computed anew and held
// against every head that was kept. So what was rewritten under an unchanged head, and where, is
// found within a pass.
#include "verification_self.h"

#include "runtime/clock.h"
#include "runtime/id.h"

#include <inttypes.h>

bool
kernel_verification_entries_read(kernel_verification_t *self,
                                 bus_view_t item,
                                 merkle_hash_t *ret_hash,
                                 bus_view_t *ret_leaf,
                                 bool *ret_is_good)
{
    bus_view_t text = walk_text_at(item, "leaf");
    merkle_hash_t made;
    size_t size = 0;
    *ret_is_good = note_hash(walk_text_at(item, "hash"), ret_hash) == BUS_OK;
    if (text.data == NULL ||
        note_unbase64(text, self->leaf, KERNEL_VERIFICATION_LEAF_MAX, &size) != BUS_OK) {
        *ret_is_good = *ret_is_good && text.data == NULL;
        return false;
    }
    *ret_leaf = view_from(self->leaf, size);
    merkle_leaf(*ret_leaf, &made);
    *ret_is_good = *ret_is_good && merkle_equal(&made, ret_hash);
    return true;
}

bool
kernel_verification_entries_is_proved(bus_view_t answer,
                                      const merkle_hash_t *hash,
                                      uint64_t index,
                                      const merkle_head_t *head)
{
    bus_view_t array;
    merkle_path_t path;
    return walk_find(answer, "path", &array) == BUS_OK && note_path(array, &path) == BUS_OK &&
           walk_uint_at(answer, "leaf_index", KERNEL_VERIFICATION_WHOLE) == index &&
           merkle_verify_inclusion(hash, index, head->size, &path, &head->root);
}

static void
ask_page(kernel_verification_t *self,
         const char *topic,
         uint64_t from,
         uint64_t limit,
         kernel_verification_take_fn *take)
{
    BUS_AUTO(pack_destroy) pack_t *body = pack_new();
    pack_map(body, 2);
    pack_pair_uint(body, "from", from);
    pack_pair_uint(body, "limit", limit);
    kernel_verification_ask(self, topic, pack_view(body), take);
}

// Whether the question came to nothing, and with it the round.
static bool
is_lost(kernel_verification_t *self, const client_answer_t *answer)
{
    if (answer->err != BUS_OK && !kernel_verification_is_damage(answer)) {
        kernel_verification_end(self);
        return true;
    }
    return false;
}

// How many leaves the last good head has.
static uint64_t
known(const kernel_verification_t *self)
{
    const kernel_verification_head_t *last = kernel_verification_witness_last(&self->witness);
    return last == NULL ? 0 : last->head.size;
}

// --- The sweep: what the leaves make -------------------------------------------------------------

// A pass is over, or broke off.
static void
finish_pass(kernel_verification_t *self, bool is_whole)
{
    if (is_whole && !self->is_broken) {
        kernel_verification_findings_clear(&self->findings, KERNEL_VERIFICATION_PLACE);
    }
    self->sweeps += is_whole;
    self->tree = (merkle_tree_t){.size = 0};
    self->is_broken = false;
}

// Holds the heads of the tree's size against it.
static void
hold(kernel_verification_t *self)
{
    const kernel_verification_witness_t *witness = &self->witness;
    uint64_t good = 0;
    for (size_t i = 0; i < witness->head_count && !self->is_broken; i++) {
        const merkle_head_t *head = &witness->heads[i].head;
        merkle_hash_t root;
        if (head->size == self->tree.size) {
            merkle_tree_root(&self->tree, &root);
            self->is_broken = !merkle_equal(&root, &head->root);
        }
        if (self->is_broken) {
            kernel_verification_findings_add(&self->findings,
                                             KERNEL_VERIFICATION_PLACE,
                                             good,
                                             clock_wall_us(),
                                             "here or behind it, before entry %" PRIu64
                                             ", the log is not what was signed",
                                             head->size);
        }
        good = head->size;
    }
}

// False where it is not what a page has.
static bool
take_leaf(kernel_verification_t *self, bus_view_t item)
{
    merkle_hash_t hash;
    bus_view_t leaf;
    bool is_good = false;
    (void) kernel_verification_entries_read(self, item, &hash, &leaf, &is_good);
    if (!is_good) {
        kernel_verification_findings_add(&self->findings,
                                         KERNEL_VERIFICATION_LEAF,
                                         self->tree.size,
                                         clock_wall_us(),
                                         "what Bucket tells of it does not match its hash");
        if (note_hash(walk_text_at(item, "hash"), &hash) != BUS_OK) {
            return false;
        }
    }
    merkle_tree_add(&self->tree, &hash);
    self->swept++;
    return true;
}

static void
take_leaves(kernel_verification_t *self, const client_answer_t *answer)
{
    walk_items_t items = walk_items_at(answer->body, "leaves");
    uint64_t from = self->tree.size;
    uint64_t end = known(self);
    bus_view_t item;
    if (is_lost(self, answer)) {
        return;
    }
    uint64_t to = items.left < end - from ? from + items.left : end;
    kernel_verification_findings_begin(&self->findings, KERNEL_VERIFICATION_LEAF, from, to);
    bool is_good = answer->err == BUS_OK;
    while (is_good && self->tree.size < end && walk_items_next(&items, &item)) {
        is_good = take_leaf(self, item);
        hold(self);
    }
    kernel_verification_findings_end(&self->findings, KERNEL_VERIFICATION_LEAF);
    if (!is_good || self->tree.size == from) {
        kernel_verification_findings_add(&self->findings,
                                         KERNEL_VERIFICATION_PLACE,
                                         self->tree.size,
                                         clock_wall_us(),
                                         "from here on the log does not tell its entries, and "
                                         "%" PRIu64 " were signed",
                                         end);
        finish_pass(self, false);
    } else if (self->tree.size == end) {
        finish_pass(self, true);
    }
    kernel_verification_end(self);
}

static void
ask_leaves(kernel_verification_t *self)
{
    uint64_t left = known(self) - self->tree.size;
    ask_page(self,
             "req.bucket.audit_leaves",
             self->tree.size,
             left < KERNEL_VERIFICATION_PAGE ? left : KERNEL_VERIFICATION_PAGE,
             take_leaves);
}

// --- The sweep: what Bucket finds ----------------------------------------------------------------

static void
take_bad(kernel_verification_t *self, bus_view_t item)
{
    bus_view_t problem = walk_text_at(item, "problem");
    bus_view_t audit_id = walk_text_at(item, "audit_id");
    kernel_verification_findings_add(&self->findings,
                                     KERNEL_VERIFICATION_ENTRY,
                                     walk_uint_at(item, "leaf_index", 0),
                                     clock_wall_us(),
                                     "%.*s%s%.*s",
                                     (int) audit_id.size,
                                     audit_id.size > 0 ? audit_id.data : "",
                                     audit_id.size > 0 ? ": " : "",
                                     (int) problem.size,
                                     problem.size > 0 ? problem.data : "");
}

static void
take_checked(kernel_verification_t *self, const client_answer_t *answer)
{
    walk_items_t items = walk_items_at(answer->body, "bad");
    uint64_t from = self->checked;
    bus_view_t item;
    if (is_lost(self, answer)) {
        return;
    }
    uint64_t next = answer->err == BUS_OK ? walk_uint_at(answer->body, "next", 0) : 0;
    if (next <= from) {
        kernel_verification_findings_add(&self->findings,
                                         KERNEL_VERIFICATION_ENTRY,
                                         from,
                                         clock_wall_us(),
                                         "Bucket cannot check it");
        self->checked = 0;
        ask_leaves(self);
        return;
    }
    kernel_verification_findings_begin(&self->findings, KERNEL_VERIFICATION_ENTRY, from, next);
    while (walk_items_next(&items, &item)) {
        take_bad(self, item);
    }
    kernel_verification_findings_end(&self->findings, KERNEL_VERIFICATION_ENTRY);
    self->checked = next >= known(self) ? 0 : next;
    ask_leaves(self);
}

void
kernel_verification_entries_sweep(kernel_verification_t *self)
{
    uint64_t end = known(self);
    if (end == 0) {
        kernel_verification_end(self);
        return;
    }
    self->checked = self->checked < end ? self->checked : 0;
    uint64_t left = end - self->checked;
    ask_page(self,
             "req.bucket.audit_verify",
             self->checked,
             left < KERNEL_VERIFICATION_PAGE ? left : KERNEL_VERIFICATION_PAGE,
             take_checked);
}

// --- Samples -------------------------------------------------------------------------------------

static void sample(kernel_verification_t *self);

static void
blame_sample(kernel_verification_t *self, const char *what)
{
    kernel_verification_findings_add(
        &self->findings, KERNEL_VERIFICATION_INCLUSION, self->sampled, clock_wall_us(), "%s", what);
}

static void
take_inclusion(kernel_verification_t *self, const client_answer_t *answer)
{
    const kernel_verification_head_t *last = kernel_verification_witness_last(&self->witness);
    if (answer->err == BUS_OK &&
        kernel_verification_entries_is_proved(
            answer->body, &self->sampled_hash, self->sampled, &last->head)) {
        self->inclusions++;
        kernel_verification_findings_begin(
            &self->findings, KERNEL_VERIFICATION_INCLUSION, self->sampled, self->sampled + 1);
        kernel_verification_findings_end(&self->findings, KERNEL_VERIFICATION_INCLUSION);
    } else if (answer->err == BUS_OK || kernel_verification_is_damage(answer) ||
               answer->err == BUS_AUDIT_ENTRY_NOT_FOUND) {
        blame_sample(self, "it cannot be proved to be in the log");
    } else {
        kernel_verification_end(self);
        return;
    }
    sample(self);
}

static void
take_sample(kernel_verification_t *self, const client_answer_t *answer)
{
    walk_items_t items = walk_items_at(answer->body, "leaves");
    bus_view_t item;
    bus_view_t leaf;
    bool is_good = false;
    if (is_lost(self, answer)) {
        return;
    }
    if (answer->err != BUS_OK || !walk_items_next(&items, &item)) {
        blame_sample(self, "the log does not tell it");
        sample(self);
        return;
    }
    bool has_leaf =
        kernel_verification_entries_read(self, item, &self->sampled_hash, &leaf, &is_good);
    if (!has_leaf || !is_good) { // let go after seven years, or for the sweep to name
        sample(self);
        return;
    }
    BUS_AUTO(pack_destroy) pack_t *body = pack_new();
    pack_map(body, 2);
    pack_pair_str(body, "audit_id", walk_text_at(leaf, "audit_id"));
    pack_pair_uint(body, "tree_size", known(self));
    kernel_verification_ask(self, "req.bucket.audit_inclusion", pack_view(body), take_inclusion);
}

// An entry that could not be proved before is looked at again first, once a round; then any.
static uint64_t
choose(const kernel_verification_t *self, uint64_t end)
{
    const kernel_verification_findings_t *findings = &self->findings;
    for (size_t i = 0; i < findings->count; i++) {
        const kernel_verification_finding_t *finding = &findings->at[i];
        if (finding->kind == KERNEL_VERIFICATION_INCLUSION && finding->leaf < end &&
            finding->last_at < self->sampling_at) {
            return finding->leaf;
        }
    }
    uint64_t dice;
    id_random(&dice, sizeof dice);
    return dice % end;
}

static void
sample(kernel_verification_t *self)
{
    uint64_t end = known(self);
    if (self->samples_left == 0 || end == 0) {
        kernel_verification_entries_sweep(self);
        return;
    }
    self->samples_left--;
    self->sampled = choose(self, end);
    ask_page(self, "req.bucket.audit_leaves", self->sampled, 1, take_sample);
}

void
kernel_verification_entries_begin(kernel_verification_t *self)
{
    self->samples_left = (unsigned) self->settings.samples;
    self->sampling_at = clock_wall_us();
    sample(self);
}
