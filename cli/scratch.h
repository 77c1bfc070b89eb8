// scratch.h - folders that are ours alone, and go. Any thread; blocks as the disk does.
#pragma once
#include <stdbool.h>

// Removes a folder with all that is in it, but not what is mounted there, and follows no links.
// Returns whether it is gone.
bool cli_scratch_remove(const char *path);
