// warden.c - who speaks, by CURVE: its name on what it says, no for what it may not, and all of
// that told. On an open bus, and for whoever comes by ipc, nothing here has a say.
#include "access.h"
#include "proto/limits.h"
#include "proto/walk.h"
#include "router_state.h"
#include "runtime/clock.h"
#include "runtime/log.h"
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    SUBJECT_SHOWN = 200,
    SOON_MS = 20,        // for a folder of certificates that is being written
    INSTANCES_MAX = 512, // of one name: a part of PEERS_MAX
};

// --- Breaches ----------------------------------------------------------------------------------

void
warden_breach(router_t *self, const char *name, breach_reason_t reason, bus_view_t subject)
{
    if (!breach_add(self->breach, name, reason, subject, 1)) {
        return;
    }
    char shown[SUBJECT_SHOWN];
    log_warning("access_refused",
                "name=%s reason=%s subject=%s",
                name[0] == '\0' ? "(unknown)" : name,
                breach_reason_text(reason),
                log_escape(subject, shown, sizeof(shown)));
}

void
warden_on_subscription(void *arg, const who_peer_t *peer, breach_reason_t reason, bus_view_t prefix)
{
    warden_breach(arg, peer->name, reason, prefix);
}

void
warden_count_handshakes(router_t *self)
{
    uint64_t refused = self->stats.handshakes_refused - self->handshakes_told;
    if (self->breach == NULL || refused == 0) {
        return;
    }
    self->handshakes_told = self->stats.handshakes_refused;
    if (breach_add(self->breach, "", BREACH_CERTIFICATE, VIEW_LITERAL("handshake"), refused)) {
        log_warning("access_refused", "name=(unknown) reason=certificate subject=handshake");
    }
}

// Has the fact in self->body journaled, as the bus's own word.
static bool
say(router_t *self, const char *id)
{
    batch_entry_t entry = {
        .kind = BATCH_RECORD,
        .topic = VIEW_LITERAL(GRANT_TOPIC),
        .header = {.id = view_from_text(id),
                   .source = VIEW_LITERAL("$bus"),
                   .time = clock_wall_us()},
    };
    BUS_AUTO(pack_destroy) pack_t *plain = pack_new();
    header_encode(&entry.header, plain);
    pack_clear(self->header);
    header_restamp(pack_view(plain), &(header_stamp_t){.journaled = true}, self->header);
    entry.header_bytes = pack_view(self->header);
    entry.body = pack_view(self->body);
    size_t bytes = entry.topic.size + entry.body.size + 2 * entry.header_bytes.size;
    if (gather_reserve(self->gather, 1, bytes) != BUS_OK) {
        return false;
    }
    gather_add(self->gather, &entry);
    return true;
}

static bool
tell(void *arg, const breach_fact_t *fact)
{
    router_t *self = arg;
    const schema_access_t said = {
        .name = view_from_text(fact->name),
        .reason = view_from_text(fact->reason),
        .count = {.has = true, .value = (int64_t) fact->count},
        .subject = fact->subject,
    };
    char id[ID_TEXT_SIZE];
    id_make(id);
    pack_clear(self->body);
    schema_encode(&SCHEMA_access, &said, self->body);
    return say(self, id);
}

// One at a time: the next one follows when this one is durable.
static void
tell_grant(router_t *self, bool is_last)
{
    bool is_waiting = self->grant_id[0] != '\0';
    const grant_t *grant =
        is_waiting ? NULL : grant_log_next(self->grants, clock_boot_ms(), is_last);
    if (grant == NULL) {
        return;
    }
    pack_clear(self->body);
    grant_pack(grant, self->body);
    id_make(self->grant_id);
    if (!say(self, self->grant_id)) {
        self->grant_id[0] = '\0'; // the next second
    }
}

void
warden_tell(router_t *self, bool is_last)
{
    if (self->breach != NULL) {
        breach_tell(self->breach, clock_boot_ms(), is_last, tell, self);
        tell_grant(self, is_last);
    }
}

void
warden_committed(router_t *self, const batch_item_t *item)
{
    if (self->grant_id[0] == '\0' || !view_is(batch_piece(item, item->id), self->grant_id)) {
        return;
    }
    self->grant_id[0] = '\0';
    if (item->err == BUS_OK) {
        grant_log_done(self->grants);
        tell_grant(self, self->is_stopping);
    }
}

// --- Who is known ------------------------------------------------------------------------------

static void
cut(void *arg, gate_door_t door BUS_UNUSED, int fd)
{
    router_t *self = arg;
    shutdown(fd, SHUT_RDWR); // it stays libzmq's, which sees the end
    self->stats.connections_reset++;
}

// Gives the keeper of the gate those who are known.
static void
let_in(router_t *self)
{
    keyring_key_t *keys = who_keys(self->who);
    bus_err_t err = zap_admit(self->options.zap, keys, who_count(self->who));
    if (err != BUS_OK && !self->is_admission_due) {
        log_error("certificates_not_admitted",
                  "why=\"%s\" hint=\"those who are new stay out until there is space\"",
                  strerror(errno));
    }
    self->is_admission_due = err != BUS_OK;
    free(keys);
}

void
warden_load(router_t *self, bool with_rules)
{
    const char *why = with_rules ? "SIGHUP" : "certificates";
    char problem[RULES_PROBLEM_SIZE] = "";
    if (self->who == NULL) {
        return;
    }
    uint32_t known = who_count(self->who);
    gate_read(self->gate); // so that no descriptor is another's already
    bus_err_t err = who_load(self->who, cut, self, with_rules, problem);
    bool is_news = with_rules || !self->is_load_failed;
    self->is_load_failed = err != BUS_OK;
    if (err == BUS_OK) {
        let_in(self);
    }
    if (err == BUS_OK && who_count(self->who) == known && !with_rules) {
        return; // the folder's time is too young to be trusted, see who.c
    }
    if (err == BUS_OK) {
        log_info("access_loaded", "why=%s certificates=%u", why, who_count(self->who));
        return;
    }
    if (is_news) {
        grant_t grant = {.kind = GRANT_ACCESS_NOT_LOADED, .count = 1};
        (void) snprintf(
            grant.name, sizeof(grant.name), "%s", with_rules ? "access.zpl" : CERT_FOLDER);
        grant_log_add(self->grants, &grant, clock_boot_ms());
    }
    char shown[RULES_PROBLEM_SIZE + 64];
    log_error("access_not_loaded",
              "why=%s hint=\"what held goes on\" problem=%s",
              why,
              log_escape(view_from_text(problem), shown, sizeof(shown)));
}

static void
on_soon(void *arg)
{
    router_t *self = arg;
    self->certs_timer = 0;
    if (who_is_stale(self->who)) {
        warden_load(self, false);
    }
}

// Some file came or went: all that do so within SOON_MS are read at once.
static void
on_watch(void *arg)
{
    router_t *self = arg;
    char events[4096];
    while (read(self->certs_watch, events, sizeof(events)) > 0) {
    }
    if (self->certs_timer == 0) {
        self->certs_timer = loop_add_timer(self->options.loop, SOON_MS, 1, on_soon, self);
    }
}

// Without it certificates count within a second, at the tick.
static void
watch_certificates(router_t *self)
{
    char folder[CERT_PATH_SIZE];
    (void) snprintf(folder, sizeof(folder), "%s/" CERT_FOLDER, self->options.dir);
    self->certs_watch = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    uint32_t events = IN_CLOSE_WRITE | IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO;
    if (self->certs_watch >= 0 && inotify_add_watch(self->certs_watch, folder, events) < 0) {
        close(self->certs_watch);
        self->certs_watch = -1;
    }
    if (self->certs_watch >= 0) {
        loop_add_fd(self->options.loop, self->certs_watch, POLLIN, on_watch, self);
    }
}

bus_err_t
warden_open(router_t *self)
{
    char problem[RULES_PROBLEM_SIZE] = "";
    watch_certificates(self); // first, so that nothing falls between
    bus_err_t err = who_load(self->who, NULL, NULL, true, problem);
    if (err != BUS_OK) {
        char shown[RULES_PROBLEM_SIZE + 64];
        log_error("access_not_loaded",
                  "problem=%s",
                  log_escape(view_from_text(problem), shown, sizeof(shown)));
        return BUS_FORBIDDEN;
    }
    let_in(self);
    return BUS_OK;
}

void
warden_close(router_t *self)
{
    if (self->certs_timer != 0) {
        loop_cancel_timer(self->options.loop, self->certs_timer);
    }
    if (self->who != NULL && self->certs_watch >= 0) {
        loop_remove_fd(self->options.loop, self->certs_watch);
        close(self->certs_watch);
    }
}

void
warden_tick(router_t *self)
{
    if (self->who == NULL) {
        return;
    }
    if (who_is_stale(self->who)) {
        warden_load(self, false);
    } else if (self->is_admission_due) {
        let_in(self);
    }
    warden_count_handshakes(self);
    warden_tell(self, false);
}

// --- A message ---------------------------------------------------------------------------------

bus_err_t
warden_admit(router_t *self, message_t *message, const char **reterr_why)
{
    if (self->who == NULL) {
        return BUS_OK;
    }
    header_t *header = &message->header;
    const who_peer_t *peer = who_of(self->who, GATE_IN, &message->frames[0]);
    message->peer = peer;
    if (peer == NULL) {
        return BUS_OK;
    }
    bus_view_t claimed = header->source;
    bus_view_t reply_to = header->reply_to;
    header->source = view_from_text(peer->name);
    if (peer->name[0] == '\0') {
        header->reply_to = VIEW_NONE; // whose it is nobody knows
        header->source = VIEW_LITERAL("anonymous");
        warden_breach(self, "", BREACH_CERTIFICATE, message->topic);
        int fd = zmq_msg_get(&message->frames[0], ZMQ_SRCFD);
        if (fd >= 0) {
            cut(self, GATE_IN, fd);
        }
        *reterr_why = "the certificate is not known";
        return BUS_UNAUTHENTICATED;
    }
    if (reply_to.data != NULL && !access_is_own_inbox(peer, reply_to)) {
        header->reply_to = VIEW_NONE; // not even the refusal goes there
        warden_breach(self, peer->name, BREACH_INBOX, reply_to);
        *reterr_why = "reply_to is not an inbox of your own: _inbox.<certificate's name>.";
        return BUS_UNAUTHORIZED_ACCESS;
    }
    message->is_renamed = !view_equal(claimed, header->source);
    if (message->is_renamed && claimed.data != NULL) {
        self->stats.sources_replaced++;
        warden_breach(self, peer->name, BREACH_SOURCE, claimed);
    }
    if (header->seq != 0 || header->at != 0 || header->prev != 0) {
        warden_breach(self, peer->name, BREACH_STAMP, message->topic);
    }
    if (header->idem.data != NULL && !access_is_own_idem(peer, header->idem)) {
        warden_breach(self, peer->name, BREACH_IDENTITY, header->idem);
        *reterr_why = ACCESS_IDEM_WHY;
        return BUS_UNAUTHORIZED_ACCESS;
    }
    return BUS_OK;
}

void
warden_count_claims(router_t *self, const message_t *message, const group_claims_t *claims)
{
    if (message->peer == NULL) {
        return;
    }
    self->stats.sources_replaced += claims->sources;
    for (uint32_t i = 0; i < claims->sources; i++) {
        warden_breach(self, message->peer->name, BREACH_SOURCE, claims->source);
    }
    for (uint32_t i = 0; i < claims->stamps; i++) {
        warden_breach(self, message->peer->name, BREACH_STAMP, message->topic);
    }
}

bus_err_t
warden_may_say(router_t *self, const message_t *message, const char **reterr_why)
{
    breach_reason_t reason;
    if (message->peer == NULL ||
        access_may_say(message->peer, message->topic, message->class_, &reason)) {
        return BUS_OK;
    }
    warden_breach(self, message->peer->name, reason, message->topic);
    // By the name of the right, as it stands in the access file.
    *reterr_why = reason == BREACH_PUBLISH ? "your certificate's rules do not let you publish this"
                  : reason == BREACH_REQUEST
                      ? "your certificate's rules do not let you request this"
                      : "your certificate's rules let you serve nothing, so you answer nobody";
    return BUS_UNAUTHORIZED_ACCESS;
}

// A name has its part of the table of peers, if it may say anything that it would say hello for.
static bus_err_t
may_be_instance(router_t *self,
                const message_t *message,
                bus_view_t instance,
                const char **reterr_why)
{
    const who_peer_t *peer = message->peer;
    if (!rules_has(peer->rules, RULES_PUBLISH) && !rules_has(peer->rules, RULES_SERVE)) {
        warden_breach(self, peer->name, BREACH_SERVE, instance);
        *reterr_why = "who may neither publish nor serve says no hello";
        return BUS_UNAUTHORIZED_ACCESS;
    }
    bool is_new = peer_source(self->peers, instance).data == NULL;
    if (is_new && peer_count_of(self->peers, view_from_text(peer->name)) >= INSTANCES_MAX) {
        *reterr_why = "as many instances of this name are known as may be";
        return BUS_BUSY;
    }
    return warden_is_own_instance(self, message, instance, reterr_why);
}

bus_err_t
warden_may_serve(router_t *self,
                 const message_t *message,
                 const schema_hello_t *hello,
                 const char **reterr_why)
{
    const who_peer_t *peer = message->peer;
    if (peer == NULL) {
        return BUS_OK;
    }
    if (hello->service.size > 0 && !rules_allow(peer->rules, RULES_SERVE, hello->service)) {
        warden_breach(self, peer->name, BREACH_SERVE, hello->service);
        *reterr_why = "your certificate's rules do not let you serve this";
        return BUS_UNAUTHORIZED_ACCESS;
    }
    if (hello->inbox.data != NULL && !access_is_own_inbox(peer, hello->inbox)) {
        warden_breach(self, peer->name, BREACH_INBOX, hello->inbox);
        *reterr_why = "the inbox is not your own: _inbox.<certificate's name>.";
        return BUS_UNAUTHORIZED_ACCESS;
    }
    return may_be_instance(self, message, hello->instance, reterr_why);
}

bus_err_t
warden_is_own_instance(router_t *self,
                       const message_t *message,
                       bus_view_t instance,
                       const char **reterr_why)
{
    const who_peer_t *peer = message->peer;
    bus_view_t source = peer == NULL ? VIEW_NONE : peer_source(self->peers, instance);
    if (source.data == NULL || view_is(source, peer->name)) {
        return BUS_OK;
    }
    warden_breach(self, peer->name, BREACH_IDENTITY, instance);
    *reterr_why = "the instance is another's";
    return BUS_UNAUTHORIZED_ACCESS;
}

bus_err_t
warden_may_consume(router_t *self,
                   const message_t *message,
                   bus_view_t consumer,
                   bool is_kept,
                   const char **reterr_why)
{
    if (message->peer == NULL || access_may_consume(message->peer, consumer, is_kept)) {
        return BUS_OK;
    }
    warden_breach(self, message->peer->name, BREACH_IDENTITY, consumer);
    *reterr_why =
        "the consumer is another's: use your certificate's name, and what you like behind it";
    return BUS_UNAUTHORIZED_ACCESS;
}

// The first prefix that may not be read; absent where all may.
static bool
find_forbidden(const who_peer_t *peer, bus_view_t filters, bus_view_t *ret_prefix)
{
    walk_t walk = walk_from(filters);
    walk_item_t item;
    *ret_prefix = VIEW_LITERAL("");
    bool has_any = filters.data != NULL && walk_next(&walk, &item) == BUS_OK &&
                   item.type == WALK_ARRAY && item.count > 0;
    if (!has_any) {
        return !rules_cover(peer->rules, RULES_FETCH, *ret_prefix); // none: everything
    }
    const uint32_t count = item.count;
    for (uint32_t i = 0; i < count && i <= FETCH_FILTERS_MAX; i++) {
        if (walk_next(&walk, &item) != BUS_OK || item.type != WALK_STR) {
            return false; // the reader refuses it by its form
        }
        *ret_prefix = item.bytes;
        if (!rules_cover(peer->rules, RULES_FETCH, item.bytes)) {
            return true;
        }
    }
    return false;
}

bus_err_t
warden_may_fetch(router_t *self, const message_t *message, const char **reterr_why)
{
    const who_peer_t *peer = message->peer;
    schema_fetch_t fetch;
    schema_problems_t problems;
    if (peer == NULL || schema_decode(&SCHEMA_fetch, message->body, &fetch, &problems) != BUS_OK) {
        return BUS_OK; // the reader refuses what is no fetch
    }
    bus_err_t err = warden_may_consume(
        self, message, fetch.consumer, fetch.ack.has && fetch.ack.value > 0, reterr_why);
    bus_view_t prefix;
    if (err == BUS_OK && find_forbidden(peer, fetch.filters, &prefix)) {
        warden_breach(self, peer->name, BREACH_FETCH, prefix);
        *reterr_why = "your certificate's rules do not let you read all of this";
        err = BUS_UNAUTHORIZED_ACCESS;
    }
    return err;
}

void
warden_pack(const router_t *self, pack_t *out)
{
    pack_text(out, "access");
    pack_map(out, 5);
    pack_pair_uint(out, "certificates", who_count(self->who));
    pack_pair_uint(out, "handshakes_refused", self->stats.handshakes_refused);
    pack_pair_uint(out, "sources_replaced", self->stats.sources_replaced);
    pack_pair_uint(out, "refused_total", breach_total(self->breach));
    pack_text(out, "refused");
    breach_pack(self->breach, out);
}
