// keys.c - `bhiv keys`: Bucket's signing keys, from outside. See keys.h; the verbs are in
// keys_show.c, keys_rotate.c and keys_sign.c.
#include "keys.h"

#include "proto/walk.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <string.h>
#include <unistd.h>

enum { CHUNK_SIZE = 65536 }; // read of a file at a time

static const cli_command_t *const verbs[] = {&cli_keys_list,
                                             &cli_keys_show,
                                             &cli_keys_rotate,
                                             &cli_keys_export_public,
                                             &cli_keys_sign,
                                             &cli_keys_verify,
                                             &cli_keys_cert,
                                             &cli_keys_init,
                                             NULL};

static const option_row_t rows[] = {CLI_QUESTION_ROWS("5s")};

static const option_table_t options = {
    .program = "bhiv keys",
    .arguments = "VERB",
    .help =
        "Shows and uses the Ed25519 keys with which Bucket signs its audit log, and whatever "
        "it is asked to sign; makes the certificates with which peers speak over tcp. Each verb "
        "has its own --help.\v"
        "  bhiv keys list\n"
        "  bhiv keys show [KEY]\n"
        "  bhiv keys rotate\n"
        "  bhiv keys export-public [KEY]\n"
        "  bhiv keys sign FILE\n"
        "  bhiv keys verify FILE -i SIGNATURE_ID\n"
        "  bhiv keys cert NAME [--revoke]\n"
        "  bhiv keys init",
    .rows = rows,
    .row_count = sizeof rows / sizeof rows[0],
    .arguments_min = 0,
    .arguments_max = 0,
};

static int
run(int argc, char **argv)
{
    cli_question_flags_t flags = {0};
    option_parse(&options, argc, argv, &flags, NULL, NULL);
    return cli_fail(CLI_USAGE,
                    "keys: list, show, rotate, export-public, sign, verify, cert or init? see bhiv "
                    "keys --help");
}

const cli_command_t cli_keys = {
    .name = "keys",
    .summary = "list, show, rotate, export, use the signing keys",
    .group = CLI_GROUP_KEEP,
    .options = &options,
    .run = run,
    .verbs = verbs,
};

void
cli_keys_sheet(cli_output_t *out, bus_view_t map)
{
    static const char *const titles[] = {"FIELD", "VALUE"};
    if (out->format != CLI_FORMAT_LINE) {
        cli_output_value(out, map);
        return;
    }
    cli_table_t table;
    cli_table_init(&table, titles, sizeof titles / sizeof titles[0]);
    walk_pairs_t pairs = walk_pairs(map);
    bus_view_t key, value;
    while (walk_pairs_next(&pairs, &key, &value) == BUS_OK) {
        cli_table_add(&table, key);
        cli_table_add_value(&table, value);
    }
    cli_table_print(&table, out);
    cli_table_clear(&table);
}

// --- A file's hash -----------------------------------------------------------------------------

static int
hash_open(int fd, char ret_hash[CLI_KEYS_HASH_SIZE])
{
    crypto_hash_sha256_state state;
    crypto_hash_sha256_init(&state);
    unsigned char chunk[CHUNK_SIZE];
    ssize_t got;
    do {
        got = read(fd, chunk, sizeof chunk);
        if (got > 0) {
            crypto_hash_sha256_update(&state, chunk, (unsigned long long) got);
        }
    } while (got > 0 || (got < 0 && errno == EINTR));
    if (got < 0) {
        return -1;
    }
    unsigned char hash[crypto_hash_sha256_BYTES];
    crypto_hash_sha256_final(&state, hash);
    sodium_bin2hex(ret_hash, CLI_KEYS_HASH_SIZE, hash, sizeof hash);
    return 0;
}

int
cli_keys_hash(const char *path, char ret_hash[CLI_KEYS_HASH_SIZE])
{
    bool is_stdin = strcmp(path, "-") == 0;
    int fd = is_stdin ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        bool is_missing = errno == ENOENT || errno == ENOTDIR;
        return cli_fail(
            is_missing ? CLI_NOT_FOUND : CLI_IO, "cannot read %s: %s", path, strerror(errno));
    }
    int status = hash_open(fd, ret_hash);
    int why = errno;
    if (!is_stdin) {
        close(fd);
    }
    return status == 0 ? CLI_DONE : cli_fail(CLI_IO, "cannot read %s: %s", path, strerror(why));
}
