// who.c - keys to names by a hash table, and which descriptor was last whose.
//
// What libzmq 4.3.4 says of a message (zmq_msg_gets): `User-Id` is what ZAP answered with, and
// zauth answers with the peer's public key; a property that the peer itself claims comes behind it
// and changes nothing. `Peer-Address` of ipc begins with "localhost:", of tcp with digits. So who
// comes by tcp without ZAP having said so is a stranger, not trusted.
#include "who.h"
#include "proto/text.h"
#include "runtime/clock.h"
#include "runtime/log.h"
#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum {
    SLOTS = 2 * WHO_MAX, // a power of two
    KEY_LENGTH = CERT_KEY_SIZE - 1,
    NOBODY = 0,          // in a table of places, which count from 1
    SETTLED_SECONDS = 2, // a folder's time has the grain of the kernel's tick
};

#define US_A_SECOND 1000000
#define ACCESS_FILE "access.zpl"
#define IPC_ADDRESS "localhost:"

typedef struct {
    who_peer_t *peers; // `count` of them
    uint32_t count;
    uint16_t slots[SLOTS]; // place of a key's peer, from 1
} roll_t;

struct who {
    const char *dir;     // borrowed
    grant_log_t *grants; // borrowed
    rules_t *rules;      // those in force; NULL: nothing was read yet
    roll_t *roll;
    who_peer_t stranger;
    const who_peer_t *last;  // who spoke last: mostly the next one, too
    uint16_t *seen[2];       // by door and descriptor: place of the peer, from 1
    struct timespec read_at; // the folder's time when it was read
    bool is_settled;         // that was long enough ago to be told from a later one
};

// --- A roll ------------------------------------------------------------------------------------

// Keys are points of a curve, so any eight bytes are as good as a hash. Nobody can choose
// another's.
static uint32_t
slot_of(const char *key)
{
    uint64_t bytes;
    memcpy(&bytes, key, sizeof(bytes));
    return (uint32_t) ((bytes * UINT64_C(0x9e3779b97f4a7c15)) >> 51) & (SLOTS - 1);
}

static uint16_t
find_key(const roll_t *self, const char *key)
{
    for (uint32_t slot = slot_of(key); self->slots[slot] != NOBODY;
         slot = (slot + 1) & (SLOTS - 1)) {
        uint16_t place = self->slots[slot];
        if (memcmp(self->peers[place - 1].key, key, KEY_LENGTH) == 0) {
            return place;
        }
    }
    return NOBODY;
}

static roll_t *
roll_new(void)
{
    roll_t *self = calloc(1, sizeof(*self));
    assert(self != NULL);
    self->peers = calloc(WHO_MAX, sizeof(self->peers[0]));
    assert(self->peers != NULL);
    return self;
}

static void
roll_destroy(roll_t **self_p)
{
    roll_t *self = *self_p;
    if (self == NULL) {
        return;
    }
    for (uint32_t i = 0; i < self->count; i++) {
        rules_set_destroy(&self->peers[i].rules);
    }
    free(self->peers);
    free(self);
    *self_p = NULL;
}

static void
roll_add(roll_t *self, const cert_t *cert, const rules_t *rules)
{
    who_peer_t *peer = &self->peers[self->count++];
    memcpy(peer->name, cert->name, sizeof(peer->name));
    memcpy(peer->key, cert->public_key, sizeof(peer->key));
    peer->rules = rules_of(rules, view_from_text(peer->name));
    uint32_t slot = slot_of(peer->key);
    while (self->slots[slot] != NOBODY) {
        slot = (slot + 1) & (SLOTS - 1);
    }
    self->slots[slot] = (uint16_t) self->count;
}

// --- Reading -----------------------------------------------------------------------------------

// Takes one file of the folder, if it is a certificate of the name that the file has.
static void
take_file(roll_t *roll, const char *folder, const char *leaf, const rules_t *rules)
{
    size_t size = strlen(leaf);
    const size_t suffix = sizeof(CERT_SUFFIX) - 1;
    if (size <= suffix || strcmp(leaf + size - suffix, CERT_SUFFIX) != 0) {
        return;
    }
    char path[CERT_PATH_SIZE + 256];
    cert_t cert;
    (void) snprintf(path, sizeof(path), "%s/%s", folder, leaf);
    const char *why = NULL;
    if (cert_load_public(path, &cert) != BUS_OK) {
        why = "it is no certificate with a name";
    } else if (!view_is(view_from(leaf, size - suffix), cert.name)) {
        why = "its name is not that of its file";
    } else if (find_key(roll, cert.public_key) != NOBODY) {
        why = "another has this key";
    } else if (roll->count == WHO_MAX) {
        why = "as many certificates are known as may be";
    }
    if (why == NULL) {
        roll_add(roll, &cert, rules);
    } else {
        char shown[256];
        log_warning("certificate_ignored",
                    "file=%s why=\"%s\"",
                    log_escape(view_from(leaf, size), shown, sizeof(shown)),
                    why);
    }
}

static bus_err_t
read_folder(const char *folder, const rules_t *rules, roll_t *roll, char *reterr_problem)
{
    DIR *files = opendir(folder);
    if (files == NULL) {
        (void) snprintf(reterr_problem, RULES_PROBLEM_SIZE, "%.128s: %s", folder, strerror(errno));
        return BUS_IO;
    }
    for (const struct dirent *file = readdir(files); file != NULL; file = readdir(files)) {
        take_file(roll, folder, file->d_name, rules);
    }
    closedir(files);
    return BUS_OK;
}

static bool
is_same(const who_peer_t *a, const who_peer_t *b)
{
    return strcmp(a->name, b->name) == 0 && rules_are_equal(a->rules, b->rules);
}

// Cuts whoever is no longer who it was, and finds the others' new places.
static void
move_on(who_t *self, const roll_t *roll, who_cut_fn *fn, void *arg)
{
    for (int door = 0; door < 2; door++) {
        for (int fd = 0; fd < WHO_FDS_MAX && self->roll != NULL; fd++) {
            uint16_t place = self->seen[door][fd];
            if (place == NOBODY) {
                continue;
            }
            const who_peer_t *peer = &self->roll->peers[place - 1];
            uint16_t now = find_key(roll, peer->key);
            bool is_kept = now != NOBODY && is_same(peer, &roll->peers[now - 1]);
            self->seen[door][fd] = is_kept ? now : NOBODY;
            if (!is_kept && fn != NULL) {
                fn(arg, (gate_door_t) door, fd);
            }
        }
    }
}

// --- What is another than before ---------------------------------------------------------------

static void
note(who_t *self, grant_kind_t kind, const char *name)
{
    grant_t grant = {.kind = kind, .count = 1};
    (void) snprintf(grant.name, sizeof(grant.name), "%s", name);
    grant_log_add(self->grants, &grant, clock_boot_ms());
}

static int
by_name(const void *a, const void *b)
{
    const keyring_key_t *left = a;
    const keyring_key_t *right = b;
    return strcmp(left->name, right->name);
}

// Names and keys, in the order of the names. The caller frees them.
static keyring_key_t *
sort_keys(const roll_t *roll)
{
    keyring_key_t *keys = calloc(WHO_MAX, sizeof(*keys));
    assert(keys != NULL);
    for (uint32_t i = 0; i < roll->count; i++) {
        memcpy(keys[i].name, roll->peers[i].name, sizeof(keys[i].name));
        memcpy(keys[i].key, roll->peers[i].key, sizeof(keys[i].key));
    }
    qsort(keys, roll->count, sizeof(*keys), by_name);
    return keys;
}

// One fact for all, at a start: a change while nobody looked shows in its hash.
static void
note_roll(who_t *self, const roll_t *roll)
{
    grant_t grant = {.kind = GRANT_CERTIFICATES_KNOWN, .count = roll->count, .name = CERT_FOLDER};
    keyring_key_t *sorted = sort_keys(roll);
    BUS_AUTO(text_destroy) text_t *lines = text_new();
    for (uint32_t i = 0; i < roll->count; i++) {
        text_add_format(lines, "%s %s\n", sorted[i].name, sorted[i].key);
    }
    free(sorted);
    sha256_hex(text_view(lines), grant.hash);
    grant_log_add(self->grants, &grant, clock_boot_ms());
}

// Walks both in the order of their names.
static void
note_peers(who_t *self, const roll_t *roll)
{
    keyring_key_t *old = sort_keys(self->roll);
    keyring_key_t *new = sort_keys(roll);
    uint32_t i = 0;
    uint32_t j = 0;
    while (i < self->roll->count || j < roll->count) {
        int order = i == self->roll->count ? 1 : j == roll->count ? -1 : by_name(&old[i], &new[j]);
        if (order < 0) {
            note(self, GRANT_CERTIFICATE_REVOKED, old[i].name);
        } else if (order > 0) {
            note(self, GRANT_CERTIFICATE_ADDED, new[j].name);
        } else if (strcmp(old[i].key, new[j].key) != 0) {
            note(self, GRANT_CERTIFICATE_REPLACED, new[j].name);
        }
        i += order <= 0;
        j += order >= 0;
    }
    free(old);
    free(new);
}

static void
note_rules(who_t *self, const rules_t *before, const rules_t *rules)
{
    grant_t grant = {.kind = GRANT_RULES_LOADED, .name = ACCESS_FILE};
    grant.count = rules_differ(before, rules, grant.subject, sizeof(grant.subject));
    (void) snprintf(grant.hash, sizeof(grant.hash), "%s", rules_hash(rules));
    grant_log_add(self->grants, &grant, clock_boot_ms());
}

// `rules` NULL: they were not read again.
static void
note_changes(who_t *self, const roll_t *roll, const rules_t *rules)
{
    if (self->rules != NULL) {
        note_peers(self, roll);
        if (rules != NULL) {
            note_rules(self, self->rules, rules);
        }
        return;
    }
    note_roll(self, roll);
    BUS_AUTO(rules_destroy) rules_t *shipped = NULL;
    char problem[RULES_PROBLEM_SIZE];
    bus_err_t err = rules_load(NULL, &shipped, problem);
    assert(err == BUS_OK); // there is no file
    note_rules(self, shipped, rules);
}

bus_err_t
who_load(who_t *self,
         who_cut_fn *fn,
         void *arg,
         bool with_rules,
         char reterr_problem[RULES_PROBLEM_SIZE])
{
    char path[CERT_PATH_SIZE];
    char folder[CERT_PATH_SIZE];
    BUS_AUTO(rules_destroy) rules_t *rules = NULL;
    BUS_AUTO(roll_destroy) roll_t *roll = roll_new();
    (void) snprintf(path, sizeof(path), "%s/" ACCESS_FILE, self->dir);
    (void) snprintf(folder, sizeof(folder), "%s/" CERT_FOLDER, self->dir);
    struct stat before = {.st_mtim = {0}};
    (void) stat(folder, &before);
    bus_err_t err = BUS_OK;
    if (with_rules || self->rules == NULL) {
        err = rules_load(path, &rules, reterr_problem);
    }
    if (err == BUS_OK) {
        err = read_folder(folder, rules == NULL ? self->rules : rules, roll, reterr_problem);
    }
    if (err != BUS_OK) {
        roll_destroy(&roll);
        return err;
    }
    note_changes(self, roll, rules);
    move_on(self, roll, fn, arg);
    roll_destroy(&self->roll);
    self->roll = roll;
    roll = NULL;
    if (rules != NULL) {
        rules_destroy(&self->rules);
        self->rules = rules;
        rules = NULL;
    }
    self->last = NULL;
    self->read_at = before.st_mtim;
    self->is_settled =
        (time_t) (clock_wall_us() / US_A_SECOND) - before.st_mtim.tv_sec > SETTLED_SECONDS;
    return BUS_OK;
}

bool
who_is_stale(const who_t *self)
{
    char folder[CERT_PATH_SIZE];
    struct stat now;
    (void) snprintf(folder, sizeof(folder), "%s/" CERT_FOLDER, self->dir);
    return stat(folder, &now) == 0 &&
           (!self->is_settled || now.st_mtim.tv_sec != self->read_at.tv_sec ||
            now.st_mtim.tv_nsec != self->read_at.tv_nsec);
}

// --- Life --------------------------------------------------------------------------------------

who_t *
who_new(const char *dir, grant_log_t *grants)
{
    who_t *self = calloc(1, sizeof(*self));
    assert(self != NULL);
    self->dir = dir;
    self->grants = grants;
    self->roll = roll_new();
    self->stranger.rules = rules_of(NULL, VIEW_NONE);
    for (int i = 0; i < 2; i++) {
        self->seen[i] = calloc(WHO_FDS_MAX, sizeof(self->seen[i][0]));
        assert(self->seen[i] != NULL);
    }
    return self;
}

void
who_destroy(who_t **self_p)
{
    who_t *self = *self_p;
    if (self == NULL) {
        return;
    }
    roll_destroy(&self->roll);
    rules_destroy(&self->rules);
    rules_set_destroy(&self->stranger.rules);
    free(self->seen[0]);
    free(self->seen[1]);
    free(self);
    *self_p = NULL;
}

// --- Asking ------------------------------------------------------------------------------------

static const who_peer_t *
find(who_t *self, const char *key)
{
    if (self->last != NULL && strcmp(self->last->key, key) == 0) {
        return self->last;
    }
    uint16_t place = strlen(key) == KEY_LENGTH ? find_key(self->roll, key) : NOBODY;
    if (place == NOBODY) {
        return &self->stranger;
    }
    self->last = &self->roll->peers[place - 1];
    return self->last;
}

const who_peer_t *
who_of(who_t *self, gate_door_t door, zmq_msg_t *frame)
{
    const char *key = zmq_msg_gets(frame, "User-Id");
    if (key == NULL) {
        const char *address = zmq_msg_gets(frame, "Peer-Address");
        bool is_ipc =
            address != NULL && strncmp(address, IPC_ADDRESS, sizeof(IPC_ADDRESS) - 1) == 0;
        return is_ipc ? NULL : &self->stranger;
    }
    const who_peer_t *peer = find(self, key);
    int fd = zmq_msg_get(frame, ZMQ_SRCFD);
    if (fd >= 0 && fd < WHO_FDS_MAX) {
        self->seen[door][fd] =
            peer == &self->stranger ? NOBODY : (uint16_t) (peer - self->roll->peers + 1);
    }
    return peer;
}

void
who_forget(who_t *self, gate_door_t door, int fd)
{
    if (fd >= 0 && fd < WHO_FDS_MAX) {
        self->seen[door][fd] = NOBODY;
    }
}

uint32_t
who_count(const who_t *self)
{
    return self->roll->count;
}

keyring_key_t *
who_keys(const who_t *self)
{
    return sort_keys(self->roll);
}
