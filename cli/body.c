// body.c - see body.h.
#include "body.h"

#include "proto/limits.h"
#include "proto/transcode.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MESSAGE_SIZE = 160, READ_SIZE = 65536 };

int
cli_body_add(bus_view_t json, const char *where, pack_t *out)
{
    char message[MESSAGE_SIZE];
    size_t before = pack_view(out).size;
    if (transcode_from_json(json, out, message, sizeof message) != BUS_OK) {
        return cli_fail(CLI_BAD_DATA, "%s is no JSON that the bus takes: %s", where, message);
    }
    size_t size = pack_view(out).size - before;
    if (size > BODY_SIZE_MAX) {
        pack_truncate(out, before);
        return cli_fail(CLI_BAD_DATA,
                        "%s has %zu bytes when encoded, and a body at most %d",
                        where,
                        size,
                        BODY_SIZE_MAX);
    }
    return CLI_DONE;
}

static int
add_stdin(pack_t *out)
{
    BUS_AUTO(text_destroy) text_t *json = text_new();
    char bytes[READ_SIZE];
    for (;;) {
        ssize_t size = read(STDIN_FILENO, bytes, sizeof bytes);
        if (size < 0 && errno == EINTR) {
            continue;
        }
        if (size < 0) {
            return cli_fail(CLI_IO, "cannot read standard input: %s", strerror(errno));
        }
        if (size == 0) {
            return cli_body_add(text_view(json), "standard input", out);
        }
        text_add(json, view_from(bytes, (size_t) size));
        if (text_view(json).size > CLI_BODY_JSON_MAX) {
            return cli_fail(
                CLI_BAD_DATA, "standard input is longer than %d bytes", CLI_BODY_JSON_MAX);
        }
    }
}

int
cli_body_argument(const char *argument, pack_t *out)
{
    if (argument == NULL) {
        pack_map(out, 0);
        return CLI_DONE;
    }
    if (strcmp(argument, "-") == 0) {
        return add_stdin(out);
    }
    return cli_body_add(view_from_text(argument), "the argument", out);
}
