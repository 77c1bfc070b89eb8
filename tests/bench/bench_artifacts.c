// bench_artifacts.c - what Bucket's channels cost in a store of 10,000, 100,000 and a million
// artifacts: the operations alone, without the bus. Prints figures; asserts none.
//
//     bench_artifacts [most artifacts, 1000000]
//
// A query is answered in microseconds at the median of 301; its cost must grow with the logarithm
// of what is stored. Writes are applied in transactions of 500, as a busy service does.
#include "bucket/artifact.h"
#include "bucket/audit.h"
#include "bucket/tables.h"
#include "runtime/clock.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    BATCH = 500,
    QUERIES = 301,
    READS = 20000,
    CONTENT_SIZE = 200,
    PATH_SIZE = 512,
    JSON_SIZE = 1024,
    ID_SIZE = 32,
    STEP_US = 1000, // between two artifacts
};

#define T0 UINT64_C(1767225600000000) // 2026-01-01T00:00:00Z

typedef struct {
    store_t *store;
    store_txn_t *txn;
    bucket_state_t state;
    pack_t *body;
    pack_t *answer;
    uint64_t seq;
    uint64_t at;
    uint64_t written;
} bench_t;

// --- A stand-in for the harness: nobody hears what is said ---------------------------------------

bus_err_t
service_refuse(service_apply_t *self BUS_UNUSED,
               bus_err_t err,
               const char *message BUS_UNUSED,
               bus_view_t details BUS_UNUSED)
{
    return err;
}

bus_err_t
service_query_refuse(service_query_t *self BUS_UNUSED,
                     bus_err_t err,
                     const char *message BUS_UNUSED,
                     bus_view_t details BUS_UNUSED)
{
    return err;
}

bus_err_t
service_say(service_apply_t *self BUS_UNUSED,
            const char *topic BUS_UNUSED,
            bus_view_t body BUS_UNUSED)
{
    return BUS_OK;
}

bus_err_t
service_query_say(service_query_t *self BUS_UNUSED,
                  const char *topic BUS_UNUSED,
                  bus_view_t body BUS_UNUSED)
{
    return BUS_OK;
}

void
service_tell(service_apply_t *self BUS_UNUSED,
             const char *topic BUS_UNUSED,
             bus_view_t body BUS_UNUSED)
{
}

// --- Operations ----------------------------------------------------------------------------------

typedef bus_err_t(operation_fn)(service_apply_t *apply, const void *message);

static void
begin(bench_t *self)
{
    bus_err_t err = store_begin(self->store, STORE_WRITE, &self->txn);
    assert(err == BUS_OK);
}

static void
commit(bench_t *self)
{
    bus_err_t err = store_commit(&self->txn);
    assert(err == BUS_OK);
}

// Applies self->body; must succeed.
static void
apply_body(bench_t *self, operation_fn *fn, const char *topic)
{
    char id[ID_SIZE];
    self->seq++;
    (void) snprintf(id, sizeof id, "id-%llu", (unsigned long long) self->seq);
    const header_t header = {.id = view_from_text(id),
                             .source = VIEW_LITERAL("bench"),
                             .trace_id = VIEW_LITERAL("0192f0c1-2d3e-7a4b-8c5d-6e7f8091a2b3"),
                             .seq = self->seq,
                             .at = self->at};
    pack_clear(self->answer);
    service_apply_t apply = {.state = &self->state,
                             .txn = self->txn,
                             .header = &header,
                             .topic = view_from_text(topic),
                             .body = pack_view(self->body),
                             .answer = self->answer};
    bus_err_t err = fn(&apply, NULL);
    assert(err == BUS_OK);
}

static void
pack_write(bench_t *self, uint64_t number)
{
    static const char text[CONTENT_SIZE];
    char id[ID_SIZE];
    (void) snprintf(id, sizeof id, "artifact-%llu", (unsigned long long) number);
    pack_clear(self->body);
    pack_map(self->body, 3);
    pack_pair_text(self->body, "artifact_id", id);
    pack_text(self->body, "content");
    pack_map(self->body, 1);
    pack_pair_str(self->body, "text", view_from(text, sizeof text));
    pack_text(self->body, "metadata");
    pack_map(self->body, 3);
    pack_pair_text(self->body, "product", "gurukul");
    pack_pair_text(self->body, "created_by", "bench");
    pack_text(self->body, "tags");
    uint32_t tags = 1u + (number % 10 == 0 ? 1u : 0u) + (number % 1000 == 0 ? 1u : 0u);
    pack_array(self->body, tags);
    pack_text(self->body, "all");
    if (tags > 1) {
        pack_text(self->body, "tenth");
    }
    if (tags > 2) {
        pack_text(self->body, "rare");
    }
}

// Writes up to `count` artifacts in all. Returns microseconds a write.
static double
grow_to(bench_t *self, uint64_t count)
{
    uint64_t from = self->written;
    uint64_t start = clock_boot_us();
    while (self->written < count) {
        begin(self);
        for (int i = 0; i < BATCH && self->written < count; i++) {
            self->at += STEP_US;
            pack_write(self, self->written++);
            apply_body(self, bucket_artifact_write, "bucket.artifact_write");
        }
        commit(self);
    }
    return (double) (clock_boot_us() - start) / (double) (count - from);
}

static double
read_some(bench_t *self)
{
    uint64_t start = clock_boot_us();
    for (uint64_t i = 0; i < READS; i++) {
        if (i % BATCH == 0) {
            begin(self);
        }
        char id[ID_SIZE];
        (void) snprintf(id,
                        sizeof id,
                        "artifact-%llu",
                        (unsigned long long) (i * UINT64_C(2654435761) % self->written));
        pack_clear(self->body);
        pack_map(self->body, 2);
        pack_pair_text(self->body, "artifact_id", id);
        pack_pair_text(self->body, "product", "gurukul");
        apply_body(self, bucket_artifact_read, "bucket.artifact_read");
        if (i % BATCH == BATCH - 1) {
            commit(self);
        }
    }
    return (double) (clock_boot_us() - start) / READS;
}

static int
compare(const void *a, const void *b)
{
    const uint64_t left = *(const uint64_t *) a;
    const uint64_t right = *(const uint64_t *) b;
    return left < right ? -1 : left > right;
}

typedef struct {
    const char *label;
    const char *tags[2]; // NULL: none
    bool has_dates;      // the middle half of all
} question_t;

static void
pack_time(pack_t *out, const char *key, uint64_t seconds)
{
    char text[ID_SIZE];
    (void) snprintf(text,
                    sizeof text,
                    "2026-01-01T%02u:%02u:%02uZ",
                    (unsigned) (seconds / 3600),
                    (unsigned) (seconds / 60 % 60),
                    (unsigned) (seconds % 60));
    pack_pair_text(out, key, text);
}

static void
pack_query(bench_t *self, const question_t *question)
{
    pack_t *out = self->body;
    uint32_t tags = (question->tags[0] != NULL ? 1u : 0u) + (question->tags[1] != NULL ? 1u : 0u);
    pack_clear(out);
    pack_map(out, 2);
    pack_pair_text(out, "product", "gurukul");
    pack_text(out, "filters");
    pack_map(out, question->has_dates ? 4 : 2);
    pack_pair_uint(out, "limit", 100);
    pack_text(out, "tags");
    pack_array(out, tags);
    for (uint32_t i = 0; i < tags; i++) {
        pack_text(out, question->tags[i]);
    }
    if (question->has_dates) {
        uint64_t span = self->written * STEP_US / 1000000;
        pack_time(out, "created_after", span / 4);
        pack_time(out, "created_before", span / 4 * 3);
    }
}

// The median of QUERIES answers, microseconds.
static uint64_t
ask(bench_t *self, const question_t *question)
{
    uint64_t took[QUERIES];
    pack_query(self, question);
    begin(self);
    for (int i = 0; i < QUERIES; i++) {
        uint64_t start = clock_boot_us();
        apply_body(self, bucket_artifact_query, "bucket.metadata_query");
        took[i] = clock_boot_us() - start;
    }
    commit(self);
    qsort(took, QUERIES, sizeof took[0], compare);
    return took[QUERIES / 2];
}

static void
report(bench_t *self, uint64_t count)
{
    static const question_t questions[] = {
        {"tag of 1/10, dates", {"tenth", NULL}, true},
        {"tag of 1/1000, dates", {"rare", NULL}, true},
        {"two tags, dates", {"all", "tenth"}, true},
        {"dates alone", {NULL, NULL}, true},
        {"tag of 1/10", {"tenth", NULL}, false},
        {"product alone", {NULL, NULL}, false},
    };
    double write_us = grow_to(self, count);
    store_info_t info;
    store_info(self->store, &info);
    printf("%8llu artifacts, %6.1f MiB: write %5.1f us, ",
           (unsigned long long) count,
           (double) info.used_bytes / (1024 * 1024),
           write_us);
    printf("read %5.1f us\n", read_some(self));
    for (size_t i = 0; i < sizeof questions / sizeof questions[0]; i++) {
        printf("    100 rows by %-22s %6llu us\n",
               questions[i].label,
               (unsigned long long) ask(self, &questions[i]));
    }
}

static void
clean_up(const char *dir, const char *path)
{
    static const char *const files[] = {"data.mdb", "lock.mdb", "store.lock"};
    for (int i = 0; i < 3; i++) {
        char file[PATH_SIZE + 64];
        (void) snprintf(file, sizeof file, "%s/%s", path, files[i]);
        (void) unlink(file);
    }
    (void) rmdir(path);
    (void) rmdir(dir);
}

int
main(int argc, char **argv)
{
    uint64_t most = argc > 1 ? strtoull(argv[1], NULL, 10) : 1000000;
    const char *parent = getenv("TMPDIR");
    char dir[PATH_SIZE];
    (void) snprintf(dir, sizeof dir, "%s/bench-XXXXXX", parent != NULL ? parent : P_tmpdir);
    if (mkdtemp(dir) == NULL) {
        perror(dir);
        return 74;
    }
    char path[PATH_SIZE + 16];
    (void) snprintf(path, sizeof path, "%s/store", dir);
    const store_options_t options = {.path = path,
                                     .tables = bucket_tables,
                                     .table_count = BUCKET_TABLE_COUNT,
                                     .size_max = UINT64_C(16) << 30,
                                     .durability = STORE_REPLAYED};
    bench_t bench = {.body = pack_new(), .answer = pack_new(), .at = T0};
    bench.state.scratch = pack_new();
    if (store_open(&options, &bench.store) != BUS_OK) {
        (void) fprintf(stderr, "bench_artifacts: cannot open %s\n", path);
        return 74;
    }
    begin(&bench);
    bus_err_t err = bucket_audit_load(bench.txn, &bench.state.tree);
    assert(err == BUS_OK);
    store_rollback(&bench.txn);
    for (uint64_t count = 10000; count <= most; count *= 10) {
        report(&bench, count);
    }
    store_destroy(&bench.store);
    pack_destroy(&bench.body);
    pack_destroy(&bench.answer);
    pack_destroy(&bench.state.scratch);
    clean_up(dir, path);
    return 0;
}
