// email.c - the email adapter: a mail to one address, by SMTP.
//
// The server's word for a mail that it took is its own queue's; what stays with the mail is the
// Message-ID, which is ours and is the result's message_id.
#include "adapter.h"
#include "mail.h"
#include "proto/rfc3339.h"

#include <assert.h>
#include <stdio.h>

enum {
    SUBJECT_SIZE_MAX = 998,      // RFC 5322's longest line
    BODY_TEXT_SIZE_MAX = 524288, // of base64 then 700 KiB
    ID_SIZE = 512,
};

enum { RECIPIENT, SUBJECT, BODY, NEED_COUNT };

static const workflow_need_t needs[NEED_COUNT] = {
    [RECIPIENT] = {.field = "recipient",
                   .missing = "missing_recipient",
                   .invalid = "invalid_recipient",
                   .kind = "one address",
                   .size_max = WORKFLOW_MAIL_ADDRESS_MAX,
                   .is_valid = workflow_mail_is_address},
    [SUBJECT] = {.field = "subject",
                 .missing = "missing_subject",
                 .invalid = "invalid_subject",
                 .kind = "text",
                 .size_max = SUBJECT_SIZE_MAX},
    [BODY] = {.field = "body",
              .instead = "content",
              .missing = "missing_body",
              .invalid = "invalid_body",
              .kind = "text",
              .size_max = BODY_TEXT_SIZE_MAX},
};

static bool
is_configured(const workflow_servers_t *servers)
{
    return servers->smtp_url != NULL;
}

// Unique for good: no two executions share a boot and a seq.
static bus_view_t
make_id(const workflow_job_t *job, char text[ID_SIZE])
{
    int size =
        snprintf(text, ID_SIZE, "email_%08llx.%s@bhiv", (unsigned long long) job->seq, job->boot);
    assert(size > 0 && size < ID_SIZE);
    return view_from(text, (size_t) size);
}

static void
compose(const workflow_job_t *job, const workflow_servers_t *servers, workflow_letter_t *letter)
{
    char id[ID_SIZE];
    bus_view_t recipient = job->values.at[RECIPIENT];
    const workflow_mail_t mail = {
        .from = view_from_text(servers->smtp_from),
        .to = recipient,
        .subject = job->values.at[SUBJECT],
        .message_id = make_id(job, id),
        .trace_id = job->trace_id,
        .at = job->at,
        .text = job->values.at[BODY],
    };
    workflow_mail_write(&mail, letter->body);
    text_add(letter->recipient, recipient);
    letter->recipients[0] = text_view(letter->recipient).data;
    letter->request = (transfer_request_t){
        .url = servers->smtp_url,
        .body = text_view(letter->body),
        .user = servers->smtp_user,
        .password = servers->smtp_password,
        .mail_from = servers->smtp_from,
        .mail_to = letter->recipients,
        .mail_to_count = 1,
    };
}

static bool
conclude(const workflow_job_t *job, const transfer_answer_t *answer BUS_UNUSED, pack_t *result)
{
    char id[ID_SIZE];
    char at[RFC3339_SIZE];
    rfc3339_format(job->wall_us, at);
    pack_map(result, 7);
    pack_pair_bool(result, "success", true);
    pack_pair_str(result, "message_id", make_id(job, id));
    pack_pair_str(result, "recipient", job->values.at[RECIPIENT]);
    pack_pair_str(result, "subject", job->values.at[SUBJECT]);
    pack_pair_text(result, "status", "SENT");
    pack_pair_text(result, "sent_at", at);
    pack_pair_bool(result, "was_sent", true);
    return true;
}

static const char *
secret(const workflow_servers_t *servers)
{
    return servers->smtp_password;
}

const workflow_adapter_t workflow_email_adapter = {
    .action = "email",
    .needs = needs,
    .need_count = NEED_COUNT,
    .is_configured = is_configured,
    .compose = compose,
    .conclude = conclude,
    .secret = secret,
    .is_mail = true,
};
