// librarian_folder.c - documents that lie in a folder. See librarian_folder.h.
#include "librarian_folder.h"

#include "librarian_ingest_self.h"
#include "proto/walk.h"
#include "runtime/clock.h"

#include <assert.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define FOLDER "documents"

enum {
    ID_SIZE = 129,
    TRACE_SIZE = 129,
    SHOWN_MAX = 50, // files that the result names
};

typedef struct {
    int fd; // of the folder; -1: there is none
    char **names;
    size_t count;
    size_t at;  // the next
    char *text; // of the file in hand
    char document_id[ID_SIZE];
    char trace_id[TRACE_SIZE];
    uint64_t began_us;
    uint64_t taken_in, duplicates, rejected, failed, chunks;
    double quality, trust; // sums, of what was taken in
    pack_t *shown;         // an array, open
    size_t place;
    uint32_t shown_count;
} folder_t;

static void
show(folder_t *self, const char *status, const char *why)
{
    if (self->shown_count == SHOWN_MAX) {
        return;
    }
    self->shown_count++;
    pack_map(self->shown, 3);
    pack_pair_text(self->shown, "document_id", self->document_id);
    pack_pair_text(self->shown, "status", status);
    pack_pair_str(self->shown, "reason", view_from_text(why));
}

// Reads the file into self->text. Returns why not, or NULL.
static const char *
read_file(folder_t *self, const char *name, bus_view_t *ret_text)
{
    struct stat about;
    free(self->text);
    self->text = NULL;
    // Neither a link out of the folder nor a pipe that nobody writes to.
    int fd = openat(self->fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0) {
        return "it cannot be opened";
    }
    const char *why = NULL;
    size_t size = 0;
    if (fstat(fd, &about) != 0 || !S_ISREG(about.st_mode)) {
        why = "it is no regular file";
    } else if (about.st_size > KERNEL_LIBRARIAN_TEXT_MAX) {
        why = "it is over 768 KiB";
    } else {
        self->text = malloc((size_t) about.st_size + 1);
        assert(self->text);
        ssize_t got = 1;
        while (got > 0 && size < (size_t) about.st_size) {
            got = read(fd, self->text + size, (size_t) about.st_size - size);
            size += got > 0 ? (size_t) got : 0;
        }
        why = got < 0 ? "it cannot be read" : NULL;
    }
    (void) close(fd);
    *ret_text = view_from(self->text, size);
    return why == NULL && !walk_utf8(*ret_text) ? "it is not UTF-8" : why;
}

static bool
next(void *own, kernel_librarian_ask_t *ret_ask)
{
    folder_t *self = own;
    while (self->at < self->count) {
        const char *name = self->names[self->at++];
        bus_view_t text = VIEW_NONE;
        (void) snprintf(self->document_id, sizeof self->document_id, FOLDER "/%s", name);
        const char *why = strlen(name) + sizeof FOLDER >= sizeof self->document_id ||
                                  !walk_utf8(view_from_text(name))
                              ? "its name is no document's id"
                              : read_file(self, name, &text);
        if (why == NULL) {
            *ret_ask = (kernel_librarian_ask_t){
                .document_id = view_from_text(self->document_id),
                .title = view_from_text(name),
                .text = text,
                .source = VIEW_LITERAL("filesystem"),
                .trace_id = view_from_text(self->trace_id),
            };
            return true;
        }
        self->rejected++;
        if (walk_utf8(view_from_text(self->document_id))) {
            show(self, "rejected", why);
        }
    }
    return false;
}

static void
take(void *own, const kernel_librarian_outcome_t *outcome)
{
    folder_t *self = own;
    if (outcome->err != BUS_OK) {
        self->failed++;
        show(self, "failed", outcome->why);
        return;
    }
    bool is_new = strcmp(outcome->status, "completed") == 0;
    self->taken_in += is_new ? 1 : 0;
    self->duplicates += strcmp(outcome->status, "duplicate") == 0 ? 1 : 0;
    self->rejected += strcmp(outcome->status, "rejected") == 0 ? 1 : 0;
    self->chunks += outcome->chunks;
    self->quality += is_new ? outcome->quality : 0;
    self->trust += is_new ? outcome->trust : 0;
    show(self, outcome->status, NULL);
}

static void
pack(void *own, pack_t *out)
{
    folder_t *self = own;
    bool has_new = self->taken_in > 0;
    pack_count(self->shown, self->place, self->shown_count);
    pack_map(out, has_new ? 11 : 9);
    pack_pair_text(out, "status", "completed");
    pack_pair_uint(out, "documents_seen", self->count);
    pack_pair_uint(out, "taken_in", self->taken_in);
    pack_pair_uint(out, "duplicates", self->duplicates);
    pack_pair_uint(out, "rejected", self->rejected);
    pack_pair_uint(out, "failed", self->failed);
    pack_pair_uint(out, "chunks_created", self->chunks);
    if (has_new) {
        pack_pair_real(out, "quality_score", self->quality / (double) self->taken_in);
        pack_pair_real(out, "trust_score", self->trust / (double) self->taken_in);
    }
    pack_pair_real(out, "duration_seconds", (double) (clock_boot_us() - self->began_us) / 1e6);
    pack_pair_raw(out, "documents", pack_view(self->shown));
}

static void
destroy(void *own)
{
    folder_t *self = own;
    for (size_t i = 0; i < self->count; i++) {
        free(self->names[i]);
    }
    free(self->names);
    free(self->text);
    pack_destroy(&self->shown);
    if (self->fd >= 0) {
        (void) close(self->fd);
    }
    free(self);
}

// Where the name belongs among those in hand.
static size_t
place_of(const folder_t *self, const char *name)
{
    size_t low = 0, high = self->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(self->names[middle], name) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

// Keeps it where it is among the first KERNEL_LIBRARIAN_FILES_MAX by name. False: one is left out.
static bool
add_name(folder_t *self, const char *name)
{
    size_t place = place_of(self, name);
    if (place == KERNEL_LIBRARIAN_FILES_MAX) {
        return false;
    }
    bool is_full = self->count == KERNEL_LIBRARIAN_FILES_MAX;
    if (is_full) {
        free(self->names[--self->count]);
    }
    memmove(self->names + place + 1,
            self->names + place,
            (self->count - place) * sizeof self->names[0]);
    self->names[place] = strdup(name);
    assert(self->names[place]);
    self->count++;
    return !is_full;
}

// The first files by name behind `after`. One go may not see all: the next begins behind its last.
static void
list_names(folder_t *self, char after[KERNEL_LIBRARIAN_FILE_SIZE])
{
    int again = self->fd >= 0 ? dup(self->fd) : -1;
    DIR *dir = again >= 0 ? fdopendir(again) : NULL;
    if (dir == NULL) {
        if (again >= 0) {
            (void) close(again);
        }
        return;
    }
    self->names = calloc(KERNEL_LIBRARIAN_FILES_MAX, sizeof self->names[0]);
    assert(self->names);
    bool are_all = true;
    const struct dirent *entry;
    while ((entry = readdir(dir)) != NULL) {
        if (entry->d_name[0] != '.' && strcmp(entry->d_name, after) > 0) {
            are_all = add_name(self, entry->d_name) && are_all;
        }
    }
    (void) closedir(dir);
    (void) snprintf(
        after, KERNEL_LIBRARIAN_FILE_SIZE, "%s", are_all ? "" : self->names[self->count - 1]);
}

bus_err_t
kernel_librarian_folder_start(kernel_librarian_t *self,
                              const char *dir,
                              bus_view_t trace_id,
                              kernel_librarian_done_fn *fn,
                              void *arg)
{
    static const kernel_librarian_batch_kind_t kind = {
        .next = next, .take = take, .pack = pack, .destroy = destroy};
    char path[4096];
    folder_t *folder = calloc(1, sizeof *folder);
    assert(folder && trace_id.size < sizeof folder->trace_id);
    folder->began_us = clock_boot_us();
    folder->shown = pack_new();
    folder->place = pack_array_begin(folder->shown);
    memcpy(folder->trace_id, trace_id.size > 0 ? trace_id.data : "", trace_id.size);
    int size = snprintf(path, sizeof path, "%s/" FOLDER, dir);
    bool fits = size > 0 && (size_t) size < sizeof path;
    folder->fd = fits ? open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    list_names(folder, self->folder_after);
    return kernel_librarian_batch_start(self, &kind, folder, fn, arg);
}
