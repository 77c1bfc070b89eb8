// adapter.h - one way to act in the world: what it needs, how it asks its server, what it makes of
// the answer.
//
// An adapter is a row: pure functions around one transfer. It composes a request from an
// execution's payload and concludes a result from the server's answer; act.c does the rest.
// Deciding what is missing (workflow_adapter_check) is part of `apply`; composing and concluding
// are not.
#pragma once
#include "config.h"
#include "proto/text.h"
#include "runtime/transfer.h"

enum { WORKFLOW_NEEDS_MAX = 3 };

// A field of a payload: text of 1 to size_max bytes.
typedef struct {
    const char *field;
    const char *instead; // stands in where the field is absent; NULL: nothing does
    const char *missing; // error_code; NULL: it may be absent
    const char *invalid; // error_code: too long, or not what `is_valid` takes
    const char *kind;    // what it is to be, for a person
    size_t size_max;
    bool (*is_valid)(bus_view_t text); // NULL: any text is
} workflow_need_t;

// The values of the needs, in their order: absent where it may be. Views into the payload.
typedef struct {
    bus_view_t at[WORKFLOW_NEEDS_MAX];
} workflow_values_t;

typedef struct {
    uint64_t seq;     // of the command
    const char *boot; // of the process that acts
    bus_view_t trace_id;
    uint64_t at;      // journal's time when it was taken up
    uint64_t wall_us; // this machine's time now: of results, which are not computed with
    workflow_values_t values;
} workflow_job_t;

// A request, and the texts that it points to.
typedef struct {
    transfer_request_t request;
    const char *headers[2];
    const char *recipients[1];
    text_t *url;
    text_t *recipient;
    text_t *body;
} workflow_letter_t;

typedef struct {
    const char *action; // action_type
    const workflow_need_t *needs;
    size_t need_count;
    // Whether there is a server for it. NULL: it needs none, and `apply` does it all.
    bool (*is_configured)(const workflow_servers_t *servers);
    // Fills `letter` (workflow_adapter_letter_init came before), but its timeout.
    void (*compose)(const workflow_job_t *job,
                    const workflow_servers_t *servers,
                    workflow_letter_t *letter);
    // Packs the result, one map, from an answer with BUS_OK. Returns whether it is a success.
    bool (*conclude)(const workflow_job_t *job, const transfer_answer_t *answer, pack_t *result);
    // What of its secrets a server might say back; NULL: none.
    const char *(*secret)(const workflow_servers_t *servers);
    bool is_mail; // it speaks SMTP
} workflow_adapter_t;

extern const workflow_adapter_t workflow_email_adapter;    // email.c
extern const workflow_adapter_t workflow_whatsapp_adapter; // whatsapp.c
extern const workflow_adapter_t workflow_ai_adapter;       // ai.c

const workflow_adapter_t *workflow_adapter_of(workflow_action_t action);
// The action of this name; WORKFLOW_ACTION_COUNT: there is none.
workflow_action_t workflow_adapter_find(bus_view_t action_type);

// Why a result is a failure. Texts are literals, or live in `text`.
typedef struct {
    const char *error_code;
    char text[160]; // message
} workflow_fault_t;

// The payload's values, or what is wrong with it. False: *reterr_fault says what. A function of its
// arguments alone.
bool workflow_adapter_check(const workflow_adapter_t *self,
                            bus_view_t payload,
                            workflow_values_t *ret_values,
                            workflow_fault_t *reterr_fault);

void workflow_adapter_letter_init(workflow_letter_t *letter);
void workflow_adapter_letter_clear(workflow_letter_t *letter);

// Packs {success: false, error_code, message, was_sent}. was_sent: whether anything may have
// happened at the far end.
void workflow_adapter_pack_fault(const char *error_code,
                                 const char *message,
                                 bool was_sent,
                                 pack_t *result);

// Makes the result of a transfer, whatever came of it. Returns whether it is a success.
bool workflow_adapter_conclude(const workflow_adapter_t *self,
                               const workflow_job_t *job,
                               const workflow_servers_t *servers,
                               const transfer_answer_t *answer,
                               pack_t *result);

// A server's url without slashes at its end.
bus_view_t workflow_adapter_base(const char *url);
// Packs the answer's JSON as msgpack; false where it is none.
bool workflow_adapter_json(const transfer_answer_t *answer, pack_t *out);
// The text at a key of a map, of 1 to size_max bytes; absent where it is none.
bus_view_t workflow_adapter_text(bus_view_t map, const char *key, size_t size_max);
