// bench_kb.c - what the knowledge base costs with 1,000, 10,000 and 100,000 passages: the
// operations alone, without the bus. Prints figures; asserts none. How well it ranks is measured by
// tests/bench/kb_quality.py.
//
//     bench_kb [most passages, 100000]
//
// The text is made of 50,000 words whose frequencies fall as they do in a language (Zipf), in
// documents of 8 KiB. Queries are in microseconds of processor time, at the median and the worst of
// 201: they never wait. What is added is in microseconds by the clock, commits with it.
#include "core/kb_document.h"
#include "core/kb_search.h"
#include "core/tables.h"
#include "runtime/clock.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum {
    DOCUMENT_SIZE = 8192,
    BOOK_SIZE = 262144, // a part, as the CLI cuts a book
    BATCH = 32,         // documents a transaction
    QUERIES = 201,
    VOCABULARY = 50000,
    SENTENCE_WORDS = 15,
    PATH_SIZE = 512,
    TEXT_SIZE = 1024,
};

typedef struct {
    store_t *store;
    store_txn_t *txn;
    pack_t *answer;
    uint64_t random;
    uint64_t seq;
    uint64_t documents;
    double *sums; // of the words' frequencies, up to each
    char text[BOOK_SIZE + 64];
} bench_t;

// --- A stand-in for the harness ------------------------------------------------------------------

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

// --- Text ----------------------------------------------------------------------------------------

static double
random_real(bench_t *self)
{
    self->random = self->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (double) (self->random >> 11) * 0x1.0p-53;
}

// The number of a word, the most frequent one 0.
static uint32_t
random_word(bench_t *self)
{
    double wanted = random_real(self) * self->sums[VOCABULARY - 1];
    uint32_t low = 0;
    uint32_t high = VOCABULARY - 1;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (self->sums[middle] < wanted) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static size_t
write_word(uint32_t number, char *out)
{
    static const char syllables[][3] = {"ka", "ri", "to", "mu", "ne", "sa", "hi", "lo", "va", "du"};
    size_t size = 0;
    for (number += 10; number > 0; number /= 10) {
        memcpy(out + size, syllables[number % 10], 2);
        size += 2;
    }
    return size;
}

static bus_view_t
write_text(bench_t *self, size_t size_max)
{
    size_t size = 0;
    for (uint32_t i = 0; size < size_max - 32; i++) {
        size += write_word(random_word(self), self->text + size);
        bool ends = i % SENTENCE_WORDS == SENTENCE_WORDS - 1;
        self->text[size++] = ends ? '.' : ' ';
        if (ends) {
            self->text[size++] = i % (SENTENCE_WORDS * 12) == SENTENCE_WORDS * 12 - 1 ? '\n' : ' ';
        }
    }
    return view_from(self->text, size);
}

// --- Operations ----------------------------------------------------------------------------------

static void
begin(bench_t *self, store_mode_t mode)
{
    bus_err_t err = store_begin(self->store, mode, &self->txn);
    assert(err == BUS_OK);
}

static void
commit(bench_t *self)
{
    bus_err_t err = store_commit(&self->txn);
    assert(err == BUS_OK);
}

static service_apply_t
apply_of(bench_t *self, const header_t *header)
{
    pack_clear(self->answer);
    return (service_apply_t){.txn = self->txn, .header = header, .answer = self->answer};
}

static void
add(bench_t *self, uint64_t number, bus_view_t text)
{
    char id[32];
    char book[32];
    (void) snprintf(id, sizeof id, "document-%llu", (unsigned long long) number);
    (void) snprintf(book, sizeof book, "book %llu", (unsigned long long) number % 20);
    const schema_kb_document_t message = {.document_id = view_from_text(id),
                                          .text = text,
                                          .book = view_from_text(book),
                                          .version = VIEW_LITERAL("1")};
    const header_t header = {.seq = ++self->seq, .at = self->seq};
    service_apply_t apply = apply_of(self, &header);
    bus_err_t err = core_kb_document_add(&apply, &message);
    assert(err == BUS_OK);
}

static uint64_t
passages(bench_t *self)
{
    core_kb_totals_t totals;
    begin(self, STORE_READ);
    bus_err_t err = core_kb_passage_totals(self->txn, &totals);
    assert(err == BUS_OK);
    store_rollback(&self->txn);
    return totals.passages;
}

static void
grow_to(bench_t *self, uint64_t count)
{
    uint64_t before = passages(self);
    uint64_t bytes = 0;
    uint64_t took = 0;
    while (passages(self) < count) {
        begin(self, STORE_WRITE);
        for (int i = 0; i < BATCH; i++) {
            bus_view_t text = write_text(self, DOCUMENT_SIZE);
            bytes += text.size;
            uint64_t start = clock_boot_us();
            add(self, self->documents++, text);
            took += clock_boot_us() - start;
        }
        uint64_t start = clock_boot_us();
        commit(self);
        took += clock_boot_us() - start;
    }
    store_info_t info;
    store_info(self->store, &info);
    uint64_t added = passages(self) - before;
    printf("%8llu passages, %7.1f MiB: added %llu at %.1f us each, %.1f MiB of text a second\n",
           (unsigned long long) passages(self),
           (double) info.used_bytes / (1024 * 1024),
           (unsigned long long) added,
           (double) took / (double) added,
           (double) bytes / (1024 * 1024) / ((double) took / 1e6));
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
    uint32_t words;
    uint32_t from; // the words' numbers: the lower, the more frequent
    uint32_t range;
    const char *suffix;
} kind_t;

static uint64_t
processor_us(void)
{
    struct timespec now;
    int rc = clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    assert(rc == 0);
    return (uint64_t) now.tv_sec * 1000000 + (uint64_t) now.tv_nsec / 1000;
}

static void
ask_kind(bench_t *self, const kind_t *kind)
{
    uint64_t took[QUERIES];
    begin(self, STORE_READ);
    for (int i = 0; i < QUERIES; i++) {
        char query[TEXT_SIZE];
        size_t size = 0;
        for (uint32_t word = 0; word < kind->words; word++) {
            uint32_t number = kind->from + (uint32_t) (random_real(self) * kind->range);
            size += write_word(number, query + size);
            query[size++] = ' ';
        }
        memcpy(query + size, kind->suffix, strlen(kind->suffix));
        size += strlen(kind->suffix);
        const core_kb_question_t question = {.query = view_from(query, size)};
        const char *field;
        const char *problem;
        pack_clear(self->answer);
        uint64_t start = processor_us();
        bus_err_t err = core_kb_search_answer(self->txn, &question, self->answer, &field, &problem);
        took[i] = processor_us() - start;
        assert(err == BUS_OK);
    }
    store_rollback(&self->txn);
    qsort(took, QUERIES, sizeof took[0], compare);
    printf("    %-42s %7llu us, worst %7llu us\n",
           kind->label,
           (unsigned long long) took[QUERIES / 2],
           (unsigned long long) took[QUERIES - 1]);
}

static void
ask_all(bench_t *self)
{
    static const kind_t kinds[] = {
        {"3 rare words", 3, 2000, 40000, ""},
        {"3 words, any", 3, 20, 5000, ""},
        {"8 words, any", 8, 20, 5000, ""},
        {"8 frequent words", 8, 0, 100, ""},
        {"32 frequent words", 32, 0, 100, ""},
        {"8 frequent words @book: of 20", 8, 0, 100, "@book:\"book 7\""},
    };
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        ask_kind(self, &kinds[i]);
    }
}

static void
remove_book(bench_t *self)
{
    const schema_kb_remove_t message = {.document_id = VIEW_LITERAL("book")};
    const header_t header = {.seq = ++self->seq, .at = self->seq};
    begin(self, STORE_WRITE);
    service_apply_t apply = apply_of(self, &header);
    bus_err_t err = core_kb_document_remove(&apply, &message);
    assert(err == BUS_OK);
    commit(self);
}

// Adds a part of a book, another text each time. Returns microseconds.
static uint64_t
add_part(bench_t *self, int part, int parts)
{
    const schema_kb_document_t message = {.document_id = VIEW_LITERAL("book"),
                                          .text = write_text(self, BOOK_SIZE),
                                          .part = {.has = true, .value = part},
                                          .parts = {.has = true, .value = parts}};
    const header_t header = {.seq = ++self->seq, .at = self->seq};
    uint64_t start = clock_boot_us();
    begin(self, STORE_WRITE);
    service_apply_t apply = apply_of(self, &header);
    bus_err_t err = core_kb_document_add(&apply, &message);
    assert(err == BUS_OK);
    commit(self);
    return clock_boot_us() - start;
}

// A book as the CLI sends it, one transaction a part.
static void
time_book(bench_t *self)
{
    enum { TIMES = 8, PARTS = 48 };
    uint64_t first = add_part(self, 1, 1);
    uint64_t took = 0;
    for (int i = 0; i < TIMES; i++) {
        took += add_part(self, 1, 1);
    }
    printf("    256 KiB of a book: added in %llu us, replaced in %llu us\n",
           (unsigned long long) first,
           (unsigned long long) took / TIMES);
    remove_book(self);
    took = 0;
    for (int part = 1; part <= PARTS; part++) {
        took += add_part(self, part, PARTS);
    }
    uint64_t start = clock_boot_us();
    remove_book(self);
    printf("    12 MiB in 48 parts: added in %llu us, removed at once in %llu us\n",
           (unsigned long long) took,
           (unsigned long long) (clock_boot_us() - start));
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
    uint64_t most = argc > 1 ? strtoull(argv[1], NULL, 10) : 100000;
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
                                     .tables = core_tables,
                                     .table_count = CORE_TABLE_COUNT,
                                     .size_max = UINT64_C(8) << 30,
                                     .durability = STORE_REPLAYED};
    bench_t *bench = calloc(1, sizeof *bench);
    assert(bench);
    bench->answer = pack_new();
    bench->random = 1;
    bench->sums = calloc(VOCABULARY, sizeof bench->sums[0]);
    assert(bench->sums);
    for (int i = 0; i < VOCABULARY; i++) {
        bench->sums[i] = (i > 0 ? bench->sums[i - 1] : 0) + 1.0 / (i + 1.0);
    }
    if (store_open(&options, &bench->store) != BUS_OK) {
        (void) fprintf(stderr, "bench_kb: cannot open %s\n", path);
        return 74;
    }
    for (uint64_t count = 1000; count <= most; count *= 10) {
        grow_to(bench, count);
        time_book(bench);
        ask_all(bench);
    }
    store_destroy(&bench->store);
    pack_destroy(&bench->answer);
    free(bench->sums);
    free(bench);
    clean_up(dir, path);
    return 0;
}
