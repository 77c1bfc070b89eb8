// lines.h - reading a descriptor line by line without ever waiting for it. Main thread.
#pragma once
#include "cli.h"
#include <stdint.h>

typedef struct {
    int fd;          // borrowed; may be blocking and shared, it is polled before each read
    char *bytes;     // what was read and not taken yet
    size_t start;    // where in it the next line begins
    size_t size;     // how much of it is filled
    size_t limit;    // how large it is
    size_t seen;     // up to where no newline was found
    size_t line_max; // bytes of one line
    uint64_t number; // of the line that was given last, from 1
    bool ended;      // end of file was read
} cli_lines_t;

typedef enum {
    CLI_LINES_GOT,
    CLI_LINES_WAIT,     // nothing whole is there yet
    CLI_LINES_END,      // and nothing will come
    CLI_LINES_TOO_LONG, // over line_max
    CLI_LINES_FAILED    // errno says why
} cli_lines_result_t;

void cli_lines_init(cli_lines_t *self, int fd, size_t line_max);
// Whether it has nothing but spaces, tabs and a carriage return.
bool cli_lines_is_blank(bus_view_t line);
void cli_lines_clear(cli_lines_t *self);
// The next line without its newline, valid until the next call; a last one needs no newline.
BUS_CHECK cli_lines_result_t cli_lines_next(cli_lines_t *self, bus_view_t *ret_line);
