// journal_fixture.c - making blocks as the router does.
#include "journal_fixture.h"
#include "proto/walk.h"
#include <assert.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static void
open_journal(fixture_t *self)
{
    bus_err_t err = journal_open(&self->options, &self->journal);
    assert(err == BUS_OK);
}

fixture_t *
fixture_new(const journal_options_t *options)
{
    fixture_t *self = calloc(1, sizeof(*self));
    assert(self != NULL);
    const char *parent = getenv("TMPDIR");
    snprintf(self->dir, sizeof(self->dir), "%s/journal-XXXXXX", parent != NULL ? parent : P_tmpdir);
    char *made = mkdtemp(self->dir);
    assert(made != NULL);
    int size = snprintf(self->path, sizeof(self->path), "%.480s/store", self->dir);
    assert(size > 0);
    if (options != NULL) {
        self->options = *options;
    }
    self->options.path = self->path;
    if (self->options.size_max == 0) {
        self->options.size_max = 1024 * 1024 * 1024;
    }
    self->batch = batch_new();
    open_journal(self);
    return self;
}

static void
drop_block(fixture_t *self)
{
    if (self->has_block) {
        zmq_msg_close(&self->block);
        self->has_block = false;
        self->count = 0;
    }
}

static void
remove_file(const fixture_t *self, const char *name)
{
    char path[FIXTURE_PATH_SIZE + 32];
    snprintf(path, sizeof(path), "%s/%s", self->path, name);
    (void) unlink(path);
}

void
fixture_destroy(fixture_t **self_p)
{
    fixture_t *self = *self_p;
    if (self == NULL) {
        return;
    }
    drop_block(self);
    batch_destroy(&self->batch);
    journal_destroy(&self->journal);
    remove_file(self, "data.mdb");
    remove_file(self, "lock.mdb");
    remove_file(self, "store.lock");
    (void) rmdir(self->path);
    (void) rmdir(self->dir);
    free(self);
    *self_p = NULL;
}

void
fixture_reopen(fixture_t *self)
{
    journal_destroy(&self->journal);
    open_journal(self);
}

void
fixture_add(fixture_t *self, const fixture_record_t *record)
{
    batch_entry_t entry = {
        .kind = BATCH_RECORD, .grouped = record->grouped, .topic = view_from_text(record->topic)};
    entry.header = (header_t){
        .id = VIEW_LITERAL("an-id"),
        .source = view_from_text(record->source == NULL ? "tester" : record->source),
        .pstream = view_from_text(record->pstream),
        .trace_id = view_from_text(record->trace_id),
        .pseq = record->pseq,
        .cause_seq = record->cause_seq,
        .cause_n = record->cause_n,
        .ack = HEADER_ACK_EACH,
    };
    BUS_AUTO(pack_destroy) pack_t *said = pack_new();
    BUS_AUTO(pack_destroy) pack_t *stamped = pack_new();
    BUS_AUTO(pack_destroy) pack_t *body = pack_new();
    header_encode(&entry.header, said);
    header_restamp(pack_view(said), &(header_stamp_t){.journaled = true}, stamped);
    if (record->body_size == 0) {
        pack_map(body, 1);
        pack_pair_text(body, "says", record->topic);
    } else {
        char *text = malloc(record->body_size);
        assert(text != NULL);
        memset(text, 'x', record->body_size);
        pack_str(body, view_from(text, record->body_size));
        free(text);
    }
    entry.header_bytes = pack_view(stamped);
    entry.body = pack_view(body);
    batch_add(self->batch, &entry);
}

void
fixture_add_group(fixture_t *self, uint32_t count, uint64_t pseq, const char *pstream)
{
    batch_entry_t entry = {.kind = BATCH_GROUP, .count = count};
    entry.header = (header_t){
        .id = VIEW_LITERAL("a-group"),
        .source = VIEW_LITERAL("tester"),
        .pstream = view_from_text(pstream),
        .pseq = pseq,
        .ack = HEADER_ACK_EACH,
    };
    batch_add(self->batch, &entry);
    for (uint32_t i = 0; i < count; i++) {
        fixture_add(self,
                    &(fixture_record_t){
                        .topic = "core.event.grouped", .trace_id = "of-a-group", .grouped = true});
    }
}

void
fixture_add_hello(fixture_t *self, const char *source, const char *pstream)
{
    batch_entry_t entry = {.kind = BATCH_HELLO};
    entry.header.source = view_from_text(source);
    entry.header.pstream = view_from_text(pstream);
    batch_add(self->batch, &entry);
}

void
fixture_add_consumer(fixture_t *self, batch_kind_t kind, const char *name, uint64_t ack)
{
    batch_entry_t entry = {.kind = kind, .seq = ack};
    entry.header.source = view_from_text(name);
    batch_add(self->batch, &entry);
}

void
fixture_add_trim(fixture_t *self, uint64_t floor)
{
    batch_add(self->batch, &(batch_entry_t){.kind = BATCH_TRIM, .seq = floor});
}

void
fixture_append(fixture_t *self)
{
    drop_block(self);
    batch_release(self->batch, &self->block);
    self->has_block = true;
    void *data = zmq_msg_data(&self->block);
    size_t size = zmq_msg_size(&self->block);
    journal_append(self->journal, data, size);
    for (batch_item_t *item = batch_first(data, size); item != NULL;
         item = batch_next(data, size, item)) {
        assert(self->count < FIXTURE_ITEMS_MAX);
        self->items[self->count++] = item;
    }
}

batch_item_t *
fixture_put(fixture_t *self, const fixture_record_t *record)
{
    fixture_add(self, record);
    fixture_append(self);
    return self->items[0];
}

void
fixture_fill(fixture_t *self, const char *topic, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        fixture_add(self, &(fixture_record_t){.topic = topic});
    }
    fixture_append(self);
}

journal_info_t
fixture_info(const fixture_t *self)
{
    journal_info_t info;
    journal_info(self->journal, &info);
    return info;
}

void
fixture_read(bus_view_t records, uint32_t index, bus_view_t *ret_topic, header_t *ret_header)
{
    walk_t walk = walk_from(records);
    bus_err_t err = BUS_OK;
    for (uint32_t i = 0; i < index && err == BUS_OK; i++) {
        err = walk_skip(&walk, NULL);
    }
    walk_item_t item;
    bus_view_t header = VIEW_NONE;
    if (err == BUS_OK) {
        err = walk_next(&walk, &item);
    }
    assert(err == BUS_OK && item.type == WALK_ARRAY && item.count == 3);
    err = walk_next(&walk, &item);
    assert(err == BUS_OK && item.type == WALK_STR);
    *ret_topic = item.bytes;
    err = walk_skip(&walk, &header);
    if (err == BUS_OK) {
        err = header_decode(header, ret_header, NULL);
    }
    if (err == BUS_OK) {
        err = walk_skip(&walk, NULL);
    }
    assert(err == BUS_OK);
}

bus_err_t
fixture_scan(
    fixture_t *self, uint64_t from, const char *filter, pack_t *out, journal_page_t *ret_page)
{
    bus_view_t prefix = view_from_text(filter);
    const journal_scan_t scan = {
        .from = from,
        .head = UINT64_MAX,
        .filters = &prefix,
        .filter_count = filter == NULL ? 0 : 1,
        .max = 100000,
        .max_bytes = 64 * 1024 * 1024,
        .scan_max = 1000000,
    };
    return journal_scan(self->journal, &scan, out, ret_page);
}

unsigned
fixture_damage(fixture_t *self, const char *text)
{
    journal_destroy(&self->journal);
    char path[FIXTURE_PATH_SIZE + 32];
    snprintf(path, sizeof(path), "%s/data.mdb", self->path);
    int fd = open(path, O_RDWR);
    assert(fd >= 0);
    struct stat stat;
    int rc = fstat(fd, &stat);
    assert(rc == 0);
    size_t size = (size_t) stat.st_size;
    char *bytes = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    assert(bytes != MAP_FAILED);
    unsigned flipped = 0;
    char *end = bytes + size;
    char *at = memmem(bytes, size, text, strlen(text));
    while (at != NULL) {
        *at ^= 1;
        flipped++;
        at = memmem(at, (size_t) (end - at), text, strlen(text));
    }
    munmap(bytes, size);
    close(fd);
    open_journal(self);
    return flipped;
}
