// cert.c - czmq's certificates, with what it leaves open: who may read a secret, that a file
// appears whole, and that a name is one.
#include "cert.h"
#include "file.h"
#include "proto/limits.h"
#include "proto/topic.h"
#include <assert.h>
#include <czmq.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILE_SIZE_MAX = 8192 }; // czmq's have some 500 bytes

static const char no_key[] = "0000000000000000000000000000000000000000"; // czmq's for "none"

bool
cert_is_name(bus_view_t name)
{
    return name.size > 0 && name.size <= CERT_NAME_MAX && topic_is_legal(name, NULL) &&
           memchr(name.data, '.', name.size) == NULL && name.data[0] != '$' &&
           name.data[0] != '_' && name.data[0] != '-'; // which begins an option
}

static bool
is_key(const char *key)
{
    uint8_t bytes[32];
    return key != NULL && strlen(key) == CERT_KEY_SIZE - 1 && strcmp(key, no_key) != 0 &&
           zmq_z85_decode(bytes, key) != NULL;
}

// Copies what is read of a certificate. False where it is none.
static bool
take(zcert_t *cert, bool has_secret, cert_t *ret_self)
{
    const char *name = zcert_meta(cert, "name");
    const char *public_key = zcert_public_txt(cert);
    const char *secret_key = zcert_secret_txt(cert);
    *ret_self = (cert_t){.name = ""};
    if (name == NULL || !cert_is_name(view_from_text(name)) || !is_key(public_key) ||
        (has_secret && !is_key(secret_key))) {
        return false;
    }
    memcpy(ret_self->name, name, strlen(name) + 1);
    memcpy(ret_self->public_key, public_key, CERT_KEY_SIZE);
    if (has_secret) {
        memcpy(ret_self->secret_key, secret_key, CERT_KEY_SIZE);
    }
    return true;
}

// Whether czmq wrote it, or could have: comments, sections, and behind four blanks `key = "value"`.
// Of another line it would print all, and that may be half a secret.
static bool
is_line(bus_view_t line)
{
    static const char head[] = "    ";
    static const char middle[] = " = \"";
    for (size_t i = 0; i < line.size; i++) {
        if (line.data[i] < ' ' || line.data[i] > '~') {
            return false;
        }
    }
    if (line.size == 0 || line.data[0] == '#' || view_is(line, "metadata") ||
        view_is(line, "curve")) {
        return true;
    }
    const char *value = memmem(line.data, line.size, middle, sizeof(middle) - 1);
    const char *end = line.data + line.size - 1;
    bool has_value = value != NULL && value > line.data + sizeof(head) - 1 &&
                     value + sizeof(middle) - 1 <= end && *end == '"';
    return has_value && view_starts(line, VIEW_LITERAL(head)) && line.data[4] > ' ' &&
           memchr(value + sizeof(middle) - 1, '"', (size_t) (end - value) - sizeof(middle) + 1) ==
               NULL;
}

static bool
is_text(bus_view_t rest)
{
    while (rest.size > 0) {
        const char *stop = memchr(rest.data, '\n', rest.size);
        size_t size = stop == NULL ? rest.size : (size_t) (stop - rest.data);
        if (!is_line(view_from(rest.data, size))) {
            return false;
        }
        size += stop == NULL ? 0 : 1;
        rest = view_from(rest.data + size, rest.size - size);
    }
    return true;
}

// Loads one file, without what czmq looks for beside it.
static bus_err_t
load_file(const char *path, bool has_secret, cert_t *ret_self)
{
    BUS_AUTO(file_clear) file_text_t file = {.text = NULL};
    bus_err_t err = file_read(path, FILE_SIZE_MAX, &file);
    if (err == BUS_NOT_FOUND || err == BUS_IO) {
        return err;
    }
    if (err != BUS_OK || !is_text(view_from(file.text, file.size))) {
        return BUS_INVALID_REQUEST;
    }
    // czmq takes `<path>_secret` where that is there, and `path` where not.
    zcert_t *cert = zcert_load(path);
    if (cert == NULL) {
        return BUS_INVALID_REQUEST;
    }
    bool is_good = take(cert, has_secret, ret_self);
    zcert_destroy(&cert);
    return is_good ? BUS_OK : BUS_INVALID_REQUEST;
}

bus_err_t
cert_load_public(const char *path, cert_t *ret_self)
{
    return load_file(path, false, ret_self);
}

void
cert_clear(cert_t *self)
{
    explicit_bzero(self, sizeof(*self));
}

// The path of the public half, without its suffix taken away again, and of the folder.
static bool
find_files(const char *dir, const char *cert, char ret_path[CERT_PATH_SIZE], char *ret_broker)
{
    if (strchr(cert, '/') == NULL) {
        return snprintf(ret_path, CERT_PATH_SIZE, "%s/" CERT_FOLDER "/%s" CERT_SUFFIX, dir, cert) <
                   CERT_PATH_SIZE &&
               snprintf(
                   ret_broker, CERT_PATH_SIZE, "%s/" CERT_FOLDER "/" CERT_BROKER CERT_SUFFIX, dir) <
                   CERT_PATH_SIZE;
    }
    size_t size = strlen(cert);
    const size_t suffix = sizeof(CERT_SECRET) - 1;
    if (size > suffix && strcmp(cert + size - suffix, CERT_SECRET) == 0) {
        size -= suffix;
    }
    int folder = (int) (strrchr(cert, '/') - cert);
    return snprintf(ret_path, CERT_PATH_SIZE, "%.*s", (int) size, cert) < CERT_PATH_SIZE &&
           snprintf(ret_broker, CERT_PATH_SIZE, "%.*s/" CERT_BROKER CERT_SUFFIX, folder, cert) <
               CERT_PATH_SIZE;
}

// Whether the secret is there for us alone.
static bus_err_t
check_secret(const char *path, const char **reterr_why)
{
    char secret[CERT_PATH_SIZE + sizeof(CERT_SECRET)];
    struct stat file;
    (void) snprintf(secret, sizeof(secret), "%s" CERT_SECRET, path);
    if (stat(secret, &file) != 0) {
        *reterr_why = "no such certificate: its .cert_secret is missing";
        return BUS_NOT_FOUND;
    }
    if ((file.st_mode & (S_IRWXG | S_IRWXO)) != 0) {
        *reterr_why = "others may read the .cert_secret: chmod 600 it";
        return BUS_FORBIDDEN;
    }
    return BUS_OK;
}

bus_err_t
cert_load(const char *dir, const char *cert, cert_t *ret_self, const char **reterr_why)
{
    char path[CERT_PATH_SIZE];
    char broker[CERT_PATH_SIZE];
    *ret_self = (cert_t){.name = ""};
    if (!find_files(dir, cert, path, broker)) {
        *reterr_why = "its path is too long";
        return BUS_INVALID_REQUEST;
    }
    cert_t server;
    bus_err_t err = cert_load_public(broker, &server);
    if (err != BUS_OK) {
        *reterr_why = "the broker.cert beside it is no certificate, or cannot be read";
        if (err == BUS_NOT_FOUND) {
            *reterr_why = "no broker.cert, the broker's public half, beside it";
        }
        return err;
    }
    err = check_secret(path, reterr_why);
    if (err == BUS_OK) {
        char secret[CERT_PATH_SIZE + sizeof(CERT_SECRET)];
        (void) snprintf(secret, sizeof(secret), "%s" CERT_SECRET, path);
        *reterr_why = "it is no certificate with a name and both keys";
        err = load_file(secret, true, ret_self);
    }
    memcpy(ret_self->server_key, server.public_key, CERT_KEY_SIZE);
    return err;
}

// --- Making ------------------------------------------------------------------------------------

typedef struct {
    char folder[CERT_PATH_SIZE];
    char public_path[CERT_PATH_SIZE + 128];
    char secret_path[CERT_PATH_SIZE + 160];
} places_t;

static void
find_places(const char *dir, const char *name, places_t *ret_places)
{
    (void) snprintf(ret_places->folder, sizeof(ret_places->folder), "%s/" CERT_FOLDER, dir);
    (void) snprintf(ret_places->public_path,
                    sizeof(ret_places->public_path),
                    "%s/%s" CERT_SUFFIX,
                    ret_places->folder,
                    name);
    (void) snprintf(ret_places->secret_path,
                    sizeof(ret_places->secret_path),
                    "%s" CERT_SECRET,
                    ret_places->public_path);
}

// Writes both halves into a folder of the folder, where no broker looks, and moves them out: the
// secret first, so that a name that is known has both. Not beside it: it may be a mount of its own.
static bus_err_t
save(zcert_t *cert, const char *dir, const places_t *places)
{
    char aside[CERT_PATH_SIZE];
    char path[CERT_PATH_SIZE + 32];
    char secret[CERT_PATH_SIZE + 64];
    if (snprintf(aside, sizeof(aside), "%s/" CERT_FOLDER "/.new.XXXXXX", dir) >=
            (int) sizeof(aside) ||
        mkdtemp(aside) == NULL) {
        return BUS_IO;
    }
    (void) snprintf(path, sizeof(path), "%s/new" CERT_SUFFIX, aside);
    (void) snprintf(secret, sizeof(secret), "%s" CERT_SECRET, path);
    bool is_done = zcert_save(cert, path) == 0 && chmod(secret, 0600) == 0 &&
                   rename(secret, places->secret_path) == 0 &&
                   rename(path, places->public_path) == 0;
    int why = errno;
    (void) unlink(path);
    (void) unlink(secret);
    (void) rmdir(aside);
    errno = why;
    return is_done ? BUS_OK : BUS_IO;
}

bus_err_t
cert_make(const char *dir, const char *name)
{
    assert(cert_is_name(view_from_text(name)));
    places_t places = {.folder = ""};
    find_places(dir, name, &places);
    if (mkdir(places.folder, 0700) != 0 && errno != EEXIST) {
        return BUS_IO;
    }
    if (access(places.public_path, F_OK) == 0 || access(places.secret_path, F_OK) == 0) {
        return BUS_CONFLICT;
    }
    zcert_t *cert = zcert_new();
    assert(cert != NULL);
    zcert_set_meta(cert, "name", "%s", name);
    bus_err_t err = save(cert, dir, &places);
    zcert_destroy(&cert);
    return err;
}

bus_err_t
cert_revoke(const char *dir, const char *name)
{
    places_t places = {.folder = ""};
    find_places(dir, name, &places);
    bool was_there = access(places.public_path, F_OK) == 0;
    if ((unlink(places.public_path) != 0 && errno != ENOENT) ||
        (unlink(places.secret_path) != 0 && errno != ENOENT)) {
        return BUS_IO;
    }
    return was_there ? BUS_OK : BUS_NOT_FOUND;
}

// --- Speaking ----------------------------------------------------------------------------------

void
cert_apply(const cert_t *self, void *socket, const char *endpoint)
{
    if (self == NULL || strncmp(endpoint, "tcp://", 6) != 0) {
        return;
    }
    int rc = zmq_setsockopt(socket, ZMQ_CURVE_SERVERKEY, self->server_key, CERT_KEY_SIZE);
    assert(rc == 0);
    rc = zmq_setsockopt(socket, ZMQ_CURVE_PUBLICKEY, self->public_key, CERT_KEY_SIZE);
    assert(rc == 0);
    rc = zmq_setsockopt(socket, ZMQ_CURVE_SECRETKEY, self->secret_key, CERT_KEY_SIZE);
    assert(rc == 0);
}
