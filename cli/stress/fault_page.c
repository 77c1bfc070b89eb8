// fault_page.c - scenario corrupt_page: a byte of a stored value is another, as a disk may have it.
//
// What is flipped makes a value that would look right: event 150 would say that it is 151. So a
// wrong byte that leaves is not only malformed, it is counted.
#include "fault_bus.h"
#include "scratch.h"

#include "proto/walk.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    WAIT_MS = 15000,
    EVENTS = 300,
    EVENTS_MAX = 1200, // more than are on their way when 300 are acknowledged
    VICTIM = 150,      // the event whose number is flipped
    STORE_MAX = 64 << 20,
    ANSWER_SIZE = 8192, // of `bhiv check`
    ASK_MS = 5000
};

// "n" and 150 in msgpack; the last byte's lowest bit makes it 151.
static const char victim[] = {'\xa1', 'n', '\xcc', (char) VICTIM};

// --- Bytes on the disk -------------------------------------------------------------------------

typedef struct {
    char *bytes; // owned
    size_t size;
} content_t;

static void
content_clear(content_t *self)
{
    free(self->bytes);
}

static content_t
content_read(const char *path)
{
    content_t content = {0};
    struct stat about;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0 && fstat(fd, &about) == 0 && about.st_size > 0 && about.st_size < STORE_MAX) {
        content.bytes = malloc((size_t) about.st_size);
        ssize_t size = content.bytes == NULL ? -1 : read(fd, content.bytes, (size_t) about.st_size);
        content.size = size > 0 ? (size_t) size : 0;
    }
    if (fd >= 0) {
        close(fd);
    }
    return content;
}

static bool
content_write(const content_t *self, const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    bool written = fd >= 0 && write(fd, self->bytes, self->size) == (ssize_t) self->size;
    return fd >= 0 && close(fd) == 0 && written;
}

// Flips the victim's number wherever it stands: a page that is no longer used may hold a copy.
// Returns how many places there were.
static unsigned
flip(const char *from, const char *to)
{
    content_t content = content_read(from);
    unsigned places = 0;
    for (size_t i = 0; i + sizeof victim <= content.size; ++i) {
        if (memcmp(content.bytes + i, victim, sizeof victim) == 0) {
            content.bytes[i + sizeof victim - 1] ^= 1;
            ++places;
        }
    }
    bool written = places > 0 && content_write(&content, to);
    content_clear(&content);
    return written ? places : 0;
}

// --- `bhiv check` ------------------------------------------------------------------------------

// Whether it fails for this folder, naming this store alone.
static void
expect_named(cli_fault_t *fault, const char *dir, const char *store)
{
    char flag[CLI_PATH_SIZE + 32];
    char said[ANSWER_SIZE + 1] = "";
    char good[64];
    size_t size = 0;
    snprintf(flag, sizeof flag, "--dir=%s", dir);
    const char *argv[] = {"bhiv", "check", flag, "--format=json", NULL};
    const cli_fault_command_t command = {.argv = argv, .err = -1, .net = -1};
    cli_fault_process_t process = CLI_FAULT_PROCESS_NONE;
    double since_ms = cli_fault_now_ms();
    bool is_started = cli_fault_process_start(&command, &process);
    ssize_t piece = 0;
    while (is_started && size < ANSWER_SIZE &&
           (piece = read(process.out, said + size, ANSWER_SIZE - size)) > 0) {
        size += (size_t) piece;
    }
    said[size] = '\0';
    int status = cli_fault_process_wait(&process, WAIT_MS);
    cli_fault_process_end(&process);
    snprintf(good, sizeof good, "\"store\":\"%s\",\"status\":\"ok\"", store);
    bool is_named = strstr(said, store) != NULL && strstr(said, good) == NULL;
    cli_fault_expect(fault,
                     status == CLI_NEGATIVE && is_named,
                     "`bhiv check` names the store of %s: status %d",
                     store,
                     status);
    cli_fault_expect_soon(fault, cli_fault_now_ms() - since_ms, "`bhiv check` is over");
}

// --- The journal's copy ------------------------------------------------------------------------

typedef struct {
    cli_fault_bus_t *bus;
    bool seen[EVENTS_MAX]; // events that were served
    unsigned wrong;        // that say another number than they have, or come twice
    unsigned damaged;      // records that the broker named as such
    uint64_t next;
    uint64_t head;
    bool is_over;
    bus_err_t err;
} reading_t;

static void
on_page(void *arg, const client_page_t *page)
{
    reading_t *self = arg;
    self->is_over = true;
    self->err = page->err;
    if (page->err == BUS_CORRUPT && page->damaged != 0) {
        self->damaged++;
        self->next = page->damaged + 1; // the rest is served
        self->err = BUS_OK;
        return;
    }
    client_records_t records = client_records(page);
    client_heard_t record;
    while (page->err == BUS_OK && client_next_record(&records, &record) == BUS_OK) {
        bus_view_t value;
        uint64_t n = 0;
        bool is_event = walk_find(record.body, "n", &value) == BUS_OK &&
                        walk_as_uint(value, &n) == BUS_OK && n < EVENTS_MAX;
        self->wrong += is_event && self->seen[n];
        if (is_event) {
            self->seen[n] = true;
        }
    }
    self->next = page->next;
    self->head = page->err == BUS_OK ? page->head : self->head;
}

static bool
is_over(void *arg)
{
    const reading_t *self = arg;
    return self->is_over;
}

// Reads all of the journal that is served.
static void
read_copy(reading_t *self, uint64_t head)
{
    static const char *const filter = "core.event." CLI_FAULT_EVENT;
    client_t *client = cli_fault_bus_client(self->bus);
    self->head = head;
    self->next = 1;
    while (self->err == BUS_OK && self->next <= self->head) {
        const client_fetch_t fetch = {
            .consumer = "fault_copy", .filters = &filter, .filter_count = 1, .from = self->next};
        self->is_over = false;
        self->err = client_fetch(client, &fetch, on_page, self);
        if (self->err == BUS_OK && !cli_fault_bus_until(self->bus, is_over, self, ASK_MS)) {
            client_fetch_cancel(client);
            self->err = BUS_TIMEOUT;
        }
    }
}

static void
serve_copy(cli_fault_t *fault, const char *dir, uint64_t count)
{
    char flag[CLI_PATH_SIZE + 64];
    char in[CLI_ENDPOINT_SIZE];
    char out[CLI_ENDPOINT_SIZE];
    snprintf(flag, sizeof flag, "--dir=%s", dir);
    snprintf(in, sizeof in, "ipc://%.90s/bus.in", dir);
    snprintf(out, sizeof out, "ipc://%.90s/bus.out", dir);
    const char *argv[] = {"bhiv", "broker", flag, "--bus-in=0", "--bus-out=0", NULL};
    const cli_fault_command_t command = {.argv = argv, .err = -1, .net = -1};
    cli_fault_process_t broker = CLI_FAULT_PROCESS_NONE;
    bool is_ready = cli_fault_process_start(&command, &broker) &&
                    cli_fault_process_ready(&broker, CLI_FAULT_READY_MS);
    cli_fault_bus_t *bus = is_ready ? cli_fault_bus_open(fault, in, out) : NULL;
    if (cli_fault_expect(fault, bus != NULL, "a broker serves the damaged journal")) {
        reading_t reading = {.bus = bus};
        read_copy(&reading, client_head(cli_fault_bus_client(bus)));
        uint64_t served = 0;
        for (uint64_t n = 1; n <= count; ++n) {
            served += reading.seen[n];
        }
        cli_fault_expect(fault,
                         reading.err == BUS_OK && reading.wrong == 0 && reading.damaged == 1 &&
                             served == count - 1 && !reading.seen[VICTIM],
                         "it names the one record and serves the rest: %u named, %u wrong, %llu of "
                         "%llu (%s)",
                         reading.damaged,
                         reading.wrong,
                         (unsigned long long) served,
                         (unsigned long long) count,
                         error_text(reading.err));
    }
    cli_fault_bus_destroy(&bus);
    cli_fault_process_end(&broker);
}

static void
damage_journal(cli_fault_t *fault, uint64_t count)
{
    char from[CLI_PATH_SIZE + 32];
    char copy[CLI_PATH_SIZE + 32];
    char to[CLI_PATH_SIZE + 64];
    snprintf(from, sizeof from, "%s/d/broker/data.mdb", fault->dir);
    snprintf(copy, sizeof copy, "%s/copy", fault->dir);
    snprintf(to, sizeof to, "%s/broker", copy);
    cli_fault_inject(fault, "the number of event %d flipped in a copy of the journal", VICTIM);
    bool is_made = mkdir(copy, 0700) == 0 && mkdir(to, 0700) == 0;
    snprintf(to, sizeof to, "%s/broker/data.mdb", copy);
    if (cli_fault_expect(
            fault, is_made && flip(from, to) > 0, "the journal has event %d", VICTIM)) {
        expect_named(fault, copy, "broker");
        serve_copy(fault, copy, count);
    }
}

// --- A service's store -------------------------------------------------------------------------

// Asks Bucket for the victim alone. Whether it says something that is not so.
static bool
tells_wrong(cli_fault_bus_t *bus)
{
    BUS_AUTO(pack_destroy) pack_t *question = pack_new();
    pack_map(question, 3);
    pack_pair_uint(question, "after_seq", cli_fault_bus_seq(bus, VICTIM) - 1);
    pack_pair_uint(question, "limit", 1);
    pack_pair_text(question, "event_type", CLI_FAULT_EVENT);
    bus_view_t answer, events, event, value;
    uint64_t n = VICTIM;
    if (cli_fault_bus_ask(bus, "req.bucket.events", question, ASK_MS, &answer) == BUS_OK &&
        walk_find(answer, "events", &events) == BUS_OK) {
        walk_t walk = walk_from(events);
        walk_item_t head;
        bool is_there = walk_next(&walk, &head) == BUS_OK && head.type == WALK_ARRAY &&
                        head.count == 1 && walk_skip(&walk, &event) == BUS_OK &&
                        walk_find(event, "n", &value) == BUS_OK &&
                        walk_as_uint(value, &n) == BUS_OK;
        return is_there && n != VICTIM;
    }
    return false;
}

static void
damage_bucket(cli_fault_t *fault, cli_fault_bus_t *bus)
{
    const cli_stress_instance_options_t options = {.only = "broker,bucket"};
    char dir[CLI_PATH_SIZE + 32];
    char path[CLI_PATH_SIZE + 64];
    snprintf(dir, sizeof dir, "%s/d", fault->dir);
    snprintf(path, sizeof path, "%s/bucket/data.mdb", dir);
    cli_fault_inject(fault, "the number of event %d flipped in Bucket's store", VICTIM);
    if (!cli_fault_expect(fault, flip(path, path) > 0, "Bucket has event %d", VICTIM)) {
        return;
    }
    expect_named(fault, dir, "bucket");
    cli_stress_instance_t *system = cli_fault_system(fault, &options);
    if (system != NULL) {
        double back_ms = cli_fault_bus_back(bus, "bucket", cli_fault_now_ms(), WAIT_MS);
        cli_fault_expect_soon(fault, back_ms, "Bucket serves what is whole");
        cli_fault_expect(fault, !tells_wrong(bus), "no wrong byte of event %d leaves", VICTIM);
    }
    cli_stress_instance_destroy(&system);
    cli_fault_inject(fault, "the damaged store is taken away");
    snprintf(path, sizeof path, "%s/bucket", dir);
    cli_fault_expect(fault, cli_scratch_remove(path), "it can be taken away");
    double since_ms = cli_fault_now_ms();
    system = cli_fault_system(fault, &options);
    if (system != NULL) {
        cli_fault_expect_soon(
            fault, cli_fault_bus_back(bus, "bucket", since_ms, WAIT_MS), "Bucket is rebuilt");
        (void) cli_fault_bus_verify(bus, true);
    }
    cli_stress_instance_destroy(&system);
}

void
cli_fault_corrupt_page(cli_fault_t *fault)
{
    const cli_stress_instance_options_t options = {.only = "broker,bucket"};
    cli_stress_instance_t *system = cli_fault_system(fault, &options);
    if (system == NULL) {
        return;
    }
    // Its sockets have the same paths in every life of the system.
    BUS_AUTO(cli_fault_bus_destroy)
    cli_fault_bus_t *bus = cli_fault_bus_open_system(fault, system);
    if (bus != NULL) {
        cli_fault_bus_load(bus, CLI_FAULT_RATE);
        cli_fault_expect(fault,
                         cli_fault_bus_acked(bus, EVENTS, WAIT_MS) &&
                             cli_fault_bus_load_end(bus, WAIT_MS),
                         "events flow");
        // So that Bucket has applied them all.
        (void) cli_fault_bus_verify(bus, true);
    }
    cli_stress_instance_destroy(&system);
    uint64_t count = bus == NULL ? 0 : cli_fault_bus_load_now(bus).acked;
    if (cli_fault_expect(
            fault, count >= EVENTS && count < EVENTS_MAX, "there is something to lose")) {
        damage_journal(fault, count);
        damage_bucket(fault, bus);
    }
}
