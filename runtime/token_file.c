// token_file.c - reading and replacing the tokens' file.
#include "token_file.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATH_SIZE = 4096, FILE_SIZE_MAX = TOKEN_COUNT_MAX * TOKEN_LINE_SIZE_MAX };

static int64_t
nanoseconds(struct timespec time)
{
    return (int64_t) time.tv_sec * 1000000000 + time.tv_nsec;
}

token_file_stamp_t
token_file_stamp(const char *path)
{
    struct stat status;
    if (stat(path, &status) != 0) {
        return (token_file_stamp_t){0};
    }
    return (token_file_stamp_t){.device = (uint64_t) status.st_dev,
                                .inode = (uint64_t) status.st_ino,
                                .size = (uint64_t) status.st_size,
                                .changed_ns = nanoseconds(status.st_ctim),
                                .written_ns = nanoseconds(status.st_mtim)};
}

bool
token_file_is_same(const token_file_stamp_t *a, const token_file_stamp_t *b)
{
    return a->device == b->device && a->inode == b->inode && a->size == b->size &&
           a->changed_ns == b->changed_ns && a->written_ns == b->written_ns;
}

static bus_err_t
read_all(int fd, token_list_t *list, size_t *reterr_line)
{
    struct stat status;
    if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode) || status.st_size > FILE_SIZE_MAX) {
        return BUS_IO;
    }
    if ((status.st_mode & (S_IRWXG | S_IRWXO)) != 0) {
        return BUS_FORBIDDEN;
    }
    size_t size = (size_t) status.st_size;
    size_t used = 0;
    char *text = malloc(size + 1);
    assert(text != NULL);
    ssize_t got = 1;
    while (used < size && got > 0) {
        got = read(fd, text + used, size - used);
        used += got > 0 ? (size_t) got : 0;
        got = got < 0 && errno == EINTR ? 1 : got; // once more
    }
    bus_err_t err = used == size ? token_parse(view_from(text, used), list, reterr_line) : BUS_IO;
    free(text);
    return err;
}

bus_err_t
token_file_read(const char *path, token_list_t *ret_list, size_t *reterr_line)
{
    ret_list->count = 0;
    *reterr_line = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        return errno == ENOENT ? BUS_NOT_FOUND : BUS_IO;
    }
    bus_err_t err = read_all(fd, ret_list, reterr_line);
    close(fd);
    return err;
}

int
token_file_lock(const char *path)
{
    char lock[PATH_SIZE];
    if (snprintf(lock, sizeof lock, "%s.lock", path) >= (int) sizeof lock) {
        errno = ENAMETOOLONG;
        return -1;
    }
    int fd = open(lock, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    int status = -1;
    do {
        status = fd < 0 ? -1 : flock(fd, LOCK_EX);
    } while (fd >= 0 && status != 0 && errno == EINTR);
    if (fd >= 0 && status != 0) {
        close(fd);
        fd = -1;
    }
    return fd;
}

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

// So that the new name is there after a power cut, too.
static bool
sync_folder(const char *path)
{
    char copy[PATH_SIZE];
    (void) snprintf(copy, sizeof copy, "%s", path);
    int fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool synced = fd >= 0 && fsync(fd) == 0;
    if (fd >= 0) {
        close(fd);
    }
    return synced;
}

bus_err_t
token_file_write(const char *path, const token_list_t *list)
{
    char fresh[PATH_SIZE];
    if (snprintf(fresh, sizeof fresh, "%s.new", path) >= (int) sizeof fresh) {
        errno = ENAMETOOLONG;
        return BUS_IO;
    }
    BUS_AUTO(text_destroy) text_t *text = text_new();
    token_format(list, text);
    (void) unlink(fresh); // of a writer that was killed; the lock is ours
    int fd = open(fresh, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    bool written = fd >= 0 && write_all(fd, text_view(text));
    int why = errno;
    if (fd >= 0) {
        close(fd);
    }
    if (!written) {
        errno = why;
        return BUS_IO;
    }
    return rename(fresh, path) == 0 && sync_folder(path) ? BUS_OK : BUS_IO;
}
