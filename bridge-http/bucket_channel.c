// bucket_channel.c - the doors of Bucket's four channels, and those that are refused whatever
// comes.
//
// At every one of them what nobody may ask for (proto/refusal.def) is looked for first, in the body
// and in the query, then the shape is checked: what is refused is journaled as a refusal, what is
// malformed is answered 422 and leaves no trace. Bucket itself checks all of it again: the bus has
// other doors.
#include "answer.h"
#include "ask.h"
#include "handler.h"
#include "params.h"
#include "proto/channel.h"
#include "proto/refusal.h"
#include "proto/transcode.h"
#include "proto/walk.h"
#include "runtime/clock.h"

// --- Refusing ------------------------------------------------------------------------------------

// The first map that names somebody.
static bus_view_t
requester_of(bus_view_t body, bus_view_t query)
{
    bus_view_t named = walk_text_at(query, "requester_id");
    bool is_in_body = walk_text_at(body, "requester_id").size > 0 ||
                      walk_text_at(body, "metadata.created_by").size > 0 || named.size == 0;
    return channel_requester(is_in_body && body.data != NULL ? body : query);
}

static bus_view_t
first_of(bus_view_t a, bus_view_t b)
{
    return a.size > 0 ? a : b;
}

// `body` may be absent; `query` is what stands in path and query.
static void
refuse(bridge_request_t *self, const refusal_t *row, bus_view_t body, bus_view_t query)
{
    bus_view_t product =
        first_of(walk_text_at(body, "product"), walk_text_at(body, "metadata.product"));
    bridge_ask_refuse(
        self,
        &(bridge_ask_refusal_t){
            .err = row->err,
            .message = row->message,
            .violation =
                refusal_by_word(view_from_text(row->word)) == row ? row->word : row->violation,
            .operation = self->route->operation,
            .requester = requester_of(body, query),
            .product = first_of(product, walk_text_at(query, "product")),
            .artifact_id =
                first_of(walk_text_at(query, "artifact_id"), walk_text_at(body, "artifact_id")),
        });
}

// The refusal that the query trips; what it says of products is held against the body's.
static const refusal_t *
find_in_query(bus_view_t query, bus_view_t body)
{
    BUS_AUTO(pack_destroy) pack_t *both = pack_new();
    size_t map = pack_map_begin(both);
    bus_view_t product =
        first_of(walk_text_at(body, "product"), walk_text_at(body, "metadata.product"));
    uint32_t count = product.size > 0 ? 1 : 0;
    if (product.size > 0) {
        pack_pair_str(both, "product", product);
    }
    walk_pairs_t pairs = walk_pairs(query);
    bus_view_t key, value;
    while (walk_pairs_next(&pairs, &key, &value) == BUS_OK) {
        bool is_second = product.size > 0 && view_is(key, "product");
        pack_str(both, is_second ? VIEW_LITERAL("requesting_product") : key);
        pack_raw(both, value);
        count++;
    }
    pack_count(both, map, count);
    return refusal_find(pack_view(both));
}

// Whether nothing in body or query is refused to everybody. False: it answers.
static bool
is_allowed(bridge_request_t *self, bus_view_t body)
{
    BUS_AUTO(pack_destroy) pack_t *query = pack_new();
    bridge_params_pack_all(self, query);
    const refusal_t *row = body.data == NULL ? NULL : refusal_find(body);
    if (row == NULL && self->path.query.size > 0) {
        row = find_in_query(pack_view(query), body);
    }
    if (row != NULL) {
        refuse(self, row, body, pack_view(query));
    }
    return row == NULL;
}

bool
bridge_bucket_channel_allows(bridge_request_t *self)
{
    return is_allowed(self, self->body);
}

// --- The channels --------------------------------------------------------------------------------

static bool
is_read(channel_t channel)
{
    return channel == CHANNEL_ARTIFACT_READ || channel == CHANNEL_METADATA_QUERY;
}

// The reply without the bus's `channel`, and with the time that a query took, from its request to
// its answer: a reducer has no clock to measure it by.
static void
on_answered(bridge_request_t *self, const client_answer_t *answer)
{
    uint64_t took_ms = (clock_boot_us() - self->started_us) / 1000;
    BUS_AUTO(pack_destroy) pack_t *body = pack_new();
    size_t map = pack_map_begin(body);
    uint32_t count = 0;
    bus_view_t key, value;
    walk_pairs_t pairs = walk_pairs(answer->body);
    while (walk_pairs_next(&pairs, &key, &value) == BUS_OK) {
        if (view_is(key, "channel")) {
            continue;
        }
        pack_str(body, key);
        if (view_is(key, "query_time_ms")) {
            pack_uint(body, took_ms);
        } else {
            pack_raw(body, value);
        }
        count++;
    }
    if (walk_find(answer->body, "status", &value) != BUS_OK) {
        pack_pair_text(body, "status", "success");
        count++;
    }
    pack_count(body, map, count);
    bridge_answer(self, MHD_HTTP_OK, pack_view(body));
}

static bool
is_executor(const bridge_request_t *self, bus_view_t body)
{
    return view_is(channel_requester(body), "workflow_executor") ||
           view_is(bridge_request_header(self, "X-Requester-Id"), "workflow_executor");
}

// Says a request of `channel` that trips no refusal.
static void
say(bridge_request_t *self, channel_t channel, bus_view_t body)
{
    if (is_read(channel) && is_executor(self, body)) {
        refuse(self, &refusal_not_yours, body, VIEW_NONE);
        return;
    }
    schema_problems_t problems = {0};
    if (channel_check(channel, body, &problems) != BUS_OK) {
        bridge_answer_problems(self, NULL, &problems);
        return;
    }
    bridge_ask(self,
               &(bridge_ask_t){.kind = is_read(channel) ? BRIDGE_ASK_READ : BRIDGE_ASK_COMMAND,
                               .topic = self->route->topic,
                               .body = body,
                               .idem = !is_read(channel), // whose pages would be kept for a day
                               .then = on_answered});
}

void
bridge_bucket_channel_body(bridge_request_t *self)
{
    if (is_allowed(self, self->body)) {
        // "bucket.artifact_write": the channel is what follows the dot.
        channel_t channel = 0;
        while (strcmp(channel_topic(channel), self->route->topic) != 0) {
            channel++;
        }
        say(self, channel, self->body);
    }
}

void
bridge_bucket_channel_read(bridge_request_t *self)
{
    BUS_AUTO(pack_destroy) pack_t *body = pack_new();
    if (is_allowed(self, VIEW_NONE) && bridge_params_read(self, body, NULL)) {
        say(self, CHANNEL_ARTIFACT_READ, pack_view(body));
    }
}

void
bridge_bucket_channel_request(bridge_request_t *self)
{
    if (!is_allowed(self, self->body)) {
        return;
    }
    channel_t channel = channel_of(self->body);
    if (channel == CHANNEL_COUNT) {
        refuse(self, &refusal_unknown_channel, self->body, VIEW_NONE);
        return;
    }
    say(self, channel, self->body);
}

// --- What is never done --------------------------------------------------------------------------

// The body says who it is and what it is about, where there is one that can be read: whatever it
// holds, the answer is the same.
static void
refuse_verb(bridge_request_t *self, const char *word)
{
    BUS_AUTO(pack_destroy) pack_t *body = pack_new();
    BUS_AUTO(pack_destroy) pack_t *query = pack_new();
    char why[1];
    bool is_json =
        self->raw != NULL && transcode_from_json(text_view(self->raw), body, why, 1) == BUS_OK;
    bridge_params_pack_all(self, query);
    refuse(self,
           refusal_by_word(view_from_text(word)),
           is_json ? pack_view(body) : VIEW_NONE,
           pack_view(query));
}

void
bridge_bucket_channel_mutate(bridge_request_t *self)
{
    refuse_verb(self, "update_artifact");
}

void
bridge_bucket_channel_delete(bridge_request_t *self)
{
    refuse_verb(self, "delete_artifact");
}
