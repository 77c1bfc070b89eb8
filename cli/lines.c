// lines.c - see lines.h.
#include "lines.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { READ_SIZE = 65536 };

void
cli_lines_init(cli_lines_t *self, int fd, size_t line_max)
{
    *self = (cli_lines_t){.fd = fd, .line_max = line_max};
}

void
cli_lines_clear(cli_lines_t *self)
{
    free(self->bytes);
    self->bytes = NULL;
}

bool
cli_lines_is_blank(bus_view_t line)
{
    for (size_t i = 0; i < line.size; ++i) {
        if (strchr(" \t\r", line.data[i]) == NULL || line.data[i] == '\0') {
            return false;
        }
    }
    return true;
}

static void
make_room(cli_lines_t *self)
{
    if (self->start > 0) {
        memmove(self->bytes, self->bytes + self->start, self->size - self->start);
        self->size -= self->start;
        self->seen -= self->start;
        self->start = 0;
    }
    if (self->limit - self->size < READ_SIZE) {
        self->limit = self->limit == 0 ? (size_t) 4 * READ_SIZE : self->limit * 2;
        self->bytes = realloc(self->bytes, self->limit);
        assert(self->bytes);
    }
}

static bool
take_line(cli_lines_t *self, bus_view_t *ret_line)
{
    if (self->seen == self->size) {
        return false;
    }
    const char *end = memchr(self->bytes + self->seen, '\n', self->size - self->seen);
    if (end == NULL) {
        self->seen = self->size;
        return false;
    }
    const char *begin = self->bytes + self->start;
    *ret_line = view_from(begin, (size_t) (end - begin));
    self->start += ret_line->size + 1;
    self->seen = self->start;
    ++self->number;
    return true;
}

static cli_lines_result_t
take_rest(cli_lines_t *self, bus_view_t *ret_line)
{
    if (self->start == self->size) {
        return CLI_LINES_END;
    }
    *ret_line = view_from(self->bytes + self->start, self->size - self->start);
    self->start = self->size;
    self->seen = self->size;
    ++self->number;
    return CLI_LINES_GOT;
}

cli_lines_result_t
cli_lines_next(cli_lines_t *self, bus_view_t *ret_line)
{
    for (;;) {
        if (take_line(self, ret_line)) {
            return CLI_LINES_GOT;
        }
        if (self->ended) {
            return take_rest(self, ret_line);
        }
        if (self->size - self->start > self->line_max) {
            ++self->number;
            return CLI_LINES_TOO_LONG;
        }
        struct pollfd readable = {.fd = self->fd, .events = POLLIN};
        int ready = poll(&readable, 1, 0);
        if (ready == 0 || (ready < 0 && errno == EINTR)) {
            return CLI_LINES_WAIT;
        }
        make_room(self);
        ssize_t size = read(self->fd, self->bytes + self->size, self->limit - self->size);
        if (size < 0 && (errno == EAGAIN || errno == EINTR)) {
            return CLI_LINES_WAIT;
        }
        if (size < 0) {
            return CLI_LINES_FAILED;
        }
        self->ended = size == 0;
        self->size += (size_t) size;
    }
}
