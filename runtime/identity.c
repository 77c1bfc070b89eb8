// identity.c - the build-id out of the program's own notes, and hashes over its tables.
#include "identity.h"

#include "id.h"
#include "proto/schema.h"
#include "proto/topic.h"

#include <assert.h>
#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

enum {
    HOST_DIGITS = 18, // of the boot's UUID: enough to tell machines apart
    LINK_SIZE = 64,   // "pid:[4026531836]"
};

static const char owner[] = "GNU"; // of the note; its NUL counts

// --- The build -----------------------------------------------------------------------------------

static size_t
aligned(size_t size)
{
    return (size + 3) / 4 * 4;
}

// Looks for the build-id among the notes of a segment. These are the program's own: they are where
// the linker said.
static bool
find_note(const uint8_t *notes, size_t size, char *ret_build)
{
    size_t at = 0;
    while (at + sizeof(ElfW(Nhdr)) <= size) {
        ElfW(Nhdr) note;
        memcpy(&note, notes + at, sizeof note);
        size_t name = at + sizeof note;
        size_t id = name + aligned(note.n_namesz);
        size_t end = id + aligned(note.n_descsz);
        if (end > size) {
            return false;
        }
        if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == sizeof owner &&
            memcmp(notes + name, owner, sizeof owner) == 0) {
            size_t bytes = note.n_descsz;
            size_t bytes_max = (IDENTITY_BUILD_SIZE - 1) / 2;
            id_hex(notes + id, bytes < bytes_max ? bytes : bytes_max, ret_build);
            return true;
        }
        at = end;
    }
    return false;
}

// The first object is the program itself.
static int
on_object(struct dl_phdr_info *info, size_t size BUS_UNUSED, void *arg)
{
    for (size_t i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *segment = &info->dlpi_phdr[i];
        const uint8_t *notes = (const uint8_t *) (info->dlpi_addr + segment->p_vaddr);
        if (segment->p_type == PT_NOTE && find_note(notes, segment->p_memsz, arg)) {
            break;
        }
    }
    return 1;
}

static void
hash_program(char ret_build[IDENTITY_BUILD_SIZE])
{
    struct stat status;
    int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return;
    }
    if (fstat(fd, &status) == 0 && status.st_size > 0) {
        size_t size = (size_t) status.st_size;
        void *bytes = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (bytes != MAP_FAILED) {
            XXH64_canonical_t hash;
            XXH64_canonicalFromHash(&hash, XXH3_64bits(bytes, size));
            id_hex(hash.digest, sizeof hash.digest, ret_build);
            munmap(bytes, size);
        }
    }
    close(fd);
}

// --- The tables ----------------------------------------------------------------------------------

static void
add_text(XXH3_state_t *hash, const char *text)
{
    XXH3_64bits_update(hash, text, strlen(text) + 1); // its NUL ends it
}

static void
add_number(XXH3_state_t *hash, int64_t number)
{
    XXH3_64bits_update(hash, &number, sizeof number);
}

// What a body may be; what is said of it for people is left out.
static void
add_schema(XXH3_state_t *hash, const schema_t *schema)
{
    add_text(hash, schema->name);
    add_text(hash, schema->topic);
    for (size_t i = 0; i < schema->field_count; i++) {
        const schema_field_t *field = &schema->fields[i];
        add_text(hash, field->name);
        add_number(hash, field->type);
        add_number(hash, field->required);
        add_number(hash, field->min);
        add_number(hash, field->max);
    }
}

static void
hash_tables(char ret_schemas[IDENTITY_TABLES_SIZE])
{
    XXH3_state_t *hash = XXH3_createState();
    assert(hash != NULL);
    XXH3_64bits_reset(hash);
    for (size_t i = 0; i < schema_count; i++) {
        add_schema(hash, schema_all[i]);
    }
    for (size_t i = 0; i < topic_row_count; i++) {
        add_text(hash, topic_rows[i].prefix);
        add_number(hash, topic_rows[i].class_);
        add_text(hash, topic_rows[i].owner);
    }
    XXH64_canonical_t made;
    XXH64_canonicalFromHash(&made, XXH3_64bits_digest(hash));
    id_hex(made.digest, sizeof made.digest, ret_schemas);
    XXH3_freeState(hash);
}

// --- The host ------------------------------------------------------------------------------------

static void
read_host(char ret_host[IDENTITY_HOST_SIZE])
{
    char boot[HOST_DIGITS + 1] = "";
    char link[LINK_SIZE];
    ssize_t size = readlink("/proc/self/ns/pid", link, sizeof link - 1);
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return;
    }
    ssize_t got = read(fd, boot, HOST_DIGITS);
    close(fd);
    if (got != HOST_DIGITS || size <= 0) {
        return;
    }
    link[size] = '\0';
    const char *namespace = strchr(link, '[');
    if (namespace != NULL) {
        snprintf(ret_host,
                 IDENTITY_HOST_SIZE,
                 "%s-%.*s",
                 boot,
                 (int) strspn(namespace + 1, "0123456789"),
                 namespace + 1);
    }
}

void
identity_read(identity_t *ret_identity)
{
    *ret_identity = (identity_t){.build = ""};
    dl_iterate_phdr(on_object, ret_identity->build);
    if (ret_identity->build[0] == '\0') {
        hash_program(ret_identity->build);
    }
    hash_tables(ret_identity->schemas);
    read_host(ret_identity->host);
}
