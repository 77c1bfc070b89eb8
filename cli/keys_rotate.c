// keys_rotate.c - `bhiv keys rotate`: a new key signs from here on. The owner's to do: what is sent
// is signed with what is in <dir>/owner.token, which itself goes nowhere.
#include "keys.h"

#include "runtime/clock.h"
#include "runtime/owner.h"

#include <string.h>

#define TOPIC "req.crypto.rotate"

static const option_row_t rows[] = {CLI_QUESTION_ROWS("5s")};

static const option_table_t options = {
    .program = "bhiv keys rotate",
    .arguments = "",
    .help = "Has a new key sign from here on, and prints it. The old one is retired: it signs no "
            "more, and verifies what it signed. Needs the owner's token, which it reads from "
            "DIR/owner.token; without it, or with another, the exit status is 77.",
    .rows = rows,
    .row_count = sizeof rows / sizeof rows[0],
};

static int
print(cli_output_t *out, bus_view_t answer)
{
    cli_keys_sheet(out, answer);
    return CLI_DONE;
}

static int
no_token(const char *dir, bus_err_t err)
{
    if (err == BUS_NOT_FOUND) {
        return cli_fail(CLI_REFUSED, "no owner.token in %s: rotating is the owner's to do", dir);
    }
    if (err == BUS_FORBIDDEN) {
        return cli_fail(CLI_CONFIG, "%s/owner.token may be read by others: chmod 600 it", dir);
    }
    return cli_fail(CLI_IO, "cannot read %s/owner.token", dir);
}

static int
run(int argc, char **argv)
{
    cli_question_flags_t flags = {0};
    option_parse(&options, argc, argv, &flags, NULL, NULL);
    cli_dir_t dir;
    int status = cli_dir_find(flags.place.dir, &dir);
    if (status != CLI_DONE) {
        return status;
    }
    char token[OWNER_TOKEN_SIZE_MAX + 1];
    bus_err_t err = owner_read_token(dir.path, token);
    if (err != BUS_OK) {
        return no_token(dir.path, err);
    }
    BUS_AUTO(pack_destroy) pack_t *asked = pack_new();
    BUS_AUTO(pack_destroy) pack_t *body = pack_new();
    pack_map(asked, 0);
    owner_sign(view_from_text(token), VIEW_LITERAL(TOPIC), clock_wall_us(), pack_view(asked), body);
    explicit_bzero(token, sizeof token);
    const cli_question_t ask = {
        .flags = &flags, .topic = TOPIC, .body = pack_view(body), .print = print};
    return cli_question_ask(&ask);
}

const cli_command_t cli_keys_rotate = {
    .name = "rotate",
    .summary = "have a new key sign",
    .group = CLI_GROUP_KEEP,
    .options = &options,
    .run = run,
};
