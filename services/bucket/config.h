// config.h - what Bucket was started with, journaled as bucket.config: the owner's public key, whom
// to write to, the quotas. `apply` reads it there and only there.
#pragma once
#include "runtime/owner.h"
#include "runtime/service.h"
#include "tables.h"

// Whether the environment can be read: says on the log which variable cannot. Before anything else
// at start. BUS_VALIDATION_FAILED.
BUS_CHECK bus_err_t bucket_config_check(void);
// Packs it, from the environment (BHIV_ADVISOR_EMAIL, BHIV_EXECUTOR_EMAIL, BHIV_OWNER_EMAIL,
// BHIV_BUCKET_QUOTAS="ai_assistant=400GB,…") and <dir>/owner.token.
void bucket_config_pack(const service_options_t *options, pack_t *out);
// Applies bucket.config: keeps it, audits it.
BUS_CHECK bus_err_t bucket_config_apply(service_apply_t *apply, const void *message);

// What is in force. BUS_NOT_FOUND before the first, or where the record is damaged, and then the
// defaults; BUS_IO.
typedef struct {
    bool has_owner;                    // owner_key is set
    uint8_t owner_key[OWNER_KEY_SIZE]; // of the owner's commands
    bus_view_t advisor_email;          // absent: nobody is told. Views into the store
    bus_view_t executor_email;
    bus_view_t owner_email;
    uint64_t quotas[CHANNEL_PRODUCT_COUNT]; // bytes
} bucket_config_t;
BUS_CHECK bus_err_t bucket_config_get(store_txn_t *txn, bucket_config_t *ret_config);

// Whether the record being applied is the owner's: a good signature, its time within five minutes
// of the journal's and later than the last. Otherwise refuses it (refusal_owner_only) and returns
// what it was refused with.
BUS_CHECK bus_err_t bucket_config_require_owner(service_apply_t *apply, const char *operation);

// The same question for what is no record: a command, its time now (microseconds), and signed_at of
// the owner's last one.
typedef struct {
    bus_view_t topic;
    bus_view_t body;
    uint64_t at;
    uint64_t last;
} bucket_config_command_t;
bool bucket_config_is_owner(const bucket_config_t *config,
                            const bucket_config_command_t *command,
                            uint64_t *ret_signed_at);
