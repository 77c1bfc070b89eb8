// keys_sign.c - `bhiv keys sign`, `bhiv keys verify`: only the file's hash leaves this machine.
#include "keys.h"

#include "proto/walk.h"

// --- sign --------------------------------------------------------------------------------------

typedef struct {
    cli_question_flags_t keys;
    const char *requester;
} sign_flags_t;

// clang-format off
static const option_row_t sign_rows[] = {
    CLI_QUESTION_ROWS("5s"),
    {"requester", 0, OPTION_TEXT, "ID", NULL, offsetof(sign_flags_t, requester), 0, 0,
     "for whom it is signed; default bhiv_cli"},
};
// clang-format on

static const option_table_t sign_options = {
    .program = "bhiv keys sign",
    .arguments = "[FILE|-]",
    .help = "Has Bucket sign SHA-256 of a file, or of standard input, and prints the signature: "
            "in base64 on a terminal, else as JSON with its signature_id, by which Bucket keeps "
            "it. It is durable and audited when it is printed.\v"
            "  bhiv keys sign report.pdf\n"
            "  bhiv keys sign report.pdf --format json > report.sig",
    .rows = sign_rows,
    .row_count = sizeof sign_rows / sizeof sign_rows[0],
    .arguments_min = 0,
    .arguments_max = 1,
};

static int
print_signature(cli_output_t *out, bus_view_t answer)
{
    bus_view_t signature = walk_text_at(answer, "signature");
    if (out->format != CLI_FORMAT_LINE) {
        cli_output_value(out, answer);
        return CLI_DONE;
    }
    if (signature.data == NULL) {
        return cli_fail(CLI_BAD_DATA, "req.crypto.sign: the answer has no signature");
    }
    text_clear(out->text);
    text_add(out->text, signature);
    text_add(out->text, VIEW_LITERAL("\n"));
    cli_output_text(out);
    return CLI_DONE;
}

static int
run_sign(int argc, char **argv)
{
    sign_flags_t flags = {.requester = NULL};
    const char *words[1] = {"-"};
    unsigned word_count = 0;
    char hash[CLI_KEYS_HASH_SIZE];
    option_parse(&sign_options, argc, argv, &flags, words, &word_count);
    int status = cli_keys_hash(word_count > 0 ? words[0] : "-", hash);
    if (status != CLI_DONE) {
        return status;
    }
    BUS_AUTO(pack_destroy) pack_t *body = pack_new();
    pack_map(body, flags.requester == NULL ? 1 : 2);
    pack_pair_text(body, "data_hash", hash);
    if (flags.requester != NULL) {
        pack_pair_text(body, "requester_id", flags.requester);
    }
    const cli_question_t ask = {.flags = &flags.keys,
                                .topic = "req.crypto.sign",
                                .body = pack_view(body),
                                .print = print_signature};
    return cli_question_ask(&ask);
}

const cli_command_t cli_keys_sign = {
    .name = "sign",
    .summary = "sign a file",
    .group = CLI_GROUP_KEEP,
    .options = &sign_options,
    .run = run_sign,
};

// --- verify ------------------------------------------------------------------------------------

typedef struct {
    cli_question_flags_t keys;
    const char *signature;
    const char *signature_id;
    const char *key;
} verify_flags_t;

#define AT(field) offsetof(verify_flags_t, field)
// clang-format off
static const option_row_t verify_rows[] = {
    CLI_QUESTION_ROWS("5s"),
    {"signature", 's', OPTION_TEXT, "BASE64", NULL, AT(signature), 0, 0, "as sign printed it"},
    {"signature-id", 'i', OPTION_TEXT, "ID", NULL, AT(signature_id), 0, 0,
     "of one that Bucket keeps"},
    {"key", 'k', OPTION_TEXT, "KEY", NULL, AT(key), 0, 0,
     "whose it is to be; default any of Bucket's"},
};
// clang-format on
#undef AT

static const option_table_t verify_options = {
    .program = "bhiv keys verify",
    .arguments = "[FILE|-]",
    .help = "Tells whether a signature of a file, or of standard input, is good: exit status 0, "
            "else 1. Retired keys verify as well.\v"
            "  bhiv keys verify report.pdf --signature-id sig_0123…\n"
            "  bhiv keys verify report.pdf --signature \"$(cat report.sig)\"",
    .rows = verify_rows,
    .row_count = sizeof verify_rows / sizeof verify_rows[0],
    .arguments_min = 0,
    .arguments_max = 1,
};

static int
print_verdict(cli_output_t *out, bus_view_t answer)
{
    bus_view_t value;
    bool is_valid = false;
    if (walk_find(answer, "valid", &value) != BUS_OK || walk_as_bool(value, &is_valid) != BUS_OK) {
        return cli_fail(CLI_BAD_DATA, "req.crypto.verify: the answer has no verdict");
    }
    cli_keys_sheet(out, answer);
    return is_valid ? CLI_DONE : CLI_NEGATIVE;
}

static int
run_verify(int argc, char **argv)
{
    verify_flags_t flags = {.signature = NULL};
    const char *words[1] = {"-"};
    unsigned word_count = 0;
    char hash[CLI_KEYS_HASH_SIZE];
    option_parse(&verify_options, argc, argv, &flags, words, &word_count);
    if ((flags.signature == NULL) == (flags.signature_id == NULL)) {
        return cli_fail(CLI_USAGE, "keys verify: give either --signature or --signature-id");
    }
    int status = cli_keys_hash(word_count > 0 ? words[0] : "-", hash);
    if (status != CLI_DONE) {
        return status;
    }
    const struct {
        const char *field;
        const char *value;
    } fields[] = {{"data_hash", hash},
                  {"signature", flags.signature},
                  {"signature_id", flags.signature_id},
                  {"key_id", flags.key}};
    BUS_AUTO(pack_destroy) pack_t *body = pack_new();
    size_t place = pack_map_begin(body);
    uint32_t count = 0;
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; ++i) {
        if (fields[i].value != NULL) {
            pack_pair_text(body, fields[i].field, fields[i].value);
            ++count;
        }
    }
    pack_count(body, place, count);
    const cli_question_t ask = {.flags = &flags.keys,
                                .topic = "req.crypto.verify",
                                .body = pack_view(body),
                                .print = print_verdict};
    return cli_question_ask(&ask);
}

const cli_command_t cli_keys_verify = {
    .name = "verify",
    .summary = "verify a signature of a file",
    .group = CLI_GROUP_KEEP,
    .options = &verify_options,
    .run = run_verify,
};
