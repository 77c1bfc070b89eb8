// audit_verify.h - what verifying a log that runs and one that is stopped have in common. Main
// thread.
#pragma once
#include "audit.h"

typedef struct {
    cli_audit_place_t asked; // first: CLI_AUDIT_PLACE_ROWS
    const char *key;
    const char *since;
    const char *format;
    bool offline;
} cli_audit_verify_flags_t;

typedef struct {
    const cli_audit_verify_flags_t *flags;
    cli_audit_keys_t keys;
    cli_audit_since_t since;
    cli_audit_report_t report;
    merkle_tree_t tree; // of the leaf hashes so far
} cli_audit_verify_t;

// Of a stopped system: reads Bucket's store in `dir` itself. Returns the exit status.
BUS_CHECK int cli_audit_verify_store(cli_audit_verify_t *self, const char *dir);
