// hints.h - what `bhiv up` tells a person to try, once it is ready.
#pragma once
#include "cli.h"
#include "proto/text.h"

typedef struct {
    const char *dir;  // NULL: the default folder, which the tools find by themselves
    const char *host; // that HTTP listens on; NULL: there is no bridge
    unsigned karma_port, bucket_port;
} cli_hints_t;

// Adds a few lines that work as they are, typed where `bhiv up` was.
void cli_hints_add(const cli_hints_t *self, text_t *text);
