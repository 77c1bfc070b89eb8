// keys_init.c - `bhiv keys init`: what a secure system needs, made once, for those who start its
// parts one by one.
#include "keys.h"
#include "secure.h"

#include <stdio.h>

typedef struct {
    const char *dir;
    const char *parts;
} flags_t;

// clang-format off
static const option_row_t rows[] = {
    {"dir", 'd', OPTION_TEXT, "DIR", NULL, offsetof(flags_t, dir), 0, 0,
     "the system's folder; default ~/.local/state/bhiv"},
    {"parts", 0, OPTION_TEXT, "FOLDER", NULL, offsetof(flags_t, parts), 0, 0,
     "copies to each FOLDER/NAME that is there what NAME needs of it, the broker to FOLDER/broker"},
};
// clang-format on

static const option_table_t options = {
    .program = "bhiv keys init",
    .arguments = "",
    .help = "Makes, once, what a system behind certificates and tokens needs: DIR/owner.token, the "
            "broker's certificate and those of all names that the built-in rules know. What is "
            "there stays; what was revoked stays revoked. `bhiv up --secure` does it by itself; "
            "this is for parts that are started one by one, in containers say, each with a folder "
            "of its own.\v"
            "  bhiv keys init\n"
            "  bhiv keys init --parts /parts    # /parts/bhiv_karma has Karma's, no other's\n"
            "  bhiv broker --secure --dir /parts/broker",
    .rows = rows,
    .row_count = sizeof rows / sizeof rows[0],
};

static int
run(int argc, char **argv)
{
    flags_t flags = {0};
    option_parse(&options, argc, argv, &flags, NULL, NULL);
    cli_dir_t dir;
    bool is_made = false;
    int status = cli_dir_make(flags.dir, &dir);
    if (status == CLI_DONE) {
        status = cli_secure_owner_token(&dir);
    }
    if (status == CLI_DONE) {
        status = cli_secure_certificates(&dir, &is_made);
    }
    if (status == CLI_DONE && flags.parts != NULL) {
        status = cli_secure_hand_out(&dir, flags.parts);
    }
    if (status == CLI_DONE) {
        printf("%s %s\n", is_made ? "made" : "kept", dir.path);
    }
    return status;
}

const cli_command_t cli_keys_init = {
    .name = "init",
    .summary = "make all that a secure system needs, once",
    .group = CLI_GROUP_KEEP,
    .options = &options,
    .run = run,
};
