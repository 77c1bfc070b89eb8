// keyring.h - the certificates that may come in, as a folder for zauth to read.
//
// zauth takes whatever lies in its folder, and ends the process where two files hold one key: a
// copy that somebody keeps beside the original is enough. So it is not shown the folder that people
// work in, but this one, of what was checked. Owner: the main thread.
#pragma once
#include "proto/auto.h"
#include "proto/error.h"
#include "runtime/cert.h"
#include <stddef.h>
#include <stdint.h>

typedef struct {
    char name[CERT_NAME_MAX + 1];
    char key[CERT_KEY_SIZE]; // the public one
} keyring_key_t;

typedef struct keyring keyring_t;

// Makes the folder (0700), or empties the one that is there. NULL with errno.
keyring_t *keyring_new(const char *folder);
// The folder goes, too.
void keyring_destroy(keyring_t **self_p);

// Has the folder hold exactly these, sorted by name, each name and key once. Writes what is new and
// removes what is gone, and never holds a key twice. BUS_IO with errno: some of the new ones are
// missing, until a later call.
BUS_CHECK bus_err_t keyring_set(keyring_t *self, const keyring_key_t *keys, size_t count);
