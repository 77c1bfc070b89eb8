// tls.c - reading a certificate and its key.
#include "tls.h"
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <microhttpd.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

enum { PEM_SIZE_MAX = 1024 * 1024 }; // a chain of certificates has some kilobytes

static int
fail(const char *path, const char *why)
{
    fprintf(stderr, "bhiv bridge: %s: %s\n", path, why);
    return EX_CONFIG;
}

static int
read_open(int fd, const char *path, bool is_key, char **ret_text)
{
    struct stat status;
    if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode)) {
        return fail(path, "is no file");
    }
    if (is_key && (status.st_mode & S_IRWXO) != 0) {
        return fail(path, "everybody may read this key: chmod 600 it");
    }
    if (status.st_size <= 0 || status.st_size > PEM_SIZE_MAX) {
        return fail(path, "is empty, or over 1 MiB");
    }
    size_t size = (size_t) status.st_size;
    char *text = calloc(1, size + 1);
    assert(text != NULL);
    size_t used = 0;
    ssize_t got = 1;
    while (used < size && got > 0) {
        got = read(fd, text + used, size - used);
        used += got > 0 ? (size_t) got : 0;
    }
    const char *begin = is_key ? "PRIVATE KEY-----" : "-----BEGIN CERTIFICATE-----";
    bool is_pem = used == size && strstr(text, begin) != NULL;
    *ret_text = text;
    return is_pem ? 0
                  : fail(path, is_key ? "is no private key in PEM" : "is no certificate in PEM");
}

static int
read_pem(const char *path, bool is_key, char **ret_text)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        return fail(path, strerror(errno));
    }
    int status = read_open(fd, path, is_key, ret_text);
    close(fd);
    return status;
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
