// secure.h - what a system behind certificates and tokens needs once: made here, kept after that.
#pragma once
#include "cli.h"

// Writes <dir>/owner.token (0600), whole or not at all, unless it is there. Returns 0, or says what
// is wrong and returns the exit status.
BUS_CHECK int cli_secure_owner_token(const cli_dir_t *dir);

// Makes the certificates of all names that the built-in rules name, and of the broker. The broker's
// is the last: once it is there nothing is made, so that a name that was revoked stays revoked.
// *ret_made: whether any was. Returns 0, or says what is wrong and returns the exit status.
BUS_CHECK int cli_secure_certificates(const cli_dir_t *dir, bool *ret_made);

// Gives each part its own: into every folder `parts`/NAME that is there go NAME's certificate, the
// broker's public half, and to the two that speak for the owner owner.token; `parts`/broker, as a
// broker's folder, gets everybody's public half, its own secret and access.zpl. Each file appears
// whole; what was revoked is taken away. Returns 0, or says what is wrong and returns the exit
// status.
BUS_CHECK int cli_secure_hand_out(const cli_dir_t *dir, const char *parts);
