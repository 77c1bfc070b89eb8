// hints.h - what `bhiv up` tells a person to try, once it is ready.
#pragma once
#include "cli.h"
#include "proto/text.h"

typedef struct {
    const char *dir;  // NULL: the default folder, which the tools find by themselves
    const char *host; // that HTTP listens on; NULL: there is no bridge
    unsigned karma_port, bucket_port;
} cli_hints_t;

// Without a token nobody but the owner gets in: adds how one is made, where there is none yet.
void cli_hints_add_token(const cli_dir_t *dir, text_t *text);
// Adds that a system is open which has certificates, as one has that was up with --secure.
void cli_hints_add_open(const cli_dir_t *dir, text_t *text);
// Adds a few lines that work as they are, typed where `bhiv up` was.
void cli_hints_add(const cli_hints_t *self, text_t *text);
