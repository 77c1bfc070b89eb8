// store_remove.c - a store that is not needed any more goes, unless somebody has it open.
#include "store.h"
#include "store_lmdb.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/file.h>
#include <unistd.h>

static bus_err_t
remove_file(const char *folder, const char *file)
{
    char path[PATH_MAX];
    if ((size_t) snprintf(path, sizeof(path), "%s/%s", folder, file) >= sizeof(path)) {
        return BUS_IO;
    }
    return unlink(path) == 0 || errno == ENOENT ? BUS_OK : store_lmdb_err(errno);
}

// Under the store's lock, which goes last: whoever comes meanwhile is refused.
static bus_err_t
remove_files(const char *path)
{
    static const char *const files[] = {
        STORE_LMDB_DATA_FILE, STORE_LMDB_INDEX_FILE, STORE_LMDB_LOCK_FILE};
    bus_err_t err = BUS_OK;
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]) && err == BUS_OK; i++) {
        err = remove_file(path, files[i]);
    }
    if (err == BUS_OK && rmdir(path) != 0) {
        err = errno == ENOENT ? BUS_NOT_FOUND : store_lmdb_err(errno);
    }
    return err;
}

bus_err_t
store_remove(const char *path)
{
    char file[PATH_MAX];
    if ((size_t) snprintf(file, sizeof(file), "%s/" STORE_LMDB_LOCK_FILE, path) >= sizeof(file)) {
        return BUS_IO;
    }
    int fd = open(file, O_RDWR | O_CLOEXEC);
    if (fd < 0 && errno != ENOENT) {
        return store_lmdb_err(errno);
    }
    bus_err_t err = BUS_OK;
    if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) != 0) {
        err = store_lmdb_err(errno); // EWOULDBLOCK: BUS_CONFLICT
    }
    if (err == BUS_OK) {
        err = remove_files(path);
    }
    if (fd >= 0) {
        close(fd);
    }
    return err;
}
