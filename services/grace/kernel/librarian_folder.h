// librarian_folder.h - documents that lie in a folder: <dir>/documents.
#pragma once
#include "librarian_batch.h"

enum {
    KERNEL_LIBRARIAN_FILES_MAX = 1000, // looked at in one go, by name: the next goes on behind them
};

// Takes in each file of <dir>/documents, by name: regular ones, UTF-8, of at most 768 KiB. What is
// known is a duplicate and costs a look. The result: {status, folder, documents_seen, taken_in,
// duplicates, rejected, failed, chunks_created, quality_score?, trust_score?, duration_seconds,
// documents: the first 50}. Reading blocks as long as the disk takes for one file. BUS_BUSY.
BUS_CHECK bus_err_t kernel_librarian_folder_start(kernel_librarian_t *self,
                                                  const char *dir,
                                                  bus_view_t trace_id,
                                                  kernel_librarian_done_fn *fn,
                                                  void *arg);
