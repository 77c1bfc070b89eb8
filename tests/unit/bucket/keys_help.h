// keys_help.h - keys opened, announced and rotated on a store of their own.
#pragma once
#include "bucket/keys.h"
#include "help.h"

enum { KEYS_LINE_SIZE = 1024 };

// SHA-256 of "hello\n", from coreutils.
#define KEYS_HELLO "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03"
#define KEYS_OWNER "the owner's token of these tests"

// With its keys open; as bhiv_bucket. `destroy` closes them, too.
help_t *keys_new(void);
void keys_destroy(help_t **help_p);
bus_err_t keys_open(help_t *help, bool rebuild);
void keys_save(help_t *help);
// As a stop and a start do.
bus_err_t keys_restart(help_t *help);

// `<folder>/<leaf>`, until the next call.
const char *keys_path(help_t *help, const char *leaf);
uint64_t keys_count_secrets(help_t *help);
note_verifier_t keys_active(help_t *help);
bool keys_is_same(const note_verifier_t *a, const note_verifier_t *b);

// What the tick says; "" where it says nothing.
const char *keys_tick(help_t *help);
// Applies the one fact about keys that was said last.
bus_err_t keys_apply_said(help_t *help);
// The same as keys_new, and the journal knows the key.
help_t *keys_announced(void);
// req.crypto.<operation>.
bus_err_t keys_ask(help_t *help, const char *operation, const char *json);
// Makes KEYS_OWNER the owner's token; rotates with a token.
void keys_add_owner(help_t *help);
bus_err_t keys_rotate(help_t *help, const char *token);
