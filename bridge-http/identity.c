// identity.c - whose a request, a record or an entry is.
#include "identity.h"
#include "proto/channel.h"
#include "proto/walk.h"

static const char *const product_paths[] = {
    "product", "metadata.product", "requesting_product", "metadata.requesting_product"};
enum { PATH_COUNT = sizeof(product_paths) / sizeof(product_paths[0]) };

bool
bridge_identity_is_limited(const bridge_identity_t *self)
{
    return self->is_set && !self->is_owner;
}

bool
bridge_identity_has_product(const bridge_identity_t *self, bus_view_t product)
{
    channel_product_t found = channel_product(product);
    return found != CHANNEL_PRODUCT_COUNT && (self->products & (1U << found)) != 0;
}

bus_view_t
bridge_identity_foreign_product(const bridge_identity_t *self, bus_view_t map)
{
    for (size_t i = 0; i < PATH_COUNT; i++) {
        bus_view_t named = walk_text_at(map, product_paths[i]);
        if (named.data != NULL && !bridge_identity_has_product(self, named)) {
            return named;
        }
    }
    return VIEW_NONE;
}

bool
bridge_identity_is_named(bus_view_t map)
{
    bus_view_t value;
    walk_item_t item;
    if (map.size == 0 || walk_find(map, "requester_id", &value) != BUS_OK) {
        return false;
    }
    walk_t walk = walk_from(value);
    return walk_next(&walk, &item) == BUS_OK && item.type != WALK_NIL;
}

// Who a map says that it comes from.
static bus_view_t
requester_of(bus_view_t map)
{
    return walk_text_at(map,
                        bridge_identity_is_named(map) ? "requester_id" : "metadata.created_by");
}

bool
bridge_identity_is_foreign(const bridge_identity_t *self, bus_view_t map)
{
    bus_view_t claimed = walk_text_at(map, "requester_id");
    if (claimed.data == NULL) { // where it is no text, too: whoever reads it may go on to the next
        claimed = walk_text_at(map, "metadata.created_by");
    }
    return claimed.data != NULL && !view_is(claimed, self->role);
}

bool
bridge_identity_sees(const bridge_identity_t *self, bus_view_t map)
{
    if (!bridge_identity_is_limited(self)) {
        return true;
    }
    bool has_product = false;
    for (size_t i = 0; i < 2; i++) { // what it is about, not who asked
        bus_view_t named = walk_text_at(map, product_paths[i]);
        if (channel_product(named) != CHANNEL_PRODUCT_COUNT) {
            has_product = true;
            if (!bridge_identity_has_product(self, named)) {
                return false;
            }
        }
    }
    return has_product || view_is(requester_of(map), self->role);
}

bool
bridge_identity_sees_record(const bridge_identity_t *self,
                            bus_view_t topic,
                            const header_t *header,
                            bus_view_t body)
{
    if (!bridge_identity_is_limited(self)) {
        return true;
    }
    if (view_is(view_from_text(self->role), "workflow_executor") &&
        view_starts(topic, VIEW_LITERAL("bucket."))) {
        return false; // he reads nothing of Bucket, here neither
    }
    const char *dot = topic.size == 0 ? NULL : memrchr(topic.data, '.', topic.size);
    if (view_starts(topic, VIEW_LITERAL("bucket.out.")) && dot != NULL) {
        size_t used = (size_t) (dot + 1 - topic.data);
        return bridge_identity_has_product(self, view_from(dot + 1, topic.size - used));
    }
    bool names_product =
        channel_product(walk_text_at(body, "product")) != CHANNEL_PRODUCT_COUNT ||
        channel_product(walk_text_at(body, "metadata.product")) != CHANNEL_PRODUCT_COUNT;
    bool is_own = !names_product && view_is(header->source, self->role);
    return is_own || bridge_identity_sees(self, body);
}
