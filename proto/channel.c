// channel.c - Bucket's four input channels: their names, and one check of their requests.
//
// The tables of schema/bucket.def say types and sizes; what they cannot say (words, dates, tags,
// characters) is checked here. Problems of the inside of `metadata` and `filters` are named with
// their path.
#include "channel.h"

#include "rfc3339.h"
#include "walk.h"

#include <assert.h>

enum { REQUESTER_SIZE_MAX = 64 }; // bytes of who asks, as the schemas have it

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

typedef struct {
    const char *name;
    const char *topic;
    const char *action; // what the seeds' examples call it in the one door
} channel_row_t;

static const channel_row_t rows[CHANNEL_COUNT] = {
    [CHANNEL_ARTIFACT_WRITE] = {"artifact_write", "bucket.artifact_write", "write_artifact"},
    [CHANNEL_ARTIFACT_READ] = {"artifact_read", "bucket.artifact_read", "read_artifact"},
    [CHANNEL_METADATA_QUERY] = {"metadata_query", "bucket.metadata_query", "query_metadata"},
    [CHANNEL_AUDIT_APPEND] = {"audit_append", "bucket.audit_append", "append_audit"},
};

static const char *const products[CHANNEL_PRODUCT_COUNT] = {
    [CHANNEL_AI_ASSISTANT] = "ai_assistant",
    [CHANNEL_AI_AVATAR] = "ai_avatar",
    [CHANNEL_GURUKUL] = "gurukul",
    [CHANNEL_ENFORCEMENT] = "enforcement",
};

static const char *const event_types[] = {"read", "write", "query", "error", "escalation"};
static const char *const severities[] = {"INFO", "WARNING", "ERROR", "CRITICAL"};

#define PRODUCT_PROBLEM "must be one of ai_assistant, ai_avatar, gurukul, enforcement"

const char *
channel_name(channel_t channel)
{
    assert(channel < CHANNEL_COUNT);
    return rows[channel].name;
}

const char *
channel_topic(channel_t channel)
{
    assert(channel < CHANNEL_COUNT);
    return rows[channel].topic;
}

channel_t
channel_of(bus_view_t body)
{
    bus_view_t value;
    bus_view_t word;
    bool by_action = walk_find(body, "channel", &value) != BUS_OK;
    if (by_action && walk_find(body, "action", &value) != BUS_OK) {
        return CHANNEL_COUNT;
    }
    if (walk_as_str(value, &word) != BUS_OK) {
        return CHANNEL_COUNT;
    }
    for (channel_t i = 0; i < CHANNEL_COUNT; i++) {
        if (view_is(word, rows[i].name) || (by_action && view_is(word, rows[i].action))) {
            return i;
        }
    }
    return CHANNEL_COUNT;
}

const char *
channel_product_name(channel_product_t product)
{
    assert(product < CHANNEL_PRODUCT_COUNT);
    return products[product];
}

channel_product_t
channel_product(bus_view_t name)
{
    channel_product_t product = 0;
    while (product < CHANNEL_PRODUCT_COUNT && !view_is(name, products[product])) {
        product++;
    }
    return product;
}

static void
add_problem(schema_problems_t *problems, const char *field, const char *problem)
{
    if (problems->count < SCHEMA_PROBLEMS_MAX) {
        problems->at[problems->count++] = (schema_problem_t){field, problem};
    }
}

// Whether the decoding found nothing wrong with this field.
static bool
is_good(const schema_problems_t *problems, const char *field)
{
    for (size_t i = 0; i < problems->count; i++) {
        if (strcmp(problems->at[i].field, field) == 0) {
            return false;
        }
    }
    return true;
}

static bool
is_one_of(bus_view_t text, const char *const *words, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (view_is(text, words[i])) {
            return true;
        }
    }
    return false;
}

static bus_err_t
result(const schema_problems_t *problems)
{
    return problems->count == 0 ? BUS_OK : BUS_VALIDATION_FAILED;
}

// Decodes the map within a body; what is wrong in it is told by its whole path.
static void
decode_inside(const schema_t *schema,
              bus_view_t map,
              void *ret_struct,
              const char *const (*paths)[2],
              schema_problems_t *problems)
{
    schema_problems_t inner = {0};
    if (schema_decode(schema, map, ret_struct, &inner) == BUS_OK) {
        return;
    }
    for (size_t i = 0; i < inner.count; i++) {
        size_t at = 0;
        while (paths[at][0] != NULL && strcmp(paths[at][0], inner.at[i].field) != 0) {
            at++;
        }
        assert(paths[at][0] != NULL);
        add_problem(problems, paths[at][1], inner.at[i].problem);
    }
}

// The first bytes that control a terminal: C0, DEL, and C1 as UTF-8 has it.
static bool
has_control(bus_view_t text)
{
    for (size_t i = 0; i < text.size; i++) {
        unsigned char byte = (unsigned char) text.data[i];
        unsigned char next = i + 1 < text.size ? (unsigned char) text.data[i + 1] : 0;
        if (byte < 0x20 || byte == 0x7f || (byte == 0xc2 && next >= 0x80 && next <= 0x9f)) {
            return true;
        }
    }
    return false;
}

// A request may name the channel that it came by, no other.
static void
check_channel(bus_view_t body, channel_t channel, schema_problems_t *problems)
{
    bus_view_t value;
    bus_view_t word;
    if (walk_find(body, "channel", &value) == BUS_OK &&
        (walk_as_str(value, &word) != BUS_OK || !view_is(word, rows[channel].name))) {
        add_problem(problems, "channel", "must be the channel that it is sent to");
    }
}

static void
check_id(bus_view_t artifact_id, schema_problems_t *problems)
{
    if (is_good(problems, "artifact_id") && has_control(artifact_id)) {
        add_problem(problems, "artifact_id", "must not have control characters");
    }
}

static channel_product_t
check_product(bus_view_t name, const char *field, schema_problems_t *problems)
{
    channel_product_t product = channel_product(name);
    if (name.data != NULL && is_good(problems, field) && product == CHANNEL_PRODUCT_COUNT) {
        add_problem(problems, field, PRODUCT_PROBLEM);
    }
    return product;
}

typedef struct {
    bus_view_t *at; // CHANNEL_TAGS_MAX of them
    uint32_t count;
} tag_list_t;

static bool
has_tag(const tag_list_t *self, bus_view_t tag)
{
    for (uint32_t i = 0; i < self->count; i++) {
        if (view_equal(self->at[i], tag)) {
            return true;
        }
    }
    return false;
}

// Reads an array of tags, each once. Returns what is wrong with it, or NULL.
static const char *
read_tags(bus_view_t array, tag_list_t *tags)
{
    if (array.data == NULL) {
        return NULL;
    }
    walk_t walk = walk_from(array);
    walk_item_t item;
    if (walk_next(&walk, &item) != BUS_OK || item.type != WALK_ARRAY) {
        return "must be an array";
    }
    if (item.count > CHANNEL_TAGS_MAX) {
        return "must be at most 32 tags";
    }
    for (uint32_t i = 0, count = item.count; i < count; i++) {
        if (walk_next(&walk, &item) != BUS_OK || item.type != WALK_STR || item.bytes.size == 0 ||
            item.bytes.size > CHANNEL_TAG_SIZE_MAX) {
            return "each must be a text of 1 to 128 bytes";
        }
        if (!has_tag(tags, item.bytes)) {
            tags->at[tags->count++] = item.bytes;
        }
    }
    return NULL;
}

static uint32_t
check_tags(bus_view_t array,
           const char *field,
           bus_view_t tags[CHANNEL_TAGS_MAX],
           schema_problems_t *problems)
{
    tag_list_t list = {.at = tags};
    const char *problem = is_good(problems, field) ? read_tags(array, &list) : NULL;
    if (problem != NULL) {
        add_problem(problems, field, problem);
    }
    return list.count;
}

bus_err_t
channel_decode_write(bus_view_t body, channel_write_t *ret, schema_problems_t *reterr_problems)
{
    static const char *const paths[][2] = {{"product", "metadata.product"},
                                           {"created_by", "metadata.created_by"},
                                           {"retention_days", "metadata.retention_days"},
                                           {"tags", "metadata.tags"},
                                           {NULL, NULL}};
    *ret = (channel_write_t){0};
    *reterr_problems = (schema_problems_t){0};
    schema_artifact_write_t message = {0};
    bus_err_t err = schema_decode(&SCHEMA_artifact_write, body, &message, reterr_problems);
    (void) err; // its problems are counted with the others
    check_channel(body, CHANNEL_ARTIFACT_WRITE, reterr_problems);
    check_id(message.artifact_id, reterr_problems);
    ret->artifact_id = message.artifact_id;
    ret->content = message.content;
    ret->metadata = message.metadata;
    if (message.metadata.data == NULL || !is_good(reterr_problems, "metadata")) {
        return BUS_VALIDATION_FAILED;
    }
    schema_artifact_metadata_t metadata = {0};
    decode_inside(&SCHEMA_artifact_metadata, message.metadata, &metadata, paths, reterr_problems);
    ret->product = check_product(metadata.product, "metadata.product", reterr_problems);
    ret->created_by = metadata.created_by;
    ret->retention_days = metadata.retention_days.has ? (uint64_t) metadata.retention_days.value
                                                      : CHANNEL_RETENTION_DAYS;
    ret->tag_count = check_tags(metadata.tags, "metadata.tags", ret->tags, reterr_problems);
    return result(reterr_problems);
}

bus_err_t
channel_decode_read(bus_view_t body, channel_read_t *ret, schema_problems_t *reterr_problems)
{
    *ret = (channel_read_t){0};
    *reterr_problems = (schema_problems_t){0};
    schema_artifact_read_t message = {0};
    bus_err_t err = schema_decode(&SCHEMA_artifact_read, body, &message, reterr_problems);
    (void) err; // its problems are counted with the others
    check_channel(body, CHANNEL_ARTIFACT_READ, reterr_problems);
    check_id(message.artifact_id, reterr_problems);
    ret->artifact_id = message.artifact_id;
    ret->product = check_product(message.product, "product", reterr_problems);
    return result(reterr_problems);
}

// A date of the filters: what is absent leaves *reterr_time as it was.
static void
check_date(bus_view_t text, const char *field, uint64_t *ret_time, schema_problems_t *problems)
{
    if (text.data != NULL && is_good(problems, field) && rfc3339_parse(text, ret_time) != BUS_OK) {
        add_problem(problems, field, "must be a time of RFC 3339 from 1970 on");
    }
}

static void
check_filters(bus_view_t filters, channel_query_t *ret, schema_problems_t *problems)
{
    static const char *const paths[][2] = {{"created_after", "filters.created_after"},
                                           {"created_before", "filters.created_before"},
                                           {"tags", "filters.tags"},
                                           {"limit", "filters.limit"},
                                           {"cursor", "filters.cursor"},
                                           {NULL, NULL}};
    schema_query_filters_t message = {0};
    decode_inside(&SCHEMA_query_filters, filters, &message, paths, problems);
    check_date(message.created_after, "filters.created_after", &ret->created_after, problems);
    check_date(message.created_before, "filters.created_before", &ret->created_before, problems);
    if (ret->created_after >= ret->created_before) {
        add_problem(problems, "filters.created_before", "must be later than created_after");
    }
    ret->limit = message.limit.has ? (uint32_t) message.limit.value : CHANNEL_LIMIT;
    ret->cursor = message.cursor;
    ret->tag_count = check_tags(message.tags, "filters.tags", ret->tags, problems);
}

bus_err_t
channel_decode_query(bus_view_t body, channel_query_t *ret, schema_problems_t *reterr_problems)
{
    *ret = (channel_query_t){.created_before = UINT64_MAX, .limit = CHANNEL_LIMIT};
    *reterr_problems = (schema_problems_t){0};
    schema_metadata_query_t message = {0};
    bus_err_t err = schema_decode(&SCHEMA_metadata_query, body, &message, reterr_problems);
    (void) err; // its problems are counted with the others
    check_channel(body, CHANNEL_METADATA_QUERY, reterr_problems);
    ret->product = check_product(message.product, "product", reterr_problems);
    if (message.filters.data != NULL && is_good(reterr_problems, "filters")) {
        check_filters(message.filters, ret, reterr_problems);
    }
    return result(reterr_problems);
}

bus_err_t
channel_decode_append(bus_view_t body, channel_append_t *ret, schema_problems_t *reterr_problems)
{
    *ret = (channel_append_t){0};
    *reterr_problems = (schema_problems_t){0};
    schema_audit_append_t message = {0};
    bus_err_t err = schema_decode(&SCHEMA_audit_append, body, &message, reterr_problems);
    (void) err; // its problems are counted with the others
    check_channel(body, CHANNEL_AUDIT_APPEND, reterr_problems);
    ret->event_type = message.event_type;
    ret->details = message.details;
    ret->severity = message.severity.data != NULL ? message.severity : VIEW_LITERAL("INFO");
    ret->product = check_product(message.product, "product", reterr_problems);
    if (message.event_type.data != NULL && is_good(reterr_problems, "event_type") &&
        !is_one_of(message.event_type, event_types, COUNT(event_types))) {
        add_problem(
            reterr_problems, "event_type", "must be one of read, write, query, error, escalation");
    }
    if (is_good(reterr_problems, "severity") &&
        !is_one_of(ret->severity, severities, COUNT(severities))) {
        add_problem(reterr_problems, "severity", "must be one of INFO, WARNING, ERROR, CRITICAL");
    }
    return result(reterr_problems);
}

uint32_t
channel_tags(bus_view_t metadata, bus_view_t ret_tags[CHANNEL_TAGS_MAX])
{
    tag_list_t list = {.at = ret_tags};
    bus_view_t array;
    const char *problem =
        walk_find(metadata, "tags", &array) == BUS_OK ? read_tags(array, &list) : NULL;
    return problem == NULL ? list.count : 0; // tags that are nil are none
}

bus_err_t
channel_check(channel_t channel, bus_view_t body, schema_problems_t *reterr_problems)
{
    union {
        channel_write_t write;
        channel_read_t read;
        channel_query_t query;
        channel_append_t append;
    } ignored;
    switch (channel) {
    case CHANNEL_ARTIFACT_WRITE:
        return channel_decode_write(body, &ignored.write, reterr_problems);
    case CHANNEL_ARTIFACT_READ:
        return channel_decode_read(body, &ignored.read, reterr_problems);
    case CHANNEL_METADATA_QUERY:
        return channel_decode_query(body, &ignored.query, reterr_problems);
    case CHANNEL_AUDIT_APPEND:
        return channel_decode_append(body, &ignored.append, reterr_problems);
    case CHANNEL_COUNT:
        break;
    }
    assert(false && "no channel");
    return BUS_VALIDATION_FAILED;
}

bus_view_t
channel_requester(bus_view_t body)
{
    static const char *const paths[] = {"requester_id", "metadata.created_by"};
    for (size_t i = 0; i < COUNT(paths); i++) {
        bus_view_t value;
        bus_view_t text;
        if (walk_find_path(body, paths[i], &value) != BUS_OK ||
            walk_as_str(value, &text) != BUS_OK || text.size == 0) {
            continue;
        }
        if (text.size > REQUESTER_SIZE_MAX) {
            text.size = walk_utf8_size(view_from(text.data, REQUESTER_SIZE_MAX));
        }
        return text;
    }
    return VIEW_LITERAL("anonymous");
}
