// access.c - the rules that hold on an open bus.
#include "access.h"

access_grant_t
access_hear(bus_view_t prefix)
{
    if (prefix.size == 0) {
        return ACCESS_ALL;
    }
    if (prefix.data[0] == '_') {
        return topic_is_inbox(prefix) ? ACCESS_INBOX : ACCESS_REFUSED;
    }
    if (!topic_is_legal_prefix(prefix)) {
        return ACCESS_REFUSED;
    }
    if (prefix.data[0] == '$' && !view_starts(prefix, VIEW_LITERAL("$bus.peer"))) {
        return ACCESS_REFUSED;
    }
    return ACCESS_PREFIX;
}

// What goes to an inbox is a reply, and nobody but the broker acknowledges.
static bus_err_t
say_inbox(bus_view_t topic, const header_t *header, const char **reterr_why)
{
    if (!topic_is_inbox(topic)) {
        *reterr_why = "an inbox is _inbox.<name>.<unique>";
        return BUS_INVALID_TOPIC;
    }
    if (header->re.data == NULL) {
        *reterr_why = "only a message with re may go to an inbox";
        return BUS_MALFORMED_MESSAGE;
    }
    if (header->is_ack || header->ack != HEADER_ACK_NONE) {
        *reterr_why = "a reply carries no ack: that is the broker's";
        return BUS_MALFORMED_MESSAGE;
    }
    return BUS_OK;
}

bus_err_t
access_say(bus_view_t topic, topic_class_t class_, const header_t *header, const char **reterr_why)
{
    if (header->source.data != NULL && view_is(header->source, "$bus")) {
        *reterr_why = "$bus is the broker's own name";
        return BUS_UNAUTHORIZED_ACCESS;
    }
    switch (class_) {
    case TOPIC_INBOX:
        return say_inbox(topic, header, reterr_why);
    case TOPIC_BUS:
        if (!view_starts(topic, VIEW_LITERAL("$bus."))) {
            *reterr_why = "topics that start with $ or _ belong to the bus";
            return BUS_INVALID_TOPIC;
        }
        return BUS_OK;
    case TOPIC_JOURNALED:
    case TOPIC_LIVE:
    case TOPIC_REQUEST:
        return BUS_OK;
    }
    return BUS_INVALID_TOPIC;
}
