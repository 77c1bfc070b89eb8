// config.c - what Bucket was started with. See config.h.
//
// The record in force is kept as it was journaled, and read leniently: what it lacks is its
// default. A start is strict: a word that cannot be read is named, and Bucket does not start.
#include "config.h"

#include "audit.h"
#include "governance.h"
#include "proto/note.h"
#include "proto/walk.h"
#include "runtime/log.h"

#include <assert.h>
#include <ctype.h>
#include <stdlib.h>

#define CONFIG_KEY VIEW_LITERAL("config")
#define GIGABYTE UINT64_C(1000000000) // disks are sold, and quotas promised, in decimal ones

enum {
    EMAIL_SIZE_MAX = 254, // RFC 5321
    KEY_TEXT_SIZE = 44,   // base64 of OWNER_KEY_SIZE bytes
    VALUE_SHOWN_MAX = 96, // of a bad value in the log
};

static const uint64_t default_quotas[CHANNEL_PRODUCT_COUNT] = {
    [CHANNEL_AI_ASSISTANT] = 400 * GIGABYTE,
    [CHANNEL_AI_AVATAR] = 300 * GIGABYTE,
    [CHANNEL_GURUKUL] = 200 * GIGABYTE,
    [CHANNEL_ENFORCEMENT] = 100 * GIGABYTE,
};

static const struct {
    const char *variable;
    const char *field;
} emails[] = {
    {"BHIV_ADVISOR_EMAIL", "advisor_email"},
    {"BHIV_EXECUTOR_EMAIL", "executor_email"},
    {"BHIV_OWNER_EMAIL", "owner_email"},
};
enum { EMAIL_COUNT = sizeof emails / sizeof emails[0] };

// --- From the environment ------------------------------------------------------------------------

// Its value; absent where it is not set, or set to nothing.
static bus_view_t
variable(const char *name)
{
    bus_view_t value = view_from_text(getenv(name));
    return value.size == 0 ? VIEW_NONE : value;
}

// One address and nothing else: what could end a header line, or name a second recipient, is none.
static bool
is_email(bus_view_t text)
{
    const char *at = text.size == 0 ? NULL : memchr(text.data, '@', text.size);
    if (text.size > EMAIL_SIZE_MAX || at == NULL || at == text.data ||
        at == text.data + text.size - 1 || !walk_utf8(text)) {
        return false;
    }
    for (size_t i = 0; i < text.size; i++) {
        unsigned char byte = (unsigned char) text.data[i];
        bool is_second = byte == '@' && text.data + i != at;
        if (byte <= ' ' || byte == 0x7f || strchr(",;<>\"\\()", byte) != NULL || is_second) {
            return false;
        }
    }
    return true;
}

// The bytes that a unit stands for; 0: there is no such unit.
static uint64_t
unit_bytes(bus_view_t unit)
{
    static const struct {
        const char *name;
        uint64_t bytes;
    } units[] = {
        {"", 1},
        {"B", 1},
        {"KB", 1000},
        {"MB", 1000000},
        {"GB", GIGABYTE},
        {"TB", 1000 * GIGABYTE},
        {"KiB", UINT64_C(1) << 10},
        {"MiB", UINT64_C(1) << 20},
        {"GiB", UINT64_C(1) << 30},
        {"TiB", UINT64_C(1) << 40},
    };
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (view_equal(unit, view_from_text(units[i].name))) {
            return units[i].bytes;
        }
    }
    return 0;
}

// "400GB" as bytes.
static bool
read_bytes(bus_view_t text, uint64_t *ret_bytes)
{
    uint64_t number = 0;
    size_t digits = 0;
    while (digits < text.size && isdigit((unsigned char) text.data[digits])) {
        uint64_t digit = (uint64_t) (text.data[digits] - '0');
        if (number > ((uint64_t) INT64_MAX - digit) / 10) {
            return false;
        }
        number = number * 10 + digit;
        digits++;
    }
    uint64_t unit = unit_bytes(view_from(text.data + digits, text.size - digits));
    if (digits == 0 || unit == 0 || number > (uint64_t) INT64_MAX / unit) {
        return false;
    }
    *ret_bytes = number * unit;
    return true;
}

// One "product=bytes", not named before. *seen has a bit for each product.
static bool
read_quota(bus_view_t part, unsigned *seen, uint64_t quotas[CHANNEL_PRODUCT_COUNT])
{
    const char *equals = part.size == 0 ? NULL : memchr(part.data, '=', part.size);
    if (equals == NULL) {
        return false;
    }
    size_t name_size = (size_t) (equals - part.data);
    channel_product_t product = channel_product(view_from(part.data, name_size));
    if (product == CHANNEL_PRODUCT_COUNT || (*seen & (1u << product)) != 0) {
        return false;
    }
    *seen |= 1u << product;
    return read_bytes(view_from(equals + 1, part.size - name_size - 1), &quotas[product]);
}

// "ai_assistant=400GB,gurukul=200GB": the named ones, the others as they are.
static bool
read_quotas(bus_view_t text, uint64_t quotas[CHANNEL_PRODUCT_COUNT])
{
    unsigned seen = 0;
    while (text.size > 0) {
        const char *comma = memchr(text.data, ',', text.size);
        size_t size = comma == NULL ? text.size : (size_t) (comma - text.data);
        bool is_last = comma == NULL;
        if (!read_quota(view_from(text.data, size), &seen, quotas)) {
            return false;
        }
        if (!is_last && size + 1 == text.size) {
            return false; // a comma with nothing behind it
        }
        size += is_last ? 0 : 1;
        text = view_from(text.data + size, text.size - size);
    }
    return true;
}

static bus_err_t
refuse_variable(const char *name, const char *problem)
{
    char shown[VALUE_SHOWN_MAX];
    log_error("config_refused",
              "variable=%s value=%s problem=%s",
              name,
              log_escape(variable(name), shown, sizeof shown),
              problem);
    return BUS_VALIDATION_FAILED;
}

bus_err_t
bucket_config_check(void)
{
    uint64_t quotas[CHANNEL_PRODUCT_COUNT];
    if (!read_quotas(variable("BHIV_BUCKET_QUOTAS"), quotas)) {
        return refuse_variable("BHIV_BUCKET_QUOTAS", "want_like_ai_assistant=400GB,gurukul=1TB");
    }
    for (size_t i = 0; i < EMAIL_COUNT; i++) {
        bus_view_t value = variable(emails[i].variable);
        if (value.data != NULL && !is_email(value)) {
            return refuse_variable(emails[i].variable, "want_one_plain_address");
        }
    }
    return BUS_OK;
}

// --- As a record ---------------------------------------------------------------------------------

// The public key that goes with <dir>/owner.token, as text; an absent view where there is none.
static bus_view_t
owner_key(const char *dir, text_t *out)
{
    char token[OWNER_TOKEN_SIZE_MAX + 1];
    bus_err_t err = owner_read_token(dir, token);
    if (err != BUS_OK) {
        log_warning(
            "owner_unknown", "file=owner.token error=%s owner_commands=refused", error_text(err));
        return VIEW_NONE;
    }
    uint8_t key[OWNER_KEY_SIZE];
    owner_public_key(view_from_text(token), key);
    explicit_bzero(token, sizeof token);
    note_base64(view_from(key, sizeof key), out);
    return text_view(out);
}

static void
pack_quotas(const uint64_t quotas[CHANNEL_PRODUCT_COUNT], pack_t *out)
{
    pack_text(out, "quotas");
    pack_map(out, CHANNEL_PRODUCT_COUNT);
    for (unsigned product = 0; product < CHANNEL_PRODUCT_COUNT; product++) {
        pack_pair_uint(out, channel_product_name(product), quotas[product]);
    }
}

void
bucket_config_pack(const service_options_t *options, pack_t *out)
{
    BUS_AUTO(text_destroy) text_t *text = text_new();
    bus_view_t key = owner_key(options->dir, text);
    uint64_t quotas[CHANNEL_PRODUCT_COUNT];
    memcpy(quotas, default_quotas, sizeof quotas);
    bool is_read = read_quotas(variable("BHIV_BUCKET_QUOTAS"), quotas);
    assert(is_read); // bucket_config_check came before
    size_t place = pack_map_begin(out);
    uint32_t count = 1;
    if (key.data != NULL) {
        pack_pair_str(out, "owner_key", key);
        count++;
    }
    for (size_t i = 0; i < EMAIL_COUNT; i++) {
        bus_view_t value = variable(emails[i].variable);
        if (value.data != NULL) {
            pack_pair_str(out, emails[i].field, value);
            count++;
        }
    }
    pack_quotas(quotas, out);
    pack_count(out, place, count);
}

static bool
decode_key(bus_view_t text, uint8_t ret_key[OWNER_KEY_SIZE])
{
    size_t size = 0;
    return text.size == KEY_TEXT_SIZE &&
           note_unbase64(text, ret_key, OWNER_KEY_SIZE, &size) == BUS_OK && size == OWNER_KEY_SIZE;
}

static void
decode_quotas(bus_view_t map, uint64_t quotas[CHANNEL_PRODUCT_COUNT])
{
    memcpy(quotas, default_quotas, sizeof default_quotas);
    for (unsigned product = 0; product < CHANNEL_PRODUCT_COUNT; product++) {
        bus_view_t value;
        uint64_t bytes;
        if (walk_find(map, channel_product_name(product), &value) == BUS_OK &&
            walk_as_uint(value, &bytes) == BUS_OK && bytes <= INT64_MAX) {
            quotas[product] = bytes;
        }
    }
}

static void
decode(const schema_bucket_config_t *stored, bucket_config_t *ret_config)
{
    *ret_config = (bucket_config_t){
        .advisor_email = is_email(stored->advisor_email) ? stored->advisor_email : VIEW_NONE,
        .executor_email = is_email(stored->executor_email) ? stored->executor_email : VIEW_NONE,
        .owner_email = is_email(stored->owner_email) ? stored->owner_email : VIEW_NONE,
    };
    ret_config->has_owner = decode_key(stored->owner_key, ret_config->owner_key);
    decode_quotas(stored->quotas, ret_config->quotas);
}

bus_err_t
bucket_config_get(store_txn_t *txn, bucket_config_t *ret_config)
{
    *ret_config = (bucket_config_t){.has_owner = false};
    memcpy(ret_config->quotas, default_quotas, sizeof default_quotas);
    bus_view_t value;
    bus_err_t err = store_get(txn, BUCKET_TOTALS, CONFIG_KEY, &value);
    schema_bucket_config_t stored = {.quotas = VIEW_NONE};
    schema_problems_t problems = {.count = 0};
    if (err == BUS_OK) {
        err = schema_decode(&SCHEMA_bucket_config, value, &stored, &problems);
    }
    if (err == BUS_OK) {
        decode(&stored, ret_config);
    } else if (err == BUS_CORRUPT || err == BUS_VALIDATION_FAILED) {
        // Nobody is the owner then; the next start with another configuration writes it anew.
        log_error("config_damaged", "consequence=defaults");
        return BUS_NOT_FOUND;
    }
    return err;
}

bus_err_t
bucket_config_apply(service_apply_t *apply, const void *message)
{
    const schema_bucket_config_t *asked = message;
    bucket_config_t config;
    decode(asked, &config);
    bus_err_t err = store_put(apply->txn, BUCKET_TOTALS, CONFIG_KEY, apply->body);
    if (err != BUS_OK) {
        return err;
    }
    // Addresses are in force, but nobody's business who reads the log.
    BUS_AUTO(pack_destroy) pack_t *details = pack_new();
    pack_map(details, 3);
    pack_pair_str(details, "owner_key", config.has_owner ? asked->owner_key : VIEW_NONE);
    pack_pair_uint(details,
                   "addresses",
                   (config.advisor_email.data != NULL ? 1u : 0u) +
                       (config.executor_email.data != NULL ? 1u : 0u) +
                       (config.owner_email.data != NULL ? 1u : 0u));
    pack_quotas(config.quotas, details);
    const bucket_audit_t entry = {
        .event_type = "governance",
        .operation = "config",
        .details = pack_view(details),
    };
    bucket_audit_place_t place;
    return bucket_audit_add(apply, &entry, &place);
}

// --- The owner -----------------------------------------------------------------------------------

bool
bucket_config_is_owner(const bucket_config_t *config,
                       const bucket_config_command_t *command,
                       uint64_t *ret_signed_at)
{
    uint64_t signed_at = 0;
    if (!config->has_owner ||
        owner_verify(config->owner_key, command->topic, command->body, &signed_at) != BUS_OK) {
        return false;
    }
    bool is_near =
        signed_at <= command->at + OWNER_WINDOW_US && command->at <= signed_at + OWNER_WINDOW_US;
    if (!is_near || signed_at <= command->last) {
        return false;
    }
    *ret_signed_at = signed_at;
    return true;
}

bus_err_t
bucket_config_require_owner(service_apply_t *apply, const char *operation)
{
    bucket_state_t *state = apply->state;
    bucket_config_t config = {.has_owner = false};
    bus_err_t err = bucket_config_get(apply->txn, &config);
    if (err == BUS_IO) {
        return err;
    }
    // Without a configuration, or with a damaged one, nobody is the owner.
    const bucket_config_command_t command = {
        .topic = apply->topic,
        .body = apply->body,
        .at = apply->header->at,
        .last = state->totals.owner_at,
    };
    uint64_t signed_at = 0;
    if (!bucket_config_is_owner(&config, &command, &signed_at)) {
        return bucket_governance_refuse_row(apply, &refusal_owner_only, operation, apply->body);
    }
    state->totals.owner_at = signed_at; // used up, whatever comes of it
    return bucket_tables_save(apply->txn, &state->totals);
}
