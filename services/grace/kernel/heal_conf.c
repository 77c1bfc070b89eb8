// heal_conf.c - see heal_conf.h.
#include "heal_conf.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NO_SETTING "a line that is no setting"

enum { PATH_SIZE = 512 };

static bool
path_of(const char *dir, const char *leaf, char ret_path[PATH_SIZE])
{
    return snprintf(ret_path, PATH_SIZE, "%s/%s", dir, leaf) < PATH_SIZE;
}

// --- Reading -------------------------------------------------------------------------------------

// BUS_NOT_FOUND where there is no such file.
static bus_err_t
read_file(const char *dir, const char *leaf, kernel_heal_conf_t *ret_conf)
{
    char path[PATH_SIZE];
    if (!path_of(dir, leaf, path)) {
        return BUS_IO;
    }
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        return errno == ENOENT ? BUS_NOT_FOUND : BUS_IO;
    }
    char *text = malloc(KERNEL_HEAL_CONF_SIZE_MAX + 1);
    assert(text);
    ssize_t size = read(fd, text, KERNEL_HEAL_CONF_SIZE_MAX + 1);
    close(fd);
    if (size < 0 || size > KERNEL_HEAL_CONF_SIZE_MAX) {
        free(text);
        return size < 0 ? BUS_IO : BUS_PAYLOAD_TOO_LARGE;
    }
    *ret_conf = (kernel_heal_conf_t){.text = text, .size = (size_t) size};
    return BUS_OK;
}

bus_err_t
kernel_heal_conf_read(const char *dir, kernel_heal_conf_t *ret_conf)
{
    bus_err_t err = read_file(dir, "drill.conf", ret_conf);
    if (err == BUS_NOT_FOUND) {
        *ret_conf = (kernel_heal_conf_t){.text = strdup("")};
        assert(ret_conf->text);
        err = BUS_OK;
    }
    return err;
}

bus_err_t
kernel_heal_conf_read_good(const char *dir, kernel_heal_conf_t *ret_conf)
{
    return read_file(dir, "drill.conf.good", ret_conf);
}

void
kernel_heal_conf_clear(kernel_heal_conf_t *self)
{
    free(self->text);
    *self = (kernel_heal_conf_t){.text = NULL};
}

bool
kernel_heal_conf_equal(const kernel_heal_conf_t *a, const kernel_heal_conf_t *b)
{
    return view_equal(view_from(a->text, a->size), view_from(b->text, b->size));
}

void
kernel_heal_conf_hash(const kernel_heal_conf_t *self, char ret_hex[SHA256_HEX_SIZE])
{
    sha256_hex(view_from(self->text, self->size), ret_hex);
}

// --- Writing -------------------------------------------------------------------------------------

// Whole or not at all. Empty: no file.
static bus_err_t
write_file(const char *dir, const char *leaf, const kernel_heal_conf_t *conf, bool keeps_empty)
{
    char path[PATH_SIZE];
    char fresh[PATH_SIZE + 8];
    if (!path_of(dir, leaf, path)) {
        return BUS_IO;
    }
    if (conf->size == 0 && !keeps_empty) {
        return unlink(path) == 0 || errno == ENOENT ? BUS_OK : BUS_IO;
    }
    snprintf(fresh, sizeof fresh, "%s.new", path);
    int fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    bool written =
        fd >= 0 && write(fd, conf->text, conf->size) == (ssize_t) conf->size && fsync(fd) == 0;
    if (fd >= 0) {
        close(fd);
    }
    return written && rename(fresh, path) == 0 ? BUS_OK : BUS_IO;
}

bus_err_t
kernel_heal_conf_keep(const char *dir, bus_view_t hash)
{
    kernel_heal_conf_t conf;
    kernel_heal_conf_t good;
    char hex[SHA256_HEX_SIZE];
    bus_err_t err = kernel_heal_conf_read(dir, &conf);
    if (err != BUS_OK) {
        return err;
    }
    kernel_heal_conf_hash(&conf, hex);
    bool is_kept = false;
    if (kernel_heal_conf_read_good(dir, &good) == BUS_OK) {
        is_kept = kernel_heal_conf_equal(&conf, &good);
        kernel_heal_conf_clear(&good);
    }
    if (!view_is(hash, hex)) {
        err = BUS_CONFLICT;
    } else if (!is_kept) {
        err = write_file(dir, "drill.conf.good", &conf, true);
    }
    kernel_heal_conf_clear(&conf);
    return err;
}

// Replaces `from` by `to`.
static bus_err_t
swap(const char *dir, const kernel_heal_conf_t *from, const kernel_heal_conf_t *to)
{
    kernel_heal_conf_t now;
    bus_err_t err = kernel_heal_conf_read(dir, &now);
    if (err != BUS_OK) {
        return err;
    }
    bool is_from = kernel_heal_conf_equal(&now, from);
    kernel_heal_conf_clear(&now);
    return is_from ? write_file(dir, "drill.conf", to, false) : BUS_CONFLICT;
}

bus_err_t
kernel_heal_conf_restore(const char *dir,
                         const kernel_heal_conf_t *current,
                         const kernel_heal_conf_t *good)
{
    bus_err_t err = write_file(dir, "drill.conf.rejected", current, true);
    return err == BUS_OK ? swap(dir, current, good) : err;
}

bus_err_t
kernel_heal_conf_put_back(const char *dir,
                          const kernel_heal_conf_t *good,
                          const kernel_heal_conf_t *rejected)
{
    return swap(dir, good, rejected);
}

// --- Comparing -----------------------------------------------------------------------------------

// Steps to the next line that is a setting; false at the end.
static bool
next_setting(bus_view_t *rest, bus_view_t *ret_line)
{
    while (rest->size > 0) {
        const char *newline = memchr(rest->data, '\n', rest->size);
        size_t size = newline == NULL ? rest->size : (size_t) (newline - rest->data);
        *ret_line = view_from(rest->data, size);
        size_t step = newline == NULL ? size : size + 1;
        *rest = view_from(rest->data + step, rest->size - step);
        if (memchr(ret_line->data, '=', size) != NULL && ret_line->data[0] != '#') {
            return true;
        }
    }
    return false;
}

static bool
has_line(const kernel_heal_conf_t *conf, bus_view_t wanted)
{
    bus_view_t rest = view_from(conf->text, conf->size);
    bus_view_t line;
    while (next_setting(&rest, &line)) {
        if (view_equal(line, wanted)) {
            return true;
        }
    }
    return false;
}

// Its name alone, and that only where it is one: what else stands there may be a secret.
static void
name_of(bus_view_t line, char *ret_name, size_t size)
{
    size_t length = 0;
    while (line.data[length] == '_' || isupper((unsigned char) line.data[length]) ||
           isdigit((unsigned char) line.data[length])) {
        length++; // there is a '=' in it, which ends it at the latest
    }
    bool is_name = length > 0 && line.data[length] == '=';
    snprintf(ret_name,
             size,
             "%.*s",
             (int) (is_name ? length : sizeof NO_SETTING - 1),
             is_name ? line.data : NO_SETTING);
}

bool
kernel_heal_conf_difference(const kernel_heal_conf_t *a,
                            const kernel_heal_conf_t *b,
                            size_t index,
                            char *ret_name,
                            size_t size)
{
    const kernel_heal_conf_t *sides[] = {a, b};
    for (size_t i = 0; i < 2; ++i) {
        bus_view_t rest = view_from(sides[i]->text, sides[i]->size);
        bus_view_t line;
        while (next_setting(&rest, &line)) {
            if (has_line(sides[1 - i], line)) {
                continue;
            }
            if (index == 0) {
                name_of(line, ret_name, size);
                return true;
            }
            --index;
        }
    }
    return false;
}
