// artifact_search.c - the artifacts of a product that have all of some tags, between two times.
#include "artifact_search.h"

#include "artifact_store.h"

#include <assert.h>

// --- Times as seqs -------------------------------------------------------------------------------

// The first whole record at or above `seq`. BUS_NOT_FOUND, BUS_IO.
static bus_err_t
seek(store_cursor_t *cursor, uint64_t seq, uint64_t *ret_seq, uint64_t *ret_created_at)
{
    bus_view_t key;
    bus_view_t value;
    bus_err_t err = store_seek(cursor, STORE_U64(seq), &key, &value);
    while (err == BUS_CORRUPT || (err == BUS_OK && value.size < sizeof(bucket_artifact_row_t))) {
        err = store_next(cursor, &key, &value);
    }
    if (err == BUS_OK) {
        bucket_artifact_row_t row;
        memcpy(&row, value.data, sizeof row);
        memcpy(ret_seq, key.data, sizeof *ret_seq);
        *ret_created_at = row.created_at;
    }
    return err;
}

// The first seq whose artifact was created at or after `time`, or one above all of them.
static bus_err_t
seq_at(store_cursor_t *cursor, uint64_t time, uint64_t *ret_seq)
{
    bus_view_t key;
    bus_view_t value;
    bus_err_t err = store_last(cursor, &key, &value);
    if (err == BUS_NOT_FOUND) {
        *ret_seq = 1;
        return BUS_OK;
    }
    if (err != BUS_OK && err != BUS_CORRUPT) {
        return err;
    }
    uint64_t low = 1;
    uint64_t high;
    memcpy(&high, key.data, sizeof high);
    high++;
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        uint64_t seq;
        uint64_t created_at;
        err = seek(cursor, middle, &seq, &created_at);
        if (err != BUS_OK && err != BUS_NOT_FOUND) {
            return err;
        }
        if (err == BUS_NOT_FOUND || created_at >= time) {
            high = middle;
        } else {
            low = seq + 1;
        }
    }
    *ret_seq = low;
    return BUS_OK;
}

static bus_err_t
find_range(bucket_artifact_search_t *self, store_txn_t *txn, const channel_query_t *asked)
{
    self->from = 1;
    self->end = UINT64_MAX;
    if (asked->created_after == 0 && asked->created_before == UINT64_MAX) {
        return BUS_OK;
    }
    BUS_AUTO(store_cursor_destroy) store_cursor_t *cursor = NULL;
    bus_err_t err = store_cursor_open(txn, BUCKET_ARTIFACTS, &cursor);
    if (err == BUS_OK && asked->created_after != 0) {
        err = seq_at(cursor, asked->created_after + 1, &self->from);
    }
    if (err == BUS_OK && asked->created_before != UINT64_MAX) {
        err = seq_at(cursor, asked->created_before, &self->end);
    }
    return err;
}

// --- Walks ---------------------------------------------------------------------------------------

typedef struct {
    bus_view_t tag;
    uint64_t count; // of artifacts
} ranked_t;

// Counts the tags, the rarest first. A counter that is damaged is as good as none.
static bus_err_t
rank(bucket_artifact_search_t *self,
     store_txn_t *txn,
     const channel_query_t *asked,
     ranked_t ranked[CHANNEL_TAGS_MAX])
{
    for (uint32_t i = 0; i < asked->tag_count; i++) {
        bucket_artifact_tag_t value;
        uint64_t count = 0;
        bus_err_t err =
            bucket_index_count(txn,
                               BUCKET_INDEX_TAG,
                               bucket_artifact_store_tag(asked->product, asked->tags[i], &value),
                               &count);
        if (err == BUS_CORRUPT) {
            self->damaged++;
            self->has_count = false;
            count = UINT64_MAX;
        } else if (err != BUS_OK) {
            return err;
        }
        uint32_t place = i;
        while (place > 0 && ranked[place - 1].count > count) {
            ranked[place] = ranked[place - 1];
            place--;
        }
        ranked[place] = (ranked_t){asked->tags[i], count};
    }
    return BUS_OK;
}

static bus_err_t
open_walk(bucket_artifact_search_t *self,
          store_txn_t *txn,
          bucket_index_kind_t kind,
          bus_view_t value)
{
    const bucket_index_range_t range = {.kind = kind, .value = value, .from = self->from};
    bus_err_t err = bucket_index_walk_open(txn, &range, &self->walks[self->walk_count]);
    self->walk_count += err == BUS_OK ? 1 : 0;
    return err;
}

static bus_err_t
open_walks(bucket_artifact_search_t *self, store_txn_t *txn, const channel_query_t *asked)
{
    bucket_artifact_tag_t value;
    bool is_whole = self->from == 1 && self->end == UINT64_MAX;
    self->has_count = is_whole && asked->tag_count <= 1;
    if (asked->tag_count == 0) {
        bus_view_t product = bucket_artifact_store_tag(asked->product, VIEW_NONE, &value);
        bus_err_t err = bucket_index_count(txn, BUCKET_INDEX_PRODUCT, product, &self->count);
        if (err == BUS_CORRUPT) {
            self->damaged++;
            self->has_count = false;
        } else if (err != BUS_OK) {
            return err;
        }
        return open_walk(self, txn, BUCKET_INDEX_PRODUCT, product);
    }
    ranked_t ranked[CHANNEL_TAGS_MAX];
    bus_err_t err = rank(self, txn, asked, ranked);
    if (err != BUS_OK) {
        return err;
    }
    self->count = ranked[0].count;
    for (uint32_t i = 0; err == BUS_OK && i < asked->tag_count; i++) {
        err = open_walk(self,
                        txn,
                        BUCKET_INDEX_TAG,
                        bucket_artifact_store_tag(asked->product, ranked[i].tag, &value));
    }
    return err;
}

bus_err_t
bucket_artifact_search_open(store_txn_t *txn,
                            const channel_query_t *asked,
                            bucket_artifact_search_t *ret_self)
{
    bucket_artifact_search_t self = {.steps = BUCKET_ARTIFACT_STEPS_MAX};
    bus_err_t err = find_range(&self, txn, asked);
    if (err == BUS_OK) {
        err = open_walks(&self, txn, asked);
    }
    if (err != BUS_OK) {
        bucket_artifact_search_close(&self);
        return err;
    }
    *ret_self = self;
    return BUS_OK;
}

void
bucket_artifact_search_close(bucket_artifact_search_t *self)
{
    for (unsigned i = 0; i < self->walk_count; i++) {
        bucket_index_walk_destroy(&self->walks[i]);
    }
    self->walk_count = 0;
}

// Brings one walk to its first row at or above `seq`. Where that is the next row, stepping is
// cheaper than seeking.
static bus_err_t
bring(bucket_artifact_search_t *self, unsigned walk, uint64_t seq)
{
    if (self->at[walk] >= seq) {
        return BUS_OK;
    }
    if (self->at[walk] == 0 || self->at[walk] + 1 != seq) {
        bucket_index_walk_seek(self->walks[walk], seq);
    }
    bus_err_t err = BUS_CORRUPT;
    while (err == BUS_CORRUPT && self->steps > 0) {
        self->steps--;
        err = bucket_index_walk_next(self->walks[walk], &self->at[walk]);
        self->damaged += err == BUS_CORRUPT ? 1 : 0; // the row is lost, those behind it are not
    }
    return err;
}

bus_err_t
bucket_artifact_search_next(bucket_artifact_search_t *self, uint64_t from, uint64_t *ret_seq)
{
    uint64_t candidate = from > self->from ? from : self->from;
    unsigned agreed = 0;
    unsigned walk = 0;
    while (agreed < self->walk_count) {
        if (candidate >= self->end) {
            return BUS_NOT_FOUND;
        }
        if (self->steps == 0) {
            *ret_seq = candidate;
            return BUS_BUSY;
        }
        bus_err_t err = bring(self, walk, candidate);
        if (err == BUS_CORRUPT) {
            continue; // nothing but damage until the steps were used up
        }
        if (err != BUS_OK) {
            return err;
        }
        agreed = self->at[walk] == candidate ? agreed + 1 : 1;
        candidate = self->at[walk];
        walk = (walk + 1) % self->walk_count;
    }
    if (candidate >= self->end) {
        return BUS_NOT_FOUND;
    }
    *ret_seq = candidate;
    return BUS_OK;
}

bus_err_t
bucket_artifact_search_count(bucket_artifact_search_t *self,
                             uint64_t count_max,
                             uint64_t *ret_count,
                             bool *ret_is_exact)
{
    *ret_is_exact = true;
    *ret_count = self->count;
    if (self->has_count) {
        return BUS_OK;
    }
    memset(self->at, 0, sizeof self->at); // from the beginning
    uint64_t count = 0;
    uint64_t seq = 0;
    bus_err_t err = bucket_artifact_search_next(self, self->from, &seq);
    while (err == BUS_OK && count < count_max) {
        count++;
        err = bucket_artifact_search_next(self, seq + 1, &seq);
    }
    *ret_is_exact = err == BUS_NOT_FOUND;
    *ret_count = count;
    return err == BUS_BUSY || err == BUS_NOT_FOUND ? BUS_OK : err;
}
