// token.c - `bhiv token`: the bearer tokens of the HTTP bridge, made, listed and revoked in their
// file. The bridge reads it again when it changes; nothing needs to run, and nothing is restarted.
#include "output.h"

#include "proto/walk.h"
#include "runtime/clock.h"
#include "runtime/token_file.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

typedef struct {
    const char *dir;
    const char *format;
    const char *role;
    const char *product;
    uint64_t expires_ms;
} flags_t;

// clang-format off
#define DIR_ROW \
    {"dir", 'd', OPTION_TEXT, "DIR", NULL, offsetof(flags_t, dir), 0, 0, \
     "the system's folder; default ~/.local/state/bhiv"}
// clang-format on

// --- The file ------------------------------------------------------------------------------------

typedef struct {
    cli_dir_t dir;
    char path[CLI_PATH_SIZE];
    token_list_t *list; // what is in it
    int lock;           // -1: not held
} tokens_t;

static void
clear(tokens_t *self)
{
    token_list_destroy(&self->list);
    if (self->lock >= 0) {
        close(self->lock);
    }
}

static int
no_tokens(const char *path, bus_err_t err, size_t line)
{
    if (err == BUS_FORBIDDEN) {
        return cli_fail(CLI_CONFIG, "%s may be read by others: chmod 600 it", path);
    }
    if (err == BUS_CORRUPT) {
        return cli_fail(CLI_BAD_DATA, "%s: line %zu is no token", path, line);
    }
    return cli_fail(CLI_IO, "cannot read %s", path);
}

// Reads the file, which need not be there; with the lock where it is to be written.
static int
open_tokens(const flags_t *flags, bool writes, tokens_t *self)
{
    size_t line = 0;
    int status =
        writes ? cli_dir_make(flags->dir, &self->dir) : cli_dir_find(flags->dir, &self->dir);
    if (status == CLI_DONE) {
        status = cli_dir_join(&self->dir, "tokens", self->path);
    }
    if (status == CLI_DONE && writes) {
        self->lock = token_file_lock(self->path);
        if (self->lock < 0) {
            return cli_fail(CLI_IO, "cannot lock %s: %s", self->path, strerror(errno));
        }
    }
    if (status != CLI_DONE) {
        return status;
    }
    self->list = token_list_new();
    bus_err_t err = token_file_read(self->path, self->list, &line);
    return err == BUS_OK || err == BUS_NOT_FOUND ? CLI_DONE : no_tokens(self->path, err, line);
}

static int
write_tokens(const tokens_t *self)
{
    if (token_file_write(self->path, self->list) != BUS_OK) {
        return cli_fail(CLI_IO, "cannot write %s: %s", self->path, strerror(errno));
    }
    return CLI_DONE;
}

// --- create --------------------------------------------------------------------------------------

enum { EXPIRES_MAX_DAYS = 3650 };

// clang-format off
static const option_row_t create_rows[] = {
    DIR_ROW,
    {"role", 'r', OPTION_TEXT, "REQUESTER", NULL, offsetof(flags_t, role), 0, 0,
     "the requester_id that it speaks for, or owner"},
    {"product", 'p', OPTION_TEXT, "PRODUCT[,…]", NULL, offsetof(flags_t, product), 0, 0,
     "what it may touch: ai_assistant, ai_avatar, gurukul, enforcement, or all, or none"},
    {"expires", 'e', OPTION_MS, "TIME", "90d", offsetof(flags_t, expires_ms), 0,
     EXPIRES_MAX_DAYS * UINT64_C(86400000), "how long it is good; 0: until it is revoked"},
};
// clang-format on

static const option_table_t create_options = {
    .program = "bhiv token create",
    .arguments = "",
    .help = "Makes a bearer token and prints it, this once: only its hash is kept, in DIR/tokens. "
            "A bridge that was started with --secure takes it at once, as `Authorization: Bearer "
            "TOKEN`.\v"
            "  bhiv token create --role bhiv_core --product gurukul,ai_avatar --expires 30d",
    .rows = create_rows,
    .row_count = sizeof create_rows / sizeof create_rows[0],
};

// What was asked for. Returns 0, or says what is wrong with it.
static int
read_wish(const flags_t *flags, token_wish_t *ret_wish)
{
    uint64_t now = clock_wall_us();
    *ret_wish = (token_wish_t){.now = now};
    if (flags->role == NULL) {
        return cli_fail(CLI_USAGE, "token create: for whom? --role REQUESTER");
    }
    ret_wish->role = view_from_text(flags->role);
    bool is_owner = strcmp(flags->role, TOKEN_ROLE_OWNER) == 0;
    if (!token_role_is_legal(ret_wish->role)) {
        return cli_fail(CLI_USAGE,
                        "token create: a role has 1 to %d printable characters without blanks, "
                        "quotes and |",
                        TOKEN_ROLE_SIZE_MAX);
    }
    if (flags->product == NULL && !is_owner) {
        return cli_fail(CLI_USAGE,
                        "token create: about what? --product PRODUCT[,PRODUCT], or none");
    }
    const char *products = flags->product == NULL ? "all" : flags->product;
    if (token_products_parse(view_from_text(products), &ret_wish->products) != BUS_OK) {
        return cli_fail(CLI_USAGE,
                        "token create: the products are ai_assistant, ai_avatar, gurukul and "
                        "enforcement, with commas between them, or all, or none");
    }
    ret_wish->expires_at = flags->expires_ms == 0 ? 0 : now + flags->expires_ms * 1000;
    return CLI_DONE;
}

static int
add_token(tokens_t *tokens, const token_wish_t *wish)
{
    char text[TOKEN_TEXT_SIZE + 1];
    if (token_create(tokens->list, wish, text) != BUS_OK) {
        return cli_fail(CLI_TRY_AGAIN, "there are %d tokens: revoke some", TOKEN_COUNT_MAX);
    }
    int status = write_tokens(tokens);
    if (status == CLI_DONE) {
        fprintf(stderr,
                "bhiv: token %s, shown this once:\n",
                tokens->list->at[tokens->list->count - 1].id);
        printf("%s\n", text);
        bool is_said = fflush(stdout) == 0;
        status = is_said ? CLI_DONE : cli_fail(CLI_IO, "nobody read it: revoke it");
    }
    explicit_bzero(text, sizeof text);
    return status;
}

static int
run_create(int argc, char **argv)
{
    flags_t flags = {0};
    option_parse(&create_options, argc, argv, &flags, NULL, NULL);
    token_wish_t wish;
    tokens_t tokens = {.lock = -1};
    int status = read_wish(&flags, &wish);
    if (status == CLI_DONE) {
        status = open_tokens(&flags, true, &tokens);
    }
    if (status == CLI_DONE) {
        status = add_token(&tokens, &wish);
    }
    clear(&tokens);
    return status;
}

static const cli_command_t verb_create = {
    .name = "create",
    .summary = "make a token, and print it this once",
    .group = CLI_GROUP_KEEP,
    .options = &create_options,
    .run = run_create,
};

// --- list ----------------------------------------------------------------------------------------

// clang-format off
static const option_row_t list_rows[] = {
    DIR_ROW,
    CLI_FORMAT_ROW(flags_t, format),
};
// clang-format on

static const option_table_t list_options = {
    .program = "bhiv token list",
    .arguments = "",
    .help =
        "Lists the tokens: for whom, about what, until when; never the tokens themselves, which "
        "are not kept.",
    .rows = list_rows,
    .row_count = sizeof list_rows / sizeof list_rows[0],
};

static const char *const titles[] = {
    "ID", "ROLE", "PRODUCTS", "CREATED", "EXPIRES", "REVOKED", "STATE"};
enum { COLUMN_COUNT = sizeof titles / sizeof titles[0] };

static void
add_row(cli_table_t *table, bus_view_t map)
{
    bus_view_t key, value;
    walk_pairs_t pairs = walk_pairs(map); // in the order of the titles
    while (walk_pairs_next(&pairs, &key, &value) == BUS_OK) {
        walk_t walk = walk_from(value);
        walk_item_t item;
        if (walk_next(&walk, &item) == BUS_OK && item.type == WALK_NIL) {
            cli_table_add(table, VIEW_LITERAL("-"));
        } else {
            cli_table_add_value(table, value);
        }
    }
}

static void
print_list(const token_list_t *list, cli_output_t *out)
{
    cli_table_t table;
    cli_table_init(&table, titles, COLUMN_COUNT);
    BUS_AUTO(pack_destroy) pack_t *map = pack_new();
    for (size_t i = 0; i < list->count; ++i) {
        pack_clear(map);
        token_pack(&list->at[i], false, clock_wall_us(), map);
        if (out->format == CLI_FORMAT_LINE) {
            add_row(&table, pack_view(map));
        } else {
            cli_output_value(out, pack_view(map));
        }
    }
    if (out->format == CLI_FORMAT_LINE) {
        cli_table_print(&table, out);
    }
    cli_table_clear(&table);
}

static int
run_list(int argc, char **argv)
{
    flags_t flags = {0};
    option_parse(&list_options, argc, argv, &flags, NULL, NULL);
    tokens_t tokens = {.lock = -1};
    cli_output_t out;
    int status = cli_output_init(&out, flags.format);
    if (status != CLI_DONE) {
        return status;
    }
    status = open_tokens(&flags, false, &tokens);
    if (status == CLI_DONE) {
        print_list(tokens.list, &out);
        status = cli_output_flush(&out) ? CLI_DONE : CLI_IO;
    }
    cli_output_clear(&out);
    clear(&tokens);
    return status;
}

static const cli_command_t verb_list = {
    .name = "list",
    .summary = "list the tokens",
    .group = CLI_GROUP_KEEP,
    .options = &list_options,
    .run = run_list,
};

// --- revoke --------------------------------------------------------------------------------------

static const option_row_t revoke_rows[] = {DIR_ROW};

static const option_table_t revoke_options = {
    .program = "bhiv token revoke",
    .arguments = "ID",
    .help = "Revokes a token by its id, the first part of it behind `bhiv_`: the bridge refuses it "
            "from then on, and ends its streams. One that is not known is exit status 66.",
    .rows = revoke_rows,
    .row_count = sizeof revoke_rows / sizeof revoke_rows[0],
    .arguments_min = 1,
    .arguments_max = 1,
};

static int
run_revoke(int argc, char **argv)
{
    flags_t flags = {0};
    const char *id = NULL;
    unsigned word_count = 0;
    option_parse(&revoke_options, argc, argv, &flags, &id, &word_count);
    tokens_t tokens = {.lock = -1};
    int status = open_tokens(&flags, true, &tokens);
    if (status == CLI_DONE) {
        bool is_known = token_revoke(tokens.list, view_from_text(id), clock_wall_us()) == BUS_OK;
        // A whole token in an argument is a secret in a list of processes: it is not said again.
        status = is_known ? write_tokens(&tokens)
                          : cli_fail(CLI_NOT_FOUND, "no token has this id; see bhiv token list");
    }
    clear(&tokens);
    return status;
}

static const cli_command_t verb_revoke = {
    .name = "revoke",
    .summary = "have a token refused from now on",
    .group = CLI_GROUP_KEEP,
    .options = &revoke_options,
    .run = run_revoke,
};

// --- The verb ------------------------------------------------------------------------------------

static const cli_command_t *const verbs[] = {&verb_create, &verb_list, &verb_revoke, NULL};

static const option_row_t rows[] = {DIR_ROW};

static const option_table_t options = {
    .program = "bhiv token",
    .arguments = "VERB",
    .help = "Makes, lists and revokes the bearer tokens that the HTTP bridge asks for where it is "
            "started with --secure. Each verb has its own --help.\v"
            "  bhiv token create -r bhiv_core -p gurukul -e 30d\n"
            "  bhiv token list\n"
            "  bhiv token revoke ID",
    .rows = rows,
    .row_count = sizeof rows / sizeof rows[0],
};

static int
run(int argc, char **argv)
{
    flags_t flags = {0};
    option_parse(&options, argc, argv, &flags, NULL, NULL);
    return cli_fail(CLI_USAGE, "token: create, list or revoke? see bhiv token --help");
}

const cli_command_t cli_token = {
    .name = "token",
    .summary = "make, list, revoke the bearer tokens of HTTP",
    .group = CLI_GROUP_KEEP,
    .options = &options,
    .run = run,
    .verbs = verbs,
};
