// store_copy.c - a consistent copy of a store that may be in use, by way of an LMDB read
// transaction.
//
// It takes no lock of ours: LMDB lets any other process read beside the writer. The process that
// has the store open must not call this on it: closing the second environment would drop the locks
// of the first.
#include "store.h"
#include "store_lmdb.h"
#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static bus_err_t
join(char ret_path[PATH_MAX], const char *folder, const char *file)
{
    int size = snprintf(ret_path, PATH_MAX, "%s/%s", folder, file);
    return size > 0 && size < PATH_MAX ? BUS_OK : BUS_IO;
}

// BUS_CONFLICT where something is in it.
static bus_err_t
check_empty(const char *path)
{
    DIR *folder = opendir(path);
    if (folder == NULL) {
        return store_lmdb_err(errno);
    }
    bool is_empty = true;
    for (const struct dirent *entry = readdir(folder); entry != NULL; entry = readdir(folder)) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
            is_empty = false;
        }
    }
    closedir(folder);
    return is_empty ? BUS_OK : BUS_CONFLICT;
}

static void
env_close(MDB_env **env_p)
{
    if (*env_p != NULL) {
        mdb_env_close(*env_p);
        *env_p = NULL;
    }
}

static bus_err_t
copy_env(const char *from, int fd)
{
    BUS_AUTO(env_close) MDB_env *env = NULL;
    int rc = mdb_env_create(&env);
    if (rc == MDB_SUCCESS) {
        rc = mdb_env_open(env, from, MDB_RDONLY | MDB_NOTLS, 0600);
    }
    if (rc == MDB_SUCCESS) {
        rc = mdb_env_copyfd2(env, fd, MDB_CP_COMPACT);
    }
    if (rc == MDB_SUCCESS && fsync(fd) != 0) {
        rc = errno;
    }
    return store_lmdb_err(rc);
}

bus_err_t
store_copy(const char *from, const char *to)
{
    char source[PATH_MAX];
    char target[PATH_MAX];
    bus_err_t err = join(source, from, STORE_LMDB_DATA_FILE);
    if (err == BUS_OK) {
        err = join(target, to, STORE_LMDB_DATA_FILE);
    }
    if (err == BUS_OK && access(source, R_OK) != 0) {
        err = errno == ENOENT ? BUS_NOT_FOUND : BUS_IO;
    }
    if (err == BUS_OK) {
        err = store_lmdb_make_folder(to);
    }
    if (err == BUS_OK) {
        err = check_empty(to);
    }
    if (err != BUS_OK) {
        return err;
    }
    int fd = open(target, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) {
        return store_lmdb_err(errno);
    }
    err = copy_env(from, fd);
    close(fd);
    if (err != BUS_OK) {
        unlink(target); // half a copy must not be taken for one
        return err;
    }
    return store_lmdb_sync_folder(to);
}
