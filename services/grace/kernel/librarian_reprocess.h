// librarian_reprocess.h - documents of low quality, mended.
#pragma once
#include "librarian_batch.h"

typedef struct {
    bus_view_t document_id; // this one alone; absent: all that were not tried before
    size_t limit;           // most documents
    bus_view_t trace_id;
} kernel_librarian_reprocess_t;

// Short documents of one title and source are joined, in the order in which they came; the others
// are mended each for itself, and long ones split into sections. What is better for it takes the
// place of what Core has; what is not stays as it is, and is not tried again. The result: {status,
// issue_resolved, tried, mended, joined, unchanged, failed, quality_before?, quality_score?,
// duration_seconds, reason?, documents: the first 50}. The issue is resolved where something was
// tried, nothing failed, and its average quality is 0.7 at least. BUS_BUSY, BUS_IO.
BUS_CHECK bus_err_t kernel_librarian_reprocess_start(kernel_librarian_t *self,
                                                     const kernel_librarian_reprocess_t *asked,
                                                     kernel_librarian_done_fn *fn,
                                                     void *arg);
