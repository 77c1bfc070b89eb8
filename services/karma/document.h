// document.h - Karma's rules as a page for people, made from the same tables.
#pragma once
#include "proto/text.h"

// Appends the page, as Markdown. Pure.
void karma_document(text_t *out);
