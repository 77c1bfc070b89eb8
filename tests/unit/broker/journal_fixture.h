// journal_fixture.h - a journal in a folder of its own, and blocks to put into it.
#pragma once
#include "broker/batch.h"
#include "broker/journal.h"
#include <zmq.h>

enum { FIXTURE_PATH_SIZE = 512, FIXTURE_ITEMS_MAX = 20000 };

// A journal and the block that is being filled.
typedef struct {
    char dir[FIXTURE_PATH_SIZE];  // removed by clear
    char path[FIXTURE_PATH_SIZE]; // of the journal's store, within
    journal_options_t options;
    journal_t *journal;
    batch_t *batch;
    zmq_msg_t block; // the last one that was appended
    bool has_block;
    uint32_t count; // items of it
    batch_item_t *items[FIXTURE_ITEMS_MAX];
} fixture_t;

// One message to be journaled. Zero and NULL: absent.
typedef struct {
    const char *topic;
    const char *source; // NULL: "tester"
    const char *pstream;
    const char *trace_id;
    uint64_t pseq;
    uint64_t cause_seq;
    uint64_t cause_n;
    size_t body_size; // of a text; 0: a small map
    bool grouped;
} fixture_record_t;

// Heap, because it is big. Opens the journal with `options` (its path is set here), or the preset.
fixture_t *fixture_new(const journal_options_t *options);
void fixture_destroy(fixture_t **self_p);
// Closes the journal and opens it again, as after a restart.
void fixture_reopen(fixture_t *self);

void fixture_add(fixture_t *self, const fixture_record_t *record);
void fixture_add_group(fixture_t *self, uint32_t count, uint64_t pseq, const char *pstream);
void fixture_add_hello(fixture_t *self, const char *source, const char *pstream);
void fixture_add_consumer(fixture_t *self, batch_kind_t kind, const char *name, uint64_t ack);
void fixture_add_trim(fixture_t *self, uint64_t floor);
// Appends what was added. The results are in items[0..count).
void fixture_append(fixture_t *self);
// Adds and appends one; its result.
batch_item_t *fixture_put(fixture_t *self, const fixture_record_t *record);
// Appends `count` small records of `topic`, each in the same block.
void fixture_fill(fixture_t *self, const char *topic, uint32_t count);

journal_info_t fixture_info(const fixture_t *self);
// Decodes record number `index` of a page of records.
void fixture_read(bus_view_t records, uint32_t index, bus_view_t *ret_topic, header_t *ret_header);
// Scans all from `from` for `filter` (NULL: all), as many as come at once.
bus_err_t fixture_scan(
    fixture_t *self, uint64_t from, const char *filter, pack_t *out, journal_page_t *ret_page);
// Damages the stored bytes of every record that holds `text`, behind the journal's back (it is
// closed meanwhile). How many bytes were flipped.
unsigned fixture_damage(fixture_t *self, const char *text);
