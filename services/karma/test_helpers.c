// test_helpers.c - users for tests, and the switch that enables them.
//
// They are journaled commands like the rest, so a rebuild makes and removes the same users. Whether
// they are enabled is journaled too (karma.config, said at each start): the same journal is applied
// alike by a Karma that was started otherwise.
#include "event.h"
#include "operations.h"
#include "user.h"

bus_err_t
karma_test_helpers_config(service_apply_t *self, const void *message_)
{
    const schema_karma_config_t *message = message_;
    return karma_tables_set_test_helpers(self->txn, message->test_helpers.value);
}

static bus_err_t
require_enabled(service_apply_t *self)
{
    bool enabled = false;
    bus_err_t err = karma_tables_test_helpers(self->txn, &enabled);
    if (err != BUS_OK || enabled) {
        return err;
    }
    return service_refuse(self, BUS_FORBIDDEN, "the test helpers are switched off", VIEW_NONE);
}

static bus_err_t
create(service_apply_t *self, const schema_test_create_user_t *message, karma_ledger_t *ret_ledger)
{
    pack_t *scratch = ((karma_state_t *) self->state)->record;
    karma_event_t event = {
        .seq = self->header->seq,
        .at = self->header->at,
        .role =
            message->role.data != NULL ? message->role : view_from_text(karma_rules.roles[0].word),
        .source = self->header->source,
        .trace_id = self->header->trace_id,
    };
    karma_ledger_init(ret_ledger, event.role, event.at);
    bus_err_t err = karma_user_save(self->txn, message->user_id, ret_ledger, scratch);
    if (err != BUS_OK) {
        return err;
    }
    return karma_event_put(self->txn, message->user_id, &event, scratch);
}

bus_err_t
karma_test_helpers_create(service_apply_t *self, const void *message_)
{
    const schema_test_create_user_t *message = message_;
    bus_err_t err = require_enabled(self);
    if (err != BUS_OK) {
        return err;
    }
    karma_ledger_t ledger;
    err = karma_user_load(self->txn, message->user_id, &ledger);
    if (err == BUS_NOT_FOUND) {
        err = create(self, message, &ledger);
    }
    if (err != BUS_OK) {
        return err;
    }
    pack_map(self->answer, 4);
    pack_pair_bool(self->answer, "success", true);
    pack_pair_str(self->answer, "user_id", message->user_id);
    pack_pair_str(self->answer, "role", karma_ledger_word_view(&ledger.role));
    pack_pair_text(self->answer, "message", "Test user created successfully");
    return BUS_OK;
}

bus_err_t
karma_test_helpers_delete(service_apply_t *self, const void *message_)
{
    const schema_test_delete_user_t *message = message_;
    bus_err_t err = require_enabled(self);
    if (err != BUS_OK) {
        return err;
    }
    err = store_del(self->txn, KARMA_USERS, message->user_id);
    if (err != BUS_OK && err != BUS_NOT_FOUND) {
        return err;
    }
    bool deleted = err == BUS_OK;
    if (deleted) {
        err = karma_event_clear(self->txn, message->user_id);
        if (err != BUS_OK) {
            return err;
        }
    }
    pack_map(self->answer, 2);
    pack_pair_bool(self->answer, "success", deleted);
    pack_pair_uint(self->answer, "deleted_count", deleted ? 1 : 0);
    return BUS_OK;
}

bus_err_t
karma_test_helpers_fix(service_apply_t *self, BUS_UNUSED const void *message)
{
    // The original's repaired times without a zone. Ours are microseconds since 1970: none has one.
    bus_err_t err = require_enabled(self);
    if (err != BUS_OK) {
        return err;
    }
    pack_map(self->answer, 3);
    pack_pair_bool(self->answer, "success", true);
    pack_pair_uint(self->answer, "fixed_count", 0);
    pack_pair_text(self->answer, "message", "Fixed 0 users");
    return BUS_OK;
}
