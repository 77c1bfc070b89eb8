// breach.c - a small table of pairs.
#include "breach.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define OTHERS "(others)" // whoever finds no room

typedef struct {
    char name[CERT_NAME_MAX + 1];
    breach_reason_t reason;
    uint64_t total;
    uint64_t untold;
    bool was_told;
    uint64_t told_ms;
    char subject[BREACH_SUBJECT_MAX];
    size_t subject_size;
} pair_t;

struct breach {
    pair_t pairs[BREACH_MAX + BREACH_REASONS]; // the last ones: the others
    size_t count;                              // of pairs with a name of their own
    uint64_t total;
};

static const char *const reasons[BREACH_REASONS] = {
    [BREACH_CERTIFICATE] = "certificate",
    [BREACH_PUBLISH] = "publish",
    [BREACH_SUBSCRIBE] = "subscribe",
    [BREACH_REQUEST] = "request",
    [BREACH_FETCH] = "fetch",
    [BREACH_SERVE] = "serve",
    [BREACH_REPLY] = "reply",
    [BREACH_INBOX] = "inbox",
    [BREACH_SOURCE] = "source",
    [BREACH_STAMP] = "stamp",
    [BREACH_IDENTITY] = "identity",
};

const char *
breach_reason_text(breach_reason_t reason)
{
    return reasons[reason];
}

breach_t *
breach_new(void)
{
    breach_t *self = calloc(1, sizeof(*self));
    assert(self != NULL);
    for (int i = 0; i < BREACH_REASONS; i++) {
        pair_t *others = &self->pairs[BREACH_MAX + i];
        memcpy(others->name, OTHERS, sizeof(OTHERS));
        others->reason = (breach_reason_t) i;
    }
    return self;
}

void
breach_destroy(breach_t **self_p)
{
    free(*self_p);
    *self_p = NULL;
}

static pair_t *
find(breach_t *self, const char *name, breach_reason_t reason)
{
    for (size_t i = 0; i < self->count; i++) {
        pair_t *pair = &self->pairs[i];
        if (pair->reason == reason && strcmp(pair->name, name) == 0) {
            return pair;
        }
    }
    if (self->count == BREACH_MAX) {
        return &self->pairs[BREACH_MAX + reason];
    }
    pair_t *pair = &self->pairs[self->count++];
    size_t size = strlen(name);
    assert(size < sizeof(pair->name));
    memcpy(pair->name, name, size + 1);
    pair->reason = reason;
    return pair;
}

bool
breach_add(
    breach_t *self, const char *name, breach_reason_t reason, bus_view_t subject, uint64_t count)
{
    pair_t *pair = find(self, name, reason);
    bool is_first = pair->untold == 0;
    pair->total += count;
    pair->untold += count;
    self->total += count;
    pair->subject_size = subject.size < BREACH_SUBJECT_MAX ? subject.size : BREACH_SUBJECT_MAX;
    for (size_t i = 0; i < pair->subject_size; i++) {
        bool is_plain = subject.data[i] > ' ' && subject.data[i] <= '~';
        pair->subject[i] = '?'; // a journaled text is valid UTF-8
        if (is_plain) {
            pair->subject[i] = subject.data[i];
        }
    }
    return is_first;
}

void
breach_tell(breach_t *self, uint64_t now_ms, bool is_last, breach_tell_fn *fn, void *arg)
{
    for (size_t i = 0; i < BREACH_MAX + BREACH_REASONS; i++) {
        pair_t *pair = &self->pairs[i];
        bool is_due = !pair->was_told || now_ms - pair->told_ms >= BREACH_TOLD_MS || is_last;
        if (pair->untold == 0 || !is_due) {
            continue;
        }
        const breach_fact_t fact = {
            .name = pair->name,
            .reason = reasons[pair->reason],
            .count = pair->untold,
            .subject = view_from(pair->subject, pair->subject_size),
        };
        if (!fn(arg, &fact)) {
            return; // the next second
        }
        pair->untold = 0;
        pair->was_told = true;
        pair->told_ms = now_ms;
    }
}

uint64_t
breach_total(const breach_t *self)
{
    return self->total;
}

void
breach_pack(const breach_t *self, pack_t *out)
{
    uint32_t count = 0;
    for (size_t i = 0; i < BREACH_MAX + BREACH_REASONS; i++) {
        count += self->pairs[i].total > 0;
    }
    pack_array(out, count);
    for (size_t i = 0; i < BREACH_MAX + BREACH_REASONS; i++) {
        const pair_t *pair = &self->pairs[i];
        if (pair->total > 0) {
            pack_map(out, 3);
            pack_pair_text(out, "name", pair->name);
            pack_pair_text(out, "reason", reasons[pair->reason]);
            pack_pair_uint(out, "count", pair->total);
        }
    }
}
