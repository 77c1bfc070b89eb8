// file.c - see file.h.
#include "file.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATH_SIZE = 4096 };

// --- Reading -------------------------------------------------------------------------------------

static bus_err_t
read_open(int fd, size_t size_max, file_text_t *ret_self)
{
    struct stat status;
    if (fstat(fd, &status) != 0) {
        return BUS_IO;
    }
    if (!S_ISREG(status.st_mode)) {
        return BUS_INVALID_REQUEST;
    }
    if ((uint64_t) status.st_size > size_max) {
        return BUS_PAYLOAD_TOO_LARGE;
    }
    file_text_t self = {.size = (size_t) status.st_size, .mode = status.st_mode & 07777};
    self.text = calloc(1, self.size + 1);
    assert(self.text != NULL);
    size_t used = 0;
    while (used < self.size) {
        ssize_t got = read(fd, self.text + used, self.size - used);
        if (got == 0 || (got < 0 && errno != EINTR)) {
            int why = got == 0 ? EIO : errno; // it became shorter meanwhile
            file_clear(&self);
            errno = why;
            return BUS_IO;
        }
        used += got > 0 ? (size_t) got : 0;
    }
    *ret_self = self;
    return BUS_OK;
}

bus_err_t
file_read(const char *path, size_t size_max, file_text_t *ret_self)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); // a pipe has nothing to wait for
    if (fd < 0) {
        return errno == ENOENT ? BUS_NOT_FOUND : BUS_IO;
    }
    bus_err_t err = read_open(fd, size_max, ret_self);
    int why = errno;
    close(fd);
    errno = why;
    return err;
}

void
file_clear(file_text_t *self)
{
    if (self->text != NULL) {
        explicit_bzero(self->text, self->size);
        free(self->text);
    }
    *self = (file_text_t){.text = NULL};
}

// --- Replacing -----------------------------------------------------------------------------------

static bool
write_all(int fd, bus_view_t text)
{
    while (text.size > 0) {
        ssize_t wrote = write(fd, text.data, text.size);
        if (wrote < 0 && errno != EINTR) {
            return false;
        }
        size_t part = wrote > 0 ? (size_t) wrote : 0;
        text = view_from(text.data + part, text.size - part);
    }
    return fsync(fd) == 0;
}

static bool
write_new(const char *path, bus_view_t text)
{
    (void) unlink(path);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) {
        return false;
    }
    bool is_written = write_all(fd, text);
    int why = errno;
    close(fd);
    errno = why;
    return is_written;
}

// So that the new name is there after a power cut, too.
static bool
sync_folder(const char *path)
{
    char copy[PATH_SIZE];
    (void) snprintf(copy, sizeof copy, "%s", path);
    int fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool is_synced = fd >= 0 && fsync(fd) == 0;
    int why = errno;
    if (fd >= 0) {
        close(fd);
    }
    errno = why;
    return is_synced;
}

bus_err_t
file_replace(const char *path, bus_view_t text)
{
    char fresh[PATH_SIZE];
    if (snprintf(fresh, sizeof fresh, "%s.new", path) >= (int) sizeof fresh) {
        errno = ENAMETOOLONG;
        return BUS_IO;
    }
    if (!write_new(fresh, text) || rename(fresh, path) != 0) {
        int why = errno;
        (void) unlink(fresh);
        errno = why;
        return BUS_IO;
    }
    return sync_folder(path) ? BUS_OK : BUS_IO;
}
