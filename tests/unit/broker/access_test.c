// access_test.c - what an open bus allows, and what it does not.
#include "broker/access.h"
#include <criterion/criterion.h>

Test(access, grants_whole_inboxes_only)
{
    cr_assert_eq(access_hear(VIEW_LITERAL("_inbox.a.1")), ACCESS_INBOX);
    const char *refused[] = {
        "_", "_inbox", "_inbox.", "_inbox.a", "_inbox.a.", "_inbox.a.1.2", "_other.a.1"};
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        cr_assert_eq(access_hear(view_from_text(refused[i])), ACCESS_REFUSED, "%s", refused[i]);
    }
}

Test(access, grants_presence_and_nothing_else_of_the_bus)
{
    cr_assert_eq(access_hear(VIEW_LITERAL("$bus.peer.")), ACCESS_PREFIX);
    cr_assert_eq(access_hear(VIEW_LITERAL("$bus.peer.up")), ACCESS_PREFIX);
    const char *refused[] = {"$", "$bus", "$bus.", "$bus.pee", "$bus.hello", "$other.peer."};
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        cr_assert_eq(access_hear(view_from_text(refused[i])), ACCESS_REFUSED, "%s", refused[i]);
    }
}

Test(access, grants_prefixes_of_topics_as_asked)
{
    cr_assert_eq(access_hear(VIEW_LITERAL("core.")), ACCESS_PREFIX);
    cr_assert_eq(access_hear(VIEW_LITERAL("c")), ACCESS_PREFIX);
    cr_assert_eq(access_hear(VIEW_LITERAL("core.event.x")), ACCESS_PREFIX);
    cr_assert_eq(access_hear(VIEW_LITERAL("core..x")), ACCESS_REFUSED);
    cr_assert_eq(access_hear(VIEW_LITERAL("core event")), ACCESS_REFUSED);
    cr_assert_eq(access_hear(VIEW_LITERAL(".")), ACCESS_REFUSED);
}

Test(access, grants_everything_as_63_prefixes_of_which_none_is_the_bus_s)
{
    cr_assert_eq(access_hear(VIEW_NONE), ACCESS_ALL);
    cr_assert_eq(strlen(ACCESS_ALL_PREFIXES), 63);
    cr_assert_null(strpbrk(ACCESS_ALL_PREFIXES, "_$"));
    for (const char *prefix = ACCESS_ALL_PREFIXES; *prefix != '\0'; prefix++) {
        cr_assert_eq(access_hear(view_from(prefix, 1)), ACCESS_PREFIX);
        cr_assert_null(strchr(prefix + 1, *prefix), "%c stands twice", *prefix);
    }
}

static bus_err_t
say(const char *topic, const header_t *header)
{
    const char *why = NULL;
    bus_view_t view = view_from_text(topic);
    bus_err_t err = access_say(view, topic_class(view), header, &why);
    cr_assert_eq(err != BUS_OK, why != NULL);
    return err;
}

Test(access, nobody_speaks_as_the_bus)
{
    const header_t header = {.source = VIEW_LITERAL("$bus")};
    cr_assert_eq(say("core.x", &header), BUS_UNAUTHORIZED_ACCESS);
    cr_assert_eq(say("any.live", &header), BUS_UNAUTHORIZED_ACCESS);
}

Test(access, topics_of_the_bus_are_operations_or_nothing)
{
    const header_t header = {.source = VIEW_LITERAL("me")};
    cr_assert_eq(say("$bus.stats", &header), BUS_OK);
    cr_assert_eq(say("$other.stats", &header), BUS_INVALID_TOPIC);
    cr_assert_eq(say("_other.a.b", &header), BUS_INVALID_TOPIC);
    cr_assert_eq(say("core.x", &header), BUS_OK);
    cr_assert_eq(say("req.a.b", &header), BUS_OK);
}

Test(access, only_a_reply_goes_to_an_inbox)
{
    header_t header = {.source = VIEW_LITERAL("me"), .re = VIEW_LITERAL("1")};
    cr_assert_eq(say("_inbox.a.1", &header), BUS_OK);
    cr_assert_eq(say("_inbox.a", &header), BUS_INVALID_TOPIC);
    header.is_ack = true;
    cr_assert_eq(say("_inbox.a.1", &header), BUS_MALFORMED_MESSAGE);
    header.is_ack = false;
    header.re = VIEW_NONE;
    cr_assert_eq(say("_inbox.a.1", &header), BUS_MALFORMED_MESSAGE);
}
