// kb_stem.h - the stem of an English word, so that "actions" finds "action", and "acting" "acted".
//
// M. F. Porter, "An algorithm for suffix stripping", Program 14(3), 1980, as published. It is the
// one stemmer that its author froze, so an index made with it never differs from one made later or
// elsewhere; Snowball's newer English one is still being changed.
#pragma once
#include "proto/view.h"

// Shortens `word` (`size` bytes, in lower case) in place; returns its new size, never 0 or larger.
// A word that has other bytes than a to z, or fewer than three, stays as it is.
size_t core_kb_stem(char *word, size_t size);
