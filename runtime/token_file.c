// token_file.c - reading and replacing the tokens' file.
#include "token_file.h"

#include "file.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
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

bus_err_t
token_file_read(const char *path, token_list_t *ret_list, size_t *reterr_line)
{
    BUS_AUTO(file_clear) file_text_t file = {.text = NULL};
    ret_list->count = 0;
    *reterr_line = 0;
    bus_err_t err = file_read(path, FILE_SIZE_MAX, &file);
    if (err != BUS_OK) {
        return err == BUS_NOT_FOUND ? BUS_NOT_FOUND : BUS_IO;
    }
    if ((file.mode & (S_IRWXG | S_IRWXO)) != 0) {
        return BUS_FORBIDDEN;
    }
    return token_parse(view_from(file.text, file.size), ret_list, reterr_line);
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

bus_err_t
token_file_write(const char *path, const token_list_t *list)
{
    BUS_AUTO(text_destroy) text_t *text = text_new();
    token_format(list, text);
    return file_replace(path, text_view(text));
}
