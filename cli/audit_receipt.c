// audit_receipt.c - `bhiv audit checkpoint`, `receipt` and `verify-receipt`: what Bucket signs, as
// texts that stand for themselves.
#include "audit.h"

#include "proto/limits.h"
#include "proto/walk.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

// --- checkpoint ----------------------------------------------------------------------------------

static const option_row_t place_rows[] = {CLI_AUDIT_PLACE_ROWS};

static const option_table_t checkpoint_options = {
    .program = "bhiv audit checkpoint",
    .arguments = "",
    .help = "Prints a signed head of the log as it is now (C2SP tlog-checkpoint). Keep it where "
            "nobody who can write to the log can write: `bhiv audit verify --since FILE` proves "
            "later that everything it signs is still there, unchanged.",
    .rows = place_rows,
    .row_count = sizeof place_rows / sizeof place_rows[0],
};

// Prints a text of the answer as it is.
static int
print_text(void *arg, bus_view_t answer)
{
    const char *key = arg;
    bus_view_t text = walk_text_at(answer, key);
    if (text.data == NULL) {
        return cli_fail(CLI_BAD_DATA, "the answer has no %s", key);
    }
    bool is_written = fwrite(text.data, 1, text.size, stdout) == text.size;
    return is_written && fflush(stdout) == 0 ? CLI_DONE : CLI_IO;
}

static int
run_checkpoint(int argc, char **argv)
{
    cli_audit_place_t place = {.timeout_ms = 0};
    option_parse(&checkpoint_options, argc, argv, &place, NULL, NULL);
    BUS_AUTO(pack_destroy) pack_t *body = pack_new();
    pack_map(body, 0);
    char key[] = "checkpoint";
    const cli_audit_question_t question = {.place = &place,
                                           .topic = "req.bucket.audit_checkpoint",
                                           .body = pack_view(body),
                                           .print = print_text,
                                           .arg = key};
    return cli_audit_ask(&question);
}

const cli_command_t cli_audit_checkpoint = {
    .name = "checkpoint",
    .summary = "print the log's signed head",
    .group = CLI_GROUP_KEEP,
    .options = &checkpoint_options,
    .run = run_checkpoint,
};

// --- receipt -------------------------------------------------------------------------------------

static const option_table_t receipt_options = {
    .program = "bhiv audit receipt",
    .arguments = "AUDIT_ID",
    .help = "Prints the receipt of one entry (C2SP tlog-proof): the entry, its proof of inclusion "
            "and a signed checkpoint. Every answer of Bucket, a refusal too, names its audit_id.",
    .rows = place_rows,
    .row_count = sizeof place_rows / sizeof place_rows[0],
    .arguments_min = 1,
    .arguments_max = 1,
};

static int
run_receipt(int argc, char **argv)
{
    cli_audit_place_t place = {.timeout_ms = 0};
    const char *words[1] = {NULL};
    unsigned word_count = 0;
    option_parse(&receipt_options, argc, argv, &place, words, &word_count);
    BUS_AUTO(pack_destroy) pack_t *body = pack_new();
    pack_map(body, 1);
    pack_pair_text(body, "audit_id", words[0]);
    char key[] = "receipt";
    const cli_audit_question_t question = {.place = &place,
                                           .topic = "req.bucket.audit_receipt",
                                           .body = pack_view(body),
                                           .print = print_text,
                                           .arg = key};
    return cli_audit_ask(&question);
}

const cli_command_t cli_audit_receipt = {
    .name = "receipt",
    .summary = "print the proof of one entry",
    .group = CLI_GROUP_KEEP,
    .options = &receipt_options,
    .run = run_receipt,
};

// --- verify-receipt ------------------------------------------------------------------------------

typedef struct {
    const char *key;
    const char *format;
} flags_t;

// clang-format off
static const option_row_t verify_rows[] = {
    CLI_AUDIT_KEY_ROW(flags_t, key, "needed"),
    CLI_FORMAT_ROW(flags_t, format),
};
// clang-format on

static const option_table_t verify_options = {
    .program = "bhiv audit verify-receipt",
    .arguments = "FILE|-",
    .help = "Verifies a receipt with nothing but the log's public key: that the entry in it is in "
            "the log that the key signs. Prints the entry. Exit status 1: it is not.",
    .rows = verify_rows,
    .row_count = sizeof verify_rows / sizeof verify_rows[0],
    .arguments_min = 1,
    .arguments_max = 1,
};

// Whether the entry's bytes are where the receipt says, in the tree that the checkpoint signs.
static bool
is_included(const note_proof_t *proof, const merkle_head_t *head, bus_view_t leaf)
{
    merkle_hash_t hash;
    merkle_leaf(leaf, &hash);
    return merkle_verify_inclusion(&hash, proof->index, head->size, &proof->path, &head->root);
}

static void
report_entry(cli_audit_report_t *report, bus_view_t leaf)
{
    const char *why = NULL;
    if (walk_check(leaf, WALK_JSON, INBOX_BODY_DEPTH_MAX, &why) == BUS_OK) {
        pack_pair_raw(report->facts, "entry", leaf);
        ++report->fact_count;
    }
}

static void
verify(cli_audit_report_t *report, bus_view_t text, const cli_audit_keys_t *keys)
{
    note_proof_t proof;
    cli_audit_signed_t found;
    const char *why = NULL;
    if (note_proof_parse(text, &proof) != BUS_OK) {
        cli_audit_report_whole(report, "it is no receipt");
        return;
    }
    if (!cli_audit_keys_open(keys, proof.checkpoint, &found, &why)) {
        cli_audit_report_whole(report, "the checkpoint: %s", why);
        return;
    }
    cli_audit_report_signed(report, &found);
    cli_audit_report_uint(report, "leaf_index", proof.index);
    static uint8_t bytes[CLI_AUDIT_FILE_MAX];
    size_t size = 0;
    if (note_unbase64(proof.extra, bytes, sizeof bytes, &size) != BUS_OK) {
        cli_audit_report_whole(report, "it holds no entry");
        return;
    }
    bus_view_t leaf = view_from(bytes, size);
    if (!is_included(&proof, &found.checkpoint.head, leaf)) {
        cli_audit_report_entry(report, proof.index, VIEW_NONE, "the log does not hold this entry");
        return;
    }
    report_entry(report, leaf);
}

static int
run_verify(int argc, char **argv)
{
    flags_t flags = {0};
    const char *words[1] = {NULL};
    unsigned word_count = 0;
    option_parse(&verify_options, argc, argv, &flags, words, &word_count);
    if (flags.key == NULL) {
        return cli_fail(CLI_USAGE, "--key is needed: a receipt cannot vouch for its own key");
    }
    cli_audit_keys_t keys;
    BUS_AUTO(text_destroy) text_t *text = text_new();
    int status = cli_audit_keys_read(flags.key, &keys);
    if (status == CLI_DONE) {
        status = cli_audit_read(words[0], text);
    }
    if (status != CLI_DONE) {
        return status;
    }
    cli_audit_report_t report;
    status = cli_audit_report_init(&report, flags.format);
    if (status == CLI_DONE) {
        verify(&report, text_view(text), &keys);
        status = cli_audit_report_end(&report);
    }
    cli_audit_report_clear(&report);
    return status;
}

const cli_command_t cli_audit_verify_receipt = {
    .name = "verify-receipt",
    .summary = "verify a receipt without a bus",
    .group = CLI_GROUP_KEEP,
    .options = &verify_options,
    .run = run_verify,
};
