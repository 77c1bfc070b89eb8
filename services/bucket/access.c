// access_refused.c - the broker's refusals, in the audit log.
#include "access_refused.h"

#include "audit.h"

bus_err_t
bucket_access_refused_apply(service_apply_t *apply, const void *message)
{
    const schema_access_refused_t *refused = message;
    if (!view_is(apply->header->source, "$bus")) {
        return BUS_OK; // somebody else's word for it
    }
    const bool has_name = refused->name.size > 0;
    const bucket_audit_t entry = {
        .event_type = "governance",
        .operation = "governance.access",
        .requester_id = has_name ? refused->name : VIEW_LITERAL("anonymous"),
        .is_refused = true,
        .rule = "access",
        .err = has_name ? BUS_UNAUTHORIZED_ACCESS : BUS_UNAUTHENTICATED,
        .details = apply->body,
    };
    bucket_audit_place_t place;
    return bucket_audit_add(apply, &entry, &place);
}
