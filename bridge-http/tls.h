// tls.h - certificate and key of the bridge, read once at start. libmicrohttpd speaks the protocol.
#pragma once
#include <stddef.h>

typedef struct {
    char *cert; // PEM, with a NUL; NULL: plain HTTP
    char *key;
} bridge_tls_t;

// TLS 1.2 and 1.3 alone.
#define BRIDGE_TLS_PRIORITIES "SECURE128:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2"

// Reads both; with two NULLs there is nothing to read. Returns 0, or EX_CONFIG after having said
// what is wrong: one without the other, a file that is not there, too large or no PEM, a key that
// everybody may read.
int bridge_tls_load(const char *cert_path, const char *key_path, bridge_tls_t *ret_tls);
// The same for who does not serve: says what is wrong, and keeps neither.
int bridge_tls_check(const char *cert_path, const char *key_path);
// Overwrites the key before it is freed.
void bridge_tls_clear(bridge_tls_t *self);
