// tls.c - reading a certificate and its key.
#include "tls.h"
#include "runtime/file.h"
#include <errno.h>
#include <microhttpd.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>

enum { PEM_SIZE_MAX = 1024 * 1024 }; // a chain of certificates has some kilobytes

static int
fail(const char *path, const char *why)
{
    fprintf(stderr, "bhiv bridge: %s: %s\n", path, why);
    return EX_CONFIG;
}

static int
read_pem(const char *path, bool is_key, char **ret_text)
{
    BUS_AUTO(file_clear) file_text_t file = {.text = NULL};
    bus_err_t err = file_read(path, PEM_SIZE_MAX, &file);
    if (err == BUS_INVALID_REQUEST || err == BUS_PAYLOAD_TOO_LARGE) {
        return fail(path, "is no file, or over 1 MiB");
    }
    if (err != BUS_OK) {
        return fail(path, strerror(errno));
    }
    if (is_key && (file.mode & S_IRWXO) != 0) {
        return fail(path, "everybody may read this key: chmod 600 it");
    }
    const char *begin = is_key ? "PRIVATE KEY-----" : "-----BEGIN CERTIFICATE-----";
    if (strstr(file.text, begin) == NULL) {
        return fail(path, is_key ? "is no private key in PEM" : "is no certificate in PEM");
    }
    *ret_text = file.text;
    file.text = NULL;
    return 0;
}

int
bridge_tls_load(const char *cert_path, const char *key_path, bridge_tls_t *ret_tls)
{
    *ret_tls = (bridge_tls_t){.cert = NULL};
    if (cert_path == NULL && key_path == NULL) {
        return 0;
    }
    if (cert_path == NULL || key_path == NULL) {
        fprintf(stderr, "bhiv bridge: --tls-cert and --tls-key go together\n");
        return EX_CONFIG;
    }
    if (MHD_is_feature_supported(MHD_FEATURE_TLS) != MHD_YES) {
        fprintf(stderr, "bhiv bridge: this libmicrohttpd was built without TLS\n");
        return EX_CONFIG;
    }
    int status = read_pem(cert_path, false, &ret_tls->cert);
    return status == 0 ? read_pem(key_path, true, &ret_tls->key) : status;
}

void
bridge_tls_clear(bridge_tls_t *self)
{
    free(self->cert);
    if (self->key != NULL) {
        explicit_bzero(self->key, strlen(self->key));
        free(self->key);
    }
    *self = (bridge_tls_t){.cert = NULL};
}

int
bridge_tls_check(const char *cert_path, const char *key_path)
{
    bridge_tls_t tls;
    int status = bridge_tls_load(cert_path, key_path, &tls);
    bridge_tls_clear(&tls);
    return status;
}
