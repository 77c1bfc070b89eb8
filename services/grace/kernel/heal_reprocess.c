// heal_reprocess.c - the playbook reprocess_low_quality: has the librarian mend what it took in
// with a low quality.
//
// Whether the issue is gone is the librarian's word: something was tried, nothing failed, and what
// was tried is good enough on the average. Where it keeps nothing to be mended, nothing is.
#include "heal_run.h"
#include "watch.h"

#include <assert.h>
#include <stdlib.h>

enum {
    ASK_MS = 60000, // the librarian waits for Core to have each document
    LIMIT = 100     // documents a task: another drift brings another task
};

static void
on_mended(kernel_heal_run_t *run, bus_err_t err, bus_view_t body)
{
    bus_view_t value;
    double quality = 0;
    if (err != BUS_OK) {
        bool is_absent = err == BUS_NO_RESPONDERS;
        kernel_heal_run_fail(
            run, is_absent ? "no librarian is on this bus" : error_meaning(err), error_retry(err));
        return;
    }
    if (walk_find(body, "quality_score", &value) == BUS_OK &&
        walk_as_real(value, &quality) == BUS_OK) {
        kernel_heal_run_real(run, "quality_score", quality);
    }
    bool is_resolved = walk_bool_at(body, "issue_resolved", false);
    bus_view_t reason = walk_text_at(body, "reason");
    if (reason.size > 0) {
        kernel_heal_run_finding(run, "the librarian: %.*s", (int) reason.size, reason.data);
    }
    kernel_heal_run_action(run,
                           "the librarian tried %llu documents: %llu mended, %llu joined into "
                           "others, %llu as they were, %llu failed",
                           (unsigned long long) walk_uint_at(body, "tried", 0),
                           (unsigned long long) walk_uint_at(body, "mended", 0),
                           (unsigned long long) walk_uint_at(body, "joined", 0),
                           (unsigned long long) walk_uint_at(body, "unchanged", 0),
                           (unsigned long long) walk_uint_at(body, "failed", 0));
    kernel_heal_run_end(run, is_resolved ? KERNEL_HEAL_RESOLVED : KERNEL_HEAL_UNRESOLVED);
}

void
kernel_heal_reprocess(kernel_heal_run_t *run)
{
    bus_view_t document = kernel_heal_run_text(run, "document_id");
    pack_clear(run->body);
    pack_map(run->body, document.size > 0 ? 2 : 1);
    pack_pair_uint(run->body, "limit", LIMIT);
    if (document.size > 0) {
        pack_pair_str(run->body, "document_id", document);
    }
    kernel_heal_run_ask(
        run, "req.kernel-librarian.reprocess", pack_view(run->body), ASK_MS, on_mended);
}
