// event.h - a message of the bus as a CloudEvents 1.0 JSON object in a server-sent event.
// Pure functions.
#pragma once
#include "proto/text.h"
#include "runtime/client.h"

// Appends the object (its place in the journal as `sequence`, its trace as `traceid`) as a
// server-sent event: the journal's place as its id where it has one, so that Last-Event-ID resumes
// there.
void bridge_event_frame(const client_heard_t *heard, text_t *out);

// Appends the notice that `count` messages were not sent (0: it is not known how many).
void bridge_event_dropped(const char *reason, uint64_t count, text_t *out);

// Appends the notice that the record at `seq` is damaged and was left out; Last-Event-ID resumes
// behind it.
void bridge_event_damaged(uint64_t seq, text_t *out);

// Which of the two worlds a pattern reaches into: what is journaled, and what is only live.
bool bridge_event_wants_journal(bus_view_t pattern);
bool bridge_event_wants_live(bus_view_t pattern);
