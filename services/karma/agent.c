// agent.c - how each agent did. A record is [version, successes, failures, others, at, action,
// user_id], the last three of the last event.
#include "agent.h"
#include "operations.h"
#include "proto/rfc3339.h"
#include "proto/transcode.h"
#include "record.h"

enum { RECORD_VERSION = 1, RECORD_FIELDS = 7, AGENT_ID_MAX = 255, COUNTS = KARMA_AGENT_NONE };

typedef struct {
    uint64_t counts[COUNTS]; // by karma_agent_t
    uint64_t at;
    bus_view_t action; // a view into the record
    bus_view_t user_id;
} agent_t;

static bus_err_t
load(store_txn_t *txn, bus_view_t agent_id, agent_t *ret_agent)
{
    bus_view_t bytes;
    bus_err_t err = store_get(txn, KARMA_AGENTS, agent_id, &bytes);
    if (err != BUS_OK) {
        return err;
    }
    karma_record_t record = karma_record_begin(bytes);
    bool is_ours = karma_record_count(&record, RECORD_FIELDS) == RECORD_FIELDS &&
                   karma_record_uint(&record) == RECORD_VERSION;
    agent_t agent = {.at = 0};
    for (size_t i = 0; i < COUNTS; i++) {
        agent.counts[i] = karma_record_uint(&record);
    }
    agent.at = karma_record_uint(&record);
    agent.action = karma_record_text(&record, 1, KARMA_WORD_MAX);
    agent.user_id = karma_record_text(&record, 1, KARMA_USER_ID_MAX);
    if (!is_ours || !karma_record_is_whole(&record)) {
        return BUS_CORRUPT;
    }
    *ret_agent = agent;
    return BUS_OK;
}

// The agent that the context names, as a view into it or into `parsed`; absent: none.
static bus_view_t
find_agent(bus_view_t context, pack_t *parsed)
{
    bus_view_t text;
    if (walk_as_str(context, &text) == BUS_OK) {
        pack_clear(parsed);
        if (text.size == 0 || text.data[0] != '{' ||
            transcode_from_json(text, parsed, NULL, 0) != BUS_OK) {
            return VIEW_NONE; // it need not be JSON
        }
        context = pack_view(parsed);
    }
    bus_view_t value;
    bus_view_t agent_id;
    if (walk_find(context, "agent_id", &value) != BUS_OK ||
        walk_as_str(value, &agent_id) != BUS_OK || agent_id.size == 0 ||
        agent_id.size > AGENT_ID_MAX) {
        return VIEW_NONE;
    }
    return agent_id;
}

bus_err_t
karma_agent_note(store_txn_t *txn, karma_state_t *state, const karma_agent_deed_t *deed)
{
    if (deed->action->agent == KARMA_AGENT_NONE || deed->context.data == NULL) {
        return BUS_OK;
    }
    bus_view_t agent_id = find_agent(deed->context, state->parsed);
    if (agent_id.data == NULL) {
        return BUS_OK;
    }
    agent_t agent = {.at = 0};
    bus_err_t err = load(txn, agent_id, &agent);
    if (err == BUS_CORRUPT) {
        return BUS_OK; // it stays damaged, and the question for it says so; karma goes on
    }
    if (err != BUS_OK && err != BUS_NOT_FOUND) {
        return err;
    }
    agent.counts[deed->action->agent]++;
    pack_t *out = state->record;
    pack_clear(out);
    pack_array(out, RECORD_FIELDS);
    pack_int(out, RECORD_VERSION);
    for (size_t i = 0; i < COUNTS; i++) {
        pack_uint(out, agent.counts[i]);
    }
    pack_uint(out, deed->at);
    pack_text(out, deed->action->word);
    pack_str(out, deed->user_id);
    return store_put(txn, KARMA_AGENTS, agent_id, pack_view(out));
}

bus_err_t
karma_agent(service_query_t *self, const void *message_)
{
    const schema_karma_agent_query_t *message = message_;
    agent_t agent;
    bus_err_t err = load(self->txn, message->agent_id, &agent);
    if (err == BUS_NOT_FOUND) {
        return service_query_refuse(
            self, BUS_NOT_FOUND, "nothing was told of this agent", VIEW_NONE);
    }
    if (err != BUS_OK) {
        return err;
    }
    uint64_t successes = agent.counts[KARMA_AGENT_SUCCESS];
    uint64_t failures = agent.counts[KARMA_AGENT_FAILURE];
    uint64_t others = agent.counts[KARMA_AGENT_OTHER];
    char time[RFC3339_SIZE];
    rfc3339_format(agent.at, time);
    pack_t *out = self->answer;
    pack_map(out, 7);
    pack_pair_str(out, "agent_id", message->agent_id);
    pack_pair_uint(out, "successes", successes);
    pack_pair_uint(out, "failures", failures);
    pack_pair_uint(out, "others", others);
    pack_pair_uint(out, "total", successes + failures + others);
    if (successes + failures > 0) {
        pack_pair_real(out, "rate", (double) successes / (double) (successes + failures));
    } else {
        pack_pair_nil(out, "rate");
    }
    pack_text(out, "last");
    pack_map(out, 3);
    pack_pair_str(out, "action", agent.action);
    pack_pair_text(out, "at", time);
    pack_pair_str(out, "user_id", agent.user_id);
    return BUS_OK;
}
