// topic.c - the catalogue of topic.def as data, and the rules over it.
//
// Everything here is asked once a message by the broker: no call allocates, and looking up a topic
// is a loop over some thirty rows that mostly differ in their first byte.
#include "topic.h"
#include "limits.h"
#include <assert.h>

const topic_row_t topic_rows[] = {
#define TOPIC(prefix, class_, owner, meaning) {prefix, TOPIC_##class_, owner, meaning},
#include "topic.def"
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
const size_t topic_row_count = COUNT(topic_rows);

// The sizes of the prefixes, which topic_find would otherwise measure for every message.
static const uint8_t prefix_sizes[] = {
#define TOPIC(prefix, class_, owner, meaning) sizeof(prefix) - 1,
#include "topic.def"
};

// In the order of their numbers.
static const bus_view_t families[] = {
#define FAMILY(token) {token, sizeof(token) - 1},
#include "topic.def"
};

const char *
topic_class_text(topic_class_t class_)
{
    switch (class_) {
    case TOPIC_JOURNALED:
        return "journaled";
    case TOPIC_LIVE:
        return "live";
    case TOPIC_REQUEST:
        return "request";
    case TOPIC_BUS:
        return "bus";
    case TOPIC_INBOX:
        return "inbox";
    }
    return "unknown";
}

// [A-Za-z0-9_-], as a bit a byte.
static inline bool
is_token_byte(char byte)
{
    static const uint64_t bits[4] = {
        UINT64_C(0x3ff) << '0' | UINT64_C(1) << '-',
        UINT64_C(0x3ffffff) << ('A' - 64) | UINT64_C(0x3ffffff) << ('a' - 64) |
            UINT64_C(1) << ('_' - 64),
    };
    uint8_t place = (uint8_t) byte;
    return bits[place >> 6] >> (place & 63) & 1;
}

// Why `topic` is no run of whole tokens, or NULL. A prefix may end after a dot, or be empty.
static const char *
illegal_because(bus_view_t topic, bool is_prefix)
{
    if (topic.size == 0) {
        return is_prefix ? NULL : "the topic is empty";
    }
    if (topic.size > TOPIC_SIZE_MAX) {
        return "the topic is over 255 bytes";
    }
    size_t token = 0; // where the current token begins
    for (size_t i = 0; i < topic.size; i++) {
        char byte = topic.data[i];
        if (byte == '.') {
            if (i == token) {
                return "the topic has an empty token";
            }
            token = i + 1;
        } else if (!is_token_byte(byte) && !(byte == '$' && i == 0)) {
            return "the topic has a byte that is not of [A-Za-z0-9_-]";
        }
    }
    return token == topic.size && !is_prefix ? "the topic has an empty token" : NULL;
}

bool
topic_is_legal(bus_view_t topic, const char **reterr_why)
{
    const char *why = illegal_because(topic, false);
    if (why != NULL && reterr_why != NULL) {
        *reterr_why = why;
    }
    return why == NULL;
}

bool
topic_is_legal_prefix(bus_view_t prefix)
{
    return illegal_because(prefix, true) == NULL;
}

// The bytes up to the next dot, or all; steps behind the dot.
static bus_view_t
take_token(bus_view_t *rest)
{
    const char *dot = rest->size == 0 ? NULL : memchr(rest->data, '.', rest->size);
    bus_view_t token = *rest;
    if (dot == NULL) {
        *rest = view_from(rest->data + rest->size, 0);
        return token;
    }
    token.size = (size_t) (dot - rest->data);
    *rest = view_from(dot + 1, rest->size - token.size - 1);
    return token;
}

bool
topic_is_inbox(bus_view_t topic)
{
    const bus_view_t inbox = VIEW_LITERAL("_inbox.");
    if (topic.size > NAME_SIZE_MAX || !view_starts(topic, inbox) || !topic_is_legal(topic, NULL)) {
        return false;
    }
    bus_view_t rest = view_from(topic.data + inbox.size, topic.size - inbox.size);
    take_token(&rest);
    return rest.size > 0 && memchr(rest.data, '.', rest.size) == NULL;
}

const topic_row_t *
topic_find(bus_view_t topic)
{
    const topic_row_t *found = NULL;
    size_t found_size = 0;
    for (size_t i = 0; i < topic_row_count && topic.size > 0; i++) {
        const char *prefix = topic_rows[i].prefix;
        size_t size = prefix_sizes[i];
        if (prefix[0] != topic.data[0] || size <= found_size || size > topic.size ||
            memcmp(prefix, topic.data, size) != 0) {
            continue;
        }
        // A row without a dot at its end is a topic, and the topics below it.
        if (prefix[size - 1] == '.' || topic.size == size || topic.data[size] == '.') {
            found = &topic_rows[i];
            found_size = size;
        }
    }
    return found;
}

// Whether its second token is `out`: what a service tells the world, live under any first token.
static bool
is_out(bus_view_t topic)
{
    const bus_view_t out = VIEW_LITERAL("out");
    bus_view_t rest = topic;
    take_token(&rest);
    return view_starts(rest, out) && (rest.size == out.size || rest.data[out.size] == '.');
}

topic_class_t
topic_class(bus_view_t topic)
{
    const topic_row_t *row = topic_find(topic);
    if (row == NULL) {
        // The other topics of the bus are nobody's: the broker refuses what is said on them.
        bool is_of_bus = topic.size > 0 && (topic.data[0] == '$' || topic.data[0] == '_');
        return is_of_bus ? TOPIC_BUS : TOPIC_LIVE;
    }
    return row->class_ == TOPIC_JOURNALED && is_out(topic) ? TOPIC_LIVE : row->class_;
}

bus_view_t
topic_first_token(bus_view_t topic)
{
    bus_view_t rest = topic;
    return take_token(&rest);
}

uint32_t
topic_family(bus_view_t topic)
{
    if (topic_class(topic) != TOPIC_JOURNALED) {
        return UINT32_MAX;
    }
    bus_view_t token = topic_first_token(topic);
    for (uint32_t i = 0; i < COUNT(families); i++) {
        if (families[i].data[0] == token.data[0] && view_equal(families[i], token)) {
            return i;
        }
    }
    assert(false); // topic.def journals a first token that it names no family for
    return UINT32_MAX;
}

uint32_t
topic_family_count(void)
{
    return COUNT(families);
}

const char *
topic_family_text(uint32_t family)
{
    assert(family < COUNT(families));
    return families[family].data;
}

static bool
is_wildcard(bus_view_t token)
{
    return token.size == 1 && (token.data[0] == '*' || token.data[0] == '>');
}

bool
topic_pattern_is_legal(bus_view_t pattern)
{
    bus_view_t prefix = topic_pattern_prefix(pattern);
    if (prefix.size == pattern.size) {
        return pattern.size > 0 && topic_is_legal_prefix(pattern);
    }
    if (pattern.size > TOPIC_SIZE_MAX || !topic_is_legal_prefix(prefix) ||
        pattern.data[pattern.size - 1] == '.') {
        return false;
    }
    bus_view_t rest = view_from(pattern.data + prefix.size, pattern.size - prefix.size);
    while (rest.size > 0) {
        bus_view_t token = take_token(&rest);
        bool is_last = rest.size == 0;
        bool is_plain = topic_is_legal(token, NULL) && token.data[0] != '$';
        if (!is_plain && !(is_wildcard(token) && (token.data[0] == '*' || is_last))) {
            return false;
        }
    }
    return true;
}

bool
topic_pattern_matches(bus_view_t pattern, bus_view_t topic)
{
    if (topic_pattern_prefix(pattern).size == pattern.size) {
        bool is_prefix = pattern.size > 0 && pattern.data[pattern.size - 1] == '.';
        return is_prefix ? view_starts(topic, pattern) : view_equal(topic, pattern);
    }
    while (pattern.size > 0 && topic.size > 0) {
        bus_view_t wanted = take_token(&pattern);
        bus_view_t token = take_token(&topic);
        if (is_wildcard(wanted)) {
            if (wanted.data[0] == '>') {
                return true;
            }
        } else if (!view_equal(wanted, token)) {
            return false;
        }
    }
    return pattern.size == 0 && topic.size == 0;
}

bus_view_t
topic_pattern_prefix(bus_view_t pattern)
{
    bus_view_t rest = pattern;
    while (rest.size > 0) {
        const char *at = rest.data;
        if (is_wildcard(take_token(&rest))) {
            return view_from(pattern.data, (size_t) (at - pattern.data));
        }
    }
    return pattern;
}
