// code_peers.c - who runs what. See code_peers.h.
#include "code_peers.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

enum { WHAT_SIZE = 1024, DIFFERENCES = 4 };

static const struct {
    kernel_code_difference_t bit;
    const char *name;
} names[DIFFERENCES] = {
    {KERNEL_CODE_PROTOCOL, "protocol"},
    {KERNEL_CODE_SCHEMAS, "schemas"},
    {KERNEL_CODE_VERSION, "version"},
    {KERNEL_CODE_BUILD, "build"},
};

// --- Comparing -----------------------------------------------------------------------------------

static bool
differs(const char *ours, const char *theirs)
{
    return ours[0] != '\0' && theirs[0] != '\0' && strcmp(ours, theirs) != 0;
}

unsigned
kernel_code_peers_compare(const kernel_code_peer_t *ours, const kernel_code_peer_t *peer)
{
    unsigned differences = 0;
    if (peer->is_foreign) {
        return 0;
    }
    differences |= differs(ours->version, peer->version) ? KERNEL_CODE_VERSION : 0;
    differences |= differs(ours->build, peer->build) ? KERNEL_CODE_BUILD : 0;
    differences |= differs(ours->schemas, peer->schemas) ? KERNEL_CODE_SCHEMAS : 0;
    bool is_other = peer->protocol != 0 && peer->protocol != ours->protocol;
    return differences | (is_other ? KERNEL_CODE_PROTOCOL : 0);
}

const char *
kernel_code_peers_text(unsigned differences, char *ret_text, size_t size)
{
    size_t used = 0;
    ret_text[0] = '\0';
    for (size_t i = 0; i < DIFFERENCES; i++) {
        if ((differences & names[i].bit) != 0 && used < size) {
            int wrote = snprintf(
                ret_text + used, size - used, "%s%s", used == 0 ? "" : ", ", names[i].name);
            used += (size_t) wrote;
        }
    }
    return ret_text;
}

// Who cannot read each other is worse off than who was only built on another day.
static const char *
severity(unsigned differences)
{
    if ((differences & KERNEL_CODE_PROTOCOL) != 0) {
        return "critical";
    }
    return (differences & KERNEL_CODE_SCHEMAS) != 0 ? "high" : "medium";
}

// --- Taking --------------------------------------------------------------------------------------

void
kernel_code_peers_init(kernel_code_peers_t *self)
{
    *self = (kernel_code_peers_t){.at = calloc(KERNEL_CODE_PEERS_MAX, sizeof *self->at)};
    assert(self->at);
}

void
kernel_code_peers_clear(kernel_code_peers_t *self)
{
    free(self->at);
    self->at = NULL;
}

#define COPY(array, text) ((void) view_copy((text), (array), sizeof(array)))

static kernel_code_peer_t *
add(kernel_code_peers_t *self)
{
    if (self->count == KERNEL_CODE_PEERS_MAX) {
        self->skipped++;
        return NULL;
    }
    kernel_code_peer_t *peer = &self->at[self->count++];
    *peer = (kernel_code_peer_t){.pid = 0};
    return peer;
}

void
kernel_code_peers_take(kernel_code_peers_t *self, bus_view_t answer)
{
    walk_items_t items = walk_items_at(answer, "peers");
    bus_view_t item;
    self->count = 0;
    self->skipped = 0;
    while (walk_items_next(&items, &item)) {
        kernel_watch_peer_t said;
        kernel_watch_peer(item, &said);
        kernel_code_peer_t *peer = add(self);
        if (peer != NULL) {
            COPY(peer->service, said.service);
            COPY(peer->instance, said.instance);
            COPY(peer->version, said.version);
            COPY(peer->build, said.build);
            peer->pid = said.pid;
            peer->is_foreign = kernel_watch_is_guest(said.service);
        }
    }
}

static void
copy_field(char *ret_text, size_t size, bus_view_t map, const char *key)
{
    bus_view_t text = walk_text_at(map, key);
    if (text.data != NULL) {
        (void) view_copy(text, ret_text, size);
    }
}

#define COPY_FIELD(array, map, key) copy_field((array), sizeof(array), (map), (key))

void
kernel_code_peers_take_broker(kernel_code_peers_t *self, bus_view_t answer)
{
    kernel_code_peer_t *peer = add(self);
    if (peer != NULL) {
        COPY(peer->service, VIEW_LITERAL("broker"));
        COPY_FIELD(peer->instance, answer, "boot");
        COPY_FIELD(peer->version, answer, "version");
        COPY_FIELD(peer->build, answer, "build");
        COPY_FIELD(peer->schemas, answer, "schemas");
        peer->protocol = walk_uint_at(answer, "protocol", 0);
        peer->pid = (int64_t) walk_uint_at(answer, "pid", 0);
    }
}

void
kernel_code_peers_take_health(kernel_code_peers_t *self, const char *service, bus_view_t answer)
{
    bus_view_t build = walk_text_at(answer, "build");
    for (size_t i = 0; i < self->count; i++) {
        kernel_code_peer_t *peer = &self->at[i];
        bool is_same = build.data == NULL || peer->build[0] == '\0' || view_is(build, peer->build);
        if (strcmp(peer->service, service) == 0 && is_same) {
            COPY_FIELD(peer->schemas, answer, "schemas");
            peer->protocol = walk_uint_at(answer, "protocol", 0);
        }
    }
}

// --- Saying --------------------------------------------------------------------------------------

static void
judge(const kernel_code_peer_t *peer,
      const kernel_code_peer_t *ours,
      unsigned differences,
      kernel_watch_news_t *news)
{
    char what[WHAT_SIZE];
    char text[KERNEL_CODE_PEERS_TEXT_SIZE];
    kernel_code_peers_text(differences, text, sizeof text);
    snprintf(what,
             sizeof what,
             "%s (instance %s) differs from kernel-code in %s: version %s, build %s; ours are "
             "%s and %s",
             peer->service[0] == '\0' ? "a peer" : peer->service,
             peer->instance,
             text,
             peer->version,
             peer->build[0] == '\0' ? "not said" : peer->build,
             ours->version,
             ours->build);
    const kernel_watch_anomaly_t anomaly = {
        .type = "build_mismatch",
        .value = __builtin_popcount(differences),
        .threshold = 0,
        .severity = severity(differences),
        .what = what,
    };
    kernel_watch_news_add(news, &anomaly);
}

size_t
kernel_code_peers_judge(const kernel_code_peers_t *self,
                        const kernel_code_peer_t *ours,
                        kernel_watch_news_t *news)
{
    size_t count = 0;
    for (size_t i = 0; i < self->count; i++) {
        unsigned differences = kernel_code_peers_compare(ours, &self->at[i]);
        if (differences != 0) {
            judge(&self->at[i], ours, differences, news);
            count++;
        }
    }
    return count;
}

static void
pack_said(pack_t *out, const char *key, const char *text)
{
    if (text[0] == '\0') {
        pack_pair_nil(out, key);
    } else {
        pack_pair_text(out, key, text);
    }
}

void
kernel_code_peers_pack(const kernel_code_peer_t *peer, const kernel_code_peer_t *ours, pack_t *out)
{
    unsigned differences = kernel_code_peers_compare(ours, peer);
    pack_map(out, 9);
    pack_pair_text(out, "service", peer->service);
    pack_pair_text(out, "instance", peer->instance);
    pack_pair_int(out, "pid", peer->pid);
    pack_said(out, "version", peer->version);
    pack_said(out, "build", peer->build);
    pack_said(out, "schemas", peer->schemas);
    if (peer->protocol == 0) {
        pack_pair_nil(out, "protocol");
    } else {
        pack_pair_uint(out, "protocol", peer->protocol);
    }
    pack_pair_bool(out, "compared", !peer->is_foreign);
    pack_text(out, "differs_in");
    pack_array(out, (uint32_t) __builtin_popcount(differences));
    for (size_t i = 0; i < DIFFERENCES; i++) {
        if ((differences & names[i].bit) != 0) {
            pack_text(out, names[i].name);
        }
    }
}
