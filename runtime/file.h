// file.h - small files: read whole, and replaced whole or not at all.
//
// For settings, tokens, certificates and keys; stores are LMDB's. Any thread; blocks for as long as
// the disk takes.
#pragma once
#include "proto/auto.h"
#include "proto/error.h"
#include "proto/view.h"
#include <stddef.h>
#include <sys/types.h>

typedef struct {
    char *text; // with a NUL behind; owned
    size_t size;
    mode_t mode; // its permissions
} file_text_t;

// Reads a file of at most `size_max` bytes. BUS_NOT_FOUND; BUS_INVALID_REQUEST: a folder, a pipe, a
// device; BUS_PAYLOAD_TOO_LARGE; BUS_IO with errno. *ret_self is to be cleared where it is BUS_OK.
BUS_CHECK bus_err_t file_read(const char *path, size_t size_max, file_text_t *ret_self);
// Overwrites the text before it is freed, since it may be a secret. What is all zero stays so.
void file_clear(file_text_t *self);

// Puts `text` in the file's place, mode 0600, durably: it is there after a power cut. Writes it to
// `<path>.new` first, over what a writer that was killed left there: one writer at a time, who
// sees to that is the caller. BUS_IO with errno.
BUS_CHECK bus_err_t file_replace(const char *path, bus_view_t text);
