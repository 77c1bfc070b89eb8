// identity_test.c - whose a request or a record is: a table of maps and who may see them.
#include "bridge-http/identity.h"
#include "proto/transcode.h"
#include <criterion/criterion.h>

enum { GURUKUL = 4, AVATAR = 2 };

static const bridge_identity_t core = {.is_set = true, .products = GURUKUL, .role = "bhiv_core"};
static const bridge_identity_t owner = {.is_set = true, .is_owner = true, .role = "owner"};
static const bridge_identity_t nobody = {.is_set = false};

static pack_t *
map_of(const char *json)
{
    pack_t *map = pack_new();
    cr_assert_eq(transcode_from_json(view_from_text(json), map, NULL, 0), BUS_OK, "%s", json);
    return map;
}

Test(identity, sees_its_products_and_what_has_none_where_it_is_its_own)
{
    static const struct {
        const char *json;
        bool seen;
    } rows[] = {
        {"{\"product\":\"gurukul\"}", true},
        {"{\"product\":\"gurukul\",\"requester_id\":\"other\"}", true},
        {"{\"product\":\"ai_avatar\"}", false},
        {"{\"product\":\"ai_avatar\",\"requester_id\":\"bhiv_core\"}", false},
        {"{\"metadata\":{\"product\":\"gurukul\"}}", true},
        {"{\"metadata\":{\"product\":\"ai_avatar\",\"created_by\":\"bhiv_core\"}}", false},
        {"{\"product\":\"gurukul\",\"metadata\":{\"product\":\"ai_avatar\"}}", false},
        {"{\"product\":\"milk\",\"requester_id\":\"bhiv_core\"}", true},
        {"{\"product\":\"milk\"}", false},
        {"{\"product\":5,\"requester_id\":\"bhiv_core\"}", true},
        {"{\"requester_id\":\"bhiv_core\"}", true},
        {"{\"requester_id\":\"bhiv_core2\"}", false},
        {"{\"requester_id\":\"other\",\"metadata\":{\"created_by\":\"bhiv_core\"}}", false},
        {"{\"requester_id\":7,\"metadata\":{\"created_by\":\"bhiv_core\"}}", false},
        {"{\"requester_id\":null,\"metadata\":{\"created_by\":\"bhiv_core\"}}", true},
        {"{\"metadata\":{\"created_by\":\"bhiv_core\"}}", true},
        {"{}", false},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        BUS_AUTO(pack_destroy) pack_t *map = map_of(rows[i].json);
        cr_assert_eq(bridge_identity_sees(&core, pack_view(map)), rows[i].seen, "%s", rows[i].json);
        cr_assert(bridge_identity_sees(&owner, pack_view(map)), "%s", rows[i].json);
        cr_assert(bridge_identity_sees(&nobody, pack_view(map)), "%s", rows[i].json);
    }
}

Test(identity, sees_of_the_bus_what_names_it_and_what_it_says_itself)
{
    static const struct {
        const char *topic;
        const char *source;
        const char *json;
        bool seen;
    } rows[] = {
        {"bucket.out.audit_log.gurukul", "bucket", "{}", true},
        {"bucket.out.audit_log.ai_avatar", "bucket", "{\"product\":\"gurukul\"}", false},
        {"bucket.out.audit_log.gurukul.ai_avatar", "bucket", "{}", false},
        {"bucket.out.", "bucket", "{\"product\":\"gurukul\"}", false},
        {"agent.note", "bhiv_core", "{}", true},
        {"agent.note", "bhiv_core", "{\"product\":\"ai_avatar\"}", false},
        {"agent.note", "bhiv_bridge", "{}", false},
        {"agent.note", "bhiv_bridge", "{\"requester_id\":\"bhiv_core\"}", true},
        {"karma.config", "karma", "{}", false},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        BUS_AUTO(pack_destroy) pack_t *map = map_of(rows[i].json);
        const header_t header = {.source = view_from_text(rows[i].source)};
        bus_view_t topic = view_from_text(rows[i].topic);
        cr_assert_eq(bridge_identity_sees_record(&core, topic, &header, pack_view(map)),
                     rows[i].seen,
                     "%s %s",
                     rows[i].topic,
                     rows[i].json);
        cr_assert(bridge_identity_sees_record(&owner, topic, &header, pack_view(map)));
    }
}

Test(identity, the_executor_sees_nothing_of_bucket)
{
    const bridge_identity_t executor = {
        .is_set = true, .products = UINT32_MAX, .role = "workflow_executor"};
    BUS_AUTO(pack_destroy)
    pack_t *map = map_of("{\"product\":\"gurukul\",\"requester_id\":\"workflow_executor\"}");
    const header_t header = {.source = VIEW_LITERAL("workflow_executor")};
    bus_view_t own = VIEW_LITERAL("bucket.artifact_write");
    bus_view_t out = VIEW_LITERAL("bucket.out.audit_log.gurukul");
    bus_view_t event = VIEW_LITERAL("core.event.note");
    cr_assert_not(bridge_identity_sees_record(&executor, own, &header, pack_view(map)));
    cr_assert_not(bridge_identity_sees_record(&executor, out, &header, pack_view(map)));
    cr_assert(bridge_identity_sees_record(&executor, event, &header, pack_view(map)));
}

Test(identity, what_speaks_for_another_is_foreign)
{
    BUS_AUTO(pack_destroy) pack_t *own = map_of("{\"requester_id\":\"bhiv_core\"}");
    BUS_AUTO(pack_destroy) pack_t *other = map_of("{\"requester_id\":\"other\"}");
    BUS_AUTO(pack_destroy) pack_t *made = map_of("{\"metadata\":{\"created_by\":\"other\"}}");
    BUS_AUTO(pack_destroy)
    pack_t *null = map_of("{\"requester_id\":null,\"metadata\":{\"created_by\":\"other\"}}");
    BUS_AUTO(pack_destroy)
    pack_t *number = map_of("{\"requester_id\":7,\"metadata\":{\"created_by\":\"other\"}}");
    BUS_AUTO(pack_destroy) pack_t *none = map_of("{}");
    cr_assert(bridge_identity_is_foreign(&core, pack_view(null)));
    cr_assert(bridge_identity_is_foreign(&core, pack_view(number)));
    cr_assert_not(bridge_identity_is_named(pack_view(null)));
    cr_assert(bridge_identity_is_named(pack_view(number)));
    cr_assert_not(bridge_identity_is_foreign(&core, pack_view(own)));
    cr_assert(bridge_identity_is_foreign(&core, pack_view(other)));
    cr_assert(bridge_identity_is_foreign(&core, pack_view(made)));
    cr_assert_not(bridge_identity_is_foreign(&core, pack_view(none)));
    cr_assert_not(bridge_identity_is_foreign(&core, VIEW_NONE));
}

Test(identity, a_product_that_is_not_its_own_is_named)
{
    static const char *const rows[] = {
        "{\"product\":\"ai_avatar\"}",
        "{\"product\":\"gurukul\",\"requesting_product\":\"ai_avatar\"}",
        "{\"metadata\":{\"product\":\"ai_avatar\"}}",
        "{\"metadata\":{\"requesting_product\":\"ai_avatar\"}}",
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        BUS_AUTO(pack_destroy) pack_t *map = map_of(rows[i]);
        cr_assert(view_is(bridge_identity_foreign_product(&core, pack_view(map)), "ai_avatar"));
    }
    BUS_AUTO(pack_destroy) pack_t *own = map_of("{\"product\":\"gurukul\"}");
    cr_assert_null(bridge_identity_foreign_product(&core, pack_view(own)).data);
}
