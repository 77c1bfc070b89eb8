// config.h - what the executor was started with.
//
// Two halves. Switches that `apply` goes by are journaled as workflow.config, and read there and
// only there. Servers, secrets and timeouts are this process's alone: they decide how it acts, and
// are in no journal, no result and no log.
#pragma once
#include "tables.h"

typedef enum {
    WORKFLOW_TASK,
    WORKFLOW_EMAIL,
    WORKFLOW_WHATSAPP,
    WORKFLOW_AI,
    WORKFLOW_ACTION_COUNT
} workflow_action_t;

// Texts are the environment's own; NULL: not set.
typedef struct {
    const char *smtp_url; // smtp://host:port or smtps://
    const char *smtp_from;
    const char *smtp_user;
    const char *smtp_password;
    const char *whatsapp_url; // up to and with the version
    const char *whatsapp_phone_id;
    const char *whatsapp_token;
    const char *ai_url; // up to and with /v1
    const char *ai_model;
    const char *ai_key;
    const char *ca_file; // SSL_CERT_FILE: certificates to trust instead of the system's
    unsigned timeouts_ms[WORKFLOW_ACTION_COUNT];
} workflow_servers_t;

// Reads the environment, and says on the log what in it cannot be taken, or is ignored.
// BUS_VALIDATION_FAILED.
BUS_CHECK bus_err_t workflow_config_read(workflow_servers_t *ret_servers);

// Packs the switches. workflow_config_read came before, so that each can be read.
void workflow_config_pack(const service_options_t *options, pack_t *out);

// Applies workflow.config.
BUS_CHECK bus_err_t workflow_config_apply(service_apply_t *apply, const void *message);

typedef struct {
    bool enabled; // executes at all
    bool events;  // tells Bucket
    bool karma;   // tells Karma
} workflow_switches_t;
// What is in force; all on before the first, or where the record is damaged. BUS_IO.
BUS_CHECK bus_err_t workflow_config_get(store_txn_t *txn, workflow_switches_t *ret_switches);
