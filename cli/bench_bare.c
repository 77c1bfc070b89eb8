// bench_bare.c - `bhiv bench-bare`, hidden: the least that a broker of this protocol can do.
//
// What `bhiv bench` compares with: bare libzmq and bare LMDB speaking the same frames. One thread,
// one PULL, one XPUB. It receives what is there, stores it with one transaction and one flush,
// acknowledges each message, publishes it with its seq, at and prev, and receives again. It checks
// nothing, knows its one publisher's header by heart (bench.h), has no streams, no checksums, no
// limits and no second thread: it is a bound to measure against, not a broker.
#include "bench.h"

#include "proto/header.h"
#include "proto/pack.h"
#include "proto/walk.h"
#include "runtime/clock.h"

#include <assert.h>
#include <lmdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

enum {
    HWM = 16384,
    GATHER_MAX = 4096,   // messages of one commit
    RECORDS_MAX = 65536, // records of one commit
    BATCH_MAX = 10000,   // records of one message
    PAGE_RECORDS = 2000,
    PAGE_BYTES = 1024 * 1024,
    STAMP_SIZE = 36 // seq, at, prev with their keys: proto/header.h
};
#define MAP_BYTES ((size_t) 16 << 30)

typedef struct {
    const char *dir;
    const char *in;
    const char *out;
    bool secure;
} flags_t;

// clang-format off
static const option_row_t rows[] = {
    {"dir", 0, OPTION_TEXT, "DIR", ".", offsetof(flags_t, dir), 0, 0, "where it stores"},
    {"in", 0, OPTION_TEXT, "ENDPOINT", NULL, offsetof(flags_t, in), 0, 0, "its PULL"},
    {"out", 0, OPTION_TEXT, "ENDPOINT", NULL, offsetof(flags_t, out), 0, 0, "its XPUB"},
    {"secure", 0, OPTION_FLAG, NULL, NULL, offsetof(flags_t, secure), 0, 0,
     "CURVE, by the certificate of DIR, for whomever"},
};
// clang-format on

static const option_table_t options = {
    .program = "bhiv bench-bare",
    .arguments = "",
    .help = "What bhiv bench compares with: bare libzmq and LMDB speaking the same frames.",
    .rows = rows,
    .row_count = sizeof rows / sizeof rows[0],
};

// What came in, and what is to be said when it is durable.
typedef struct {
    zmq_msg_t header;
    uint64_t first, seq; // of a batch; the same for a single one
    uint32_t count;      // of a batch; 0: a single one
} asked_t;

// One record of the open transaction, to be published after it.
typedef struct {
    zmq_msg_t topic, header, body;
} record_t;

typedef struct {
    void *pull;
    void *xpub;
    MDB_env *env;
    MDB_dbi log;
    uint64_t head;
    uint64_t at;
    pack_t *pack;
    pack_t *answer;
    MDB_txn *txn; // open while a commit is gathered
    asked_t asked[GATHER_MAX];
    size_t asked_count;
    record_t records[RECORDS_MAX];
    size_t record_count;
} bare_t;

static bus_view_t
view_of(zmq_msg_t *frame)
{
    return view_from(zmq_msg_data(frame), zmq_msg_size(frame));
}

static void
check(int rc)
{
    if (rc != 0) {
        fprintf(stderr, "bench-bare: %s\n", rc > 0 ? strerror(rc) : mdb_strerror(rc));
        exit(CLI_IO);
    }
}

// --- Answers -----------------------------------------------------------------------------------

static void
answer(bare_t *self, const char *header, bool is_ack)
{
    pack_t *pack = self->pack;
    pack_clear(pack);
    pack_map(pack, is_ack ? 4 : 3);
    pack_pair_str(pack, "re", view_from(header + CLI_BENCH_ID_AT, CLI_BENCH_ID_SIZE));
    pack_pair_text(pack, "status", "success");
    if (is_ack) {
        pack_pair_bool(pack, "ack", true);
    }
    pack_pair_text(pack, "source", "$bus");
    bus_view_t head = pack_view(pack);
    bus_view_t body = pack_view(self->answer);
    zmq_send(self->xpub, header + CLI_BENCH_REPLY_AT, CLI_BENCH_REPLY_SIZE, ZMQ_SNDMORE);
    zmq_send(self->xpub, head.data, head.size, ZMQ_SNDMORE);
    zmq_send(self->xpub, body.data, body.size, 0);
}

static void
acknowledge(bare_t *self, const asked_t *asked, const char *header)
{
    pack_t *pack = self->answer;
    pack_clear(pack);
    pack_map(pack, asked->count == 0 ? 3 : 5);
    pack_pair_uint(pack, "seq", asked->seq);
    pack_pair_uint(pack, "at", asked->seq == 0 ? 0 : self->at);
    pack_pair_bool(pack, "duplicate", false);
    if (asked->count != 0) {
        pack_pair_uint(pack, "first", asked->first);
        pack_pair_uint(pack, "count", asked->count);
    }
    answer(self, header, true);
}

static void
welcome(bare_t *self, const char *inbox, size_t size)
{
    pack_clear(self->answer);
    pack_map(self->answer, 3);
    pack_pair_text(self->answer, "epoch", "bare");
    pack_pair_text(self->answer, "boot", "bare");
    pack_pair_uint(self->answer, "head", self->head);
    pack_clear(self->pack);
    pack_map(self->pack, 1);
    pack_pair_text(self->pack, "re", "welcome");
    bus_view_t head = pack_view(self->pack);
    bus_view_t body = pack_view(self->answer);
    zmq_send(self->xpub, inbox, size, ZMQ_SNDMORE);
    zmq_send(self->xpub, head.data, head.size, ZMQ_SNDMORE);
    zmq_send(self->xpub, body.data, body.size, 0);
}

static void
fetch(bare_t *self, const char *header, bus_view_t body)
{
    bus_view_t value;
    uint64_t from = 0;
    if (walk_find(body, "from", &value) != BUS_OK || walk_as_uint(value, &from) != BUS_OK) {
        return;
    }
    MDB_txn *txn = NULL;
    MDB_cursor *cursor = NULL;
    check(mdb_txn_begin(self->env, NULL, MDB_RDONLY, &txn));
    check(mdb_cursor_open(txn, self->log, &cursor));
    MDB_val key = {.mv_size = sizeof from, .mv_data = &from};
    MDB_val record;
    uint64_t next = from;
    uint32_t count = 0;
    pack_t *pack = self->answer;
    pack_clear(pack);
    pack_map(pack, 5);
    pack_text(pack, "records");
    size_t place = pack_array_begin(pack);
    int rc = mdb_cursor_get(cursor, &key, &record, MDB_SET_RANGE);
    while (rc == MDB_SUCCESS && count < PAGE_RECORDS && pack_view(pack).size < PAGE_BYTES) {
        pack_raw(pack, view_from(record.mv_data, record.mv_size));
        memcpy(&next, key.mv_data, sizeof next);
        ++next;
        ++count;
        rc = mdb_cursor_get(cursor, &key, &record, MDB_NEXT);
    }
    mdb_cursor_close(cursor);
    mdb_txn_abort(txn);
    pack_count(pack, place, count);
    pack_pair_text(pack, "epoch", "bare");
    pack_pair_uint(pack, "first", 1);
    pack_pair_uint(pack, "next", next);
    pack_pair_uint(pack, "head", self->head);
    answer(self, header, false);
}

// --- Storing -----------------------------------------------------------------------------------

// The peer's header with seq, at and prev behind it, as a frame.
static void
stamp(bare_t *self, bus_view_t header, zmq_msg_t *ret_frame)
{
    static const char *const keys[3] = {"\xa3seq", "\xa2\x61t", "\xa4prev"};
    static const size_t sizes[3] = {4, 3, 5};
    const uint64_t values[3] = {self->head, self->at, self->head - 1};
    zmq_msg_init_size(ret_frame, header.size + STAMP_SIZE + 3);
    uint8_t *at = zmq_msg_data(ret_frame);
    memcpy(at, header.data, header.size);
    at[0] = (uint8_t) (at[0] + 3); // a fixmap of at most 12 pairs
    at += header.size;
    for (int i = 0; i < 3; ++i) {
        memcpy(at, keys[i], sizes[i]);
        at += sizes[i];
        *at++ = 0xcf;
        for (int shift = 56; shift >= 0; shift -= 8) {
            *at++ = (uint8_t) (values[i] >> shift);
        }
    }
}

// Stores the array [topic, header, body] under the next seq, and keeps the frames for publishing.
static void
store(bare_t *self, zmq_msg_t *topic, bus_view_t header, zmq_msg_t *body)
{
    record_t *record = &self->records[self->record_count++];
    ++self->head;
    stamp(self, header, &record->header);
    zmq_msg_init(&record->topic);
    zmq_msg_init(&record->body);
    zmq_msg_move(&record->topic, topic);
    zmq_msg_move(&record->body, body);
    bus_view_t parts[3] = {
        view_of(&record->topic), view_of(&record->header), view_of(&record->body)};
    MDB_val key = {.mv_size = sizeof self->head, .mv_data = &self->head};
    MDB_val value = {.mv_size = 3 + parts[0].size + parts[1].size + parts[2].size};
    check(mdb_put(self->txn, self->log, &key, &value, MDB_APPEND | MDB_RESERVE));
    uint8_t *at = value.mv_data;
    *at++ = 0x93;
    *at++ = 0xd9;
    *at++ = (uint8_t) parts[0].size;
    for (int i = 0; i < 3; ++i) {
        memcpy(at, parts[i].data, parts[i].size);
        at += parts[i].size;
    }
}

static void
copy_frame(zmq_msg_t *frame, bus_view_t bytes)
{
    int rc = zmq_msg_init_size(frame, bytes.size);
    assert(rc == 0);
    memcpy(zmq_msg_data(frame), bytes.data, bytes.size);
}

static uint32_t
store_batch(bare_t *self, bus_view_t batch)
{
    walk_t walk = walk_from(batch);
    walk_item_t head;
    if (walk_next(&walk, &head) != BUS_OK || head.count > BATCH_MAX) {
        return 0;
    }
    for (uint32_t i = 0; i < head.count; ++i) {
        walk_item_t triple;
        walk_item_t topic;
        bus_view_t header;
        bus_view_t body;
        bool whole = walk_next(&walk, &triple) == BUS_OK && walk_next(&walk, &topic) == BUS_OK &&
                     walk_skip(&walk, &header) == BUS_OK && walk_skip(&walk, &body) == BUS_OK;
        assert(whole);
        zmq_msg_t topic_frame;
        zmq_msg_t body_frame;
        copy_frame(&topic_frame, topic.bytes);
        copy_frame(&body_frame, body);
        store(self, &topic_frame, header, &body_frame);
    }
    return head.count;
}

static void
publish(bare_t *self, record_t *record)
{
    zmq_msg_send(&record->topic, self->xpub, ZMQ_SNDMORE);
    zmq_msg_send(&record->header, self->xpub, ZMQ_SNDMORE);
    zmq_msg_send(&record->body, self->xpub, 0);
}

// One flush, then every answer, then every record to whoever hears it.
static void
commit(bare_t *self)
{
    check(mdb_txn_commit(self->txn));
    self->txn = NULL;
    for (size_t i = 0; i < self->asked_count; ++i) {
        asked_t *asked = &self->asked[i];
        const char *header = zmq_msg_data(&asked->header);
        uint8_t ack = (uint8_t) header[CLI_BENCH_ACK_AT];
        bool is_last = i + 1 == self->asked_count;
        if (ack == 0xc3 || (ack == 0xa4 && is_last)) {
            acknowledge(self, asked, header);
        }
        zmq_msg_close(&asked->header);
    }
    for (size_t i = 0; i < self->record_count; ++i) {
        publish(self, &self->records[i]);
    }
    self->asked_count = 0;
    self->record_count = 0;
}

// --- The loop ----------------------------------------------------------------------------------

static void
gather(bare_t *self, record_t *message)
{
    if (self->txn == NULL) {
        check(mdb_txn_begin(self->env, NULL, 0, &self->txn));
        self->at = clock_wall_us();
    }
    asked_t *asked = &self->asked[self->asked_count++];
    bus_view_t topic = view_of(&message->topic);
    zmq_msg_init(&asked->header);
    zmq_msg_move(&asked->header, &message->header);
    bus_view_t header = view_of(&asked->header);
    asked->count = 0;
    asked->first = self->head + 1;
    if (view_is(topic, "$bus.batch")) {
        asked->count = store_batch(self, view_of(&message->body));
        zmq_msg_close(&message->topic);
        zmq_msg_close(&message->body);
    } else {
        store(self, &message->topic, header, &message->body);
    }
    asked->seq = self->head;
}

// Takes one message. False where none is there.
static bool
take(bare_t *self)
{
    record_t message;
    zmq_msg_init(&message.topic);
    zmq_msg_init(&message.header);
    zmq_msg_init(&message.body);
    if (zmq_msg_recv(&message.topic, self->pull, ZMQ_DONTWAIT) < 0) {
        return false;
    }
    zmq_msg_recv(&message.header, self->pull, 0);
    zmq_msg_recv(&message.body, self->pull, 0);
    bus_view_t topic = view_of(&message.topic);
    const char *header = zmq_msg_data(&message.header);
    if (view_is(topic, CLI_BENCH_LIVE)) {
        if ((uint8_t) header[CLI_BENCH_ACK_AT] == 0xc3) {
            acknowledge(self, &(asked_t){0}, header);
        }
        publish(self, &message);
    } else if (view_is(topic, "$bus.fetch")) {
        fetch(self, header, view_of(&message.body));
        zmq_msg_close(&message.topic);
        zmq_msg_close(&message.header);
        zmq_msg_close(&message.body);
    } else {
        gather(self, &message);
    }
    return true;
}

static void
take_subscriptions(bare_t *self)
{
    char bytes[256];
    int size = zmq_recv(self->xpub, bytes, sizeof bytes, ZMQ_DONTWAIT);
    while (size > 0) {
        if (size > 8 && size < (int) sizeof bytes && bytes[0] == 1 &&
            memcmp(bytes + 1, "_inbox.", 7) == 0) {
            welcome(self, bytes + 1, (size_t) size - 1);
        }
        size = zmq_recv(self->xpub, bytes, sizeof bytes, ZMQ_DONTWAIT);
    }
}

// `cert`: the server's own, NULL: plain. Nobody asks who a peer is: that is the broker's work.
static void *
bind_socket(void *context, int type, const char *endpoint, const cert_t *cert)
{
    void *socket = zmq_socket(context, type);
    int hwm = HWM;
    int is_server = 1;
    assert(socket);
    zmq_setsockopt(socket, ZMQ_SNDHWM, &hwm, sizeof hwm);
    zmq_setsockopt(socket, ZMQ_RCVHWM, &hwm, sizeof hwm);
    if (cert != NULL) {
        zmq_setsockopt(socket, ZMQ_CURVE_SERVER, &is_server, sizeof is_server);
        zmq_setsockopt(socket, ZMQ_CURVE_SECRETKEY, cert->secret_key, CERT_KEY_SIZE);
    }
    if (zmq_bind(socket, endpoint) != 0) {
        exit(cli_fail(CLI_NO_ANSWER, "bench-bare: %s: %s", endpoint, zmq_strerror(zmq_errno())));
    }
    return socket;
}

static void
open_log(bare_t *self, const char *dir)
{
    MDB_txn *txn = NULL;
    check(mdb_env_create(&self->env));
    check(mdb_env_set_mapsize(self->env, MAP_BYTES));
    check(mdb_env_set_maxdbs(self->env, 1));
    check(mdb_env_open(self->env, dir, MDB_NOTLS, 0600));
    check(mdb_txn_begin(self->env, NULL, 0, &txn));
    check(mdb_dbi_open(txn, "log", MDB_CREATE | MDB_INTEGERKEY, &self->log));
    check(mdb_txn_commit(txn));
}

static int
run(int argc, char **argv)
{
    flags_t flags = {0};
    option_parse(&options, argc, argv, &flags, NULL, NULL);
    if (flags.in == NULL || flags.out == NULL) {
        return cli_fail(CLI_USAGE, "bench-bare: --in and --out");
    }
    cert_t cert;
    const char *why = NULL;
    if (flags.secure && cert_load(flags.dir, CERT_BROKER, &cert, &why) != BUS_OK) {
        return cli_fail(CLI_CONFIG, "bench-bare: certificate `%s`: %s", CERT_BROKER, why);
    }
    const cert_t *own = flags.secure ? &cert : NULL;
    bare_t *self = calloc(1, sizeof *self);
    assert(self);
    self->pack = pack_new();
    self->answer = pack_new();
    open_log(self, flags.dir);
    void *context = zmq_ctx_new();
    self->pull = bind_socket(context, ZMQ_PULL, flags.in, own);
    self->xpub = bind_socket(context, ZMQ_XPUB, flags.out, own);
    printf("ready %s\n", flags.in);
    fflush(stdout);
    zmq_pollitem_t items[] = {{.socket = self->pull, .events = ZMQ_POLLIN},
                              {.socket = self->xpub, .events = ZMQ_POLLIN}};
    for (;;) { // until SIGTERM, which nothing here minds
        if (zmq_poll(items, 2, -1) < 0) {
            continue;
        }
        take_subscriptions(self);
        while (self->asked_count < GATHER_MAX && self->record_count + BATCH_MAX < RECORDS_MAX &&
               take(self)) {
        }
        if (self->txn != NULL) {
            commit(self);
        }
    }
}

const cli_command_t cli_bench_bare = {
    .name = "bench-bare",
    .summary = "the bare server that bench compares with",
    .group = CLI_GROUP_HIDDEN,
    .options = &options,
    .run = run,
};
