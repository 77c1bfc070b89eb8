// cert.h - a CURVE certificate: who a peer is on tcp, and whom it takes for the broker.
//
// Files are czmq's (zcert): `<dir>/certs/NAME.cert` is the public half, NAME.cert_secret (0600)
// holds both, and the metadata `name` is the `source` that the broker puts on whatever comes by it.
// The broker's own is `broker`. Any thread; reads files.
#pragma once
#include "proto/auto.h"
#include "proto/error.h"
#include "proto/view.h"
#include <stdbool.h>

enum {
    CERT_NAME_MAX = 64, // ID_SIZE_MAX: it is a source
    CERT_KEY_SIZE = 41, // 32 bytes in Z85, and a NUL
    CERT_PATH_SIZE = 4096,
};

#define CERT_BROKER "broker"  // the name of the broker's own
#define CERT_FOLDER "certs"   // of the system's folder
#define CERT_SUFFIX ".cert"   // of the public half's file
#define CERT_SECRET "_secret" // behind the suffix, of the file with both; czmq's

typedef struct {
    char name[CERT_NAME_MAX + 1];
    char public_key[CERT_KEY_SIZE];
    char secret_key[CERT_KEY_SIZE]; // "": only the public half was there
    char server_key[CERT_KEY_SIZE]; // the broker's public one; "": not asked for
} cert_t;

// Whether it may be a certificate's name: one token of a topic, of at most CERT_NAME_MAX bytes,
// that is not the bus's and no option's.
bool cert_is_name(bus_view_t name);

// Loads a peer's own certificate and the broker's public one beside it. `cert` is a name, of
// <dir>/certs, or a path with a `/` in it, to either half. BUS_NOT_FOUND; BUS_FORBIDDEN where
// others may read the secret; BUS_INVALID_REQUEST for what is no certificate; BUS_IO. *reterr_why
// is a literal.
BUS_CHECK bus_err_t cert_load(const char *dir,
                              const char *cert,
                              cert_t *ret_self,
                              const char **reterr_why);
// Loads one public half from its file. BUS_NOT_FOUND, BUS_INVALID_REQUEST, BUS_IO.
BUS_CHECK bus_err_t cert_load_public(const char *path, cert_t *ret_self);
// Forgets the keys.
void cert_clear(cert_t *self);

// Makes a pair and puts it into `<dir>/certs`, which is made (0700) where it is missing; each half
// appears whole. BUS_CONFLICT where the name has one, BUS_IO with errno.
BUS_CHECK bus_err_t cert_make(const char *dir, const char *name);
// Removes both halves. BUS_NOT_FOUND, BUS_IO with errno.
BUS_CHECK bus_err_t cert_revoke(const char *dir, const char *name);

// Has a socket that is not connected yet speak CURVE as `self`, where `endpoint` is tcp: ipc is
// trusted by its folder. `self` NULL: plain.
void cert_apply(const cert_t *self, void *socket, const char *endpoint);
