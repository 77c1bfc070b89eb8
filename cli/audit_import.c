// audit_import.c - `bhiv audit verify-export`: an export, verified with the public key alone.
//
// Each line is held against what the lines before it make of it: its place, its hash, the root
// behind it, its entry as JSON; the last root against the signed checkpoint. So a change that was
// not carried through shows itself at its own line. One that was (somebody computed every later
// root anew) no longer ends in the signed root; then an older checkpoint, if there is one, says how
// far the log is good.
#include "audit.h"

#include "lines.h"

#include "proto/transcode.h"
#include "proto/walk.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

enum {
    EXPORT_LINE_MAX = 4 * 1024 * 1024, // an entry's JSON is at most six times its 64 KiB
    LEAF_SIZE_MAX = EXPORT_LINE_MAX / 4 * 3,
};

typedef struct {
    const char *key;
    const char *since;
    const char *format;
} flags_t;

// clang-format off
static const option_row_t rows[] = {
    CLI_AUDIT_KEY_ROW(flags_t, key, "needed"),
    CLI_AUDIT_SINCE_ROW(flags_t, since),
    CLI_FORMAT_ROW(flags_t, format),
};
// clang-format on

static const option_table_t options = {
    .program = "bhiv audit verify-export",
    .arguments = "FILE|-",
    .help = "Verifies an export with nothing but the log's public key: every entry is the one "
            "that was logged, at its place, and none is missing. Names what is not. Exit status 1: "
            "something is wrong.",
    .rows = rows,
    .row_count = sizeof rows / sizeof rows[0],
    .arguments_min = 1,
    .arguments_max = 1,
};

typedef struct {
    cli_audit_keys_t keys;
    cli_audit_since_t since;
    cli_audit_report_t report;
    merkle_tree_t tree;
    cli_audit_signed_t signed_; // views into `note`
    bool has_head;              // signed_ holds
    bool has_last;              // the last line was seen
    bool is_lost;               // the lines no longer stand where they belong: no use going on
    bool is_off;                // a root differed, and so do all later ones
    text_t *note;               // the checkpoint of the first line
    uint8_t leaf[LEAF_SIZE_MAX];
} import_t;

// --- The first and the last line -----------------------------------------------------------------

static bool
read_object(bus_view_t line, pack_t *out)
{
    return transcode_from_json(line, out, NULL, 0) == BUS_OK;
}

static void
take_first(import_t *self, bus_view_t line)
{
    BUS_AUTO(pack_destroy) pack_t *object = pack_new();
    bool is_object = read_object(line, object);
    bus_view_t map = pack_view(object);
    const char *why = NULL;
    if (!is_object || !view_is(walk_text_at(map, "export"), CLI_AUDIT_EXPORT_MARK)) {
        cli_audit_report_whole(&self->report, "the first line is not an export's");
        self->is_lost = true;
        return;
    }
    text_add(self->note, walk_text_at(map, "checkpoint"));
    self->has_head = cli_audit_keys_open(&self->keys, text_view(self->note), &self->signed_, &why);
    if (!self->has_head) {
        cli_audit_report_entry(
            &self->report, 0, VIEW_NONE, "nothing from here on is signed: %s", why);
        return;
    }
    cli_audit_report_signed(&self->report, &self->signed_);
    if (walk_uint_at(map, "tree_size", 0) != self->signed_.checkpoint.head.size) {
        cli_audit_report_whole(&self->report, "the first line's tree_size is not what is signed");
    }
}

static void
take_last(import_t *self, bus_view_t line)
{
    BUS_AUTO(pack_destroy) pack_t *object = pack_new();
    bool is_object = read_object(line, object);
    bus_view_t map = pack_view(object);
    bus_view_t count;
    if (!is_object || walk_find(map, "count", &count) != BUS_OK) {
        cli_audit_report_entry(
            &self->report, self->tree.size, VIEW_NONE, "the line is not an export's");
        self->is_lost = true;
        return;
    }
    self->has_last = true;
    if (walk_uint_at(map, "count", 0) != self->tree.size) {
        cli_audit_report_entry(&self->report,
                               self->tree.size,
                               VIEW_NONE,
                               "the last line counts %" PRIu64 " entries",
                               walk_uint_at(map, "count", 0));
    }
    if (!view_equal(walk_text_at(map, "checkpoint"), text_view(self->note))) {
        cli_audit_report_whole(&self->report, "the last line's checkpoint is not the first's");
    }
}

// --- Entries -------------------------------------------------------------------------------------

static void
check_entry(import_t *self, const cli_audit_fields_t *fields, bus_view_t leaf)
{
    BUS_AUTO(text_destroy) text_t *entry = text_new();
    cli_audit_line_entry(leaf, entry);
    if (!view_equal(fields->entry, text_view(entry))) {
        cli_audit_report_entry(
            &self->report, fields->index, VIEW_NONE, "the entry is not what its leaf says");
    }
}

static void
check_leaf(import_t *self, const cli_audit_fields_t *fields)
{
    bus_view_t leaf = VIEW_NONE;
    size_t size = 0;
    if (fields->leaf.data != NULL) {
        if (note_unbase64(fields->leaf, self->leaf, sizeof self->leaf, &size) != BUS_OK) {
            cli_audit_report_entry(
                &self->report, fields->index, VIEW_NONE, "the leaf is no base64");
            return;
        }
        leaf = view_from(self->leaf, size);
        merkle_hash_t hash;
        merkle_leaf(leaf, &hash);
        if (!merkle_equal(&hash, &fields->hash)) {
            cli_audit_report_entry(
                &self->report, fields->index, VIEW_NONE, "the leaf does not match its hash");
        }
    }
    check_entry(self, fields, leaf);
}

static void
take_entry(import_t *self, bus_view_t line)
{
    cli_audit_fields_t fields;
    if (!cli_audit_line_parse(line, &fields)) {
        take_last(self, line);
        return;
    }
    uint64_t index = self->tree.size;
    if (fields.index != index) {
        cli_audit_report_entry(
            &self->report, index, VIEW_NONE, "in its place stands entry %" PRIu64, fields.index);
        self->is_lost = true;
        return;
    }
    check_leaf(self, &fields);
    merkle_tree_add(&self->tree, &fields.hash);
    merkle_hash_t root;
    merkle_tree_root(&self->tree, &root);
    if (!merkle_equal(&root, &fields.root) && !self->is_off) {
        cli_audit_report_entry(
            &self->report, index, VIEW_NONE, "the log up to here does not have this root");
        self->is_off = true;
    }
    cli_audit_report_since(&self->report, &self->since, &self->tree);
}

static void
take_line(import_t *self, bus_view_t line, uint64_t number)
{
    if (self->has_last) {
        cli_audit_report_whole(
            &self->report, "line %" PRIu64 " stands behind the last line", number);
        self->is_lost = true;
    } else if (number == 1) {
        take_first(self, line);
    } else {
        take_entry(self, line);
    }
}

// --- The file ------------------------------------------------------------------------------------

// Returns 0, or says what the system says and returns CLI_IO.
static int
read_lines(import_t *self, int fd, const char *path)
{
    cli_lines_t lines;
    cli_lines_result_t result = CLI_LINES_WAIT;
    cli_lines_init(&lines, fd, EXPORT_LINE_MAX);
    int status = CLI_DONE;
    while (!self->is_lost && result != CLI_LINES_END) {
        bus_view_t line;
        struct pollfd readable = {.fd = fd, .events = POLLIN};
        result = cli_lines_next(&lines, &line);
        switch (result) {
        case CLI_LINES_GOT:
            take_line(self, line, lines.number);
            break;
        case CLI_LINES_WAIT:
            (void) poll(&readable, 1, -1); // interrupted: looks again
            break;
        case CLI_LINES_TOO_LONG:
            cli_audit_report_entry(
                &self->report, self->tree.size, VIEW_NONE, "the line is not an export's");
            self->is_lost = true;
            break;
        case CLI_LINES_FAILED:
            status = cli_fail(CLI_IO, "%s: %s", path, strerror(errno));
            self->is_lost = true;
            break;
        case CLI_LINES_END:
            break;
        }
    }
    cli_lines_clear(&lines);
    return status;
}

// What only the end shows.
static void
conclude(import_t *self)
{
    if (self->is_lost) {
        return; // said
    }
    if (self->has_head) {
        cli_audit_report_head(
            &self->report, &self->signed_.checkpoint.head, &self->since, &self->tree);
    }
    cli_audit_report_missing(&self->report, &self->since, &self->tree);
    if (!self->has_last) {
        cli_audit_report_whole(&self->report, "the last line is missing");
    }
}

static int
verify(import_t *self, int fd, const char *path)
{
    cli_audit_report_open(&self->report, &self->since, &self->keys);
    cli_audit_report_since(&self->report, &self->since, &self->tree);
    int status = read_lines(self, fd, path);
    if (status != CLI_DONE) {
        return status;
    }
    conclude(self);
    cli_audit_report_uint(&self->report, "checked", self->tree.size);
    return cli_audit_report_end(&self->report);
}

static int
run(int argc, char **argv)
{
    static import_t self;
    flags_t flags = {0};
    const char *words[1] = {NULL};
    unsigned word_count = 0;
    option_parse(&options, argc, argv, &flags, words, &word_count);
    if (flags.key == NULL) {
        return cli_fail(CLI_USAGE, "--key is needed: an export cannot vouch for its own key");
    }
    self = (import_t){.has_head = false};
    int status = cli_audit_keys_read(flags.key, &self.keys);
    if (status != CLI_DONE) {
        return status;
    }
    bool is_stdin = strcmp(words[0], "-") == 0;
    int fd = is_stdin ? STDIN_FILENO : open(words[0], O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return cli_fail(
            errno == ENOENT ? CLI_NOT_FOUND : CLI_IO, "%s: %s", words[0], strerror(errno));
    }
    status = cli_audit_since_read(&self.since, flags.since);
    self.note = text_new();
    int init = cli_audit_report_init(&self.report, flags.format);
    status = status == CLI_DONE ? init : status;
    if (status == CLI_DONE) {
        status = verify(&self, fd, words[0]);
    }
    cli_audit_report_clear(&self.report);
    cli_audit_since_clear(&self.since);
    text_destroy(&self.note);
    close(fd);
    return status;
}

const cli_command_t cli_audit_verify_export = {
    .name = "verify-export",
    .summary = "verify an export without a bus",
    .group = CLI_GROUP_KEEP,
    .options = &options,
    .run = run,
};
