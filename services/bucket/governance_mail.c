// governance_mail.c - writing to the advisor, the executor or the owner, through Workflow.
//
// A mail is a consequence of what was applied, said like any other: Workflow sends it once, and a
// rebuild sends none.
#include "governance.h"

#include "config.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

enum { EXECUTION_ID_SIZE = 40 }; // of "bucket_mail_<seq>" and its NUL

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static bus_view_t
address_of(const bucket_config_t *config, const char *who)
{
    const struct {
        const char *who;
        bus_view_t address;
    } rows[] = {
        {"advisor_email", config->advisor_email},
        {"executor_email", config->executor_email},
        {"owner_email", config->owner_email},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        if (strcmp(rows[i].who, who) == 0) {
            return rows[i].address;
        }
    }
    assert(false); // `who` is one of them
    return VIEW_NONE;
}

static void
pack_mail(const service_apply_t *apply,
          bus_view_t recipient,
          const char *subject,
          const char *body,
          pack_t *out)
{
    char execution_id[EXECUTION_ID_SIZE];
    (void) snprintf(execution_id, sizeof execution_id, "bucket_mail_%" PRIu64, apply->header->seq);
    bus_view_t trace_id =
        apply->header->trace_id.size > 0 ? apply->header->trace_id : view_from_text(execution_id);
    pack_map(out, 3);
    pack_pair_str(out, "trace_id", trace_id);
    pack_pair_text(out, "decision", "workflow");
    pack_text(out, "data");
    pack_map(out, 2);
    pack_pair_text(out, "workflow_type", "workflow");
    pack_text(out, "payload");
    pack_map(out, 6);
    pack_pair_text(out, "action_type", "email");
    pack_pair_str(out, "recipient", recipient);
    pack_pair_text(out, "subject", subject);
    pack_pair_text(out, "body", body);
    pack_pair_str(out, "trace_id", trace_id);
    pack_pair_text(out, "execution_id", execution_id);
}

bus_err_t
bucket_governance_mail(service_apply_t *apply,
                       const char *who,
                       const char *subject,
                       const char *body)
{
    bucket_config_t config;
    bus_err_t err = bucket_config_get(apply->txn, &config);
    if (err == BUS_NOT_FOUND || err == BUS_CORRUPT) {
        return BUS_OK; // nobody to tell, as far as is known
    }
    bus_view_t recipient = err == BUS_OK ? address_of(&config, who) : VIEW_NONE;
    if (recipient.size == 0) {
        return err;
    }
    BUS_AUTO(pack_destroy) pack_t *out = pack_new();
    pack_mail(apply, recipient, subject, body, out);
    err = service_say(apply, "workflow.execute", pack_view(out));
    assert(err != BUS_PAYLOAD_TOO_LARGE); // texts of ours, an address of 254 bytes
    return err;
}
