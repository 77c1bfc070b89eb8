// admit.c - the door, where tokens are asked for.
#include "admit.h"
#include "answer.h"
#include "ask.h"
#include "denials.h"
#include "link.h"
#include "params.h"
#include "proto/refusal.h"
#include "proto/topic.h"
#include "proto/walk.h"
#include "runtime/grant.h"
#include "scope.h"
#include "tokens.h"
#include <sodium.h>
#include <stdio.h>
#include <strings.h>

#define TOKEN_WANTED                                                                               \
    "send `Authorization: Bearer` with a token that is good: `bhiv token create` makes one"

// --- Who it is -----------------------------------------------------------------------------------

enum { BASIC_SIZE_MAX = 512 }; // bytes of user and token: a token has 82, the owner's up to 256

// What stands behind the scheme, where it is this one; absent: it is another.
static bus_view_t
behind_scheme(bus_view_t header, const char *scheme)
{
    size_t size = strlen(scheme);
    bool is_it = header.size > size && strncasecmp(header.data, scheme, size) == 0;
    return is_it ? view_from(header.data + size, header.size - size) : VIEW_NONE;
}

// The token that came: as a bearer, or as a browser sends it that was asked for a password, with
// any user. `text` has room for BASIC_SIZE_MAX bytes. "" where there is none.
static bus_view_t
find_token(const bridge_request_t *self, char *text)
{
    bus_view_t header = bridge_request_header(self, "Authorization");
    bus_view_t token = behind_scheme(header, "Bearer ");
    bus_view_t basic = behind_scheme(header, "Basic ");
    size_t size = 0;
    if (token.data != NULL) {
        return token;
    }
    if (basic.data == NULL || sodium_base642bin((unsigned char *) text,
                                                BASIC_SIZE_MAX,
                                                basic.data,
                                                basic.size,
                                                NULL,
                                                &size,
                                                NULL,
                                                sodium_base64_VARIANT_ORIGINAL) != 0) {
        return VIEW_LITERAL("");
    }
    const char *colon = memchr(text, ':', size);
    size_t used = colon == NULL ? size : (size_t) (colon + 1 - text);
    return view_from(text + used, size - used);
}

void
bridge_admit_identify(bridge_request_t *self)
{
    if (self->bridge->tokens != NULL) {
        char text[BASIC_SIZE_MAX];
        self->identity = bridge_tokens_identify(self->bridge->tokens, find_token(self, text));
        sodium_memzero(text, sizeof(text));
    }
}

bool
bridge_admit_wants_body(const bridge_request_t *self)
{
    return self->bridge->tokens == NULL || self->identity.is_set;
}

// Strangers have a bucket of their own at each address, so that they take nothing from those who
// have a token there.
static bool
may_go_on_trying(const bridge_request_t *self)
{
    char key[BRIDGE_LINK_ADDRESS_SIZE + 16];
    (void) snprintf(key, sizeof(key), "stranger %s", self->link->address);
    bridge_limit_t *limit = self->bridge->limit;
    return limit == NULL ||
           bridge_limit_take(limit, view_from_text(key), BRIDGE_LIMIT_WRITE, self->started_us)
               .allowed;
}

bool
bridge_admit_enter(bridge_request_t *self)
{
    bridge_t *bridge = self->bridge;
    if (bridge->tokens == NULL || self->route->access == BRIDGE_FREE || self->identity.is_set) {
        return true;
    }
    if (!may_go_on_trying(self)) {
        bridge_answer_error(self,
                            &(bridge_error_t){.err = BUS_RATE_LIMIT_EXCEEDED, .retry_after_s = 1});
        return false;
    }
    bridge_denials_note(bridge->denials, self);
    bridge_answer_header(self, "WWW-Authenticate", "Bearer realm=\"bhiv\"");
    bridge_answer_header(self, "WWW-Authenticate", "Basic realm=\"bhiv\", charset=\"UTF-8\"");
    bridge_answer_refuse(self, BUS_UNAUTHENTICATED, TOKEN_WANTED);
    return false;
}

// --- What it claims ------------------------------------------------------------------------------

static bool
refuse_requester(bridge_request_t *self)
{
    static const char *const say_success[] = {
        "write_event", "workflow_write_event", "read_context"};
    bool says_success = false;
    for (size_t i = 0; i < sizeof(say_success) / sizeof(say_success[0]); i++) {
        says_success = says_success || strcmp(self->route->operation, say_success[i]) == 0;
    }
    bridge_ask_refuse(self,
                      &(bridge_ask_refusal_t){.err = BUS_UNAUTHORIZED_ACCESS,
                                              .message = "Unauthorized requester",
                                              .violation = refusal_not_yours.violation,
                                              .operation = self->route->operation,
                                              .requester = view_from_text(self->identity.role),
                                              .says_success = says_success});
    return false;
}

static bool
refuse_product(bridge_request_t *self, bus_view_t product, bus_view_t map)
{
    bridge_ask_refuse(self,
                      &(bridge_ask_refusal_t){.err = BUS_UNAUTHORIZED_ACCESS,
                                              .message = "this token is not for that product",
                                              .violation = refusal_cross_product.violation,
                                              .operation = self->route->operation,
                                              .requester = view_from_text(self->identity.role),
                                              .product = product,
                                              .artifact_id = walk_text_at(map, "artifact_id")});
    return false;
}

// False: it answers.
static bool
is_own(bridge_request_t *self, bus_view_t map, bool says_who)
{
    if (says_who && bridge_identity_is_foreign(&self->identity, map)) {
        return refuse_requester(self);
    }
    bus_view_t product = bridge_identity_foreign_product(&self->identity, map);
    return product.data == NULL || refuse_product(self, product, map);
}

// Path and query, each pair for itself: a name that is there twice is not hidden by its first.
static bool
are_own_params(bridge_request_t *self)
{
    BUS_AUTO(pack_destroy) pack_t *params = pack_new();
    bridge_params_pack_all(self, params);
    walk_pairs_t pairs = walk_pairs(pack_view(params));
    bus_view_t key, value;
    while (walk_pairs_next(&pairs, &key, &value) == BUS_OK) {
        BUS_AUTO(pack_destroy) pack_t *one = pack_new();
        pack_map(one, 1);
        pack_str(one, key);
        pack_raw(one, value);
        if (!is_own(self, pack_view(one), true)) {
            return false;
        }
    }
    return true;
}

static bool
wants_requester(const bridge_route_t *route)
{
    for (size_t i = 0; route->body != NULL && i < route->body->field_count; i++) {
        if (strcmp(route->body->fields[i].name, "requester_id") == 0) {
            return true;
        }
    }
    return false;
}

bool
bridge_admit_name(const bridge_request_t *self, bus_view_t body, pack_t *out)
{
    bus_view_t key, value;
    walk_item_t head;
    walk_t walk = walk_from(body);
    if (!bridge_identity_is_limited(&self->identity) || walk_next(&walk, &head) != BUS_OK ||
        head.type != WALK_MAP || bridge_identity_is_named(body)) {
        return false;
    }
    size_t map = pack_map_begin(out);
    uint32_t count = 1;
    walk_pairs_t pairs = walk_pairs(body);
    while (walk_pairs_next(&pairs, &key, &value) == BUS_OK) {
        if (!view_is(key, "requester_id")) {
            pack_str(out, key);
            pack_raw(out, value);
            count++;
        }
    }
    pack_pair_text(out, "requester_id", self->identity.role);
    pack_count(out, map, count);
    return true;
}

static void
name_requester(bridge_request_t *self)
{
    pack_t *named = pack_new();
    if (wants_requester(self->route) && bridge_admit_name(self, self->body, named)) {
        pack_t *before = self->json;
        self->json = named;
        self->body = pack_view(named);
        named = before;
    }
    pack_destroy(&named);
}

// Whether it puts a task into the queue that acts on the system itself: the kernel self_healing's
// playbooks stop and start parts, its drills take the machine. Governance decides about intents
// alone, so what goes straight into the queue for them is the owner's to say.
static bool
acts_on_system(const bridge_request_t *self)
{
    static const char *const handlers[] = {"self_healing", "hunter", "stress_runner"};
    bool is_door = strcmp(self->route->topic, "task.enqueue") == 0;
    bool is_said = strcmp(self->route->operation, "bus_publish") == 0 &&
                   view_is(walk_text_at(self->body, "topic"), "task.enqueue");
    bus_view_t handler = walk_text_at(self->body, is_door ? "handler" : "data.handler");
    for (size_t i = 0; (is_door || is_said) && i < sizeof(handlers) / sizeof(handlers[0]); i++) {
        if (view_is(handler, handlers[i])) {
            return true;
        }
    }
    return false;
}

static bool
refuse_owners(bridge_request_t *self)
{
    bridge_ask_refuse(
        self,
        &(bridge_ask_refusal_t){.err = BUS_UNAUTHORIZED_ACCESS,
                                .message = "tasks for this handler are the owner's to enqueue",
                                .violation = refusal_owner_only.violation,
                                .operation = self->route->operation,
                                .requester = view_from_text(self->identity.role)});
    return false;
}

bool
bridge_admit_bind(bridge_request_t *self)
{
    static const struct {
        const char *key;
        bool says_who;
    } inside[] = {{"data", true}, {"event_data", false}};
    if (!bridge_identity_is_limited(&self->identity) || self->route->access == BRIDGE_FREE) {
        return true;
    }
    bus_view_t header = bridge_request_header(self, "X-Requester-Id");
    if (header.data != NULL && !view_is(header, self->identity.role)) {
        return refuse_requester(self);
    }
    if (!are_own_params(self) || !is_own(self, self->body, true)) {
        return false;
    }
    for (size_t i = 0; i < sizeof(inside) / sizeof(inside[0]); i++) {
        bus_view_t value;
        walk_item_t head;
        bool is_there =
            self->body.size > 0 && walk_find(self->body, inside[i].key, &value) == BUS_OK;
        walk_t walk = walk_from(is_there ? value : VIEW_NONE);
        if (is_there && walk_next(&walk, &head) == BUS_OK && head.type == WALK_MAP &&
            !is_own(self, value, inside[i].says_who)) {
            return false;
        }
    }
    if (acts_on_system(self)) {
        return refuse_owners(self);
    }
    name_requester(self);
    return true;
}

// --- What it may say on the bus ------------------------------------------------------------------

// Whether a POST that is open to everybody says it in one step, with nothing to look at before.
static bool
has_endpoint(bus_view_t topic)
{
    for (size_t i = 0; i < bridge_route_count; i++) {
        const bridge_route_t *route = &bridge_routes[i];
        bus_view_t said = view_from_text(route->topic);
        bool is_family = said.size > 0 && said.data[said.size - 1] == '.';
        bool is_said = is_family ? view_starts(topic, said) : view_equal(topic, said);
        if (route->method == BRIDGE_POST && route->access == BRIDGE_OPEN && said.size > 0 &&
            is_said && !bridge_scope_is_looked_at(route)) {
            return true;
        }
    }
    return false;
}

bool
bridge_admit_publish(bridge_request_t *self, bus_view_t topic)
{
    bool is_agents = view_starts(topic, VIEW_LITERAL("agent."));
    bool is_ours = view_is(topic, GRANT_TOPIC); // it would be believed, in our name
    bool is_free = !bridge_identity_is_limited(&self->identity) || is_agents ||
                   has_endpoint(topic) || topic_find(topic) == NULL ||
                   bridge_route_guarding(topic) != NULL;
    if (!is_ours && is_free) {
        return true; // a guarded one is asked for the owner next
    }
    bridge_ask_refuse(self,
                      &(bridge_ask_refusal_t){.err = BUS_UNAUTHORIZED_ACCESS,
                                              .message = "this topic is a service's own to say",
                                              .violation = refusal_not_yours.violation,
                                              .operation = self->route->operation,
                                              .requester = view_from_text(self->identity.role)});
    return false;
}
