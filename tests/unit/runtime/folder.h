// folder.h - a folder of a test's own, gone with its end.
#pragma once
#include <assert.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FOLDER_SIZE = 256 };

typedef struct {
    char path[FOLDER_SIZE];
} folder_t;

static inline folder_t
folder_make(void)
{
    folder_t self;
    const char *base = getenv("TMPDIR");
    snprintf(self.path, sizeof(self.path), "%s/bus-test-XXXXXX", base != NULL ? base : P_tmpdir);
    char *made = mkdtemp(self.path);
    assert(made != NULL);
    return self;
}

static inline int
folder_remove_one(const char *path, const struct stat *stat, int type, struct FTW *where)
{
    (void) stat;
    (void) type;
    (void) where;
    return remove(path);
}

static inline void
folder_remove(folder_t *self)
{
    (void) nftw(self->path, folder_remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

// `<folder>/<name>` in a buffer of the folder's size and more.
static inline const char *
folder_join(const folder_t *self, const char *name, char ret_path[2 * FOLDER_SIZE])
{
    snprintf(ret_path, 2 * FOLDER_SIZE, "%s/%s", self->path, name);
    return ret_path;
}
