// secure.c - see secure.h.
#include "secure.h"

#include "runtime/cert.h"
#include "runtime/file.h"
#include "runtime/id.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    TOKEN_DIGITS = 64,       // 32 random bytes as hex
    FILE_SIZE_MAX = 1 << 20, // of access.zpl; a certificate, or the token, has some 300 bytes
    LEAF_SIZE = CERT_NAME_MAX + 16
};

// Every name of the built-in rules; those that end in `*` are of others, who ask for their own.
static const char *const names[] = {
#define ACCESS(name, publish, subscribe, request, fetch, serve) name,
#include "broker/access.def"
};
enum { NAME_COUNT = sizeof names / sizeof names[0] };

static bool
is_one(const char *name)
{
    return strchr(name, '*') == NULL;
}

// --- Files that appear whole -------------------------------------------------------------------

static int
write_file(const char *path, bus_view_t text)
{
    bus_err_t err = file_replace(path, text);
    return err == BUS_OK ? CLI_DONE
                         : cli_fail(CLI_IO, "cannot write %s: %s", path, strerror(errno));
}

// Removes the copy where there is nothing to copy.
static int
copy_file(const char *from, const char *to)
{
    BUS_AUTO(file_clear) file_text_t file = {.text = NULL};
    bus_err_t err = file_read(from, FILE_SIZE_MAX, &file);
    if (err == BUS_NOT_FOUND) {
        bool is_gone = unlink(to) == 0 || errno == ENOENT;
        return is_gone ? CLI_DONE : cli_fail(CLI_IO, "cannot remove %s: %s", to, strerror(errno));
    }
    if (err != BUS_OK) {
        return cli_fail(CLI_IO,
                        "cannot read %s: %s",
                        from,
                        err == BUS_IO ? strerror(errno) : "it is no file of at most 1 MiB");
    }
    return write_file(to, view_from(file.text, file.size));
}

// --- Making ------------------------------------------------------------------------------------

int
cli_secure_owner_token(const cli_dir_t *dir)
{
    char path[CLI_PATH_SIZE];
    int status = cli_dir_join(dir, "owner.token", path);
    if (status != CLI_DONE || access(path, F_OK) == 0) {
        return status;
    }
    char token[TOKEN_DIGITS + 1];
    id_random_hex(token, TOKEN_DIGITS);
    token[TOKEN_DIGITS] = '\n';
    status = write_file(path, view_from(token, sizeof token));
    explicit_bzero(token, sizeof token);
    return status;
}

static int
make(const cli_dir_t *dir, const char *name, bool *ret_made)
{
    bus_err_t err = cert_make(dir->path, name);
    *ret_made = *ret_made || err == BUS_OK;
    return err == BUS_OK || err == BUS_CONFLICT // somebody made it by hand
               ? CLI_DONE
               : cli_fail(
                     CLI_IO, "cannot write %s/" CERT_FOLDER ": %s", dir->path, strerror(errno));
}

int
cli_secure_certificates(const cli_dir_t *dir, bool *ret_made)
{
    char path[CLI_PATH_SIZE];
    *ret_made = false;
    int status = cli_dir_join(dir, CERT_FOLDER "/" CERT_BROKER CERT_SUFFIX, path);
    if (status != CLI_DONE || access(path, F_OK) == 0) {
        return status;
    }
    for (size_t i = 0; i < NAME_COUNT && status == CLI_DONE; ++i) {
        status = is_one(names[i]) ? make(dir, names[i], ret_made) : CLI_DONE;
    }
    return status == CLI_DONE ? make(dir, CERT_BROKER, ret_made) : status;
}

// --- Handing out -------------------------------------------------------------------------------

static int
give(const cli_dir_t *dir, const char *folder, const char *leaf, const cli_dir_t *part)
{
    char from[CLI_PATH_SIZE];
    char to[CLI_PATH_SIZE];
    char below[LEAF_SIZE + 8];
    snprintf(below, sizeof below, "%s%s", folder, leaf);
    int status = cli_dir_join(dir, below, from);
    if (status == CLI_DONE) {
        status = cli_dir_join(part, leaf, to);
    }
    return status == CLI_DONE ? copy_file(from, to) : status;
}

static int
hand_to(const cli_dir_t *dir, const char *name, const cli_dir_t *part)
{
    char leaf[LEAF_SIZE];
    int status = give(dir, CERT_FOLDER "/", CERT_BROKER CERT_SUFFIX, part);
    if (status == CLI_DONE) {
        snprintf(leaf, sizeof leaf, "%s" CERT_SUFFIX CERT_SECRET, name);
        status = give(dir, CERT_FOLDER "/", leaf, part);
    }
    if (status == CLI_DONE) {
        snprintf(leaf, sizeof leaf, "%s" CERT_SUFFIX, name);
        status = give(dir, CERT_FOLDER "/", leaf, part);
    }
    // Bucket knows the owner by it, and the bridge lets him in.
    bool knows_owner = strcmp(name, "bhiv_bucket") == 0 || strcmp(name, "bhiv_bridge") == 0;
    return status == CLI_DONE && knows_owner ? give(dir, "", "owner.token", part) : status;
}

static bool
is_same(const char *one, const char *other)
{
    BUS_AUTO(file_clear) file_text_t a = {.text = NULL};
    BUS_AUTO(file_clear) file_text_t b = {.text = NULL};
    return file_read(one, FILE_SIZE_MAX, &a) == BUS_OK &&
           file_read(other, FILE_SIZE_MAX, &b) == BUS_OK &&
           view_equal(view_from(a.text, a.size), view_from(b.text, b.size));
}

// Written beside the broker's certificates and moved in: zauth takes whatever lies among them for
// a certificate, and ends the broker where two have one key.
static int
give_broker(const cli_dir_t *dir, const char *leaf, const cli_dir_t *broker)
{
    char below[LEAF_SIZE + sizeof CERT_FOLDER];
    char from[CLI_PATH_SIZE], aside[CLI_PATH_SIZE], to[CLI_PATH_SIZE];
    snprintf(below, sizeof below, CERT_FOLDER "/%s", leaf);
    int status = cli_dir_join(dir, below, from);
    status = status == CLI_DONE ? cli_dir_join(broker, leaf, aside) : status;
    status = status == CLI_DONE ? cli_dir_join(broker, below, to) : status;
    if (status != CLI_DONE || is_same(from, to)) {
        return status;
    }
    status = copy_file(from, aside);
    if (status != CLI_DONE || rename(aside, to) == 0) {
        return status;
    }
    bool is_gone = errno == ENOENT && (unlink(to) == 0 || errno == ENOENT);
    return is_gone ? CLI_DONE : cli_fail(CLI_IO, "cannot write %s: %s", to, strerror(errno));
}

// The same for every public half that is in `listed`/certs.
static int
give_public(const cli_dir_t *dir, const cli_dir_t *listed, const cli_dir_t *broker)
{
    const size_t suffix = sizeof CERT_SUFFIX - 1;
    char path[CLI_PATH_SIZE];
    int status = cli_dir_join(listed, CERT_FOLDER, path);
    DIR *files = status == CLI_DONE ? opendir(path) : NULL;
    if (status == CLI_DONE && files == NULL) {
        return cli_fail(CLI_IO, "cannot read %s: %s", path, strerror(errno));
    }
    for (const struct dirent *file = NULL; status == CLI_DONE && (file = readdir(files)) != NULL;) {
        size_t size = strlen(file->d_name);
        if (size > suffix && size <= CERT_NAME_MAX + suffix &&
            strcmp(file->d_name + size - suffix, CERT_SUFFIX) == 0) {
            status = give_broker(dir, file->d_name, broker);
        }
    }
    if (files != NULL) {
        closedir(files);
    }
    return status;
}

// What the broker knows everybody by, and nobody's secret but its own. What it has and `dir` has no
// more was revoked. Its own come secret first, as they are made.
static int
hand_to_broker(const cli_dir_t *dir, const cli_dir_t *broker)
{
    char path[CLI_PATH_SIZE];
    int status = cli_dir_join(broker, CERT_FOLDER, path);
    if (status == CLI_DONE && mkdir(path, 0700) != 0 && errno != EEXIST) {
        return cli_fail(CLI_IO, "cannot make %s: %s", path, strerror(errno));
    }
    status = status == CLI_DONE ? give_broker(dir, CERT_BROKER ".cert_secret", broker) : status;
    status = status == CLI_DONE ? give_public(dir, broker, broker) : status;
    status = status == CLI_DONE ? give_public(dir, dir, broker) : status;
    return status == CLI_DONE ? give(dir, "", "access.zpl", broker) : status;
}

static bool
has_folder(const cli_dir_t *part)
{
    struct stat about;
    return stat(part->path, &about) == 0 && S_ISDIR(about.st_mode);
}

int
cli_secure_hand_out(const cli_dir_t *dir, const char *parts)
{
    cli_dir_t all;
    cli_dir_t broker;
    int status = cli_dir_find(parts, &all);
    size_t count = 0;
    if (status == CLI_DONE) {
        status = cli_dir_join(&all, CERT_BROKER, broker.path);
    }
    if (status == CLI_DONE && has_folder(&broker)) {
        status = hand_to_broker(dir, &broker);
        ++count;
    }
    for (size_t i = 0; i < NAME_COUNT && status == CLI_DONE; ++i) {
        cli_dir_t part;
        status = cli_dir_join(&all, names[i], part.path);
        if (status == CLI_DONE && is_one(names[i]) && has_folder(&part)) {
            status = hand_to(dir, names[i], &part);
            ++count;
        }
    }
    if (status == CLI_DONE && count == 0) {
        return cli_fail(CLI_NOT_FOUND, "no folder in %s has a part's name", parts);
    }
    return status;
}
