// bench_journal.c - appends a second at blocks of 1, 100 and 1,000, with and without pseq, and
// records a second scanned. Prints figures; asserts none.
//
//     bench_journal [seconds a figure, 2]
#include "broker/batch.h"
#include "broker/journal.h"
#include "runtime/clock.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <zmq.h>

enum { BODY_SIZE = 200, PATH_SIZE = 512 };

typedef struct {
    journal_t *journal;
    batch_t *batch;
    pack_t *said;
    pack_t *stamped;
    pack_t *body;
    uint64_t pseq;
    uint64_t span_us; // of one figure
} bench_t;

static void
add(bench_t *self, bool has_pseq)
{
    batch_entry_t entry = {.kind = BATCH_RECORD, .topic = VIEW_LITERAL("core.event.benchmark")};
    entry.header = (header_t){
        .id = VIEW_LITERAL("0192f0c1-2d3e-7a4b-8c5d-6e7f8091a2b3"),
        .source = VIEW_LITERAL("bench"),
        .pstream = VIEW_LITERAL("0192f0c1-2d3e-7a4b-8c5d-000000000001"),
        .pseq = has_pseq ? ++self->pseq : 0,
        .ack = HEADER_ACK_EACH,
    };
    pack_clear(self->said);
    pack_clear(self->stamped);
    header_encode(&entry.header, self->said);
    header_restamp(pack_view(self->said), &(header_stamp_t){.journaled = true}, self->stamped);
    entry.header_bytes = pack_view(self->stamped);
    entry.body = pack_view(self->body);
    batch_add(self->batch, &entry);
}

static void
bench_append(bench_t *self, uint32_t size, bool has_pseq)
{
    uint64_t count = 0;
    uint64_t append_us = 0;
    uint64_t start = clock_boot_us();
    uint64_t now = start;
    while (now - start < self->span_us) {
        for (uint32_t i = 0; i < size; i++) {
            add(self, has_pseq);
        }
        zmq_msg_t block;
        batch_release(self->batch, &block);
        uint64_t before = clock_boot_us();
        journal_append(self->journal, zmq_msg_data(&block), zmq_msg_size(&block));
        now = clock_boot_us();
        append_us += now - before;
        batch_item_t *item = batch_first(zmq_msg_data(&block), zmq_msg_size(&block));
        assert(item->err == BUS_OK && item->seq != 0);
        zmq_msg_close(&block);
        count += size;
    }
    double total_s = (double) (now - start) / 1e6;
    double append_s = (double) append_us / 1e6;
    printf("append  block %5u %s  %9.0f/s with making them, %9.0f/s in the journal, %7.1f us a "
           "commit\n",
           size,
           has_pseq ? "pseq   " : "no pseq",
           (double) count / total_s,
           (double) count / append_s,
           (double) append_us * size / (double) count);
}

static void
bench_scan(bench_t *self, bus_view_t filter, uint32_t max, const char *label)
{
    BUS_AUTO(pack_destroy) pack_t *out = pack_new();
    journal_info_t info;
    journal_info(self->journal, &info);
    uint64_t looked = 0;
    uint64_t start = clock_boot_us();
    uint64_t now = start;
    uint64_t from = 1;
    while (now - start < self->span_us) {
        const journal_scan_t scan = {
            .from = from,
            .head = info.head,
            .filters = &filter,
            .filter_count = 1,
            .max = max,
            .max_bytes = 1024 * 1024,
            .scan_max = 200000,
        };
        journal_page_t page;
        pack_clear(out);
        bus_err_t err = journal_scan(self->journal, &scan, out, &page);
        assert(err == BUS_OK);
        looked += page.next - from;
        from = page.next > info.head ? 1 : page.next;
        now = clock_boot_us();
    }
    printf("scan    %-24s %9.0f/s\n", label, (double) looked * 1e6 / (double) (now - start));
}

int
main(int argc, char **argv)
{
    double seconds = argc > 1 ? strtod(argv[1], NULL) : 2;
    const char *parent = getenv("TMPDIR");
    char dir[PATH_SIZE];
    snprintf(dir, sizeof(dir), "%s/bench-XXXXXX", parent != NULL ? parent : P_tmpdir);
    if (mkdtemp(dir) == NULL) {
        perror(dir);
        return 74;
    }
    char path[PATH_SIZE + 16];
    snprintf(path, sizeof(path), "%s/store", dir);
    bench_t bench = {.batch = batch_new(),
                     .said = pack_new(),
                     .stamped = pack_new(),
                     .body = pack_new(),
                     .span_us = (uint64_t) (seconds * 1e6)};
    char text[BODY_SIZE];
    memset(text, 'x', sizeof(text));
    pack_map(bench.body, 1);
    pack_pair_str(bench.body, "text", view_from(text, sizeof(text)));
    const journal_options_t options = {.path = path};
    if (journal_open(&options, &bench.journal) != BUS_OK) {
        fprintf(stderr, "bench_journal: cannot open %s\n", path);
        return 74;
    }
    static const uint32_t sizes[] = {1, 100, 1000};
    for (int i = 0; i < 3; i++) {
        bench_append(&bench, sizes[i], false);
        bench_append(&bench, sizes[i], true);
    }
    bench_scan(&bench, VIEW_LITERAL(""), 1000, "all, pages of 1000");
    bench_scan(&bench, VIEW_LITERAL("karma."), 1000, "nothing that matches");
    journal_destroy(&bench.journal);
    batch_destroy(&bench.batch);
    pack_destroy(&bench.said);
    pack_destroy(&bench.stamped);
    pack_destroy(&bench.body);
    static const char *const files[] = {"data.mdb", "lock.mdb", "store.lock"};
    for (int i = 0; i < 3; i++) {
        char file[PATH_SIZE + 32];
        snprintf(file, sizeof(file), "%s/%s", path, files[i]);
        (void) unlink(file);
    }
    (void) rmdir(path);
    (void) rmdir(dir);
    return 0;
}
