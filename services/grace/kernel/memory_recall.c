// memory_recall.c - what was done before about something like this. See memory_recall.h.
//
// One index leads: that of the most telling thing asked for. What it finds is read, held against
// the rest, and ranked; only what is answered is packed.
#include "memory_recall.h"

#include <assert.h>
#include <stdlib.h>

enum {
    LOOKED_MAX = 5000, // episodes that are read for one answer: some ten milliseconds
    ACTIONS_MAX = 32,  // kinds of action that are summed up
    LIMIT = 20,        // episodes where none is named
    ANSWER_SIZE_MAX = 2 * 1024 * 1024, // bytes of episodes: below an inbox's limit
};

typedef struct {
    uint64_t seq;
    double score; // below 0: not over yet
} match_t;

typedef struct {
    bus_view_t handler;
    bus_view_t task_type;
    uint64_t count;
    uint64_t successes;
    double score; // sum
} action_t;

typedef struct {
    store_txn_t *txn;
    const schema_memory_recall_t *asked;
    match_t *matches;
    size_t count;
    size_t looked;
    action_t actions[ACTIONS_MAX];
    size_t action_count;
} recall_t;

static bool
fits(bus_view_t asked, bus_view_t is)
{
    return asked.data == NULL || view_equal(asked, is);
}

static void
sum_up(recall_t *self, const schema_memory_episode_t *episode)
{
    size_t i = 0;
    while (i < self->action_count &&
           !(view_equal(self->actions[i].handler, episode->handler) &&
             view_equal(self->actions[i].task_type, episode->task_type))) {
        i++;
    }
    if (i == ACTIONS_MAX) {
        return;
    }
    if (i == self->action_count) {
        self->actions[self->action_count++] =
            (action_t){.handler = episode->handler, .task_type = episode->task_type};
    }
    self->actions[i].count++;
    self->actions[i].successes += episode->success.value ? 1 : 0;
    self->actions[i].score += episode->score.value;
}

static bool
take(void *arg, uint64_t seq)
{
    recall_t *self = arg;
    const schema_memory_recall_t *asked = self->asked;
    schema_memory_episode_t episode;
    bus_view_t stored;
    if (kernel_memory_episode_get(self->txn, seq, &stored, &episode) == BUS_OK &&
        fits(asked->trace_id, episode.trace_id) && fits(asked->issue_type, episode.issue_type) &&
        fits(asked->task_type, episode.task_type) && fits(asked->handler, episode.handler)) {
        self->matches[self->count++] =
            (match_t){.seq = seq, .score = episode.score.has ? episode.score.value : -1};
        if (episode.score.has) {
            sum_up(self, &episode);
        }
    }
    return ++self->looked < LOOKED_MAX;
}

static int
compare(const void *a, const void *b)
{
    const match_t *left = a;
    const match_t *right = b;
    if (left->score > right->score || left->score < right->score) {
        return left->score > right->score ? -1 : 1;
    }
    return left->seq > right->seq ? -1 : 1;
}

static bus_err_t
look(recall_t *self)
{
    const schema_memory_recall_t *asked = self->asked;
    const struct {
        kernel_memory_by_t by;
        bus_view_t value;
    } leads[] = {{KERNEL_MEMORY_BY_TRACE, asked->trace_id},
                 {KERNEL_MEMORY_BY_ISSUE, asked->issue_type},
                 {KERNEL_MEMORY_BY_TYPE, asked->task_type},
                 {KERNEL_MEMORY_BY_HANDLER, asked->handler}};
    for (size_t i = 0; i < sizeof leads / sizeof leads[0]; i++) {
        if (leads[i].value.data != NULL) {
            return kernel_memory_episode_walk(self->txn, leads[i].by, leads[i].value, take, self);
        }
    }
    bus_err_t err = kernel_memory_episode_walk(
        self->txn, KERNEL_MEMORY_BY_CLASS, VIEW_LITERAL("intent"), take, self);
    if (err == BUS_OK && self->looked < LOOKED_MAX) {
        err = kernel_memory_episode_walk(
            self->txn, KERNEL_MEMORY_BY_CLASS, VIEW_LITERAL("task"), take, self);
    }
    return err;
}

static void
pack_actions(const recall_t *self, pack_t *out)
{
    pack_text(out, "actions");
    pack_array(out, (uint32_t) self->action_count);
    for (size_t i = 0; i < self->action_count; i++) {
        const action_t *action = &self->actions[i];
        pack_map(out, 5);
        pack_pair_str(out, "handler", action->handler);
        pack_pair_str(out, "task_type", action->task_type);
        pack_pair_uint(out, "count", action->count);
        pack_pair_uint(out, "successes", action->successes);
        pack_pair_real(out, "average_score", action->score / (double) action->count);
    }
}

// The matches, the most telling first: as many as are asked for, and fit.
static void
pack_matches(const recall_t *self, size_t size_max, pack_t *out)
{
    size_t limit = self->asked->limit.has ? (size_t) self->asked->limit.value : LIMIT;
    uint32_t count = 0;
    pack_text(out, "episodes");
    size_t place = pack_array_begin(out);
    size_t before = pack_view(out).size;
    for (size_t i = 0; i < self->count && count < limit; i++) {
        bus_view_t stored;
        schema_memory_episode_t episode;
        if (kernel_memory_episode_get(self->txn, self->matches[i].seq, &stored, &episode) ==
            BUS_OK) {
            if (pack_view(out).size - before + stored.size > size_max) {
                break;
            }
            pack_raw(out, stored);
            count++;
        }
    }
    pack_count(out, place, count);
    pack_pair_uint(out, "count", count);
    pack_pair_uint(out, "matched", self->count);
}

bus_err_t
kernel_memory_recall_pack(store_txn_t *txn,
                          const schema_memory_recall_t *asked,
                          size_t size_max,
                          pack_t *out)
{
    recall_t this = {.txn = txn, .asked = asked};
    this.matches = calloc(LOOKED_MAX, sizeof this.matches[0]);
    assert(this.matches);
    bus_err_t err = look(&this);
    if (err == BUS_OK) {
        qsort(this.matches, this.count, sizeof this.matches[0], compare);
        pack_map(out, 4);
        pack_matches(&this, size_max, out);
        pack_actions(&this, out);
    }
    free(this.matches);
    return err;
}

bus_err_t
kernel_memory_recall(service_query_t *self, const void *message)
{
    return kernel_memory_recall_pack(self->txn, message, ANSWER_SIZE_MAX, self->answer);
}
