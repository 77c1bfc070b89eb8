// fault_shim.c - a disk that fails on demand: preloaded into a process under test.
//
//   FAULT_PAGE=<file of fault_page_t>  FAULT_DIR=<folder, absolute>  LD_PRELOAD=libfault_shim.so
//
// Writes and flushes of regular files below FAULT_DIR are counted, and fail, are torn, are held
// back or end the process as the page says. With `power` set every write is remembered until a
// flush follows it, so that a power cut can take it back: the file is then what a disk would hold
// that had kept only what was flushed (or, mixed, some sectors of the rest as well). A write
// through a descriptor of O_DSYNC is durable by itself. Besides, malloc fails and the wall clock is
// off where the page says so.
//
// It makes its system calls itself: there is nothing to look up, and nothing to recurse into.
#include "fault_shim.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *old, size_t size);
void __libc_free(void *memory);

enum { WATCH_US = 1000 }; // how often a cut is looked for

typedef struct {
    dev_t device;
    ino_t inode;
    int fd; // our own, for reading and writing
} file_t;

// One write that no flush followed.
typedef struct entry {
    struct entry *next;   // the one before it
    file_t *file;         // that it went to
    off_t at;             // where
    size_t size;          // of `fresh`
    size_t old_size;      // of `old`: less where the file grew
    off_t old_end;        // the file's size before
    size_t durable_bytes; // how much of it is on the disk whatever happens
    uint8_t *old;         // what stood there
    uint8_t *fresh;       // what was written
} entry_t;

static fault_page_t *page; // NULL: nothing is asked of us
static char folder[PATH_MAX];
static size_t folder_size;
// Where libzmq's code lies, and libstdc++'s: `new` is in that, and here libzmq alone is C++.
static struct {
    const char *name;
    uintptr_t begin;
    uintptr_t end;
} foreign[] = {{"/libzmq.", 0, 0}, {"/libstdc++.", 0, 0}};
enum { FOREIGN_COUNT = sizeof(foreign) / sizeof(foreign[0]) };
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; // of all below
static file_t files[FAULT_FILES_MAX];
static size_t file_count;
static entry_t *entries; // the latest first

// --- What the page says -------------------------------------------------------------------------

static bool
is_meant(void)
{
    uint64_t pid = __atomic_load_n(&page->only_pid, __ATOMIC_ACQUIRE);
    return pid == 0 || pid == (uint64_t) getpid();
}

// Counts a call, and says whether it is one that is to fail.
static bool
is_hit(uint64_t op, uint64_t *seen)
{
    __atomic_add_fetch(seen, 1, __ATOMIC_ACQ_REL);
    if ((__atomic_load_n(&page->ops, __ATOMIC_ACQUIRE) & op) == 0 || !is_meant()) {
        return false;
    }
    uint64_t place = __atomic_add_fetch(&page->matched, 1, __ATOMIC_ACQ_REL);
    if (place < page->from || (page->count != 0 && place >= page->from + page->count)) {
        return false;
    }
    __atomic_add_fetch(&page->failed, 1, __ATOMIC_ACQ_REL);
    return true;
}

// Whether the descriptor is of a regular file below the folder.
static bool
is_ours(int fd, struct stat *ret_stat)
{
    if (page == NULL || folder_size == 0 || fstat(fd, ret_stat) != 0 ||
        !S_ISREG(ret_stat->st_mode)) {
        return false;
    }
    char link[64];
    char path[PATH_MAX];
    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    ssize_t size = readlink(link, path, sizeof(path));
    return size > (ssize_t) folder_size && memcmp(path, folder, folder_size) == 0 &&
           path[folder_size] == '/';
}

// --- Remembering what is not flushed ------------------------------------------------------------

static file_t *
require_file(int fd, const struct stat *stat)
{
    for (size_t i = 0; i < file_count; i++) {
        if (files[i].device == stat->st_dev && files[i].inode == stat->st_ino) {
            return &files[i];
        }
    }
    if (file_count == FAULT_FILES_MAX) {
        abort(); // more files than a test of ours has
    }
    char path[64];
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    file_t *file = &files[file_count++];
    *file = (file_t){stat->st_dev, stat->st_ino, open(path, O_RDWR | O_CLOEXEC)};
    return file;
}

static void *
copy_pieces(const struct iovec *pieces, int count, size_t size)
{
    uint8_t *copy = __libc_malloc(size + 1);
    size_t at = 0;
    for (int i = 0; i < count && at < size; i++) {
        size_t part = pieces[i].iov_len < size - at ? pieces[i].iov_len : size - at;
        memcpy(copy + at, pieces[i].iov_base, part);
        at += part;
    }
    return copy;
}

static size_t
size_of(const struct iovec *pieces, int count)
{
    size_t size = 0;
    for (int i = 0; i < count; i++) {
        size += pieces[i].iov_len;
    }
    return size;
}

// Notes what the write is going to replace. `durable_bytes` of it are safe at once.
static void
remember(
    file_t *file, off_t at, const struct iovec *pieces, int count, size_t durable_bytes, off_t end)
{
    entry_t *entry = __libc_calloc(1, sizeof(*entry));
    size_t size = size_of(pieces, count);
    *entry = (entry_t){.next = entries,
                       .file = file,
                       .at = at,
                       .size = size,
                       .old_end = end,
                       .durable_bytes = durable_bytes,
                       .old = __libc_malloc(size + 1),
                       .fresh = copy_pieces(pieces, count, size)};
    ssize_t got = syscall(SYS_pread64, file->fd, entry->old, size, at);
    entry->old_size = got > 0 ? (size_t) got : 0;
    entries = entry;
}

// What was written to the file is on the disk.
static void
forget(const file_t *file)
{
    entry_t **link = &entries;
    while (*link != NULL) {
        entry_t *entry = *link;
        if (entry->file == file) {
            *link = entry->next;
            __libc_free(entry->old);
            __libc_free(entry->fresh);
            __libc_free(entry);
        } else {
            link = &entry->next;
        }
    }
}

// --- The cut ------------------------------------------------------------------------------------

static void
put(const file_t *file, const uint8_t *bytes, size_t size, off_t at)
{
    if (size > 0) {
        (void) syscall(SYS_pwrite64, file->fd, bytes, size, at);
    }
}

// Writes again what of the entry survived.
static void
redo(const entry_t *entry, unsigned *seed)
{
    put(entry->file, entry->fresh, entry->durable_bytes, entry->at);
    if (page->power != FAULT_POWER_MIXED) {
        return;
    }
    for (size_t at = entry->durable_bytes; at < entry->size; at += FAULT_SECTOR) {
        size_t left = entry->size - at;
        if (rand_r(seed) % 2 == 0) {
            put(entry->file,
                entry->fresh + at,
                left < FAULT_SECTOR ? left : FAULT_SECTOR,
                entry->at + (off_t) at);
        }
    }
}

// Ends the process as a power cut does: what was not flushed is taken back. Called with the lock.
static _Noreturn void
die(void)
{
    entry_t *oldest = NULL;
    unsigned seed = (unsigned) page->seed;
    while (entries != NULL) { // back in time, and turned round on the way
        entry_t *entry = entries;
        put(entry->file, entry->old, entry->old_size, entry->at);
        if (entry->old_size < entry->size) {
            (void) ftruncate(entry->file->fd, entry->old_end);
        }
        entries = entry->next;
        entry->next = oldest;
        oldest = entry;
    }
    for (const entry_t *entry = oldest; entry != NULL; entry = entry->next) {
        redo(entry, &seed);
    }
    __atomic_add_fetch(&page->died, 1, __ATOMIC_ACQ_REL);
    (void) kill(getpid(), SIGKILL);
    for (;;) {
        (void) pause();
    }
}

static void *
watch(void *arg)
{
    while (__atomic_load_n(&page->cut, __ATOMIC_ACQUIRE) == 0 || !is_meant()) {
        (void) usleep(WATCH_US);
    }
    pthread_mutex_lock(&lock);
    die();
    return arg;
}

// --- Writing ------------------------------------------------------------------------------------

typedef struct {
    int fd;
    const struct iovec *pieces;
    int count;
    off_t at; // -1: where the descriptor stands
} write_t;

static ssize_t
really_write(const write_t *call)
{
    if (call->at < 0) {
        return syscall(SYS_writev, call->fd, call->pieces, call->count);
    }
    return syscall(SYS_pwritev, call->fd, call->pieces, call->count, call->at, call->at >> 32);
}

// Writes the first `size` bytes of it.
static ssize_t
write_part(const write_t *call, size_t size)
{
    uint8_t *copy = copy_pieces(call->pieces, call->count, size);
    const struct iovec piece = {copy, size};
    write_t part = {call->fd, &piece, 1, call->at};
    ssize_t rc = size == 0 ? 0 : really_write(&part);
    __libc_free(copy);
    return rc;
}

static ssize_t
write_faultily(const write_t *call, const struct stat *stat)
{
    size_t size = size_of(call->pieces, call->count);
    bool hit = is_hit(FAULT_WRITE, &page->writes);
    size_t kept = page->bytes < size ? page->bytes : size;
    if (hit && page->action == FAULT_ACTION_FAIL) {
        errno = (int) page->error;
        return -1;
    }
    if (hit && page->action == FAULT_ACTION_SHORT) {
        size = kept;
    }
    bool dies = hit && page->action == FAULT_ACTION_DIE;
    if (page->power != FAULT_POWER_STAYS) {
        bool is_safe = (fcntl(call->fd, F_GETFL) & O_DSYNC) != 0;
        off_t at = call->at < 0 ? lseek(call->fd, 0, SEEK_CUR) : call->at;
        size_t durable_bytes = dies ? kept : is_safe ? size : 0;
        remember(require_file(call->fd, stat),
                 at,
                 call->pieces,
                 call->count,
                 durable_bytes,
                 stat->st_size);
    } else if (dies) {
        (void) write_part(call, kept);
    }
    if (dies) {
        die();
    }
    return hit ? write_part(call, size) : really_write(call);
}

static ssize_t
any_write(const write_t *call)
{
    struct stat stat;
    if (!is_ours(call->fd, &stat)) {
        return really_write(call);
    }
    pthread_mutex_lock(&lock);
    ssize_t rc = write_faultily(call, &stat);
    int error = errno;
    pthread_mutex_unlock(&lock);
    errno = error;
    return rc;
}

ssize_t
write(int fd, const void *bytes, size_t size)
{
    const struct iovec piece = {(void *) (uintptr_t) bytes, size};
    return any_write(&(write_t){fd, &piece, 1, -1});
}

ssize_t
writev(int fd, const struct iovec *pieces, int count)
{
    return any_write(&(write_t){fd, pieces, count, -1});
}

ssize_t
pwrite64(int fd, const void *bytes, size_t size, off64_t at)
{
    const struct iovec piece = {(void *) (uintptr_t) bytes, size};
    return any_write(&(write_t){fd, &piece, 1, at});
}

ssize_t
pwrite(int fd, const void *bytes, size_t size, off_t at)
{
    return pwrite64(fd, bytes, size, at);
}

ssize_t
pwritev64(int fd, const struct iovec *pieces, int count, off64_t at)
{
    return any_write(&(write_t){fd, pieces, count, at});
}

ssize_t
pwritev(int fd, const struct iovec *pieces, int count, off_t at)
{
    return pwritev64(fd, pieces, count, at);
}

// --- Flushing -----------------------------------------------------------------------------------

static void
wait_while_held(void)
{
    __atomic_add_fetch(&page->waiting, 1, __ATOMIC_ACQ_REL);
    while (__atomic_load_n(&page->hold, __ATOMIC_ACQUIRE) != 0) {
        (void) usleep(WATCH_US);
    }
    __atomic_sub_fetch(&page->waiting, 1, __ATOMIC_ACQ_REL);
}

static int
sync_faultily(int fd, const struct stat *stat, long number)
{
    if (is_hit(FAULT_SYNC, &page->syncs)) {
        if (page->action == FAULT_ACTION_DIE) {
            die();
        }
        errno = (int) page->error;
        return -1;
    }
    int rc = (int) syscall(number, fd);
    if (rc == 0 && page->power != FAULT_POWER_STAYS) {
        forget(require_file(fd, stat));
    }
    return rc;
}

static int
any_sync(int fd, long number)
{
    struct stat stat;
    if (!is_ours(fd, &stat)) {
        return (int) syscall(number, fd);
    }
    wait_while_held();
    pthread_mutex_lock(&lock);
    int rc = sync_faultily(fd, &stat, number);
    int error = errno;
    pthread_mutex_unlock(&lock);
    errno = error;
    return rc;
}

int
fdatasync(int fd)
{
    return any_sync(fd, SYS_fdatasync);
}

int
fsync(int fd)
{
    return any_sync(fd, SYS_fsync);
}

// --- Memory and time ----------------------------------------------------------------------------

static bool
is_out_of_memory(const void *caller)
{
    if (page == NULL || (__atomic_load_n(&page->ops, __ATOMIC_ACQUIRE) & FAULT_MALLOC) == 0 ||
        !is_hit(FAULT_MALLOC, &page->mallocs)) {
        return false;
    }
    for (size_t i = 0; i < FOREIGN_COUNT; i++) {
        if ((uintptr_t) caller >= foreign[i].begin && (uintptr_t) caller < foreign[i].end) {
            __atomic_add_fetch(&page->foreign, 1, __ATOMIC_ACQ_REL);
        }
    }
    errno = ENOMEM;
    return true;
}

void *
malloc(size_t size)
{
    return is_out_of_memory(__builtin_return_address(0)) ? NULL : __libc_malloc(size);
}

void *
calloc(size_t count, size_t size)
{
    return is_out_of_memory(__builtin_return_address(0)) ? NULL : __libc_calloc(count, size);
}

void *
realloc(void *old, size_t size)
{
    return is_out_of_memory(__builtin_return_address(0)) ? NULL : __libc_realloc(old, size);
}

int
clock_gettime(clockid_t clock, struct timespec *ret_time)
{
    int rc = (int) syscall(SYS_clock_gettime, clock, ret_time);
    if (rc == 0 && page != NULL && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) {
        const int64_t second = 1000000;
        int64_t off = __atomic_load_n(&page->clock_us, __ATOMIC_ACQUIRE);
        int64_t us = (int64_t) ret_time->tv_sec * second + ret_time->tv_nsec / 1000 + off;
        ret_time->tv_sec = us / second;
        ret_time->tv_nsec = us % second * 1000;
    }
    return rc;
}

int
gettimeofday(struct timeval *restrict ret_time, void *restrict zone)
{
    (void) zone;
    struct timespec now;
    int rc = clock_gettime(CLOCK_REALTIME, &now);
    *ret_time = (struct timeval){now.tv_sec, now.tv_nsec / 1000};
    return rc;
}

time_t
time(time_t *ret_time)
{
    struct timespec now;
    (void) clock_gettime(CLOCK_REALTIME, &now);
    if (ret_time != NULL) {
        *ret_time = now.tv_sec;
    }
    return now.tv_sec;
}

// --- At the start of the process ----------------------------------------------------------------

static void
note_foreign(const char *line)
{
    unsigned long begin;
    unsigned long end;
    for (size_t i = 0; i < FOREIGN_COUNT; i++) {
        if (strstr(line, foreign[i].name) != NULL && sscanf(line, "%lx-%lx", &begin, &end) == 2) {
            foreign[i].begin = foreign[i].begin == 0 ? begin : foreign[i].begin;
            foreign[i].end = end; // the map is in order of addresses
        }
    }
}

static void
find_foreign(void)
{
    FILE *maps = fopen("/proc/self/maps", "re");
    if (maps == NULL) {
        abort();
    }
    char line[PATH_MAX + 128];
    while (fgets(line, sizeof(line), maps) != NULL) {
        note_foreign(line);
    }
    (void) fclose(maps);
}

static __attribute__((constructor)) void
start(void)
{
    const char *path = getenv("FAULT_PAGE");
    const char *dir = getenv("FAULT_DIR");
    if (path == NULL) {
        return;
    }
    int fd = open(path, O_RDWR | O_CLOEXEC);
    void *map = fd < 0 ? MAP_FAILED
                       : mmap(NULL, FAULT_PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (map == MAP_FAILED) {
        abort(); // a test that asked for faults must not run without them
    }
    close(fd);
    if (dir != NULL) {
        folder_size = (size_t) snprintf(folder, sizeof(folder), "%s", dir);
    }
    find_foreign();
    // The watcher takes none of the process's signals.
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    page = map;
    pthread_t watcher;
    if (pthread_create(&watcher, NULL, watch, NULL) != 0 || pthread_detach(watcher) != 0) {
        abort();
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}
