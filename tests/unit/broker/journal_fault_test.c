// journal_fault_test.c - full maps, failing disks, killed processes: what was acknowledged stays.
#include "journal_fixture.h"
#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static void
take_ack(void *arg, bus_view_t consumer, uint64_t ack)
{
    cr_assert(view_is(consumer, "reader"));
    *(uint64_t *) arg = ack;
}

// Fills the journal with big records until it refuses. How many went in.
static uint64_t
fill_up(fixture_t *f)
{
    batch_item_t *item;
    do {
        item = fixture_put(f, &(fixture_record_t){.topic = "core.big", .body_size = 30000});
    } while (item->err == BUS_OK);
    cr_assert_eq(item->err, BUS_JOURNAL_FULL);
    cr_assert_eq(item->seq, 0);
    cr_assert_eq(item->at, 0);
    return fixture_info(f).head;
}

Test(journal_fault, says_full_changes_nothing_and_works_again_after_a_trim)
{
    const journal_options_t options = {.size_max = 4 * 1024 * 1024, .retention_bytes = 1000000};
    BUS_AUTO(fixture_destroy) fixture_t *f = fixture_new(&options);
    fixture_put(f, &(fixture_record_t){.topic = "core.x", .pseq = 1, .pstream = "u"});
    uint64_t head = fill_up(f);
    cr_assert_gt(head, 50);
    journal_info_t before = fixture_info(f);

    // A block whose last record does not fit: none of it is there, nor its streams.
    fixture_add(f, &(fixture_record_t){.topic = "core.x", .pseq = 2, .pstream = "u"});
    fixture_add(f, &(fixture_record_t){.topic = "core.x", .pseq = 1, .pstream = "new"});
    fixture_add_hello(f, "tester", "u");
    fixture_add_consumer(f, BATCH_CONSUMER, "reader", head);
    fixture_add(f, &(fixture_record_t){.topic = "core.big", .body_size = 900000});
    fixture_append(f);
    for (uint32_t i = 0; i < f->count; i++) {
        bus_err_t wanted = i == 3 ? BUS_OK : BUS_JOURNAL_FULL; // acks are what makes room
        cr_assert_eq(f->items[i]->err, wanted, "item %u", i);
    }
    journal_info_t after = fixture_info(f);
    cr_assert_eq(after.head, before.head);
    cr_assert_eq(after.at, before.at);
    cr_assert_eq(after.bytes, before.bytes);
    fixture_add_hello(f, "tester", "u");
    fixture_add_hello(f, "tester", "new");
    fixture_append(f);
    cr_assert_eq(f->items[0]->expected, 1);
    cr_assert_eq(f->items[1]->count, 0);
    uint64_t ack = 0;
    cr_assert_eq(journal_consumers(f->journal, take_ack, &ack), BUS_OK);
    cr_assert_eq(ack, head);

    fixture_add_trim(f, head);
    fixture_append(f);
    cr_assert_eq(f->items[0]->err, BUS_OK);
    cr_assert_gt(f->items[0]->count, 20);
    uint64_t first = f->items[0]->first;
    batch_item_t *item =
        fixture_put(f, &(fixture_record_t){.topic = "core.x", .pseq = 2, .pstream = "u"});
    cr_assert_eq(item->err, BUS_OK);
    cr_assert_eq(item->seq, head + 1);
    cr_assert_gt(fill_up(f), head + 10);
    fixture_reopen(f);
    cr_assert_eq(fixture_info(f).first, first);
}

// The file may not grow beyond `bytes` from now on: a write beyond fails as on a broken disk.
static void
limit_files(rlim_t bytes)
{
    struct rlimit limit;
    cr_assert_eq(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = bytes;
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

Test(journal_fault, says_io_error_while_the_disk_fails_and_goes_on_when_it_is_back)
{
    signal(SIGXFSZ, SIG_IGN);
    BUS_AUTO(fixture_destroy) fixture_t *f = fixture_new(NULL);
    fixture_add(f, &(fixture_record_t){.topic = "core.x", .pseq = 1, .pstream = "u"});
    fixture_append(f);
    char path[FIXTURE_PATH_SIZE + 32];
    snprintf(path, sizeof(path), "%s/data.mdb", f->path);
    struct stat stat_;
    cr_assert_eq(stat(path, &stat_), 0);
    limit_files((rlim_t) stat_.st_size);
    for (int i = 0; i < 3; i++) {
        fixture_add_hello(f, "tester", "u");
        fixture_add(f, &(fixture_record_t){.topic = "core.x", .pseq = 2, .pstream = "u"});
        fixture_add(f, &(fixture_record_t){.topic = "core.x", .body_size = 500000});
        fixture_append(f);
        for (uint32_t k = 0; k < f->count; k++) {
            cr_assert_eq(f->items[k]->err, BUS_IO, "item %u of try %d", k, i);
            cr_assert_eq(f->items[k]->seq, 0);
        }
        cr_assert_eq(fixture_info(f).head, 1);
    }
    limit_files(RLIM_INFINITY);
    fixture_add(f, &(fixture_record_t){.topic = "core.x", .pseq = 2, .pstream = "u"});
    fixture_add_hello(f, "tester", "u");
    fixture_append(f);
    cr_assert_eq(f->items[0]->err, BUS_OK);
    cr_assert_eq(f->items[0]->seq, 2);
    cr_assert_eq(f->items[1]->expected, 2);
    BUS_AUTO(pack_destroy) pack_t *out = pack_new();
    journal_page_t page;
    cr_assert_eq(fixture_scan(f, 1, NULL, out, &page), BUS_OK);
    cr_assert_eq(page.count, 2);
}

// In a child: goes on with the stream where it stands, and says each seq once it is durable, until
// it is killed.
static _Noreturn void
append_and_tell(fixture_t *f, int fd)
{
    if (journal_open(&f->options, &f->journal) != BUS_OK) {
        _exit(1);
    }
    fixture_add_hello(f, "tester", "u");
    fixture_append(f);
    for (uint64_t last = f->items[0]->expected;; last += 2) {
        fixture_add(f, &(fixture_record_t){.topic = "core.x", .pseq = last + 1, .pstream = "u"});
        fixture_add_group(f, 3, last + 2, "u");
        fixture_append(f);
        uint64_t told[2] = {f->items[1]->seq, f->items[1]->at};
        if (f->items[1]->err != BUS_OK || write(fd, told, sizeof(told)) < 0) {
            _exit(2);
        }
    }
}

Test(journal_fault, loses_nothing_acknowledged_to_a_kill_in_the_middle)
{
    BUS_AUTO(fixture_destroy) fixture_t *f = fixture_new(NULL);
    journal_destroy(&f->journal); // one process, one environment
    for (int round = 0; round < 5; round++) {
        int fds[2];
        cr_assert_eq(pipe(fds), 0);
        pid_t child = fork();
        cr_assert_geq(child, 0);
        if (child == 0) {
            close(fds[0]);
            append_and_tell(f, fds[1]);
        }
        close(fds[1]);
        uint64_t told[2] = {0, 0};
        uint64_t last[2] = {0, 0};
        for (int i = 0; i < 50 + 13 * round; i++) {
            cr_assert_eq(read(fds[0], told, sizeof(told)), (ssize_t) sizeof(told));
            last[0] = told[0];
            last[1] = told[1];
        }
        kill(child, SIGKILL);
        while (read(fds[0], told, sizeof(told)) == (ssize_t) sizeof(told)) {
            last[0] = told[0];
            last[1] = told[1];
        }
        int status;
        cr_assert_eq(waitpid(child, &status, 0), child);
        cr_assert(WIFSIGNALED(status));
        close(fds[0]);

        cr_assert_eq(journal_open(&f->options, &f->journal), BUS_OK);
        journal_info_t info = fixture_info(f);
        cr_assert_geq(info.head, last[0]);
        cr_assert_geq(info.at, last[1]);
        cr_assert_eq(info.head % 4, 0, "a block is there as a whole or not at all");
        BUS_AUTO(pack_destroy) pack_t *out = pack_new();
        journal_page_t page;
        cr_assert_eq(fixture_scan(f, 1, NULL, out, &page), BUS_OK);
        cr_assert_eq(page.count, info.head);
        journal_destroy(&f->journal);
    }
    cr_assert_eq(journal_open(&f->options, &f->journal), BUS_OK);
}
