// log.h - one line an event, on stderr: time, level, program, a stable id, key=value pairs.
//
//     2026-11-20T16:00:00.000000Z info broker ready in=tcp://127.0.0.1:5550 head=17
//
// Any thread; a line is written with one write. Values from outside are escaped (newlines, control
// bytes, quotes) and cut at 256 bytes; never a payload, never a secret. The level comes from
// BHIV_LOG_LEVEL (error, warning, info, debug; info unless set) and is the one mutable global.
#pragma once
#include "proto/auto.h"
#include "proto/error.h"
#include "proto/view.h"

typedef enum { LOG_ERROR, LOG_WARNING, LOG_INFO, LOG_DEBUG } log_level_t;

// Names the program in every following line, and reads BHIV_LOG_LEVEL. Call once, first.
void log_start(const char *program);
void log_set_level(log_level_t level);
// Whether `text` names a level.
bool log_level_from_text(const char *text, log_level_t *ret_level);

// `id`: the stable name of what happened. `format`: "key=%s other=%d" or "".
void log_line(log_level_t level, const char *id, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
#define log_error(id, ...) log_line(LOG_ERROR, id, __VA_ARGS__)
#define log_warning(id, ...) log_line(LOG_WARNING, id, __VA_ARGS__)
#define log_info(id, ...) log_line(LOG_INFO, id, __VA_ARGS__)
#define log_debug(id, ...) log_line(LOG_DEBUG, id, __VA_ARGS__)

// Escapes bytes from outside for a line: quoted where they hold anything but plain characters.
// Returns `ret_text`, NUL-terminated.
const char *log_escape(bus_view_t value, char *ret_text, size_t size);
