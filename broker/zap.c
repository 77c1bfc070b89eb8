// zap.c - zauth behind three questions: does a handshake with a random key fail, does one with ours
// succeed, and does the handler go on saying no.
#include "zap.h"
#include "runtime/clock.h"
#include <assert.h>
#include <czmq.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ENDPOINT "inproc://zeromq.zap.01" // libzmq's, RFC 27
#define DOMAIN "bhiv"
#define PROOF_ADDRESS "tcp://127.0.0.1:*"

enum {
    KEY_BYTES = 32,
    ENDPOINT_SIZE = 64,
    ANSWER_SIZE = 16,
    FRAMES_MAX = 16,
    ENFORCE_DOMAIN = 93, // ZMQ_ZAP_ENFORCE_DOMAIN: libzmq has it, zmq.h shows it with drafts alone
};

struct zap {
    zactor_t *actor;   // first: a test that kills it finds it there
    const cert_t *own; // borrowed
    keyring_t *keyring;
    char folder[CERT_PATH_SIZE]; // the keyring's
    void *asker;                 // DEALER to the handler
    loop_t *loop;                // borrowed; NULL: not watched
    int timer;
    unsigned silent;   // questions since the last answer
    uint64_t sequence; // of the last question
    zap_failed_fn *fn;
    void *arg;
};

void *
zap_context(void)
{
    zsys_handler_set(NULL); // signals are the loop's
    void *context = zsys_init();
    assert(context != NULL);
    zsys_set_logstream(NULL); // it prints what is in a file that it cannot read; who.c names it
    return context;
}

void
zap_close_context(void)
{
    zsys_shutdown();
}

static void
set_int(void *socket, int option, int value)
{
    int rc = zmq_setsockopt(socket, option, &value, sizeof(value));
    assert(rc == 0);
}

void
zap_protect(const zap_t *self, void *socket)
{
    set_int(socket, ZMQ_CURVE_SERVER, 1);
    int rc = zmq_setsockopt(socket, ZMQ_CURVE_SECRETKEY, self->own->secret_key, CERT_KEY_SIZE);
    assert(rc == 0);
    rc = zmq_setsockopt(socket, ZMQ_ZAP_DOMAIN, DOMAIN, sizeof(DOMAIN) - 1);
    assert(rc == 0);
    set_int(socket, ENFORCE_DOMAIN, 1); // without a handler nobody comes in
}

// --- The proof ---------------------------------------------------------------------------------

typedef enum { HANDSHAKE_LET_IN, HANDSHAKE_REFUSED, HANDSHAKE_NOTHING } handshake_t;

static handshake_t
read_handshake(void *news, uint64_t until_ms)
{
    for (uint64_t now_ms = clock_boot_ms(); now_ms < until_ms; now_ms = clock_boot_ms()) {
        zmq_pollitem_t item = {.socket = news, .events = ZMQ_POLLIN};
        if (zmq_poll(&item, 1, (long) (until_ms - now_ms)) <= 0) {
            continue;
        }
        uint8_t bytes[6] = {0};
        uint8_t address[1];
        zmq_recv(news, bytes, sizeof(bytes), ZMQ_DONTWAIT);
        zmq_recv(news, address, sizeof(address), ZMQ_DONTWAIT);
        uint16_t event;
        memcpy(&event, bytes, sizeof(event));
        if (event == ZMQ_EVENT_HANDSHAKE_SUCCEEDED) {
            return HANDSHAKE_LET_IN;
        }
        if (event == ZMQ_EVENT_HANDSHAKE_FAILED_AUTH) {
            return HANDSHAKE_REFUSED;
        }
    }
    return HANDSHAKE_NOTHING;
}

static handshake_t
try_handshake(const cert_t *as, const char *endpoint, const char *news_name)
{
    void *context = zap_context();
    void *socket = zmq_socket(context, ZMQ_PUSH);
    void *news = zmq_socket(context, ZMQ_PAIR);
    assert(socket != NULL && news != NULL);
    set_int(socket, ZMQ_LINGER, 0);
    set_int(news, ZMQ_LINGER, 0);
    int rc = zmq_socket_monitor(
        socket, news_name, ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_HANDSHAKE_FAILED_AUTH);
    assert(rc == 0);
    rc = zmq_connect(news, news_name);
    assert(rc == 0);
    cert_apply(as, socket, endpoint);
    rc = zmq_connect(socket, endpoint);
    assert(rc == 0);
    handshake_t result = read_handshake(news, clock_boot_ms() + ZAP_PROOF_MS);
    zmq_socket_monitor(socket, NULL, 0);
    zmq_close(socket);
    zmq_close(news);
    return result;
}

static cert_t
make_stranger(const cert_t *own)
{
    cert_t stranger = {.name = "stranger"};
    int rc = zmq_curve_keypair(stranger.public_key, stranger.secret_key);
    assert(rc == 0);
    memcpy(stranger.server_key, own->public_key, CERT_KEY_SIZE);
    return stranger;
}

// Shakes hands at a place like the real ones.
static bus_err_t
prove(const zap_t *self, const char **reterr_why)
{
    void *door = zmq_socket(zap_context(), ZMQ_PULL);
    assert(door != NULL);
    set_int(door, ZMQ_LINGER, 0);
    zap_protect(self, door);
    char endpoint[ENDPOINT_SIZE];
    size_t size = sizeof(endpoint);
    *reterr_why = "no port on loopback to prove the keeper of the gate at";
    bus_err_t err = BUS_TIMEOUT;
    if (zmq_bind(door, PROOF_ADDRESS) == 0 &&
        zmq_getsockopt(door, ZMQ_LAST_ENDPOINT, endpoint, &size) == 0) {
        cert_t stranger = make_stranger(self->own);
        cert_t own = *self->own;
        memcpy(own.server_key, own.public_key, CERT_KEY_SIZE);
        handshake_t strange = try_handshake(&stranger, endpoint, "inproc://zap.proof.stranger");
        handshake_t known = try_handshake(&own, endpoint, "inproc://zap.proof.own");
        cert_clear(&stranger);
        cert_clear(&own);
        err = strange == HANDSHAKE_LET_IN ? BUS_INTERNAL : BUS_TIMEOUT;
        *reterr_why = strange == HANDSHAKE_LET_IN ? "a random key was let in"
                                                  : "a handshake with our own key failed";
        err = strange == HANDSHAKE_REFUSED && known == HANDSHAKE_LET_IN ? BUS_OK : err;
    }
    zmq_close(door);
    return err;
}

// --- The watch ---------------------------------------------------------------------------------

// Asks as libzmq does, with a key that nobody has.
static void
ask(zap_t *self)
{
    char public_key[CERT_KEY_SIZE];
    char secret_key[CERT_KEY_SIZE];
    uint8_t key[KEY_BYTES];
    int rc = zmq_curve_keypair(public_key, secret_key);
    assert(rc == 0);
    zmq_z85_decode(key, public_key);
    char sequence[ANSWER_SIZE + 8];
    int size = snprintf(sequence, sizeof(sequence), "%llu", (unsigned long long) ++self->sequence);
    const struct {
        const void *data;
        size_t size;
    } frames[] = {
        {"", 0}, // of REQ
        {"1.0", 3},
        {sequence, (size_t) size},
        {DOMAIN, sizeof(DOMAIN) - 1},
        {"127.0.0.1", 9},
        {"", 0}, // the routing id
        {"CURVE", 5},
        {key, sizeof(key)},
    };
    const size_t count = sizeof(frames) / sizeof(frames[0]);
    for (size_t i = 0; i < count; i++) {
        int flags = ZMQ_DONTWAIT | (i + 1 < count ? ZMQ_SNDMORE : 0);
        if (zmq_send(self->asker, frames[i].data, frames[i].size, flags) < 0) {
            break; // nobody takes it: that is a question without an answer, too
        }
    }
    self->silent++;
}

// Reads one answer: its status code. False where there is none.
static bool
hear(zap_t *self, char ret_code[ANSWER_SIZE])
{
    int count = 0;
    int more = 1;
    ret_code[0] = '\0';
    while (more != 0 && count < FRAMES_MAX) {
        char bytes[ANSWER_SIZE];
        int size = zmq_recv(self->asker, bytes, sizeof(bytes) - 1, ZMQ_DONTWAIT);
        if (size < 0) {
            return false;
        }
        if (count == 3) { // behind REQ's, the version and the sequence
            size = size < ANSWER_SIZE ? size : ANSWER_SIZE - 1;
            memcpy(ret_code, bytes, (size_t) size);
            ret_code[size] = '\0';
        }
        size_t more_size = sizeof(more);
        int rc = zmq_getsockopt(self->asker, ZMQ_RCVMORE, &more, &more_size);
        assert(rc == 0);
        count++;
    }
    return true;
}

static void
fail(zap_t *self, const char *why)
{
    loop_cancel_timer(self->loop, self->timer);
    self->timer = 0;
    self->fn(self->arg, why);
}

static void
on_watch(void *arg)
{
    zap_t *self = arg;
    char code[ANSWER_SIZE];
    while (hear(self, code)) {
        self->silent = 0;
        if (strcmp(code, "400") != 0) {
            fail(self, "a random key was let in");
            return;
        }
    }
    if (self->silent >= ZAP_SILENCE_MAX) {
        fail(self, "nobody answers at the gate any more");
        return;
    }
    ask(self);
}

void
zap_heard(zap_t *self)
{
    self->silent = 0;
}

void
zap_watch(zap_t *self, loop_t *loop, zap_failed_fn *fn, void *arg)
{
    self->loop = loop;
    self->fn = fn;
    self->arg = arg;
    self->asker = zmq_socket(zap_context(), ZMQ_DEALER);
    assert(self->asker != NULL);
    set_int(self->asker, ZMQ_LINGER, 0);
    int rc = zmq_connect(self->asker, ENDPOINT);
    assert(rc == 0);
    self->timer = loop_add_timer(loop, ZAP_WATCH_MS, 0, on_watch, self);
}

// --- Certificates ------------------------------------------------------------------------------

// Gives the handler the folder; what it has read of it is forgotten. By itself zauth looks at the
// number of files, their sizes and the newest one's second, and takes one certificate in another's
// place for what it has read.
static bool
give_folder(const zap_t *self)
{
    return zstr_sendx(self->actor, "CURVE", self->folder, NULL) == 0 &&
           zsock_wait(self->actor) == 0;
}

bus_err_t
zap_admit(zap_t *self, const keyring_key_t *keys, size_t count)
{
    bus_err_t err = keyring_set(self->keyring, keys, count);
    int why = errno;
    void *pipe = zsock_resolve(self->actor);
    set_int(pipe, ZMQ_SNDTIMEO, ZAP_REFRESH_MS);
    set_int(pipe, ZMQ_RCVTIMEO, ZAP_REFRESH_MS);
    (void) give_folder(self);
    set_int(pipe, ZMQ_RCVTIMEO, -1);
    errno = why;
    return err;
}

// Who comes as the broker may do nothing; it is for the proof.
static bus_err_t
admit_own(zap_t *self)
{
    keyring_key_t own;
    (void) snprintf(own.name, sizeof(own.name), "%s", self->own->name);
    (void) snprintf(own.key, sizeof(own.key), "%s", self->own->public_key);
    self->keyring = keyring_new(self->folder);
    return self->keyring == NULL ? BUS_IO : keyring_set(self->keyring, &own, 1);
}

// --- Life --------------------------------------------------------------------------------------

bus_err_t
zap_new(const char *dir, const cert_t *own, zap_t **ret_self, const char **reterr_why)
{
    BUS_AUTO(zap_destroy) zap_t *self = calloc(1, sizeof(*self));
    assert(self != NULL);
    (void) snprintf(self->folder, sizeof(self->folder), "%s/" ZAP_FOLDER, dir);
    self->own = own;
    *reterr_why = "the keeper's folder, " ZAP_FOLDER ", cannot be written";
    if (admit_own(self) != BUS_OK) {
        return BUS_IO; // `self` goes with its scope
    }
    (void) zap_context();
    self->actor = zactor_new(zauth, NULL);
    assert(self->actor != NULL);
    bool is_given = give_folder(self);
    assert(is_given);
    bus_err_t err = prove(self, reterr_why);
    if (err != BUS_OK) {
        zap_destroy(&self);
        return err;
    }
    *ret_self = self;
    self = NULL;
    return BUS_OK;
}

void
zap_destroy(zap_t **self_p)
{
    zap_t *self = *self_p;
    if (self == NULL) {
        return;
    }
    if (self->timer != 0) {
        loop_cancel_timer(self->loop, self->timer);
    }
    if (self->asker != NULL) {
        zmq_close(self->asker);
    }
    zactor_destroy(&self->actor);
    keyring_destroy(&self->keyring);
    free(self);
    *self_p = NULL;
}
