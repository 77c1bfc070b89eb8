// schema.c - the tables of schema/ as data. No logic is generated: the functions below are ordinary
// loops over the rows.
#include "schema.h"
#include "limits.h"
#include "walk.h"
#include <assert.h>
#include <math.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define REQUIRED true
#define OPTIONAL false

// First the rows of each message …
#define MESSAGE(name, topic, meaning) static const schema_field_t name##_fields[] = {
#define FIELD(message, field, type, need, min, max, meaning)                                       \
    {#field, SCHEMA_##type, need, min, max, offsetof(schema_##message##_t, field), meaning},
#define END(name)                                                                                  \
    }                                                                                              \
    ;
#include "schema/messages.def"
#undef MESSAGE
#undef FIELD
#undef END

// … then the message over them …
#define MESSAGE(name, topic, meaning)                                                              \
    const schema_t SCHEMA_##name = {                                                               \
        #name, topic, meaning, sizeof(schema_##name##_t), name##_fields, COUNT(name##_fields)};
#define FIELD(message, field, type, need, min, max, meaning)
#define END(name)
#include "schema/messages.def"
#undef MESSAGE

// … then all of them.
#define MESSAGE(name, topic, meaning) &SCHEMA_##name,
const schema_t *const schema_all[] = {
#include "schema/messages.def"
};
#undef MESSAGE
#undef FIELD
#undef END
const size_t schema_count = COUNT(schema_all);

// Most rows of a message: what decoding keeps on its stack. A row above it fails an assertion in
// the first test that touches the message.
enum { FIELDS_MAX = 64 };

static void
report(schema_problems_t *problems, const char *field, const char *problem)
{
    if (problems->count < SCHEMA_PROBLEMS_MAX) {
        problems->at[problems->count++] = (schema_problem_t){.field = field, .problem = problem};
    }
}

// Where each field's value lies in `body`; absent and nil are absent views. False where `body` is
// no map. Of a key that stands twice, which only a live body can have, the first counts.
static bool
find_values(const schema_t *schema, bus_view_t body, bus_view_t *ret_values)
{
    walk_t walk = walk_from(body);
    walk_item_t head;
    if (walk_next(&walk, &head) != BUS_OK || head.type != WALK_MAP) {
        return false;
    }
    for (uint32_t pair = 0; pair < head.count; pair++) {
        bus_view_t key;
        bus_view_t name;
        bus_view_t value;
        if (walk_skip(&walk, &key) != BUS_OK || walk_skip(&walk, &value) != BUS_OK) {
            return false;
        }
        if (walk_as_str(key, &name) != BUS_OK) {
            continue;
        }
        for (size_t i = 0; i < schema->field_count; i++) {
            if (ret_values[i].data == NULL && view_is(name, schema->fields[i].name)) {
                ret_values[i] = value;
                break;
            }
        }
    }
    return true;
}

// The decode_… functions read a value that is there into its field, and say what is wrong with it,
// or NULL.
static const char *
decode_str(const schema_field_t *field, bus_view_t value, bus_view_t *ret)
{
    bus_view_t text;
    if (walk_as_str(value, &text) != BUS_OK) {
        return "must be a string";
    }
    if (!walk_utf8(text)) {
        return "must be UTF-8";
    }
    if (text.size < (size_t) field->min) {
        return text.size == 0 ? "must not be empty" : "is too short";
    }
    if (field->max > 0 && text.size > (size_t) field->max) {
        return "is too long";
    }
    *ret = text;
    return NULL;
}

static const char *
decode_int(const schema_field_t *field, const walk_item_t *item, schema_int_t *ret)
{
    if (item->type != WALK_INT && item->type != WALK_UINT) {
        return "must be an integer";
    }
    bool any = field->min == 0 && field->max == 0;
    if (item->type == WALK_UINT ||
        (!any && (item->integer < field->min || item->integer > field->max))) {
        return "is out of range";
    }
    *ret = (schema_int_t){.has = true, .value = item->integer};
    return NULL;
}

static const char *
decode_real(const schema_field_t *field, bus_view_t value, schema_real_t *ret)
{
    double real;
    if (walk_as_real(value, &real) != BUS_OK) {
        return "must be a number";
    }
    bool any = field->min == 0 && field->max == 0;
    if (!isfinite(real) || (!any && (real < (double) field->min || real > (double) field->max))) {
        return "is out of range";
    }
    *ret = (schema_real_t){.has = true, .value = real};
    return NULL;
}

static const char *
decode_bool(const walk_item_t *item, schema_bool_t *ret)
{
    if (item->type != WALK_BOOL) {
        return "must be true or false";
    }
    *ret = (schema_bool_t){.has = true, .value = item->boolean};
    return NULL;
}

static const char *
decode_bytes(const schema_field_t *field, bus_view_t value, bus_view_t *ret)
{
    if (field->max > 0 && value.size > (size_t) field->max) {
        return "is too long";
    }
    *ret = value;
    return NULL;
}

static const char *
decode_field(const schema_field_t *field, bus_view_t value, void *ret)
{
    walk_t walk = walk_from(value);
    walk_item_t item;
    if (walk_next(&walk, &item) != BUS_OK) {
        return "is broken";
    }
    switch (field->type) {
    case SCHEMA_STR:
        return decode_str(field, value, ret);
    case SCHEMA_INT:
        return decode_int(field, &item, ret);
    case SCHEMA_REAL:
        return decode_real(field, value, ret);
    case SCHEMA_BOOL:
        return decode_bool(&item, ret);
    case SCHEMA_MAP:
        return item.type == WALK_MAP ? decode_bytes(field, value, ret) : "must be a map";
    case SCHEMA_ARRAY:
        return item.type == WALK_ARRAY ? decode_bytes(field, value, ret) : "must be an array";
    case SCHEMA_ANY:
        return decode_bytes(field, value, ret);
    case SCHEMA_TEXTMAP:
        return item.type == WALK_MAP || item.type == WALK_STR ? decode_bytes(field, value, ret)
                                                              : "must be a map or a string";
    }
    return "is broken";
}

static bool
is_nil(bus_view_t value)
{
    return value.size == 1 && (uint8_t) value.data[0] == 0xc0;
}

bus_err_t
schema_decode(const schema_t *schema,
              bus_view_t body,
              void *ret_struct,
              schema_problems_t *reterr_problems)
{
    assert(schema->field_count <= FIELDS_MAX);
    bus_view_t values[FIELDS_MAX] = {{0}};
    memset(ret_struct, 0, schema->size);
    reterr_problems->count = 0;
    if (!find_values(schema, body, values)) {
        report(reterr_problems, "body", "must be a map");
        return BUS_VALIDATION_FAILED;
    }
    for (size_t i = 0; i < schema->field_count; i++) {
        const schema_field_t *field = &schema->fields[i];
        const char *problem = NULL;
        if (values[i].data == NULL || is_nil(values[i])) {
            problem = field->required ? "is required" : NULL;
        } else {
            problem = decode_field(field, values[i], (char *) ret_struct + field->offset);
        }
        if (problem != NULL) {
            report(reterr_problems, field->name, problem);
        }
    }
    return reterr_problems->count == 0 ? BUS_OK : BUS_VALIDATION_FAILED;
}

static bool
has_value(const schema_field_t *field, const void *at)
{
    switch (field->type) {
    case SCHEMA_INT:
        return ((const schema_int_t *) at)->has;
    case SCHEMA_REAL:
        return ((const schema_real_t *) at)->has;
    case SCHEMA_BOOL:
        return ((const schema_bool_t *) at)->has;
    case SCHEMA_STR:
    case SCHEMA_MAP:
    case SCHEMA_ARRAY:
    case SCHEMA_ANY:
    case SCHEMA_TEXTMAP:
        return ((const bus_view_t *) at)->data != NULL;
    }
    return false;
}

static void
encode_field(const schema_field_t *field, const void *at, pack_t *out)
{
    switch (field->type) {
    case SCHEMA_INT:
        pack_pair_int(out, field->name, ((const schema_int_t *) at)->value);
        break;
    case SCHEMA_REAL:
        pack_pair_real(out, field->name, ((const schema_real_t *) at)->value);
        break;
    case SCHEMA_BOOL:
        pack_pair_bool(out, field->name, ((const schema_bool_t *) at)->value);
        break;
    case SCHEMA_STR:
        pack_pair_str(out, field->name, *(const bus_view_t *) at);
        break;
    case SCHEMA_MAP:
    case SCHEMA_ARRAY:
    case SCHEMA_ANY:
    case SCHEMA_TEXTMAP:
        pack_pair_raw(out, field->name, *(const bus_view_t *) at);
        break;
    }
}

void
schema_encode(const schema_t *schema, const void *struct_, pack_t *out)
{
    uint32_t count = 0;
    for (size_t i = 0; i < schema->field_count; i++) {
        const schema_field_t *field = &schema->fields[i];
        count += has_value(field, (const char *) struct_ + field->offset);
    }
    pack_map(out, count);
    for (size_t i = 0; i < schema->field_count; i++) {
        const schema_field_t *field = &schema->fields[i];
        const void *at = (const char *) struct_ + field->offset;
        if (has_value(field, at)) {
            encode_field(field, at, out);
        }
    }
}

void
schema_pack_problems(const schema_problems_t *problems, pack_t *out)
{
    pack_array(out, (uint32_t) problems->count);
    for (size_t i = 0; i < problems->count; i++) {
        pack_map(out, 2);
        pack_pair_text(out, "field", problems->at[i].field);
        pack_pair_text(out, "problem", problems->at[i].problem);
    }
}

void
schema_pack_error(
    pack_t *out, bus_err_t err, const char *message, bus_view_t details, unsigned retry_after_s)
{
    const schema_error_t error = {
        .status = VIEW_LITERAL("error"),
        .error_code = view_from_text(error_text(err)),
        .message = view_from_text(message != NULL ? message : error_meaning(err)),
        .details = details,
        .retry_after = {.has = retry_after_s > 0, .value = retry_after_s},
    };
    schema_encode(&SCHEMA_error, &error, out);
}
