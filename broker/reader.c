// reader.c - fetches are served as they come; what finds nothing waits for the next head.
//
// A fetch gets one scan of at most READER_SCAN_MAX records and then an answer or a place among the
// parked, so none starves another: after scanning much it is answered early and empty, with `next`
// advanced. A parked fetch has seen all up to the head. When the head moves on, the new records are
// looked at once for their first tokens, and only the fetches whose filters can match are scanned
// again; the others just move on.
#include "reader.h"
#include "fetch.h"
#include "journal_scan.h"
#include "proto/schema.h"
#include "runtime/clock.h"
#include "worker.h"
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <zmq.h>

enum {
    PAGES_MAX = 32,    // waiting for the router, 4 MiB each at most
    DRAIN_MAX = 256,   // messages taken before parked fetches get their turn
    FRAMES_MAX = 5,    // "F" reply_to id trace_id body
    LOOK_PARKED = 4,   // so many parked fetches are scanned without a look at the new records first
    BUSY_RETRY_S = 1,  // what a fetch that found no place is told
    MOVED_ON_MS = 500, // a fetch that only skipped records is answered by then: see turn
    POLL_MS_MAX = 600000,
    PAGE_BYTES_FULL = HELD_GRAIN / 2, // of records, while too much is held: a small message
};

struct reader {
    worker_t worker;
    journal_t *journal;                 // borrowed
    held_t *held;                       // borrowed
    void *socket;                       // the thread's end
    uint64_t head;                      // records up to here may be served
    fetch_t *parked[READER_PARKED_MAX]; // in the order in which they came
    size_t parked_count;
    uint64_t nearest_ms; // no parked deadline is before this
    pack_t *page;        // records of the answer being made
    pack_t *body;
    pack_t *header;
    pack_t *details;
};

// One message from the router.
typedef struct {
    zmq_msg_t frames[FRAMES_MAX];
    int count; // 0: none was there
} message_t;

static bus_view_t
frame_view(message_t *message, int index)
{
    zmq_msg_t *frame = &message->frames[index];
    size_t size = zmq_msg_size(frame);
    return size == 0 ? VIEW_NONE : view_from(zmq_msg_data(frame), size);
}

static void
message_clear(message_t *self)
{
    while (self->count > 0) {
        zmq_msg_close(&self->frames[--self->count]);
    }
}

// --- Answering ----------------------------------------------------------------------------------

// Sends a frame made of two pieces. A failure means that the context ended.
static void
send_frame(reader_t *self, bus_view_t first, bus_view_t second, int flags)
{
    zmq_msg_t frame;
    int rc = zmq_msg_init_size(&frame, first.size + second.size);
    assert(rc == 0);
    char *data = zmq_msg_data(&frame);
    if (first.size > 0) {
        memcpy(data, first.data, first.size);
    }
    if (second.size > 0) {
        memcpy(data + first.size, second.data, second.size);
    }
    if (flags == 0) {
        held_charge(self->held, &frame, first.size + second.size); // it stands for the message
    }
    do {
        rc = worker_send(&frame, self->socket, flags);
    } while (rc < 0 && zmq_errno() == EINTR);
    if (rc < 0) {
        zmq_msg_close(&frame);
    }
}

// Sends self->body, followed by `rest`, to whoever asked.
static void
send_answer(reader_t *self, const fetch_frames_t *asked, const char *status, bus_view_t rest)
{
    const header_t header = {
        .source = VIEW_LITERAL("$bus"),
        .trace_id = asked->trace_id,
        .re = asked->id,
        .status = view_from_text(status),
    };
    pack_clear(self->header);
    header_encode(&header, self->header);
    send_frame(self, asked->reply_to, VIEW_NONE, ZMQ_SNDMORE);
    send_frame(self, pack_view(self->header), VIEW_NONE, ZMQ_SNDMORE);
    send_frame(self, pack_view(self->body), rest, 0);
}

static void
answer_error(reader_t *self, const fetch_frames_t *asked, bus_err_t err, bus_view_t details)
{
    pack_clear(self->body);
    schema_pack_error(self->body, err, NULL, details, err == BUS_BUSY ? BUSY_RETRY_S : 0);
    send_answer(self, asked, "error", VIEW_NONE);
}

// An error whose details are one number.
static void
answer_error_uint(
    reader_t *self, const fetch_frames_t *asked, bus_err_t err, const char *key, uint64_t value)
{
    pack_clear(self->details);
    pack_map(self->details, 1);
    pack_pair_uint(self->details, key, value);
    answer_error(self, asked, err, pack_view(self->details));
}

static fetch_frames_t
asked_by(const fetch_t *fetch)
{
    return (fetch_frames_t){
        .reply_to = fetch->reply_to, .id = fetch->id, .trace_id = fetch->trace_id};
}

// Answers with the records in self->page, and tells the router where the consumer stands.
static void
answer_page(reader_t *self, const fetch_t *fetch, const journal_page_t *page)
{
    journal_info_t info;
    journal_info(self->journal, &info);
    pack_clear(self->body);
    pack_map(self->body, 5);
    pack_pair_text(self->body, "epoch", info.epoch);
    pack_pair_uint(self->body, "first", page->first);
    pack_pair_uint(self->body, "next", page->next);
    pack_pair_uint(self->body, "head", self->head);
    pack_text(self->body, "records");
    pack_array(self->body, page->count);
    bus_view_t records = page->count == 0 ? VIEW_NONE : pack_view(self->page);
    const fetch_frames_t asked = asked_by(fetch);
    send_answer(self, &asked, "success", records);
    if (fetch->ack > 0) {
        send_frame(self, VIEW_LITERAL("C"), VIEW_NONE, ZMQ_SNDMORE);
        send_frame(self, fetch->consumer, VIEW_NONE, ZMQ_SNDMORE);
        send_frame(self, view_from(&page->next, sizeof(page->next)), VIEW_NONE, ZMQ_SNDMORE);
        send_frame(self, view_from(&fetch->ack, sizeof(fetch->ack)), VIEW_NONE, 0);
    }
}

static void
answer_empty(reader_t *self, const fetch_t *fetch)
{
    journal_info_t info;
    journal_info(self->journal, &info);
    const journal_page_t page = {.first = info.first, .next = fetch->from};
    answer_page(self, fetch, &page);
}

static void
answer_scan_error(reader_t *self, const fetch_t *fetch, bus_err_t err, const journal_page_t *page)
{
    const fetch_frames_t asked = asked_by(fetch);
    journal_info_t info;
    journal_info(self->journal, &info);
    if (err == BUS_TRIMMED) {
        answer_error_uint(self, &asked, err, "first", page->first);
    } else if (err == BUS_AHEAD) {
        answer_error_uint(self, &asked, err, "head", info.head);
    } else if (err == BUS_CORRUPT) {
        answer_error_uint(self, &asked, err, "seq", page->next);
    } else {
        answer_error(self, &asked, err, VIEW_NONE);
    }
}

// Scans once. Whether the fetch was answered; otherwise it stands behind the head and may wait.
static bool
serve(reader_t *self, fetch_t *fetch, uint64_t now_ms)
{
    // While peers that do not read fill the broker, the others go on in small steps.
    const bool is_full = held_is_full(self->held);
    const journal_scan_t scan = {
        .from = fetch->from,
        .head = self->head,
        .filters = fetch->filters,
        .filter_count = fetch->filter_count,
        .trace_id = fetch->only_trace,
        .max = fetch->max,
        .max_bytes =
            is_full && fetch->max_bytes > PAGE_BYTES_FULL ? PAGE_BYTES_FULL : fetch->max_bytes,
        .scan_max = READER_SCAN_MAX,
    };
    const fetch_frames_t asked = asked_by(fetch);
    journal_page_t page;
    pack_clear(self->page);
    bus_err_t err = journal_scan(self->journal, &scan, self->page, &page);
    if (page.count == 0 && err != BUS_OK) {
        answer_scan_error(self, fetch, err, &page);
        return true;
    }
    if (is_full && page.count > 0 && pack_view(self->page).size > PAGE_BYTES_FULL) {
        answer_error(self, &asked, BUS_BUSY, VIEW_NONE);
        return true;
    }
    // A bad record behind a page is met, and named, by the fetch that begins with it.
    fetch->from = page.next;
    if (page.count > 0 || page.next <= self->head || now_ms >= fetch->deadline_ms) {
        answer_page(self, fetch, &page);
        return true;
    }
    return false;
}

// --- Parking ------------------------------------------------------------------------------------

// Takes the consumer's parked fetch away, unanswered. All are looked at: 8,192 sizes and texts cost
// less than the scan that follows.
static void
drop_parked(reader_t *self, bus_view_t consumer)
{
    for (size_t i = 0; i < self->parked_count; i++) {
        if (view_equal(self->parked[i]->consumer, consumer)) {
            fetch_destroy(&self->parked[i]);
            self->parked_count--;
            for (; i < self->parked_count; i++) {
                self->parked[i] = self->parked[i + 1];
            }
            return;
        }
    }
}

static void
take_fetch(reader_t *self, message_t *message)
{
    const fetch_frames_t frames = {
        .reply_to = frame_view(message, 1),
        .id = frame_view(message, 2),
        .trace_id = frame_view(message, 3),
        .body = frame_view(message, 4),
    };
    uint64_t now_ms = clock_boot_ms();
    BUS_AUTO(fetch_destroy) fetch_t *fetch = NULL;
    pack_clear(self->details);
    bus_err_t err = fetch_new(&frames, now_ms, self->details, &fetch);
    if (err != BUS_OK) {
        answer_error(self, &frames, err, pack_view(self->details));
        return;
    }
    drop_parked(self, fetch->consumer);
    if (serve(self, fetch, now_ms)) {
        return;
    }
    if (self->parked_count == READER_PARKED_MAX) {
        answer_error(self, &frames, BUS_BUSY, VIEW_NONE);
        return;
    }
    if (fetch->deadline_ms < self->nearest_ms) {
        self->nearest_ms = fetch->deadline_ms;
    }
    self->parked[self->parked_count++] = fetch;
    fetch = NULL; // parked
}

// Whether the new head gives the parked fetch its answer.
static bool
wake(reader_t *self, fetch_t *fetch, uint64_t families, uint64_t now_ms)
{
    if ((fetch->families & families) == 0) {
        // Nothing of it can match.
        fetch->from = fetch->from > self->head ? fetch->from : self->head + 1;
        return false;
    }
    return serve(self, fetch, now_ms);
}

// Goes once through the parked: with `families`, what the new head brought; with 0, deadlines
// alone. A fetch that moved on over records of others is soon answered, empty: the consumer's
// cursor, and with it its lag and what retention may take, would stand still for as long as it is
// parked.
static void
turn(reader_t *self, uint64_t families)
{
    uint64_t now_ms = clock_boot_ms();
    uint64_t nearest_ms = UINT64_MAX;
    size_t kept = 0;
    for (size_t i = 0; i < self->parked_count; i++) {
        fetch_t *fetch = self->parked[i];
        uint64_t from = fetch->from;
        bool is_answered = families != 0 && wake(self, fetch, families, now_ms);
        if (!is_answered && fetch->from > from && fetch->deadline_ms > now_ms + MOVED_ON_MS) {
            fetch->deadline_ms = now_ms + MOVED_ON_MS;
        }
        if (!is_answered && now_ms >= fetch->deadline_ms) {
            answer_empty(self, fetch);
            is_answered = true;
        }
        if (is_answered) {
            fetch_destroy(&fetch);
            continue;
        }
        nearest_ms = fetch->deadline_ms < nearest_ms ? fetch->deadline_ms : nearest_ms;
        self->parked[kept++] = fetch;
    }
    self->parked_count = kept;
    self->nearest_ms = nearest_ms;
}

static void
take_head(reader_t *self, uint64_t head)
{
    if (head <= self->head) {
        return;
    }
    uint64_t from = self->head + 1;
    self->head = head;
    if (self->parked_count == 0) {
        return;
    }
    uint64_t families = UINT64_MAX;
    if (self->parked_count > LOOK_PARKED && head - from < READER_SCAN_MAX) {
        families = journal_scan_families(self->journal, from, head);
    }
    turn(self, families);
}

// --- The thread ---------------------------------------------------------------------------------

// Receives a whole message without waiting; frames above FRAMES_MAX do not come.
static void
receive(reader_t *self, message_t *message)
{
    message->count = 0;
    bool has_more = true;
    while (has_more && message->count < FRAMES_MAX) {
        zmq_msg_t *frame = &message->frames[message->count];
        zmq_msg_init(frame);
        int flags = message->count == 0 ? ZMQ_DONTWAIT : 0;
        if (worker_recv(frame, self->socket, flags) < 0) {
            zmq_msg_close(frame);
            return;
        }
        message->count++;
        has_more = zmq_msg_more(frame) != 0;
    }
}

// Takes what is there, up to a bound; the last head of several is enough. False to stop.
static bool
drain(reader_t *self)
{
    uint64_t head = 0;
    for (int i = 0; i < DRAIN_MAX; i++) {
        message_t message;
        receive(self, &message);
        if (message.count == 0) {
            break;
        }
        bus_view_t word = frame_view(&message, 0);
        bool is_stop = word.size == 0;
        if (view_is(word, "F") && message.count == FRAMES_MAX) {
            // A fetch behind a head finds what that head brought.
            take_head(self, head);
            take_fetch(self, &message);
        } else if (view_is(word, "H") && message.count == 2) {
            bus_view_t value = frame_view(&message, 1);
            assert(value.size == sizeof(head));
            memcpy(&head, value.data, sizeof(head));
        }
        message_clear(&message);
        if (is_stop) {
            return false;
        }
    }
    take_head(self, head);
    return true;
}

static long
poll_timeout(const reader_t *self)
{
    if (self->parked_count == 0) {
        return -1;
    }
    uint64_t now_ms = clock_boot_ms();
    if (self->nearest_ms <= now_ms) {
        return 0;
    }
    uint64_t wait_ms = self->nearest_ms - now_ms;
    return wait_ms < POLL_MS_MAX ? (long) wait_ms : POLL_MS_MAX;
}

static void
run(void *arg, void *socket)
{
    reader_t *self = arg;
    self->socket = socket;
    bool is_running = true;
    while (is_running) {
        zmq_pollitem_t item = {.socket = socket, .events = ZMQ_POLLIN};
        int rc = zmq_poll(&item, 1, poll_timeout(self));
        if (rc < 0 && zmq_errno() != EINTR) {
            return; // the context ended
        }
        is_running = drain(self);
        if (self->parked_count > 0 && clock_boot_ms() >= self->nearest_ms) {
            turn(self, 0);
        }
    }
}

reader_t *
reader_new(void *context, journal_t *journal, held_t *held, void **ret_socket)
{
    reader_t *self = calloc(1, sizeof(*self));
    assert(self != NULL);
    journal_info_t info;
    journal_info(journal, &info);
    self->journal = journal;
    self->held = held;
    self->head = info.head;
    self->nearest_ms = UINT64_MAX;
    self->page = pack_new();
    self->body = pack_new();
    self->header = pack_new();
    self->details = pack_new();
    self->worker.run = run;
    self->worker.arg = self;
    worker_start(&self->worker, context, "reader", PAGES_MAX);
    *ret_socket = self->worker.socket;
    return self;
}

void
reader_destroy(reader_t **self_p)
{
    assert(self_p != NULL);
    reader_t *self = *self_p;
    if (self == NULL) {
        return;
    }
    worker_stop(&self->worker);
    for (size_t i = 0; i < self->parked_count; i++) {
        fetch_destroy(&self->parked[i]);
    }
    pack_destroy(&self->page);
    pack_destroy(&self->body);
    pack_destroy(&self->header);
    pack_destroy(&self->details);
    free(self);
    *self_p = NULL;
}
