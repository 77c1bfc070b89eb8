// reader.h - the thread that serves fetches, and parks those that wait.
//
// Speaks over one inproc PAIR pair. Router -> reader, by first frame:
//   "F" reply_to id trace_id body   a fetch; the body passed walk_check
//   "H" u64 (native)                the head up to which answers have left: read up to here
//   ""                              stop
// Reader -> router: topic header body, to be sent on the egress as they are; or, for the router's
// table of consumers: "C" consumer next-u64 ack-u64 with each answered fetch that had an ack.
// A new fetch replaces the same consumer's parked one, which gets no answer.
//
// A record that does not match its checksum is never skipped in silence: the page before it ends
// there, and the fetch that begins with it is answered INTEGRITY_ERROR with details {seq}, whatever
// its filters. A consumer that can do without it goes on from seq + 1. TRIMMED comes with details
// {first}, AHEAD with {head}.
//
// The reader blocks while PAGES_MAX answers wait for the router: so the router sends with
// ZMQ_DONTWAIT, and answers BUSY to a fetch that it cannot hand over. A head that it cannot hand
// over must be said again, or parked fetches sleep on.
#pragma once
#include "held.h"
#include "journal.h"

enum {
    READER_PARKED_MAX = 8192, // fetches waiting; one more is answered BUSY
    READER_SCAN_MAX =
        200000, // records looked at in one go, so that one consumer cannot starve others
};

typedef struct reader reader_t;

// What it makes is charged to `held`, which is borrowed; while that is full, pages are
// small, and what has no small first record is BUSY.
reader_t *reader_new(void *context, journal_t *journal, held_t *held, void **ret_socket);
void reader_destroy(reader_t **self_p);
