// access.c - the rules that hold on an open bus.
#include "access.h"
#include "runtime/id.h"
#include <string.h>

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
    if (view_is(header->re, "welcome")) {
        *reterr_why = "nobody but the broker welcomes";
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

// --- Under rules -------------------------------------------------------------------------------

bool
access_is_own_inbox(const who_peer_t *peer, bus_view_t inbox)
{
    const bus_view_t head = VIEW_LITERAL("_inbox.");
    if (!view_starts(inbox, head)) {
        return false;
    }
    size_t size = strlen(peer->name);
    bus_view_t rest = view_from(inbox.data + head.size, inbox.size - head.size);
    return size > 0 && rest.size > size && memcmp(rest.data, peer->name, size) == 0 &&
           rest.data[size] == '.';
}

bool
access_may_hear(const who_peer_t *peer, bus_view_t prefix, breach_reason_t *reterr_reason)
{
    if (prefix.size > 0 && prefix.data[0] == '_') {
        *reterr_reason = BREACH_INBOX;
        return access_is_own_inbox(peer, prefix);
    }
    *reterr_reason = BREACH_SUBSCRIBE;
    return rules_cover(peer->rules, RULES_SUBSCRIBE, prefix);
}

bool
access_may_say(const who_peer_t *peer,
               bus_view_t topic,
               topic_class_t class_,
               breach_reason_t *reterr_reason)
{
    switch (class_) {
    case TOPIC_JOURNALED:
    case TOPIC_LIVE:
        *reterr_reason = BREACH_PUBLISH;
        return rules_allow(peer->rules, RULES_PUBLISH, topic);
    case TOPIC_REQUEST:
        *reterr_reason = BREACH_REQUEST;
        return rules_allow(peer->rules, RULES_REQUEST, topic);
    case TOPIC_BUS:
        *reterr_reason = BREACH_REQUEST;
        return !(view_is(topic, "$bus.stats") || view_is(topic, "$bus.peers")) ||
               rules_allow(peer->rules, RULES_REQUEST, topic);
    case TOPIC_INBOX:
        *reterr_reason = BREACH_REPLY;
        return rules_has(peer->rules, RULES_SERVE) || access_is_own_inbox(peer, topic);
    }
    return false;
}

bool
access_is_own_idem(const who_peer_t *peer, bus_view_t idem)
{
    size_t size = strlen(peer->name);
    bool is_own =
        idem.size > size && memcmp(idem.data, peer->name, size) == 0 && idem.data[size] == '|';
    return is_own || rules_cover(peer->rules, RULES_PUBLISH, VIEW_LITERAL(""));
}

static bool
ends_in_uuid(bus_view_t name)
{
    const size_t size = ID_TEXT_SIZE - 1;
    return name.size >= size && id_is_uuid(view_from(name.data + name.size - size, size));
}

bool
access_may_consume(const who_peer_t *peer, bus_view_t consumer, bool is_kept)
{
    if (!is_kept && ends_in_uuid(consumer)) {
        return true;
    }
    for (size_t size = 1; size <= consumer.size; size++) {
        bool is_end =
            size == consumer.size || consumer.data[size] == '-' || consumer.data[size] == '.';
        bus_view_t head = view_from(consumer.data, size);
        if (is_end && (view_is(head, peer->name) || rules_allow(peer->rules, RULES_SERVE, head))) {
            return true;
        }
    }
    return false;
}
