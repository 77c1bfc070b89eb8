// test_helpers.c - users for tests, and the switch that enables them.
//
// They are journaled commands like the rest, so a rebuild makes and removes the same users. Whether
// they are enabled is journaled too (karma.config, said at each start): the same journal is applied
// alike by a Karma that was started otherwise.
#include "booking.h"
#include "intake.h"
#include "operations.h"

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
    karma_event_t event = karma_intake_event(self, self->header->at, VIEW_NONE);
    event.role =
        message->role.data != NULL ? message->role : view_from_text(karma_rules.roles[0].word);
    karma_ledger_init(ret_ledger, event.role, event.at);
    return karma_booking_create(self, message->user_id, ret_ledger, &event);
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
    err = karma_intake_user(self, message->user_id, &ledger);
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
    karma_ledger_t ledger;
    err = karma_intake_user(self, message->user_id, &ledger);
    bool deleted = err == BUS_OK;
    if (deleted) {
        err = karma_booking_remove(self, message->user_id, &ledger);
    }
    if (err != BUS_OK && err != BUS_NOT_FOUND) {
        return err;
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
