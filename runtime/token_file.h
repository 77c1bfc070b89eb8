// token_file.h - the tokens' file: read whole, written whole or not at all, under a lock.
//
// Mode 0600 always. Writers hold a lock beside it, `<path>.lock`; readers need none, because a file
// is only ever replaced. Blocks for as long as the disk takes.
#pragma once
#include "token.h"
#include <sys/types.h>

// Which file it was that was read. All zero: there was none.
typedef struct {
    uint64_t device, inode, size;
    int64_t changed_ns; // of its inode
    int64_t written_ns; // of its content
} token_file_stamp_t;

// What is there now.
token_file_stamp_t token_file_stamp(const char *path);
bool token_file_is_same(const token_file_stamp_t *a, const token_file_stamp_t *b);

// BUS_NOT_FOUND: there is none; BUS_FORBIDDEN where others than its owner may read or write it;
// BUS_CORRUPT with the line that is no token; BUS_IO. The list is empty then.
BUS_CHECK bus_err_t token_file_read(const char *path, token_list_t *ret_list, size_t *reterr_line);

// Waits until nobody else writes. A descriptor to close when done, or -1 with errno.
BUS_CHECK int token_file_lock(const char *path);
// Puts the list in the file's place, durably. BUS_IO with errno.
BUS_CHECK bus_err_t token_file_write(const char *path, const token_list_t *list);
