// audit_since.c - a log held against the checkpoints that sign it: older ones, and its own.
//
// A root says that something is wrong, never where. The older the log's other checkpoints are kept,
// the nearer the place: all entries that the last good one signs are good, and the first bad one is
// behind them. Where an entry showed itself before, it is the one that is named.
#include "audit.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

int
cli_audit_since_read(cli_audit_since_t *self, const char *path)
{
    *self = (cli_audit_since_t){.path = path, .notes = text_new()};
    return path == NULL ? CLI_DONE : cli_audit_read(path, self->notes);
}

void
cli_audit_since_clear(cli_audit_since_t *self)
{
    text_destroy(&self->notes);
    free(self->at);
    *self = (cli_audit_since_t){.path = NULL};
}

// How many bytes at the start of `rest` are one note: up to behind its signature lines.
static size_t
note_size(bus_view_t rest)
{
    static const char mark[] = "\xe2\x80\x94 ";
    bool was_signature = false;
    size_t size = 0;
    while (size < rest.size) {
        bus_view_t line = view_from(rest.data + size, rest.size - size);
        bool is_signature = view_starts(line, VIEW_LITERAL(mark));
        if (was_signature && !is_signature) {
            return size;
        }
        const char *end = memchr(line.data, '\n', line.size);
        size += end == NULL ? line.size : (size_t) (end - line.data) + 1;
        was_signature = is_signature;
    }
    return size;
}

static int
compare_sizes(const void *a, const void *b)
{
    uint64_t size_a = ((const cli_audit_signed_t *) a)->checkpoint.head.size;
    uint64_t size_b = ((const cli_audit_signed_t *) b)->checkpoint.head.size;
    return (size_a > size_b) - (size_a < size_b);
}

void
cli_audit_report_open(cli_audit_report_t *self,
                      cli_audit_since_t *since,
                      const cli_audit_keys_t *keys)
{
    bus_view_t rest = text_view(since->notes);
    size_t limit = 0;
    for (size_t number = 1; since->path != NULL && (rest.size > 0 || number == 1); ++number) {
        bus_view_t note = view_from(rest.data, note_size(rest));
        const char *why = NULL;
        if (since->count == limit) {
            limit = limit == 0 ? 16 : limit * 2;
            since->at = realloc(since->at, limit * sizeof *since->at);
            assert(since->at);
        }
        if (cli_audit_keys_open(keys, note, &since->at[since->count], &why)) {
            ++since->count;
        } else {
            cli_audit_report_whole(self, "%s: checkpoint %zu: %s", since->path, number, why);
        }
        rest = view_from(rest.data + note.size, rest.size - note.size);
    }
    if (since->count > 0) {
        qsort(since->at, since->count, sizeof *since->at, compare_sizes);
        cli_audit_report_uint(self, "since", since->at[0].checkpoint.head.size);
    }
}

// Where a range of entries begins of which one must be bad.
static uint64_t
first_suspect(const cli_audit_report_t *self, const cli_audit_since_t *since)
{
    return self->has_first && self->first_bad >= since->good ? self->first_bad : since->good;
}

void
cli_audit_report_since(cli_audit_report_t *self,
                       cli_audit_since_t *since,
                       const merkle_tree_t *tree)
{
    while (!since->is_broken && since->next < since->count) {
        const merkle_head_t *head = &since->at[since->next].checkpoint.head;
        merkle_hash_t root;
        if (head->size != tree->size) {
            return;
        }
        ++since->next;
        merkle_tree_root(tree, &root);
        since->is_broken = !merkle_equal(&root, &head->root);
        if (!since->is_broken) {
            since->good = head->size;
            continue;
        }
        cli_audit_report_entry(self,
                               first_suspect(self, since),
                               VIEW_NONE,
                               "here or behind it, before entry %" PRIu64
                               ", the log is not what a checkpoint of %s signs",
                               head->size,
                               since->path);
    }
}

void
cli_audit_report_head(cli_audit_report_t *self,
                      const merkle_head_t *head,
                      const cli_audit_since_t *since,
                      const merkle_tree_t *tree)
{
    if (tree->size < head->size) {
        cli_audit_report_entry(self,
                               tree->size,
                               VIEW_NONE,
                               "missing: the checkpoint signs %" PRIu64 " entries",
                               head->size);
        return;
    }
    if (tree->size > head->size) {
        cli_audit_report_entry(
            self, head->size, VIEW_NONE, "from here on nothing is signed by the checkpoint");
        return;
    }
    merkle_hash_t root;
    merkle_tree_root(tree, &root);
    if (!merkle_equal(&root, &head->root)) {
        cli_audit_report_entry(self,
                               first_suspect(self, since),
                               VIEW_NONE,
                               "here or behind it the entries are not what the checkpoint signs");
    }
}

void
cli_audit_report_missing(cli_audit_report_t *self,
                         const cli_audit_since_t *since,
                         const merkle_tree_t *tree)
{
    const cli_audit_signed_t *last = since->count > 0 ? &since->at[since->count - 1] : NULL;
    if (last != NULL && last->checkpoint.head.size > tree->size) {
        cli_audit_report_entry(self,
                               tree->size,
                               VIEW_NONE,
                               "missing: a checkpoint of %s signs %" PRIu64 " entries",
                               since->path,
                               last->checkpoint.head.size);
    }
}
