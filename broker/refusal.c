// refusal.c - a message that is not taken: counted by its error, told to whoever can be told, and
// logged once a second at most, however many come.
#include "proto/limits.h"
#include "router_state.h"
#include "runtime/clock.h"
#include "runtime/log.h"

enum { LOG_EVERY_MS = 1000, WHY_SIZE = 160 };

static void
log_refused(router_t *self, const header_t *header, const refusal_t *refusal)
{
    uint64_t now_ms = clock_boot_ms();
    self->refusals.count++;
    if (self->refusals.logged_ms != 0 && now_ms - self->refusals.logged_ms < LOG_EVERY_MS) {
        return;
    }
    char source[ID_SIZE_MAX * 4];
    char why[WHY_SIZE];
    const char *said = refusal->why == NULL ? error_meaning(refusal->err) : refusal->why;
    log_warning("refused",
                "error=%s source=%s why=%s count=%llu",
                error_text(refusal->err),
                log_escape(header->source, source, sizeof(source)),
                log_escape(view_from_text(said), why, sizeof(why)),
                (unsigned long long) self->refusals.count);
    self->refusals.count = 0;
    self->refusals.logged_ms = now_ms;
}

void
refusal_send(router_t *self, const header_t *header, bool is_ack, const refusal_t *refusal)
{
    self->stats.refused[refusal->err]++;
    log_refused(self, header, refusal);
    answer_to_t to = answer_to_header(header, is_ack);
    answer_error(self->answer, &to, refusal->err, refusal->why, refusal->details);
}

void
refusal_tick(router_t *self)
{
    if (self->refusals.count > 0 && clock_boot_ms() - self->refusals.logged_ms >= LOG_EVERY_MS) {
        log_warning("refused", "more=%llu", (unsigned long long) self->refusals.count);
        self->refusals.count = 0;
        self->refusals.logged_ms = clock_boot_ms();
    }
}
