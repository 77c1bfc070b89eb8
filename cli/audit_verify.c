// audit_verify.c - `bhiv audit verify`: the log as a running Bucket tells it.
//
// Bucket is asked for its keys and a signed head. Then it checks itself, page by page (its entries,
// its tree's nodes, what the entries speak of), which names what was changed carelessly. Then it
// tells every leaf, from which the root is computed here; that finds the rest, without a name. So
// they come in this order. Last it has to prove that it is a longer form of the older checkpoints.
// Entries that come while this goes on are behind the head that was signed first, and are left
// alone.
#include "audit_verify.h"

#include "progress.h"
#include "stores.h"

#include "proto/walk.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { LEAF_SIZE_MAX = 1024 * 1024 }; // bytes; a leaf that is larger is no entry

// clang-format off
static const option_row_t rows[] = {
    CLI_AUDIT_PLACE_ROWS,
    CLI_AUDIT_KEY_ROW(cli_audit_verify_flags_t, key, "default: those that Bucket names"),
    CLI_AUDIT_SINCE_ROW(cli_audit_verify_flags_t, since),
    {"offline", 0, OPTION_FLAG, NULL, NULL, offsetof(cli_audit_verify_flags_t, offline), 0, 0,
     "of a stopped system or a copy: reads DIR's store itself"},
    CLI_FORMAT_ROW(cli_audit_verify_flags_t, format),
};
// clang-format on

static const option_table_t options = {
    .program = "bhiv audit verify",
    .arguments = "",
    .help =
        "Verifies the whole audit log: computes its root from its leaves and compares it with a "
        "freshly signed checkpoint and, with --since, with those that were kept; has every entry, "
        "every node of the tree and what the entries speak of checked. Names every bad entry. A "
        "DIR without a running system is read by itself. Exit status 1: something is wrong.\v"
        "A log that somebody changed who has its store and its key is found by older\n"
        "checkpoints alone: keep them and the public key where nobody can change them;\n"
        "`bhiv audit checkpoint >> FILE` adds one to a file of them.",
    .rows = rows,
    .row_count = sizeof rows / sizeof rows[0],
};

typedef struct {
    cli_audit_verify_t verify;
    cli_audit_bus_t bus;
    bool has_keys;              // --key was given
    text_t *note;               // the fresh checkpoint
    cli_audit_signed_t signed_; // views into it
    bool has_head;              // signed_ holds
    uint64_t end;               // leaves to look at
    uint64_t next;              // of the pages that Bucket checks
    uint8_t leaf[LEAF_SIZE_MAX];
} online_t;

// --- What Bucket finds ---------------------------------------------------------------------------

static void
end(online_t *self)
{
    cli_audit_verify_t *verify = &self->verify;
    cli_audit_report_uint(&verify->report, "checked", self->next);
    cli_progress_clear();
    cli_audit_bus_end(&self->bus, cli_audit_report_end(&verify->report));
}

// Ends without a verdict: there is nobody to ask, or no sense in the answer.
static void
give_up(online_t *self, int status)
{
    cli_progress_clear();
    cli_audit_bus_end(&self->bus, status);
}

// Whether an answer says that what is stored is damaged, which is a finding; any other failure is
// the end of asking.
static bool
is_damage(const client_answer_t *answer)
{
    return answer->err == BUS_CORRUPT || answer->err == BUS_IO;
}

// The array `key` of an answer, as a walk and its count.
static bool
open_array(bus_view_t map, const char *key, walk_t *ret_walk, uint32_t *ret_count)
{
    bus_view_t value;
    walk_item_t head;
    if (walk_find(map, key, &value) != BUS_OK) {
        return false;
    }
    *ret_walk = walk_from(value);
    if (walk_next(ret_walk, &head) != BUS_OK || head.type != WALK_ARRAY) {
        return false;
    }
    *ret_count = head.count;
    return true;
}

static void
ask_pages(online_t *self,
          const char *topic,
          uint64_t from,
          void (*take)(void *arg, const client_answer_t *answer))
{
    char shown[64];
    snprintf(shown, sizeof shown, "%" PRIu64 " of %" PRIu64, from, self->end);
    cli_progress_show("verifying entry", shown);
    uint64_t left = self->end - from;
    BUS_AUTO(pack_destroy) pack_t *body = pack_new();
    pack_map(body, 2);
    pack_pair_uint(body, "from", from);
    pack_pair_uint(body, "limit", left < CLI_AUDIT_PAGE ? left : CLI_AUDIT_PAGE);
    cli_audit_bus_ask(&self->bus, topic, pack_view(body), take);
}

static void ask_leaves(online_t *self);

static void
on_checked(void *arg, const client_answer_t *answer)
{
    online_t *self = arg;
    cli_audit_report_t *report = &self->verify.report;
    walk_t walk;
    uint32_t count = 0;
    bus_view_t item;
    if (answer->err != BUS_OK && !is_damage(answer)) {
        give_up(self, cli_connect_refused(self->bus.topic, answer));
        return;
    }
    uint64_t next = answer->err == BUS_OK ? walk_uint_at(answer->body, "next", 0) : 0;
    if (next <= self->next || !open_array(answer->body, "bad", &walk, &count)) {
        cli_audit_report_entry(report, self->next, VIEW_NONE, "Bucket cannot check it");
        ask_leaves(self);
        return;
    }
    for (uint32_t i = 0; i < count && walk_skip(&walk, &item) == BUS_OK; ++i) {
        bus_view_t problem = walk_text_at(item, "problem");
        cli_audit_report_entry(report,
                               walk_uint_at(item, "leaf_index", 0),
                               walk_text_at(item, "audit_id"),
                               "%.*s",
                               (int) problem.size,
                               problem.data);
    }
    uint64_t size = walk_uint_at(answer->body, "tree_size", 0);
    self->next = next;
    self->end = self->end < size ? self->end : size;
    if (self->next < self->end) {
        ask_pages(self, "req.bucket.audit_verify", self->next, on_checked);
    } else {
        ask_leaves(self);
    }
}

// --- The proof from older checkpoints ------------------------------------------------------------

static bool
read_path(bus_view_t answer, merkle_path_t *ret_path)
{
    bus_view_t array;
    return walk_find(answer, "path", &array) == BUS_OK && note_path(array, ret_path) == BUS_OK;
}

// The newest of the older checkpoints that is not beyond the log's end; NULL: there is none.
static const merkle_head_t *
newest(const online_t *self)
{
    const cli_audit_since_t *since = &self->verify.since;
    for (size_t i = since->count; i > 0; --i) {
        const merkle_head_t *head = &since->at[i - 1].checkpoint.head;
        if (head->size <= self->signed_.checkpoint.head.size) {
            return head;
        }
    }
    return NULL;
}

static void
on_consistency(void *arg, const client_answer_t *answer)
{
    online_t *self = arg;
    merkle_path_t path;
    if (answer->err != BUS_OK && !is_damage(answer)) {
        give_up(self, cli_connect_refused(self->bus.topic, answer));
        return;
    }
    bool is_good = answer->err == BUS_OK && read_path(answer->body, &path) &&
                   merkle_verify_consistency(newest(self), &self->signed_.checkpoint.head, &path);
    if (!is_good) {
        cli_audit_report_whole(&self->verify.report,
                               "the log cannot prove that it is a longer form of %s",
                               self->verify.since.path);
    }
    end(self);
}

static void
ask_consistency(online_t *self)
{
    const merkle_head_t *old = self->has_head ? newest(self) : NULL;
    if (old == NULL) {
        end(self);
        return;
    }
    BUS_AUTO(pack_destroy) pack_t *body = pack_new();
    pack_map(body, 2);
    pack_pair_uint(body, "from", old->size);
    pack_pair_uint(body, "to", self->signed_.checkpoint.head.size);
    cli_audit_bus_ask(&self->bus, "req.bucket.audit_consistency", pack_view(body), on_consistency);
}

// --- The root, from the leaves -------------------------------------------------------------------

// False where it is not what a page has.
static bool
take_leaf(online_t *self, bus_view_t item)
{
    cli_audit_verify_t *verify = &self->verify;
    merkle_hash_t hash;
    merkle_hash_t made;
    size_t size = 0;
    bus_view_t encoded = walk_text_at(item, "leaf");
    if (!cli_audit_hash(item, "hash", &hash)) {
        return false;
    }
    if (encoded.data != NULL) {
        if (note_unbase64(encoded, self->leaf, sizeof self->leaf, &size) != BUS_OK) {
            return false;
        }
        merkle_leaf(view_from(self->leaf, size), &made);
        if (!merkle_equal(&made, &hash)) {
            cli_audit_report_entry(&verify->report,
                                   verify->tree.size,
                                   VIEW_NONE,
                                   "what Bucket tells of it does not match its hash");
        }
    }
    merkle_tree_add(&verify->tree, &hash);
    cli_audit_report_since(&verify->report, &verify->since, &verify->tree);
    return true;
}

// All leaves are here.
static void
conclude(online_t *self)
{
    cli_audit_verify_t *verify = &self->verify;
    if (self->has_head) {
        cli_audit_report_head(
            &verify->report, &self->signed_.checkpoint.head, &verify->since, &verify->tree);
    }
    cli_audit_report_missing(&verify->report, &verify->since, &verify->tree);
    ask_consistency(self);
}

static void
on_leaves(void *arg, const client_answer_t *answer)
{
    online_t *self = arg;
    merkle_tree_t *tree = &self->verify.tree;
    uint64_t before = tree->size;
    walk_t walk;
    uint32_t count = 0;
    bus_view_t item;
    if (answer->err != BUS_OK && !is_damage(answer)) {
        give_up(self, cli_connect_refused(self->bus.topic, answer));
        return;
    }
    bool is_good = answer->err == BUS_OK && open_array(answer->body, "leaves", &walk, &count);
    for (uint32_t i = 0; i < count && tree->size < self->end && is_good; ++i) {
        is_good = walk_skip(&walk, &item) == BUS_OK && take_leaf(self, item);
    }
    if (!is_good || tree->size == before) {
        cli_audit_report_whole(&self->verify.report,
                               "the log does not tell its leaves from entry %" PRIu64 " on",
                               tree->size);
        ask_consistency(self);
    } else {
        ask_leaves(self);
    }
}

static void
ask_leaves(online_t *self)
{
    merkle_tree_t *tree = &self->verify.tree;
    if (tree->size < self->end) {
        ask_pages(self, "req.bucket.audit_leaves", tree->size, on_leaves);
    } else {
        conclude(self);
    }
}

// --- The head and the keys -----------------------------------------------------------------------

static void
open_head(online_t *self, bus_view_t answer)
{
    cli_audit_report_t *report = &self->verify.report;
    const char *why = NULL;
    if (!self->has_keys) {
        cli_audit_keys_add(&self->verify.keys, walk_text_at(answer, "vkey"));
    }
    text_add(self->note, walk_text_at(answer, "checkpoint"));
    self->has_head =
        cli_audit_keys_open(&self->verify.keys, text_view(self->note), &self->signed_, &why);
    if (self->has_head) {
        cli_audit_report_signed(report, &self->signed_);
        self->end = self->signed_.checkpoint.head.size;
    } else {
        cli_audit_report_whole(report, "the checkpoint: %s", why);
        self->end = walk_uint_at(answer, "tree_size", 0);
    }
}

static void
on_checkpoint(void *arg, const client_answer_t *answer)
{
    online_t *self = arg;
    cli_audit_report_t *report = &self->verify.report;
    if (answer->err != BUS_OK && !is_damage(answer)) {
        give_up(self, cli_connect_refused(self->bus.topic, answer));
        return;
    }
    if (answer->err == BUS_OK) {
        open_head(self, answer->body);
    } else {
        cli_audit_report_whole(report, "the log can give no checkpoint: it is damaged");
        self->end = UINT64_MAX; // until Bucket says how many there are
    }
    cli_audit_report_text(
        report, "key", view_from_text(self->has_keys ? "given" : "told by Bucket itself"));
    cli_audit_report_open(report, &self->verify.since, &self->verify.keys);
    cli_audit_report_since(report, &self->verify.since, &self->verify.tree);
    if (self->end == 0) {
        conclude(self);
    } else {
        ask_pages(self, "req.bucket.audit_verify", 0, on_checked);
    }
}

static void
ask_checkpoint(online_t *self)
{
    BUS_AUTO(pack_destroy) pack_t *body = pack_new();
    pack_map(body, 0);
    cli_audit_bus_ask(&self->bus, "req.bucket.audit_checkpoint", pack_view(body), on_checkpoint);
}

// The keys of before a rotation, which signed older checkpoints.
static void
on_keys(void *arg, const client_answer_t *answer)
{
    online_t *self = arg;
    walk_t walk;
    uint32_t count = 0;
    bus_view_t item;
    if (answer->err == BUS_OK && open_array(answer->body, "keys", &walk, &count)) {
        for (uint32_t i = 0; i < count && walk_skip(&walk, &item) == BUS_OK; ++i) {
            cli_audit_keys_add(&self->verify.keys, walk_text_at(item, "vkey"));
        }
    }
    ask_checkpoint(self);
}

static void
begin(void *arg)
{
    online_t *self = arg;
    if (self->has_keys) {
        ask_checkpoint(self);
        return;
    }
    BUS_AUTO(pack_destroy) pack_t *body = pack_new();
    pack_map(body, 0);
    cli_audit_bus_ask(&self->bus, "req.crypto.list", pack_view(body), on_keys);
}

// --- The verb ------------------------------------------------------------------------------------

// Whether somebody listens at the socket: a broker that ended leaves it there.
static bool
is_listening(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t size = strlen(path) + 1;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return false;
    }
    assert(size <= sizeof address.sun_path); // cli_dir_endpoint sees to it
    memcpy(address.sun_path, path, size);
    bool is_it = connect(fd, (struct sockaddr *) &address, sizeof address) == 0;
    close(fd);
    return is_it;
}

// A folder with Bucket's store and without a broker that listens is read by itself.
static bool
is_stopped(const cli_audit_verify_flags_t *flags, const cli_dir_t *dir)
{
    static const char ipc[] = "ipc://";
    const cli_place_t *place = &flags->asked.place;
    cli_endpoints_t bus;
    if (place->dir == NULL || place->ingress != NULL || place->egress != NULL ||
        !cli_stores_has(dir->path, "bucket") || cli_connect_tool(place, &bus) != CLI_DONE) {
        return false;
    }
    bool is_socket = strncmp(bus.ingress, ipc, strlen(ipc)) == 0;
    return !is_socket || !is_listening(bus.ingress + strlen(ipc));
}

static int
verify(online_t *self)
{
    const cli_audit_verify_flags_t *flags = self->verify.flags;
    cli_dir_t dir;
    int status = cli_dir_find(flags->asked.place.dir, &dir);
    if (status != CLI_DONE) {
        return status;
    }
    if (flags->offline || is_stopped(flags, &dir)) {
        return cli_audit_verify_store(&self->verify, dir.path);
    }
    self->bus = (cli_audit_bus_t){.place = &flags->asked, .begin = begin, .arg = self};
    return cli_audit_bus_run(&self->bus);
}

static int
run(int argc, char **argv)
{
    static online_t self;
    cli_audit_verify_flags_t flags = {.offline = false};
    option_parse(&options, argc, argv, &flags, NULL, NULL);
    self = (online_t){.verify = {.flags = &flags}, .note = text_new()};
    int status = cli_audit_keys_read(flags.key, &self.verify.keys);
    self.has_keys = self.verify.keys.count > 0;
    int read = cli_audit_since_read(&self.verify.since, flags.since);
    int init = cli_audit_report_init(&self.verify.report, flags.format);
    status = status == CLI_DONE ? read : status;
    status = status == CLI_DONE ? init : status;
    if (status == CLI_DONE) {
        status = verify(&self);
    }
    cli_progress_clear();
    cli_audit_report_clear(&self.verify.report);
    cli_audit_since_clear(&self.verify.since);
    text_destroy(&self.note);
    return status;
}

const cli_command_t cli_audit_verify = {
    .name = "verify",
    .summary = "verify the whole log",
    .group = CLI_GROUP_KEEP,
    .options = &options,
    .run = run,
};
