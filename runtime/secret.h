// secret.h - a process that holds secrets leaves none behind: no core dump, and no other process
// of the same user looks into its memory or its environment.
//
// Core dumps end up in folders and services that nobody thinks of as places of keys. Any thread;
// before others are started.
#pragma once
#include "proto/auto.h"
#include <stdbool.h>

// Whether a secret is among our settings: a variable BHIV_… that is not empty and whose name ends
// in _KEY, _PASSPHRASE, _PASSWORD, _SECRET or _TOKEN.
bool secret_is_in_environment(void);

// From now on this process dumps no core, wherever the system would put it, and its memory is
// closed to other processes without CAP_SYS_PTRACE: their debuggers, and /proc/<pid>/environ, mem,
// fd and io. What it executes is on its own: the limit stays with it, the rest does not.
void secret_guard(void);
