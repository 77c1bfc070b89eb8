// fuzz_topic.c - any bytes as a topic, and as a pattern over one: what stands before the first NUL
// is the pattern, what follows it the topic.
#include "proto/limits.h"
#include "proto/topic.h"
#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_topic(bus_view_t topic)
{
    const char *why = NULL;
    if (!topic_is_legal(topic, &why)) {
        assert(why != NULL);
        assert(!topic_is_inbox(topic));
        return;
    }
    assert(topic.size > 0 && topic.size <= TOPIC_SIZE_MAX);
    assert(topic_is_legal_prefix(topic));
    topic_class_t class_ = topic_class(topic);
    assert((topic_family(topic) != UINT32_MAX) == (class_ == TOPIC_JOURNALED));
    assert(!topic_is_inbox(topic) || class_ == TOPIC_INBOX);
    assert(topic_first_token(topic).size > 0);
    assert(topic_pattern_matches(topic, topic));
    assert(topic_pattern_matches(VIEW_LITERAL(">"), topic));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *bytes = (const char *) data;
    const char *nul = size == 0 ? NULL : memchr(bytes, '\0', size);
    size_t pattern_size = nul == NULL ? size : (size_t) (nul - bytes);
    bus_view_t pattern = view_from(bytes, pattern_size);
    bus_view_t topic = VIEW_LITERAL("core.event.x");
    if (nul != NULL) {
        topic = view_from(nul + 1, size - pattern_size - 1);
    }
    check_topic(pattern);
    check_topic(topic);
    bus_view_t prefix = topic_pattern_prefix(pattern);
    assert(prefix.size <= pattern.size);
    if (topic_pattern_is_legal(pattern) && topic_is_legal(topic, NULL)) {
        assert(topic_is_legal_prefix(prefix));
        // A subscription to the prefix hears all that the pattern matches.
        assert(!topic_pattern_matches(pattern, topic) || view_starts(topic, prefix));
    }
    return 0;
}
