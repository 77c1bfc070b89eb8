// keyring.c - see keyring.h.
#include "keyring.h"
#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    TEXT_SIZE = 256, // of a file: two names and a key
    PATH_SIZE = CERT_PATH_SIZE + CERT_NAME_MAX + sizeof(CERT_SUFFIX)
};

struct keyring {
    char folder[CERT_PATH_SIZE];
    keyring_key_t *keys; // what the folder holds, sorted by name; owned
    size_t count;
};

static void
path_of(const keyring_t *self, const char *name, char ret_path[PATH_SIZE])
{
    (void) snprintf(ret_path, PATH_SIZE, "%s/%s" CERT_SUFFIX, self->folder, name);
}

static bool
write_key(const keyring_t *self, const keyring_key_t *key)
{
    char path[PATH_SIZE];
    char text[TEXT_SIZE];
    path_of(self, key->name, path);
    int size = snprintf(text,
                        sizeof(text),
                        "metadata\n    name = \"%s\"\ncurve\n    public-key = \"%s\"\n",
                        key->name,
                        key->key);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    bool is_written = fd >= 0 && write(fd, text, (size_t) size) == size;
    int why = is_written || fd < 0 ? errno : ENOSPC;
    if (fd >= 0) {
        (void) close(fd);
    }
    if (!is_written) {
        (void) unlink(path);
        errno = why;
    }
    return is_written;
}

static int
by_name(const void *a, const void *b)
{
    const keyring_key_t *left = a;
    const keyring_key_t *right = b;
    return strcmp(left->name, right->name);
}

static bool
holds(const keyring_key_t *keys, size_t count, const keyring_key_t *wanted)
{
    const keyring_key_t *found =
        count == 0 ? NULL : bsearch(wanted, keys, count, sizeof(*keys), by_name);
    return found != NULL && strcmp(found->key, wanted->key) == 0;
}

bus_err_t
keyring_set(keyring_t *self, const keyring_key_t *keys, size_t count)
{
    keyring_key_t *kept = calloc(count + 1, sizeof(*kept));
    assert(kept != NULL);
    char path[PATH_SIZE];
    // First what goes: a key may have another name from now on.
    for (size_t i = 0; i < self->count; i++) {
        path_of(self, self->keys[i].name, path);
        if (!holds(keys, count, &self->keys[i])) {
            (void) unlink(path);
        }
    }
    bus_err_t err = BUS_OK;
    int why = 0;
    size_t kept_count = 0;
    for (size_t i = 0; i < count; i++) {
        if (holds(self->keys, self->count, &keys[i]) || write_key(self, &keys[i])) {
            kept[kept_count++] = keys[i];
        } else {
            err = BUS_IO;
            why = errno;
        }
    }
    free(self->keys);
    self->keys = kept;
    self->count = kept_count;
    errno = why;
    return err;
}

// What a broker that was killed left there.
static bool
empty_folder(const char *folder)
{
    DIR *files = opendir(folder);
    if (files == NULL) {
        return false;
    }
    bool is_empty = true;
    for (const struct dirent *file = readdir(files); file != NULL; file = readdir(files)) {
        if (strcmp(file->d_name, ".") != 0 && strcmp(file->d_name, "..") != 0) {
            is_empty = unlinkat(dirfd(files), file->d_name, 0) == 0 && is_empty;
        }
    }
    int why = errno;
    closedir(files);
    errno = why;
    return is_empty;
}

keyring_t *
keyring_new(const char *folder)
{
    keyring_t *self = calloc(1, sizeof(*self));
    assert(self != NULL);
    int size = snprintf(self->folder, sizeof(self->folder), "%s", folder);
    bool is_made = (size_t) size < sizeof(self->folder) &&
                   (mkdir(folder, 0700) == 0 || errno == EEXIST) && empty_folder(folder);
    if (!is_made) {
        int why = errno;
        free(self);
        errno = why;
        return NULL;
    }
    return self;
}

void
keyring_destroy(keyring_t **self_p)
{
    keyring_t *self = *self_p;
    if (self == NULL) {
        return;
    }
    (void) empty_folder(self->folder);
    (void) rmdir(self->folder);
    free(self->keys);
    free(self);
    *self_p = NULL;
}
