// audit_export.c - `bhiv audit export`: the whole log as JSON lines that verify by themselves.
//
// The head is signed first and the export ends with it, however the log grows meanwhile. Bucket
// gives leaves and hashes; the roots in the lines are computed here, so that an export whose last
// root is not the signed one is never finished.
#include "audit.h"

#include "proto/transcode.h"
#include "proto/walk.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { LEAF_SIZE_MAX = 256 * 1024 }; // bytes: details at most 64 KiB

static const option_row_t rows[] = {CLI_AUDIT_PLACE_ROWS};

static const option_table_t options = {
    .program = "bhiv audit export",
    .arguments = "",
    .help = "Prints the whole audit log as JSON lines. The first has a signed checkpoint and the "
            "log's public key, the last the count and the checkpoint again; between them is an "
            "entry a line: leaf_index, leaf (its bytes in base64; null once let go after seven "
            "years), hash, root (of the log up to there) and entry (the bytes as JSON). `bhiv "
            "audit verify-export` verifies it with the public key alone.",
    .rows = rows,
    .row_count = sizeof rows / sizeof rows[0],
};

typedef struct {
    cli_audit_place_t place;
    cli_audit_bus_t bus;
    cli_output_t out;
    text_t *note; // the checkpoint
    merkle_head_t head;
    merkle_tree_t tree;
    uint8_t leaf[LEAF_SIZE_MAX];
} export_t;

static void
end(export_t *self, int status)
{
    cli_audit_bus_end(&self->bus, cli_output_flush(&self->out) ? status : CLI_IO);
}

static void
print_last(export_t *self)
{
    merkle_hash_t root;
    merkle_tree_root(&self->tree, &root);
    if (!merkle_equal(&root, &self->head.root)) {
        end(self,
            cli_fail(CLI_NEGATIVE,
                     "the log is not what its own checkpoint signs: see bhiv audit verify"));
        return;
    }
    text_t *text = self->out.text;
    text_add_format(text, "{\"count\":%" PRIu64 ",\"checkpoint\":", self->tree.size);
    transcode_json_string(text_view(self->note), text);
    text_add(text, VIEW_LITERAL("}\n"));
    cli_output_text(&self->out);
    end(self, CLI_DONE);
}

// One leaf of a page. False where it is not what a page has.
static bool
print_leaf(export_t *self, bus_view_t item)
{
    cli_audit_line_t line = {.index = self->tree.size, .leaf = VIEW_NONE};
    bus_view_t encoded = walk_text_at(item, "leaf");
    size_t size = 0;
    if (!cli_audit_hash(item, "hash", &line.hash)) {
        return false;
    }
    if (encoded.data != NULL) {
        if (note_unbase64(encoded, self->leaf, sizeof self->leaf, &size) != BUS_OK) {
            return false;
        }
        line.leaf = view_from(self->leaf, size);
    }
    merkle_tree_add(&self->tree, &line.hash);
    merkle_tree_root(&self->tree, &line.root);
    cli_audit_line_format(&line, self->out.text);
    text_add(self->out.text, VIEW_LITERAL("\n"));
    cli_output_text(&self->out);
    return true;
}

static void ask_page(export_t *self);

static void
on_page(void *arg, const client_answer_t *answer)
{
    export_t *self = arg;
    uint64_t before = self->tree.size;
    bus_view_t leaves;
    walk_item_t array = {.type = WALK_NIL};
    if (answer->err != BUS_OK) {
        end(self, cli_connect_refused(self->bus.topic, answer));
        return;
    }
    if (walk_find(answer->body, "leaves", &leaves) != BUS_OK) {
        leaves = VIEW_NONE;
    }
    walk_t walk = walk_from(leaves);
    if (walk_next(&walk, &array) != BUS_OK || array.type != WALK_ARRAY) {
        array.count = 0;
    }
    bus_view_t item;
    bool is_good = true;
    for (uint32_t i = 0; i < array.count && self->tree.size < self->head.size && is_good; ++i) {
        is_good = walk_skip(&walk, &item) == BUS_OK && print_leaf(self, item);
    }
    if (!is_good || self->tree.size == before) {
        end(self,
            cli_fail(
                CLI_BAD_DATA, "entry %" PRIu64 " does not come: see bhiv audit verify", before));
    } else if (!cli_output_flush(&self->out)) {
        end(self, CLI_IO);
    } else {
        ask_page(self);
    }
}

static void
ask_page(export_t *self)
{
    if (self->tree.size == self->head.size) {
        print_last(self);
        return;
    }
    BUS_AUTO(pack_destroy) pack_t *body = pack_new();
    pack_map(body, 2);
    pack_pair_uint(body, "from", self->tree.size);
    pack_pair_uint(body, "limit", CLI_AUDIT_PAGE);
    cli_audit_bus_ask(&self->bus, "req.bucket.audit_leaves", pack_view(body), on_page);
}

static void
print_first(export_t *self, bus_view_t vkey)
{
    text_t *text = self->out.text;
    text_add(text, VIEW_LITERAL("{\"export\":\"" CLI_AUDIT_EXPORT_MARK "\",\"vkey\":"));
    transcode_json_string(vkey, text);
    text_add_format(text, ",\"tree_size\":%" PRIu64 ",\"checkpoint\":", self->head.size);
    transcode_json_string(text_view(self->note), text);
    text_add(text, VIEW_LITERAL("}\n"));
    cli_output_text(&self->out);
}

static void
on_checkpoint(void *arg, const client_answer_t *answer)
{
    export_t *self = arg;
    if (answer->err != BUS_OK) {
        end(self, cli_connect_refused(self->bus.topic, answer));
        return;
    }
    cli_audit_keys_t keys = {.count = 0};
    cli_audit_signed_t found;
    const char *why = "Bucket names no key";
    bus_view_t vkey = walk_text_at(answer->body, "vkey");
    bus_view_t note = walk_text_at(answer->body, "checkpoint");
    if (!cli_audit_keys_add(&keys, vkey) || !cli_audit_keys_open(&keys, note, &found, &why)) {
        end(self, cli_fail(CLI_BAD_DATA, "the checkpoint: %s", why));
        return;
    }
    self->head = found.checkpoint.head;
    text_add(self->note, note);
    print_first(self, vkey);
    ask_page(self);
}

static void
begin(void *arg)
{
    export_t *self = arg;
    BUS_AUTO(pack_destroy) pack_t *body = pack_new();
    pack_map(body, 0);
    cli_audit_bus_ask(&self->bus, "req.bucket.audit_checkpoint", pack_view(body), on_checkpoint);
}

static int
run(int argc, char **argv)
{
    static export_t self;
    self = (export_t){.note = NULL};
    option_parse(&options, argc, argv, &self.place, NULL, NULL);
    int status = cli_output_init(&self.out, "json");
    if (status != CLI_DONE) {
        return status;
    }
    self.note = text_new();
    self.bus = (cli_audit_bus_t){.place = &self.place, .begin = begin, .arg = &self};
    status = cli_audit_bus_run(&self.bus);
    text_destroy(&self.note);
    cli_output_clear(&self.out);
    return status;
}

const cli_command_t cli_audit_export = {
    .name = "export",
    .summary = "print the whole log as JSON lines",
    .group = CLI_GROUP_KEEP,
    .options = &options,
    .run = run,
};
