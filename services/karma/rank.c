// rank.c - the rankings' index, and the question of who is at the top of one.
//
// The index costs a delete and a put in two or three random places an event, which is most of what
// an event costs: hence one entry, not two, for those whose net karma is their merit. Whoever asks
// by merit or by net is answered from two lists merged.
#include "rank.h"
#include "intake.h"
#include "key.h"
#include "operations.h"
#include "user.h"

enum {
    RANKING_BOTH = 0,   // by merit, which is the net karma too
    RANKING_MERIT = 1,  // by merit, of the others
    RANKING_NET = 2,    // by net karma, of the others
    RANKING_TOKENS = 3, // and from here on, a token by the place of its first balance
    VALUE_PLACE = 1,    // in a key, behind the ranking's number
    USER_PLACE = VALUE_PLACE + KARMA_KEY_NUMBER_SIZE,
    RANK_KEY_MAX = USER_PLACE + KARMA_USER_ID_MAX,
    LIMIT_DEFAULT = 10
};

// A double as an integer that sorts alike: of a negative one all bits are turned, of another the
// sign alone.
static uint64_t
sortable(double value)
{
    const uint64_t sign = UINT64_C(1) << 63;
    double plain = value + 0.0; // -0 becomes 0
    uint64_t bits;
    memcpy(&bits, &plain, sizeof bits);
    return (bits & sign) != 0 ? ~bits : bits | sign;
}

static double
unsortable(uint64_t number)
{
    const uint64_t sign = UINT64_C(1) << 63;
    uint64_t bits = (number & sign) != 0 ? number ^ sign : ~number;
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

// --- The index -----------------------------------------------------------------------------------

// A user's entry in one ranking.
typedef struct {
    bool is_listed;
    double value;
} entry_t;

static entry_t
token_entry(const karma_ledger_t *ledger, size_t first)
{
    double sum = ledger->balance[first];
    for (size_t i = 1; i < karma_rules_class_count(first); i++) {
        sum = sum + ledger->balance[first + i];
    }
    return (entry_t){.is_listed = sum != 0.0, .value = sum};
}

static entry_t
entry_of(const karma_ledger_t *ledger, unsigned ranking)
{
    if (ledger == NULL) {
        return (entry_t){.is_listed = false};
    }
    if (ranking >= RANKING_TOKENS) {
        return token_entry(ledger, ranking - RANKING_TOKENS);
    }
    double merit = karma_ledger_merit(ledger);
    double net = karma_ledger_net(ledger);
    bool differ = sortable(merit) != sortable(net);
    return (entry_t){
        .is_listed = differ == (ranking != RANKING_BOTH),
        .value = ranking == RANKING_NET ? net : merit,
    };
}

static bus_view_t
make_key(unsigned ranking, double value, bus_view_t user_id, char ret_bytes[RANK_KEY_MAX])
{
    ret_bytes[0] = (char) ranking;
    karma_key_write(sortable(value), ret_bytes + VALUE_PLACE);
    memcpy(ret_bytes + USER_PLACE, user_id.data, user_id.size);
    return view_from(ret_bytes, USER_PLACE + user_id.size);
}

static bus_err_t
move_in(store_txn_t *txn,
        unsigned ranking,
        bus_view_t user_id,
        const karma_ledger_t *before,
        const karma_ledger_t *after)
{
    entry_t was = entry_of(before, ranking);
    entry_t is = entry_of(after, ranking);
    if (was.is_listed == is.is_listed && sortable(was.value) == sortable(is.value)) {
        return BUS_OK;
    }
    char bytes[RANK_KEY_MAX];
    if (was.is_listed) {
        bus_err_t err = store_del(txn, KARMA_RANKS, make_key(ranking, was.value, user_id, bytes));
        if (err != BUS_OK && err != BUS_NOT_FOUND) {
            return err;
        }
    }
    if (!is.is_listed) {
        return BUS_OK;
    }
    bus_view_t key = make_key(ranking, is.value, user_id, bytes);
    return store_put(txn, KARMA_RANKS, key, VIEW_LITERAL(""));
}

bus_err_t
karma_rank_move(store_txn_t *txn,
                bus_view_t user_id,
                const karma_ledger_t *before,
                const karma_ledger_t *after)
{
    bus_err_t err = BUS_OK;
    for (unsigned ranking = 0; ranking < RANKING_TOKENS && err == BUS_OK; ranking++) {
        err = move_in(txn, ranking, user_id, before, after);
    }
    for (size_t i = 0; i < KARMA_BALANCE_COUNT && err == BUS_OK; i += karma_rules_class_count(i)) {
        err = move_in(txn, RANKING_TOKENS + (unsigned) i, user_id, before, after);
    }
    return err;
}

// --- The question --------------------------------------------------------------------------------

// The ranking of that word. False: there is none.
static bool
find_ranking(bus_view_t word, unsigned *ret_ranking)
{
    *ret_ranking = RANKING_MERIT;
    if (word.data == NULL || view_is(word, "merit")) {
        return true;
    }
    *ret_ranking = RANKING_NET;
    if (view_is(word, "net")) {
        return true;
    }
    for (size_t i = 0; i < KARMA_BALANCE_COUNT; i += karma_rules_class_count(i)) {
        *ret_ranking = RANKING_TOKENS + (unsigned) i;
        if (view_is(word, karma_rules.balances[i].token)) {
            return true;
        }
    }
    return false;
}

// A ranking that is read from its end backwards.
typedef struct {
    store_cursor_t *cursor; // owned
    unsigned ranking;
    bool is_over;
    bus_view_t key;
} descent_t;

// Stands on the entry that `err` says was found, or is over.
static bus_err_t
settle(descent_t *self, bus_err_t err)
{
    const char own = (char) self->ranking;
    self->is_over = err != BUS_OK || !view_starts(self->key, view_from(&own, 1));
    if (!self->is_over && self->key.size <= USER_PLACE) {
        return BUS_CORRUPT;
    }
    return err == BUS_NOT_FOUND ? BUS_OK : err;
}

static bus_err_t
descend_from_end(store_txn_t *txn, descent_t *self)
{
    const char behind = (char) (self->ranking + 1);
    bus_err_t err = store_cursor_open(txn, KARMA_RANKS, &self->cursor);
    if (err != BUS_OK) {
        return err;
    }
    bus_view_t unused;
    err = store_seek(self->cursor, view_from(&behind, 1), &self->key, &unused);
    if (err == BUS_OK) {
        err = store_prev(self->cursor, &self->key, &unused);
    } else if (err == BUS_NOT_FOUND) {
        err = store_last(self->cursor, &self->key, &unused);
    }
    return settle(self, err);
}

static bus_err_t
descend(descent_t *self)
{
    bus_view_t unused;
    return settle(self, store_prev(self->cursor, &self->key, &unused));
}

static bus_err_t
pack_one(service_query_t *self, uint64_t rank, bus_view_t key)
{
    bus_view_t user_id = view_from(key.data + USER_PLACE, key.size - USER_PLACE);
    karma_ledger_t ledger;
    bus_err_t err = karma_user_load(self->txn, user_id, &ledger);
    if (err != BUS_OK) {
        return err == BUS_NOT_FOUND ? BUS_CORRUPT : err; // the index says that they are there
    }
    pack_t *out = self->answer;
    pack_map(out, 6);
    pack_pair_uint(out, "rank", rank);
    pack_pair_str(out, "user_id", user_id);
    pack_pair_str(out, "role", karma_ledger_word_view(&ledger.role));
    pack_pair_real(out, "value", unsortable(karma_key_read(key.data + VALUE_PLACE)));
    pack_pair_real(out, "merit_score", karma_ledger_merit(&ledger));
    pack_pair_real(out, "net_karma", karma_ledger_net(&ledger));
    return BUS_OK;
}

// Which of the two comes first: the higher value, of equals the later user_id.
static descent_t *
higher(descent_t *a, descent_t *b)
{
    if (a->is_over || b->is_over) {
        return a->is_over ? b : a;
    }
    size_t a_size = a->key.size - VALUE_PLACE;
    size_t b_size = b->key.size - VALUE_PLACE;
    int order = memcmp(
        a->key.data + VALUE_PLACE, b->key.data + VALUE_PLACE, a_size < b_size ? a_size : b_size);
    return order > 0 || (order == 0 && a_size > b_size) ? a : b;
}

// Packs the highest of two rankings together; `b` may be over from the start.
static bus_err_t
pack_highest(service_query_t *self, descent_t *a, descent_t *b, uint64_t limit)
{
    pack_t *out = self->answer;
    size_t place = pack_array_begin(out);
    uint32_t count = 0;
    while (count < limit && !(a->is_over && b->is_over)) {
        descent_t *next = higher(a, b);
        bus_err_t err = pack_one(self, ++count, next->key);
        if (err == BUS_OK) {
            err = descend(next);
        }
        if (err != BUS_OK) {
            return err;
        }
    }
    pack_count(out, place, count);
    return BUS_OK;
}

static bus_err_t
pack_users(service_query_t *self, unsigned ranking, uint64_t limit)
{
    bool is_token = ranking >= RANKING_TOKENS;
    descent_t own = {.ranking = ranking};
    descent_t both = {.ranking = RANKING_BOTH, .is_over = is_token};
    bus_err_t err = descend_from_end(self->txn, &own);
    if (err == BUS_OK && !is_token) {
        err = descend_from_end(self->txn, &both);
    }
    if (err == BUS_OK) {
        err = pack_highest(self, &own, &both, limit);
    }
    store_cursor_destroy(&own.cursor);
    store_cursor_destroy(&both.cursor);
    return err;
}

bus_err_t
karma_rank_top(service_query_t *self, const void *message_)
{
    const schema_karma_top_query_t *message = message_;
    unsigned ranking = 0;
    if (!find_ranking(message->by, &ranking)) {
        return karma_intake_refuse_asked(self, "by", "is neither merit nor net nor a token");
    }
    uint64_t limit = message->limit.has ? (uint64_t) message->limit.value : LIMIT_DEFAULT;
    pack_t *out = self->answer;
    pack_map(out, 2);
    pack_pair_str(out, "by", message->by.data != NULL ? message->by : VIEW_LITERAL("merit"));
    pack_text(out, "users");
    return pack_users(self, ranking, limit);
}
