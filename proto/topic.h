// topic.h - what a topic is, which class it belongs to, and patterns over topics.
//
// Pure functions over topic.def, any thread. Source: docs/protocol.md sections 2 and 3.
#pragma once
#include "auto.h"
#include "error.h"
#include "view.h"
#include <stdint.h>

typedef enum {
    TOPIC_JOURNALED,
    TOPIC_LIVE,
    TOPIC_REQUEST,
    TOPIC_BUS,  // $bus.…: to the broker only
    TOPIC_INBOX // _inbox.…: an answer
} topic_class_t;

typedef struct {
    const char *prefix;
    topic_class_t class_;
    const char *owner; // the one service that replies, "" where none does
    const char *meaning;
} topic_row_t;

// The catalogue, for help, documents and /bus/topics.
extern const topic_row_t topic_rows[];
extern const size_t topic_row_count;

const char *topic_class_text(topic_class_t class_);

// 1 to 255 bytes, tokens of [A-Za-z0-9_-] (the first may start with `$` or `_`) joined by `.`, none
// empty. Says in *reterr_why (a literal, may be passed NULL) what is wrong.
bool topic_is_legal(bus_view_t topic, const char **reterr_why);
// The same for a subscription: it may be empty, may end in `.` and may end inside a token.
bool topic_is_legal_prefix(bus_view_t prefix);
// Whether it is a whole inbox: `_inbox.<name>.<unique>`, at most NAME_SIZE_MAX bytes.
bool topic_is_inbox(bus_view_t topic);

// The class of a legal topic.
topic_class_t topic_class(bus_view_t topic);
// The row with the longest prefix that fits, or NULL for an unknown topic.
const topic_row_t *topic_find(bus_view_t topic);

// The first token, without its dot.
bus_view_t topic_first_token(bus_view_t topic);
// Journaled topics have few first tokens: this numbers them, from 0, in the catalogue's order;
// UINT32_MAX for a topic that is not journaled.
uint32_t topic_family(bus_view_t topic);
uint32_t topic_family_count(void);
// The token of family `family`, e.g. "core".
const char *topic_family_text(uint32_t family);

// NATS-style patterns: `*` is one token, `>` as the last token is one or more. A pattern without
// either is a plain ZeroMQ prefix where it ends in `.`, else the exact topic.
bool topic_pattern_is_legal(bus_view_t pattern);
bool topic_pattern_matches(bus_view_t pattern, bus_view_t topic);
// The longest fixed prefix of a pattern, to subscribe to; a view into the pattern.
bus_view_t topic_pattern_prefix(bus_view_t pattern);
