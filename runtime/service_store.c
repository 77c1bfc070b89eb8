// service_store.c - the harness's own tables, behind the service's: its place in the journal, the
// outbox, and what makes a second record with the same id, or the same idempotency key, harmless.
//
// None of them is part of the state hash: they hold places and counters, and what was forgotten
// after 24 h depends on when batches were cut. What `apply` sees of them does not: age is judged by
// the records' own times, and a row that is too old counts as absent before it is deleted.
#include "clock.h"
#include "log.h"
#include "proto/walk.h"
#include "service_self.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

typedef enum { META, OUTBOX, IDS, IDS_BY_SEQ, ANSWERS, IDEMS, WAITING, TABLE_COUNT } own_t;

static const store_table_t own_tables[TABLE_COUNT] = {
    [META] = {SERVICE_META_TABLE,
              STORE_KEYS_BYTES,
              false,
              "place in the journal, epoch, configuration"},
    [OUTBOX] = {"harness_outbox", STORE_KEYS_UINT64, false, "pseq: what is to be published"},
    [IDS] = {"harness_ids",
             STORE_KEYS_BYTES,
             false,
             "size of id, id, source: the seq it was applied as"},
    [IDS_BY_SEQ] = {"harness_ids_by_seq", STORE_KEYS_UINT64, false, "seq: what to forget in time"},
    [ANSWERS] = {"harness_answers", STORE_KEYS_UINT64, false, "seq: what its command was answered"},
    [IDEMS] = {"harness_idems", STORE_KEYS_BYTES, false, "idempotency key: seq and hash"},
    [WAITING] = {"harness_waiting", STORE_KEYS_UINT64, false, "seq: who waits for its answer"},
};

static const bus_view_t key_place = {"place", 5};
static const bus_view_t key_epoch = {"epoch", 5};
static const bus_view_t key_rules = {"rules", 5};
static const bus_view_t key_config = {"config", 6};

// A row of IDS.
typedef struct {
    uint64_t seq;
    uint64_t at;
} id_row_t;

// A row of IDEMS.
typedef struct {
    uint64_t seq;
    uint64_t at;
    uint8_t hash[SERVICE_HASH_SIZE]; // of topic NUL body
} idem_row_t;

static unsigned
table(const service_t *self, own_t own)
{
    return (unsigned) self->definition->table_count + (unsigned) own;
}

unsigned
service_store_outbox_table(const service_t *self)
{
    return table(self, OUTBOX);
}

// A row of fixed size. BUS_CORRUPT where it is of another.
static bus_err_t
get_row(store_txn_t *txn, unsigned number, bus_view_t key, void *ret_row, size_t size)
{
    bus_view_t value;
    bus_err_t err = store_get(txn, number, key, &value);
    if (err != BUS_OK) {
        return err;
    }
    if (value.size != size) {
        return BUS_CORRUPT;
    }
    memcpy(ret_row, value.data, size);
    return BUS_OK;
}

// --- Opening -------------------------------------------------------------------------------------

static bus_err_t
load_place(service_t *self, store_txn_t *txn)
{
    self->place = (service_place_t){.cursor = 1};
    bus_err_t err = get_row(txn, table(self, META), key_place, &self->place, sizeof(self->place));
    if (err != BUS_OK && err != BUS_NOT_FOUND) {
        return err;
    }
    self->committed = self->place;
    self->durable = self->place.cursor;
    bus_view_t epoch;
    err = store_get(txn, table(self, META), key_epoch, &epoch);
    if (err == BUS_OK && epoch.size < sizeof(self->epoch)) {
        memcpy(self->epoch, epoch.data, epoch.size);
        self->epoch[epoch.size] = '\0';
    }
    return err == BUS_NOT_FOUND ? BUS_OK : err;
}

bus_err_t
service_store_cursor(store_txn_t *txn, unsigned meta, uint64_t *ret_cursor)
{
    service_place_t place;
    bus_err_t err = get_row(txn, meta, key_place, &place, sizeof(place));
    if (err == BUS_OK) {
        *ret_cursor = place.cursor;
    }
    return err;
}

// Says so where the state was made by other rules.
static bus_err_t
check_rules(service_t *self, store_txn_t *txn)
{
    uint64_t stored;
    uint64_t rules = self->definition->rules_version;
    bus_err_t err = get_row(txn, table(self, META), key_rules, &stored, sizeof(stored));
    if (err == BUS_OK && stored == rules) {
        return BUS_OK;
    }
    if (err == BUS_OK) {
        log_warning("rules_changed",
                    "stored=%llu now=%llu hint=rebuild_for_one_set_of_rules",
                    (unsigned long long) stored,
                    (unsigned long long) rules);
    } else if (err != BUS_NOT_FOUND) {
        return err;
    }
    return store_put(txn, table(self, META), key_rules, view_from(&rules, sizeof(rules)));
}

static bus_err_t
load(service_t *self)
{
    BUS_AUTO(store_rollback) store_txn_t *txn = NULL;
    bus_err_t err = store_begin(self->store, STORE_RESERVE, &txn);
    if (err == BUS_OK) {
        err = load_place(self, txn);
    }
    if (err == BUS_OK) {
        err = check_rules(self, txn);
    }
    if (err == BUS_OK) {
        err = store_commit(&txn);
    }
    return err;
}

// What a rebuild made is for its result alone.
static bus_err_t
remove_rebuilt(const service_t *self)
{
    bus_err_t err = self->options->rebuild ? store_remove(self->path) : BUS_OK;
    return err == BUS_NOT_FOUND ? BUS_OK : err;
}

bus_err_t
service_store_open(service_t *self)
{
    const service_definition_t *definition = self->definition;
    assert(definition->table_count + TABLE_COUNT <= STORE_TABLES_MAX);
    if (self->tables == NULL) {
        self->tables = calloc(definition->table_count + TABLE_COUNT, sizeof(*self->tables));
        assert(self->tables != NULL);
        if (definition->table_count > 0) {
            memcpy(
                self->tables, definition->tables, definition->table_count * sizeof(*self->tables));
        }
        memcpy(self->tables + definition->table_count, own_tables, sizeof(own_tables));
        int size = asprintf(&self->path,
                            "%s/%s%s",
                            self->options->dir,
                            definition->name,
                            self->options->rebuild ? ".rebuild" : "");
        assert(size > 0);
        (void) mkdir(self->options->dir, 0700); // where it cannot be, the store says why
        bus_err_t err = remove_rebuilt(self);   // of one that was killed
        if (err != BUS_OK) {
            return err;
        }
    }
    store_options_t options = {
        .path = self->path,
        .tables = self->tables,
        .table_count = definition->table_count + TABLE_COUNT,
        .size_max = self->options->store_bytes,
        .durability = STORE_REPLAYED,
    };
    bus_err_t err = store_open(&options, &self->store);
    if (err == BUS_OK) {
        err = load(self);
    }
    return err == BUS_OK ? store_sync(self->store) : err; // what was read is not to be lost again
}

void
service_store_close(service_t *self)
{
    bool was_open = self->store != NULL;
    store_destroy(&self->store);
    bus_err_t err = was_open ? remove_rebuilt(self) : BUS_OK;
    if (err != BUS_OK) {
        log_warning("rebuilt_not_removed", "path=%s error=%s", self->path, error_text(err));
    }
    free(self->tables);
    free(self->path);
    self->tables = NULL;
    self->path = NULL;
}

// --- Its place -----------------------------------------------------------------------------------

bus_err_t
service_store_put_place(service_t *self, store_txn_t *txn)
{
    return store_put(
        txn, table(self, META), key_place, view_from(&self->place, sizeof(self->place)));
}

bus_err_t
service_store_put_epoch(service_t *self, store_txn_t *txn, bus_view_t epoch)
{
    return store_put(txn, table(self, META), key_epoch, epoch);
}

bus_err_t
service_store_config(store_txn_t *txn, const service_t *self, bus_view_t *ret_config)
{
    return store_get(txn, table(self, META), key_config, ret_config);
}

bus_err_t
service_store_put_config(service_t *self, store_txn_t *txn, bus_view_t config)
{
    return store_put(txn, table(self, META), key_config, config);
}

// --- What was applied ----------------------------------------------------------------------------

static bool
is_kept(uint64_t then, uint64_t at)
{
    return then + SERVICE_KEEP_US >= at;
}

static bus_view_t
id_key(const header_t *header, char key[SERVICE_ID_KEY_MAX])
{
    size_t size = 0;
    key[size++] = (char) header->id.size; // either may hold any byte
    memcpy(key + size, header->id.data, header->id.size);
    size += header->id.size;
    if (header->source.data != NULL) {
        memcpy(key + size, header->source.data, header->source.size);
        size += header->source.size;
    }
    return view_from(key, size);
}

bus_err_t
service_store_find_id(service_t *self, store_txn_t *txn, const header_t *header, uint64_t *ret_seq)
{
    if (header->id.data == NULL) {
        return BUS_NOT_FOUND;
    }
    char key[SERVICE_ID_KEY_MAX];
    id_row_t row;
    bus_err_t err = get_row(txn, table(self, IDS), id_key(header, key), &row, sizeof(row));
    if (err != BUS_OK) {
        return err;
    }
    *ret_seq = row.seq;
    return is_kept(row.at, header->at) ? BUS_OK : BUS_NOT_FOUND;
}

// The body, but of an owner's command (owner.h) without its proof: that is made anew for a repeat.
static int
digest_body(EVP_MD_CTX *digest, bus_view_t body)
{
    bus_view_t key, value;
    if (walk_find(body, "signature", &value) != BUS_OK ||
        walk_find(body, "signed_at", &value) != BUS_OK) {
        return EVP_DigestUpdate(digest, body.data, body.size);
    }
    int ok = 1;
    walk_pairs_t pairs = walk_pairs(body);
    while (ok && walk_pairs_next(&pairs, &key, &value) == BUS_OK) {
        if (key.data != NULL && !view_is(key, "signature") && !view_is(key, "signed_at")) {
            ok = EVP_DigestUpdate(digest, &key.size, sizeof(key.size)) &&
                 EVP_DigestUpdate(digest, key.data, key.size) &&
                 EVP_DigestUpdate(digest, value.data, value.size);
        }
    }
    return ok;
}

static void
hash_request(service_t *self, const client_heard_t *record, uint8_t ret_hash[SERVICE_HASH_SIZE])
{
    unsigned size = 0;
    int ok = EVP_DigestInit_ex2(self->digest, self->sha256, NULL) &&
             EVP_DigestUpdate(self->digest, record->topic.data, record->topic.size) &&
             EVP_DigestUpdate(self->digest, "", 1) && digest_body(self->digest, record->body) &&
             EVP_DigestFinal_ex(self->digest, ret_hash, &size);
    assert(ok && size == SERVICE_HASH_SIZE);
}

bus_err_t
service_store_find_idem(service_t *self,
                        store_txn_t *txn,
                        const client_heard_t *record,
                        uint64_t *ret_seq)
{
    const header_t *header = &record->header;
    if (header->idem.data == NULL) {
        return BUS_NOT_FOUND;
    }
    idem_row_t row;
    bus_err_t err = get_row(txn, table(self, IDEMS), header->idem, &row, sizeof(row));
    if (err != BUS_OK) {
        return err;
    }
    if (!is_kept(row.at, header->at)) {
        return BUS_NOT_FOUND;
    }
    uint8_t hash[SERVICE_HASH_SIZE];
    hash_request(self, record, hash);
    *ret_seq = row.seq;
    return memcmp(hash, row.hash, sizeof(hash)) == 0 ? BUS_OK : BUS_IDEMPOTENCY_KEY_REUSED;
}

static bus_err_t
put_idem(service_t *self, store_txn_t *txn, const client_heard_t *record)
{
    idem_row_t row = {.seq = record->header.seq, .at = record->header.at};
    hash_request(self, record, row.hash);
    return store_put(txn, table(self, IDEMS), record->header.idem, view_from(&row, sizeof(row)));
}

bus_err_t
service_store_remember(service_t *self,
                       store_txn_t *txn,
                       const client_heard_t *record,
                       bool has_idem)
{
    const header_t *header = &record->header;
    char key[SERVICE_ID_KEY_MAX];
    bus_err_t err = BUS_OK;
    pack_clear(self->value);
    pack_array(self->value, 3);
    pack_uint(self->value, header->at);
    if (header->id.data != NULL) {
        bus_view_t view = id_key(header, key);
        id_row_t row = {.seq = header->seq, .at = header->at};
        err = store_put(txn, table(self, IDS), view, view_from(&row, sizeof(row)));
        pack_bin(self->value, view);
    } else {
        pack_nil(self->value);
    }
    if (err == BUS_OK && has_idem) {
        err = put_idem(self, txn, record);
        pack_bin(self->value, header->idem);
    } else {
        pack_nil(self->value);
    }
    if (err != BUS_OK) {
        return err;
    }
    return store_put(txn, table(self, IDS_BY_SEQ), STORE_U64(header->seq), pack_view(self->value));
}

// --- Answers -------------------------------------------------------------------------------------

bus_err_t
service_store_put_answer(service_t *self,
                         store_txn_t *txn,
                         uint64_t seq,
                         bus_view_t topic,
                         const service_answer_t *answer)
{
    pack_clear(self->value);
    pack_array(self->value, 3);
    pack_text(self->value, answer->err == BUS_OK ? "" : error_text(answer->err));
    pack_raw(self->value, answer->body);
    pack_str(self->value, topic);
    return store_put(txn, table(self, ANSWERS), STORE_U64(seq), pack_view(self->value));
}

bus_err_t
service_store_find_waiting(const service_t *self,
                           store_txn_t *txn,
                           uint64_t seq,
                           bus_view_t *ret_waiting)
{
    return store_get(txn, table(self, WAITING), STORE_U64(seq), ret_waiting);
}

bus_err_t
service_store_put_waiting(const service_t *self, store_txn_t *txn, uint64_t seq, bus_view_t waiting)
{
    return store_put(txn, table(self, WAITING), STORE_U64(seq), waiting);
}

bus_err_t
service_store_del_waiting(const service_t *self, store_txn_t *txn, uint64_t seq)
{
    return store_del(txn, table(self, WAITING), STORE_U64(seq));
}

bus_err_t
service_store_put_alias(service_t *self, store_txn_t *txn, uint64_t seq, uint64_t original)
{
    pack_clear(self->value);
    pack_uint(self->value, original);
    return store_put(txn, table(self, ANSWERS), STORE_U64(seq), pack_view(self->value));
}

bus_err_t
service_store_find_answer(const service_t *self,
                          store_txn_t *txn,
                          uint64_t seq,
                          service_answer_t *ret_answer)
{
    bus_view_t value;
    bus_err_t err = store_get(txn, table(self, ANSWERS), STORE_U64(seq), &value);
    uint64_t original;
    if (err == BUS_OK && walk_as_uint(value, &original) == BUS_OK) {
        err = store_get(txn, table(self, ANSWERS), STORE_U64(original), &value);
    }
    if (err != BUS_OK) {
        return err;
    }
    walk_t walk = walk_from(value);
    walk_item_t head, code;
    bus_view_t body;
    if (walk_next(&walk, &head) != BUS_OK || head.type != WALK_ARRAY ||
        walk_next(&walk, &code) != BUS_OK || code.type != WALK_STR ||
        walk_skip(&walk, &body) != BUS_OK) {
        return BUS_CORRUPT;
    }
    ret_answer->err =
        code.bytes.size == 0 ? BUS_OK : error_from_text(code.bytes.data, code.bytes.size);
    ret_answer->body = body;
    return BUS_OK;
}

// --- Forgetting ----------------------------------------------------------------------------------

// Deletes a row that names a seq, unless a later record has taken its place.
static bus_err_t
forget_row(store_txn_t *txn, unsigned number, bus_view_t key, uint64_t seq)
{
    bus_view_t value;
    uint64_t stored;
    bus_err_t err = store_get(txn, number, key, &value);
    if (err == BUS_NOT_FOUND) {
        return BUS_OK;
    }
    if (err != BUS_OK) {
        return err;
    }
    assert(value.size >= sizeof(stored)); // both rows begin with it
    memcpy(&stored, value.data, sizeof(stored));
    return stored == seq ? store_del(txn, number, key) : BUS_OK;
}

// Forgets what IDS_BY_SEQ names in this value.
static bus_err_t
forget(service_t *self, store_txn_t *txn, uint64_t seq, bus_view_t value)
{
    // The value dies with the next write.
    pack_clear(self->value);
    pack_raw(self->value, value);
    walk_t walk = walk_from(pack_view(self->value));
    walk_item_t head, at, id, idem;
    if (walk_next(&walk, &head) != BUS_OK || walk_next(&walk, &at) != BUS_OK ||
        walk_next(&walk, &id) != BUS_OK || walk_next(&walk, &idem) != BUS_OK) {
        return BUS_CORRUPT;
    }
    bus_err_t err = BUS_OK;
    if (id.type == WALK_BIN) {
        err = forget_row(txn, table(self, IDS), id.bytes, seq);
    }
    if (err == BUS_OK && idem.type == WALK_BIN) {
        err = forget_row(txn, table(self, IDEMS), idem.bytes, seq);
    }
    if (err == BUS_OK) {
        err = store_del(txn, table(self, ANSWERS), STORE_U64(seq));
        err = err == BUS_NOT_FOUND ? BUS_OK : err;
    }
    return err == BUS_OK ? store_del(txn, table(self, IDS_BY_SEQ), STORE_U64(seq)) : err;
}

// The oldest row of IDS_BY_SEQ, if it is too old. BUS_NOT_FOUND where it is not.
static bus_err_t
oldest(service_t *self, store_txn_t *txn, uint64_t *ret_seq, bus_view_t *ret_value)
{
    BUS_AUTO(store_cursor_destroy) store_cursor_t *cursor = NULL;
    bus_view_t key;
    bus_err_t err = store_cursor_open(txn, table(self, IDS_BY_SEQ), &cursor);
    if (err == BUS_OK) {
        err = store_first(cursor, &key, ret_value);
    }
    if (err != BUS_OK) {
        return err;
    }
    walk_t walk = walk_from(*ret_value);
    walk_item_t head, at;
    if (key.size != sizeof(*ret_seq) || walk_next(&walk, &head) != BUS_OK ||
        walk_next(&walk, &at) != BUS_OK || at.type != WALK_INT) {
        return BUS_CORRUPT;
    }
    memcpy(ret_seq, key.data, sizeof(*ret_seq));
    return is_kept((uint64_t) at.integer, self->place.at) ? BUS_NOT_FOUND : BUS_OK;
}

bus_err_t
service_store_expire(service_t *self, store_txn_t *txn, unsigned count_max)
{
    for (unsigned i = 0; i < count_max; i++) {
        uint64_t seq;
        bus_view_t value;
        bus_err_t err = oldest(self, txn, &seq, &value);
        if (err == BUS_OK) {
            err = forget(self, txn, seq, value);
        }
        if (err != BUS_OK) {
            return err == BUS_NOT_FOUND ? BUS_OK : err;
        }
    }
    return BUS_OK;
}
