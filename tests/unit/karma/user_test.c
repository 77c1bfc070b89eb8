// user_test.c - a user's record: the same bytes as another msgpack writes, and back to the last
// bit.
#include "help.h"
#include "karma/user.h"
#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

static karma_ledger_t
full(void)
{
    karma_ledger_t ledger;
    karma_ledger_init(&ledger, view_from_text("employee"), T0);
    ledger.decayed_at = T0 + 12345;
    ledger.actions = UINT64_C(1) << 40;
    ledger.ladder = KARMA_ROLE_GURU;
    ledger.role = karma_ledger_word(view_from_text("guru"));
    for (size_t i = 0; i < KARMA_BALANCE_COUNT; i++) {
        ledger.balance[i] = nextafter(0.1 * (double) i, 9.0) * (i % 2 == 0 ? 1.0 : -1.0);
    }
    ledger.balance[0] = 0x1p-1074;
    ledger.cheat_count = KARMA_CHEATS_MAX;
    for (size_t i = 0; i < KARMA_CHEATS_MAX; i++) {
        ledger.cheat[i] = T0 + i;
    }
    return ledger;
}

Test(user, hashes_as_python_does)
{
    // hashlib.sha256(msgpack.packb([2, T0, T0, 0, 0, "employee", "employee", [0] * 13, [], 0, 0,
    // 0]))
    karma_ledger_t ledger;
    char hash[KARMA_HASH_SIZE];
    karma_ledger_init(&ledger, view_from_text("employee"), T0);
    karma_user_hash(&ledger, hash);
    cr_assert_str_eq(hash, "05bfffcdab94144404031b07ba9f74e6399ecad1a04334a4d24e56094196682b");

    // … [2, T0, T0, 2, 0, "learner", "learner", [-7.0, 0 …], [T0, T0 + 1], 0, 0, 0]
    karma_ledger_init(&ledger, view_from_text("learner"), T0);
    ledger.actions = 2;
    ledger.balance[0] = -7.0;
    ledger.cheat_count = 2;
    ledger.cheat[0] = T0;
    ledger.cheat[1] = T0 + 1;
    karma_user_hash(&ledger, hash);
    cr_assert_str_eq(hash, "dc92eaa544af44094e3847382f2c7b1ce49064c03b6f1db8d75aec345438a383");
}

// As it stands in the store.
static void
encode(const karma_ledger_t *ledger, pack_t *out)
{
    karma_user_encode(ledger, out);
    pack_uint(out, ledger->last_event);
}

Test(user, comes_back_to_the_last_bit)
{
    karma_ledger_t ledger = full();
    karma_ledger_t back;
    BUS_AUTO(pack_destroy) pack_t *record = pack_new();
    BUS_AUTO(pack_destroy) pack_t *again = pack_new();
    encode(&ledger, record);
    cr_assert_eq(karma_user_decode(pack_view(record), &back), BUS_OK);
    cr_assert_eq(memcmp(back.balance, ledger.balance, sizeof back.balance), 0);
    cr_assert_eq(memcmp(back.cheat, ledger.cheat, sizeof back.cheat), 0);
    encode(&back, again);
    cr_assert(view_equal(pack_view(record), pack_view(again)));
}

Test(user, is_refused_where_the_record_is_cut_or_grown)
{
    karma_ledger_t ledger = full();
    karma_ledger_t back;
    BUS_AUTO(pack_destroy) pack_t *record = pack_new();
    encode(&ledger, record);
    bus_view_t bytes = pack_view(record);
    for (size_t size = 0; size < bytes.size; size++) {
        cr_assert_eq(karma_user_decode(view_from(bytes.data, size), &back), BUS_CORRUPT);
    }
    pack_nil(record);
    cr_assert_eq(karma_user_decode(pack_view(record), &back), BUS_CORRUPT);
}

static void
assert_refused(uint64_t version, uint64_t ladder, const char *role, uint32_t cheats)
{
    karma_ledger_t back;
    BUS_AUTO(pack_destroy) pack_t *record = pack_new();
    pack_array(record, 12);
    pack_uint(record, version);
    pack_uint(record, 1);
    pack_uint(record, 1);
    pack_uint(record, 1);
    pack_uint(record, ladder);
    pack_text(record, role);
    pack_text(record, "x");
    pack_array(record, 0);
    pack_array(record, cheats);
    for (uint32_t i = 0; i < cheats; i++) {
        pack_uint(record, i);
    }
    for (unsigned i = 0; i < 4; i++) {
        pack_uint(record, 0);
    }
    cr_assert_eq(karma_user_decode(pack_view(record), &back), BUS_CORRUPT);
}

Test(user, is_refused_where_the_record_holds_what_cannot_be)
{
    karma_ledger_t back;
    assert_refused(1, 0, "x", 0);
    assert_refused(2, KARMA_ROLE_COUNT, "x", 0);
    assert_refused(2, 0, "", 0);
    assert_refused(2, 0, "x", KARMA_CHEATS_MAX + 1);
    cr_assert_eq(karma_user_decode(VIEW_LITERAL("\xc0"), &back), BUS_CORRUPT);
    cr_assert_eq(karma_user_decode(VIEW_LITERAL(""), &back), BUS_CORRUPT);
}
