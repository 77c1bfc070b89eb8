// kb_add.c - `bhiv kb add`: files become documents, long ones in parts.
//
// A file is read whole and checked before any of it is sent. Its parts end where a paragraph or a
// line does, and Core puts the offsets together again.
#include "kb.h"

#include "proto/walk.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    FILES_MAX = 10000,            // of one command
    PARTS_MAX = 64,               // as in proto/schema/core.def
    PART_SIZE = 256 * 1024,       // of a text: Core takes it in a tenth of a second
    PART_CUT = PART_SIZE * 3 / 4, // a part ends behind here, where a line does
    FILE_MAX = PARTS_MAX * PART_CUT,
    ID_MAX = 128, // bytes, as in proto/schema/core.def
    READ_SIZE = 65536
};

typedef struct {
    cli_question_flags_t kb;
    const char *id;
    const char *title;
    const char *book;
    const char *type;
    const char *version;
    const char *source;
} flags_t;

#define AT(field) offsetof(flags_t, field)
// clang-format off
static const option_row_t rows[] = {
    CLI_QUESTION_ROWS("30s"),
    {"id", 'i', OPTION_TEXT, "ID", NULL, AT(id), 0, 0,
     "of the document; default its path, without what leads out of here"},
    {"title", 'T', OPTION_TEXT, "TEXT", NULL, AT(title), 0, 0, "for citations; default the id"},
    {"book", 'b', OPTION_TEXT, "NAME", NULL, AT(book), 0, 0,
     "what @book: finds; default the file's name without its ending"},
    {"type", 'y', OPTION_TEXT, "NAME", NULL, AT(type), 0, 0,
     "what @type: finds; default the file's ending"},
    {"version", 'v', OPTION_TEXT, "VERSION", NULL, AT(version), 0, 0, "what @version: finds"},
    {"source", 's', OPTION_TEXT, "TEXT", NULL, AT(source), 0, 0, "cited; default the path"},
};
// clang-format on
#undef AT

static const option_table_t options = {
    .program = "bhiv kb add",
    .arguments = "FILE…",
    .help = "Adds texts (UTF-8; - is standard input) to the knowledge base, up to 12 MiB each. A "
            "file that was added before takes the place of its older version; one that has not "
            "changed changes nothing. It can be found as soon as it is printed.\v"
            "  bhiv kb add docs/*.md\n"
            "  bhiv kb add gita.txt --book 'Bhagavad Gita' --version 1\n"
            "  pdftotext report.pdf - | bhiv kb add - --id report.pdf",
    .rows = rows,
    .row_count = sizeof rows / sizeof rows[0],
    .arguments_min = 1,
    .arguments_max = FILES_MAX,
};

// The file in hand, and what becomes of all.
typedef struct {
    const flags_t *flags;
    const char **paths;
    unsigned path_count;
    unsigned at;     // of the next file
    int status;      // the first that was not good
    char *bytes;     // of the file in hand; NULL: none
    bus_view_t text; // of them
    size_t offset;   // of what comes next
    unsigned part;   // of what comes next, from 1
    unsigned parts;
    uint64_t chunks;                              // so far
    unsigned added, replaced, updated, unchanged; // parts
} add_t;

// --- Reading -------------------------------------------------------------------------------------

static void
note_failure(add_t *self, int status)
{
    self->status = self->status == CLI_DONE ? status : self->status;
}

static int
read_all(int fd, const char *path, char **ret_bytes, size_t *ret_size)
{
    char *bytes = NULL;
    size_t size = 0;
    ssize_t got = 0;
    do {
        size += (size_t) got;
        char *grown = realloc(bytes, size + READ_SIZE);
        assert(grown);
        bytes = grown;
        do {
            got = read(fd, bytes + size, READ_SIZE);
        } while (got < 0 && errno == EINTR);
    } while (got > 0 && size + (size_t) got <= FILE_MAX);
    *ret_bytes = bytes;
    *ret_size = size;
    if (got > 0) {
        return cli_fail(CLI_BAD_DATA,
                        "%s is over %d MiB: cut it into several files",
                        path,
                        FILE_MAX / (1024 * 1024));
    }
    return got == 0 ? CLI_DONE : cli_fail(CLI_IO, "cannot read %s: %s", path, strerror(errno));
}

static int
read_file(const char *path, char **ret_bytes, size_t *ret_size)
{
    bool is_stdin = strcmp(path, "-") == 0;
    int fd = is_stdin ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        bool is_missing = errno == ENOENT || errno == ENOTDIR;
        return cli_fail(
            is_missing ? CLI_NOT_FOUND : CLI_IO, "cannot read %s: %s", path, strerror(errno));
    }
    int status = read_all(fd, path, ret_bytes, ret_size);
    if (!is_stdin) {
        close(fd);
    }
    return status;
}

static int
check_text(const char *path, bus_view_t text)
{
    size_t good = walk_utf8_size(text);
    if (good < text.size) {
        bool is_pdf = view_starts(text, VIEW_LITERAL("%PDF-"));
        return cli_fail(CLI_BAD_DATA,
                        "%s is no UTF-8 text from byte %zu on%s",
                        path,
                        good,
                        is_pdf ? " (a PDF: see pdftotext)" : " (see iconv)");
    }
    if (memchr(text.data, '\0', text.size) != NULL) {
        return cli_fail(CLI_BAD_DATA, "%s is no text: it has NUL bytes", path);
    }
    return CLI_DONE;
}

// --- What is said of a file ----------------------------------------------------------------------

// A path without what leads to here: ./ and /.
static const char *
plain_path(const char *path)
{
    for (;;) {
        if (strncmp(path, "./", 2) == 0) {
            path += 2;
        } else if (strncmp(path, "../", 3) == 0) {
            path += 3;
        } else if (path[0] == '/') {
            path += 1;
        } else {
            return path;
        }
    }
}

static const char *
document_id(const add_t *self)
{
    return self->flags->id != NULL ? self->flags->id : plain_path(self->paths[self->at]);
}

static bus_view_t
file_stem(const char *path, bus_view_t *ret_ending)
{
    const char *slash = strrchr(path, '/');
    const char *leaf = slash == NULL ? path : slash + 1;
    const char *dot = strrchr(leaf, '.');
    bool has_ending = dot != NULL && dot != leaf && dot[1] != '\0';
    *ret_ending = has_ending ? view_from_text(dot + 1) : VIEW_NONE;
    return view_from(leaf, has_ending ? (size_t) (dot - leaf) : strlen(leaf));
}

// Where the part that begins at `from` ends: at the last empty line behind PART_CUT, else at the
// last line, else at the last space, else between two characters.
static size_t
part_end(bus_view_t text, size_t from)
{
    if (text.size - from <= PART_SIZE) {
        return text.size;
    }
    size_t line = 0;
    size_t space = 0;
    for (size_t i = from + PART_SIZE - 1; i >= from + PART_CUT; --i) {
        if (text.data[i] == '\n' && text.data[i - 1] == '\n') {
            return i + 1;
        }
        line = line == 0 && text.data[i] == '\n' ? i + 1 : line;
        space = space == 0 && text.data[i] == ' ' ? i + 1 : space;
    }
    size_t end = line != 0 ? line : space != 0 ? space : from + PART_SIZE;
    while ((text.data[end] & 0xc0) == 0x80) {
        --end;
    }
    return end;
}

static unsigned
count_parts(bus_view_t text)
{
    unsigned count = 0;
    for (size_t at = 0; at < text.size; at = part_end(text, at)) {
        ++count;
    }
    return count;
}

// Takes the next file in hand. Returns what is wrong with it.
static int
open_file(add_t *self)
{
    const char *path = self->paths[self->at];
    const char *id = document_id(self);
    size_t size = 0;
    if (strcmp(id, "-") == 0) {
        return cli_fail(CLI_USAGE, "kb add: what comes from standard input needs an --id");
    }
    if (id[0] == '\0' || strlen(id) > ID_MAX) {
        return cli_fail(
            CLI_BAD_DATA, "%s: an id is 1 to %d bytes; give it another with --id", path, ID_MAX);
    }
    int status = read_file(path, &self->bytes, &size);
    if (status != CLI_DONE) {
        return status;
    }
    self->text = view_from(self->bytes, size);
    if (view_starts(self->text, VIEW_LITERAL("\xef\xbb\xbf"))) { // a byte order mark
        self->text = view_from(self->bytes + 3, size - 3);
    }
    if (self->text.size == 0) {
        return cli_fail(CLI_BAD_DATA, "%s is empty", path);
    }
    self->offset = 0;
    self->part = 1;
    self->parts = count_parts(self->text);
    self->chunks = 0;
    self->added = self->replaced = self->updated = self->unchanged = 0;
    return check_text(path, self->text);
}

static void
close_file(add_t *self)
{
    free(self->bytes);
    self->bytes = NULL;
    ++self->at;
}

static void
pack_pair_some(pack_t *out, const char *key, bus_view_t value, uint32_t *count)
{
    if (value.size > 0) {
        pack_pair_str(out, key, value);
        ++*count;
    }
}

static void
pack_part(add_t *self, pack_t *out)
{
    const flags_t *flags = self->flags;
    const char *path = self->paths[self->at];
    bool is_stdin = strcmp(path, "-") == 0;
    bus_view_t ending;
    bus_view_t stem = file_stem(is_stdin ? flags->id : path, &ending);
    size_t end = part_end(self->text, self->offset);
    uint32_t count = 4;
    size_t place = pack_map_begin(out);
    pack_pair_text(out, "document_id", document_id(self));
    pack_pair_str(out, "text", view_from(self->text.data + self->offset, end - self->offset));
    pack_pair_uint(out, "part", self->part);
    pack_pair_uint(out, "parts", self->parts);
    pack_pair_some(out, "title", view_from_text(flags->title), &count);
    pack_pair_some(out, "book", flags->book != NULL ? view_from_text(flags->book) : stem, &count);
    pack_pair_some(out, "type", flags->type != NULL ? view_from_text(flags->type) : ending, &count);
    pack_pair_some(out, "version", view_from_text(flags->version), &count);
    bus_view_t source = view_from_text(flags->source != NULL ? flags->source : path);
    pack_pair_some(out, "source", is_stdin && flags->source == NULL ? VIEW_NONE : source, &count);
    pack_count(out, place, count);
    self->offset = end;
    ++self->part;
}

static bool
next(void *arg, pack_t *out, int *ret_status)
{
    add_t *self = arg;
    while (self->bytes == NULL && self->at < self->path_count) {
        int status = open_file(self);
        if (status != CLI_DONE) {
            note_failure(self, status);
            close_file(self);
        }
    }
    *ret_status = self->status;
    if (self->bytes == NULL) {
        return false;
    }
    pack_part(self, out);
    return true;
}

// --- Answers -------------------------------------------------------------------------------------

// What became of a file by what became of its parts.
static const char *
action_of(const add_t *self)
{
    if (self->added == self->parts) {
        return "added";
    }
    if (self->added + self->replaced > 0) {
        return "replaced";
    }
    return self->updated > 0 ? "updated" : "unchanged";
}

static void
print_file(const add_t *self, cli_output_t *out)
{
    const char *action = action_of(self);
    if (out->format == CLI_FORMAT_LINE) {
        text_clear(out->text);
        text_add_format(out->text,
                        "%-9s %s: %llu passage%s\n",
                        action,
                        document_id(self),
                        (unsigned long long) self->chunks,
                        self->chunks == 1 ? "" : "s");
        cli_output_text(out);
        return;
    }
    BUS_AUTO(pack_destroy) pack_t *value = pack_new();
    pack_map(value, 6);
    pack_pair_text(value, "document_id", document_id(self));
    pack_pair_text(value, "file", self->paths[self->at]);
    pack_pair_text(value, "action", action);
    pack_pair_uint(value, "parts", self->parts);
    pack_pair_uint(value, "chunks", self->chunks);
    pack_pair_uint(value, "bytes", self->text.size);
    cli_output_value(out, pack_view(value));
}

static void
take(void *arg, cli_output_t *out, bus_view_t answer)
{
    add_t *self = arg;
    bus_view_t action = walk_text_at(answer, "action");
    self->chunks += walk_uint_at(answer, "chunks", 0);
    self->added += view_is(action, "added") ? 1 : 0;
    self->replaced += view_is(action, "replaced") ? 1 : 0;
    self->updated += view_is(action, "updated") ? 1 : 0;
    self->unchanged += view_is(action, "unchanged") ? 1 : 0;
    if (self->part > self->parts) {
        print_file(self, out);
        close_file(self);
    }
}

static void
failed(void *arg, int status)
{
    add_t *self = arg;
    note_failure(self, status);
    (void) cli_fail(status,
                    "%s: part %u of %u was not added",
                    self->paths[self->at],
                    self->part - 1,
                    self->parts);
    close_file(self);
    if (status == CLI_NO_ANSWER || status == CLI_TIMED_OUT) {
        self->at = self->path_count; // the others would fare no better
    }
}

static int
run(int argc, char **argv)
{
    flags_t flags = {.id = NULL};
    const char **paths = calloc((size_t) argc, sizeof paths[0]);
    assert(paths);
    add_t add = {.flags = &flags, .paths = paths};
    option_parse(&options, argc, argv, &flags, paths, &add.path_count);
    if (flags.id != NULL && add.path_count > 1) {
        free(paths);
        return cli_fail(CLI_USAGE, "kb add: --id is for one file");
    }
    const cli_kb_talk_t talk = {.flags = &flags.kb,
                                .topic = "kb.document",
                                .next = next,
                                .take = take,
                                .failed = failed,
                                .arg = &add};
    int status = cli_kb_talk(&talk);
    free(add.bytes);
    free(paths);
    return status;
}

const cli_command_t cli_kb_add = {
    .name = "add",
    .summary = "add texts",
    .group = CLI_GROUP_KEEP,
    .options = &options,
    .run = run,
};
