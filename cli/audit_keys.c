// audit_keys.c - the keys that a log is verified with, and what they signed. See audit.h.
#include "audit.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

enum { READ_SIZE = 65536 };

int
cli_audit_read(const char *path, text_t *out)
{
    bool is_stdin = strcmp(path, "-") == 0;
    int fd = is_stdin ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return cli_fail(errno == ENOENT ? CLI_NOT_FOUND : CLI_IO, "%s: %s", path, strerror(errno));
    }
    int status = CLI_DONE;
    for (;;) {
        char bytes[READ_SIZE];
        ssize_t size = read(fd, bytes, sizeof bytes);
        if (size < 0 && errno == EINTR) {
            continue;
        }
        if (size < 0) {
            status = cli_fail(CLI_IO, "%s: %s", path, strerror(errno));
        }
        if (size <= 0) {
            break;
        }
        text_add(out, view_from(bytes, (size_t) size));
        if (text_view(out).size > CLI_AUDIT_FILE_MAX) {
            status = cli_fail(CLI_BAD_DATA, "%s: over %d bytes", path, CLI_AUDIT_FILE_MAX);
            break;
        }
    }
    if (!is_stdin) {
        close(fd);
    }
    return status;
}

// --- Keys ----------------------------------------------------------------------------------------

bool
cli_audit_keys_add(cli_audit_keys_t *self, bus_view_t vkey)
{
    note_verifier_t verifier;
    if (note_verifier_parse(vkey, &verifier) != BUS_OK) {
        return false;
    }
    for (size_t i = 0; i < self->count; ++i) {
        const note_verifier_t *known = &self->at[i];
        if (strcmp(known->name, verifier.name) == 0 &&
            memcmp(known->key, verifier.key, sizeof known->key) == 0) {
            return true;
        }
    }
    if (self->count == CLI_AUDIT_KEYS_MAX) {
        return false;
    }
    self->at[self->count++] = verifier;
    return true;
}

// Takes the next line off `rest`, without what is blank at its ends.
static bus_view_t
take_line(bus_view_t *rest)
{
    const char *end = memchr(rest->data, '\n', rest->size);
    size_t size = end == NULL ? rest->size : (size_t) (end - rest->data);
    bus_view_t line = view_from(rest->data, size);
    size_t taken = end == NULL ? size : size + 1;
    *rest = view_from(rest->data + taken, rest->size - taken);
    while (line.size > 0 && strchr(" \t\r", line.data[line.size - 1]) != NULL) {
        --line.size;
    }
    return line;
}

int
cli_audit_keys_read(const char *given, cli_audit_keys_t *ret_keys)
{
    ret_keys->count = 0;
    if (given == NULL || cli_audit_keys_add(ret_keys, view_from_text(given))) {
        return CLI_DONE;
    }
    BUS_AUTO(text_destroy) text_t *file = text_new();
    if (access(given, F_OK) != 0) {
        return cli_fail(CLI_USAGE, "--key: `%s` is neither a public key nor a file", given);
    }
    int status = cli_audit_read(given, file);
    bus_view_t rest = text_view(file);
    while (status == CLI_DONE && rest.size > 0) {
        bus_view_t line = take_line(&rest);
        bool is_comment = line.size == 0 || line.data[0] == '#';
        if (!is_comment && !cli_audit_keys_add(ret_keys, line)) {
            status = cli_fail(CLI_BAD_DATA, "%s: a line of it is no public key", given);
        }
    }
    if (status == CLI_DONE && ret_keys->count == 0) {
        status = cli_fail(CLI_BAD_DATA, "%s: there is no public key in it", given);
    }
    return status;
}

bool
cli_audit_keys_open(const cli_audit_keys_t *self,
                    bus_view_t note,
                    cli_audit_signed_t *ret_signed,
                    const char **reterr_why)
{
    size_t which = 0;
    note_checkpoint_t checkpoint;
    if (note_checkpoint_open(note, self->at, self->count, &checkpoint, &which, reterr_why) !=
        BUS_OK) {
        return false;
    }
    *ret_signed = (cli_audit_signed_t){.checkpoint = checkpoint, .signer = &self->at[which]};
    return true;
}
