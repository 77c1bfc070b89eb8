// stress_place.h - where a drill's private instance lives: free ports, and a folder of its own.
#pragma once
#include "cli.h"

// A base N with N to N+3, N+50, N+51 and N+80 free on loopback a moment ago; 0 where none was
// found.
unsigned cli_stress_place_ports(void);
// Makes a fresh folder, below TMPDIR where that leaves room for its sockets' paths, else /var/tmp,
// and locks it: *ret_lock, for the caller to close, shows that somebody lives in it. First removes
// what drills that were killed left there. cli_scratch_remove takes it away. Returns 0, or says why
// not and returns the exit status.
BUS_CHECK int cli_stress_place_make(char ret_path[CLI_PATH_SIZE], int *ret_lock);
