// access.c - refusals at the broker, and changes of certificates, rules and tokens, in the audit
// log.
#include "access.h"

#include "audit.h"
#include "runtime/grant.h"

#define BROKER "$bus"
#define BRIDGE "bhiv_bridge"

// A change was made in the owner's shell: it is told by whoever noticed, and there was nobody to
// ask.
static bucket_audit_t
change(const schema_access_t *said)
{
    bucket_audit_t entry = {
        .event_type = "governance",
        .operation = GRANT_TOPIC,
        .rule = "access",
        .subject = said->name,
    };
    if (view_is(said->reason, grant_kind_text(GRANT_ACCESS_NOT_LOADED)) ||
        view_is(said->reason, grant_kind_text(GRANT_TOKENS_NOT_LOADED))) {
        entry.is_refused = true;
        entry.err = BUS_INVALID_REQUEST;
    }
    return entry;
}

static bucket_audit_t
refusal(const schema_access_t *said)
{
    const bool has_name = said->name.size > 0;
    return (bucket_audit_t){
        .event_type = "governance",
        .operation = GRANT_TOPIC,
        .requester_id = has_name ? said->name : VIEW_LITERAL("anonymous"),
        .is_refused = true,
        .rule = "access",
        .err = has_name ? BUS_UNAUTHORIZED_ACCESS : BUS_UNAUTHENTICATED,
    };
}

bus_err_t
bucket_access_apply(service_apply_t *apply, const void *message)
{
    const schema_access_t *said = message;
    const bool is_change = view_is(said->kind, "changed");
    const bool is_of_tokens = is_change && grant_is_of_tokens(said->reason);
    if (!view_is(apply->header->source, is_of_tokens ? BRIDGE : BROKER)) {
        return BUS_OK; // somebody else's word for it
    }
    bucket_audit_t entry = is_change ? change(said) : refusal(said);
    entry.details = apply->body;
    bucket_audit_place_t place;
    return bucket_audit_add(apply, &entry, &place);
}
