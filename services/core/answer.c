// answer.c - what an agent answered. See answer.h.
#include "answer.h"

#include "proto/limits.h"
#include "proto/walk.h"
#include "selector.h"

#include <stdio.h>

enum { DEPTH_MAX = BODY_DEPTH_MAX - 4 }; // it is told inside of events, and kept inside of answers

static bool
is_space(char byte)
{
    return byte == ' ' || (byte >= '\t' && byte <= '\r');
}

static uint64_t
words_of(bus_view_t text)
{
    uint64_t words = 0;
    bool within = false;
    for (size_t i = 0; i < text.size; i++) {
        bool space = is_space(text.data[i]);
        words += !space && !within ? 1 : 0;
        within = !space;
    }
    return words;
}

uint64_t
core_answer_words(bus_view_t value)
{
    walk_t walk = walk_from(value);
    walk_item_t item;
    uint64_t words = 0;
    while (walk_next(&walk, &item) == BUS_OK) { // into every container, keys too
        words += item.type == WALK_STR ? words_of(item.bytes) : 0;
    }
    return words;
}

static uint64_t
items_of(bus_view_t array)
{
    walk_t walk = walk_from(array);
    walk_item_t head;
    return array.data != NULL && walk_next(&walk, &head) == BUS_OK ? head.count : 0;
}

static bool
is_nil(bus_view_t value)
{
    return value.data == NULL || (value.size == 1 && (unsigned char) value.data[0] == 0xc0);
}

bus_err_t
core_answer_read(bus_view_t body, core_answer_t *ret_answer, char reterr_why[CORE_ANSWER_WHY_SIZE])
{
    const char *why = NULL;
    if (body.size > CORE_ANSWER_SIZE_MAX) {
        (void) snprintf(reterr_why, CORE_ANSWER_WHY_SIZE, "the answer is over 768 KiB");
        return BUS_VALIDATION_FAILED;
    }
    if (walk_check(body, WALK_JSON, DEPTH_MAX, &why) != BUS_OK) {
        (void) snprintf(reterr_why, CORE_ANSWER_WHY_SIZE, "the answer is not JSON's: %s", why);
        return BUS_VALIDATION_FAILED;
    }
    core_answer_t answer = {.body = body, .status = 200};
    schema_problems_t problems = {.count = 0};
    if (schema_decode(&SCHEMA_agent_answer, body, &answer.said, &problems) != BUS_OK) {
        bool is_named = problems.count > 0 && problems.at[0].field != NULL;
        (void) snprintf(reterr_why,
                        CORE_ANSWER_WHY_SIZE,
                        "the answer's %s: %s",
                        is_named ? problems.at[0].field : "body",
                        problems.count > 0 ? problems.at[0].problem : "want a map");
        return BUS_VALIDATION_FAILED;
    }
    answer.status = answer.said.status.has ? answer.said.status.value : 200;
    bus_view_t told = is_nil(answer.said.result) ? answer.said.response : answer.said.result;
    if (is_nil(told) && core_answer_is_success(answer.status)) {
        (void) snprintf(reterr_why, CORE_ANSWER_WHY_SIZE, "the answer has no result");
        return BUS_VALIDATION_FAILED;
    }
    uint64_t terms = items_of(answer.said.keywords);
    terms = terms > 0 ? terms : items_of(answer.said.sources);
    uint64_t words = is_nil(told) ? 0 : core_answer_words(told);
    answer.reward = core_selector_reward(answer.status, words, terms);
    *ret_answer = answer;
    return BUS_OK;
}

bool
core_answer_is_success(int64_t status)
{
    return (status >= 200 && status < 300) || status == 404;
}

void
core_answer_explain(const core_answer_t *answer, char ret_why[CORE_ANSWER_WHY_SIZE])
{
    bus_view_t value;
    bus_view_t error = VIEW_NONE;
    if (walk_find(answer->body, "error", &value) == BUS_OK &&
        walk_as_str(value, &error) != BUS_OK) {
        error = VIEW_NONE;
    }
    (void) snprintf(ret_why,
                    CORE_ANSWER_WHY_SIZE,
                    "the agent answered status %lld%s%.*s",
                    (long long) answer->status,
                    error.size == 0 ? "" : ": ",
                    (int) (error.size < CORE_ANSWER_WHY_SIZE ? error.size : CORE_ANSWER_WHY_SIZE),
                    error.size == 0 ? "" : error.data);
}

void
core_answer_pack(const core_answer_t *answer, double processing_s, pack_t *out)
{
    size_t place = pack_map_begin(out);
    uint32_t count = 2;
    walk_pairs_t pairs = walk_pairs(answer->body);
    bus_view_t key;
    bus_view_t value;
    while (walk_pairs_next(&pairs, &key, &value) == BUS_OK) {
        if (!view_is(key, "status") && !view_is(key, "processing_time")) {
            pack_str(out, key);
            pack_raw(out, value);
            count++;
        }
    }
    pack_pair_int(out, "status", answer->status);
    pack_pair_real(out, "processing_time", processing_s);
    pack_count(out, place, count);
}
