// trace_show.c - GET /trace/{trace_id}: the whole story of one trace.
#include "answer.h"
#include "handler.h"
#include "journal.h"
#include "params.h"
#include "shapes.h"
#include "trace_gather.h"
#include "trace_recent.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    SHOWS_MAX = 32, // at once: each has a timer and asks five questions
    BUSY_RETRY_S = 1,
};

typedef struct {
    bridge_request_t *request;
    bridge_journal_job_t job; // one page at a time
    bridge_trace_gather_t *gather;
    pack_t *requests;
} show_t;

static void
free_show(void *arg)
{
    show_t *self = arg;
    self->request->bridge->traces_shown--;
    bridge_trace_gather_destroy(&self->gather);
    pack_destroy(&self->requests);
    free(self);
}

static bus_err_t
read_page(void *arg, const bridge_trace_page_t *page, client_page_fn *fn, void *fn_arg)
{
    show_t *self = arg;
    (void) snprintf(self->job.trace_id, sizeof(self->job.trace_id), "%s", page->trace_id);
    self->job.from = page->from;
    self->job.max = page->max;
    self->job.fn = fn;
    self->job.arg = fn_arg;
    return bridge_journal_read(self->request->bridge->journal, &self->job);
}

static void
cancel_page(void *arg)
{
    show_t *self = arg;
    bridge_journal_cancel(self->request->bridge->journal, &self->job);
}

static void
on_tree(void *arg, bus_view_t tree, uint32_t count)
{
    show_t *self = arg;
    if (tree.data == NULL) {
        bridge_answer_refuse(self->request, BUS_SERVICE_UNAVAILABLE, "the bridge is stopping");
        return;
    }
    if (count > 0) {
        bridge_answer(self->request, MHD_HTTP_OK, tree);
        return;
    }
    bridge_answer_error(
        self->request,
        &(bridge_error_t){.err = BUS_NOT_FOUND,
                          .message = VIEW_LITERAL("nobody who answered knows of this trace; "
                                                  "details say who did, and where the journal "
                                                  "begins"),
                          .details = tree});
}

void
bridge_trace_show_tree(bridge_request_t *self)
{
    BUS_AUTO(pack_destroy) pack_t *params = pack_new();
    bridge_shape_trace_path_t asked;
    if (!bridge_params_read(self, params, &asked)) {
        return;
    }
    if (!bridge_is_connected(self->bridge)) {
        bridge_answer_refuse(self, BUS_SERVICE_UNAVAILABLE, "the broker is not there");
        return;
    }
    if (self->bridge->traces_shown == SHOWS_MAX) {
        bridge_answer_error(self,
                            &(bridge_error_t){.err = BUS_BUSY, .retry_after_s = BUSY_RETRY_S});
        return;
    }
    show_t *show = calloc(1, sizeof(*show));
    assert(show != NULL);
    char trace_id[BRIDGE_TRACE_TEXT_SIZE];
    (void) snprintf(
        trace_id, sizeof(trace_id), "%.*s", (int) asked.trace_id.size, asked.trace_id.data);
    show->request = self;
    show->requests = pack_new();
    bridge_trace_recent_pack(self->bridge->recent, asked.trace_id, &self->identity, show->requests);
    self->bridge->traces_shown++;
    self->state_data = show;
    self->state_free = free_show;
    show->gather = bridge_trace_gather_new(
        &(bridge_trace_gather_options_t){.loop = self->bridge->loop,
                                         .client = self->bridge->client,
                                         .trace_id = trace_id,
                                         .read = read_page,
                                         .cancel = cancel_page,
                                         .read_arg = show,
                                         .identity = &self->identity,
                                         .requests = pack_view(show->requests),
                                         .done = on_tree,
                                         .arg = show});
    bridge_trace_gather_start(show->gather);
}
