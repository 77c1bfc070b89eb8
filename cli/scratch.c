// scratch.c - folders that are ours alone, and go.
#include "scratch.h"

#include "proto/auto.h"

#include <ftw.h>
#include <stdio.h>
#include <unistd.h>

enum { DESCRIPTORS = 8 }; // open at once: deeper folders cost a second look, not more of them

// What cannot go stays; the rest goes all the same.
static int
remove_one(const char *path,
           const struct stat *about BUS_UNUSED,
           int type BUS_UNUSED,
           struct FTW *where BUS_UNUSED)
{
    (void) remove(path);
    return 0;
}

bool
cli_scratch_remove(const char *path)
{
    (void) nftw(path, remove_one, DESCRIPTORS, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
    return access(path, F_OK) != 0;
}
