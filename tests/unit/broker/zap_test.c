// zap_test.c - the keeper of the gate lets nobody in whom it does not know, and when it has gone or
// has gone mad that is noticed.
#include "broker/zap.h"
#include <criterion/criterion.h>
#include <czmq.h>
#include <stdlib.h>

static char *
make_folder(cert_t *ret_own)
{
    char path[] = "/tmp/bhiv-zap-XXXXXX";
    const char *why = NULL;
    cr_assert_not_null(mkdtemp(path));
    cr_assert_eq(cert_make(path, CERT_BROKER), BUS_OK);
    cr_assert_eq(cert_load(path, CERT_BROKER, ret_own, &why), BUS_OK, "%s", why);
    return strdup(path);
}

static void
remove_folder(char *path)
{
    char folder[256];
    bus_err_t err = cert_revoke(path, CERT_BROKER);
    cr_assert(err == BUS_OK || err == BUS_NOT_FOUND);
    snprintf(folder, sizeof(folder), "%s/" CERT_FOLDER, path);
    rmdir(folder);
    rmdir(path);
    free(path);
}

typedef struct {
    loop_t *loop;
    const char *why;
} watch_t;

static void
on_failed(void *arg, const char *why)
{
    watch_t *watch = arg;
    watch->why = why;
    loop_stop(watch->loop);
}

static void
on_enough(void *arg)
{
    loop_stop(((watch_t *) arg)->loop);
}

// Another handler at ZAP's address, which answers `status` to everyone.
static void
answer(zsock_t *pipe, void *status)
{
    zsock_t *handler = zsock_new(ZMQ_REP);
    int rc = zsock_bind(handler, "inproc://zeromq.zap.01");
    assert(rc == 0);
    zsock_signal(pipe, 0);
    zpoller_t *poller = zpoller_new(pipe, handler, NULL);
    while (zpoller_wait(poller, -1) == handler) {
        zmsg_t *asked = zmsg_recv(handler);
        free(zmsg_popstr(asked));
        char *sequence = zmsg_popstr(asked);
        zstr_sendx(handler, "1.0", sequence, (const char *) status, "", "", "", NULL);
        free(sequence);
        zmsg_destroy(&asked);
    }
    zpoller_destroy(&poller);
    zsock_destroy(&handler);
}

// zap.c keeps its actor to itself; a test that stops it needs the first member of its struct.
static zactor_t **
actor_of(zap_t *zap)
{
    return (zactor_t **) zap;
}

static void
hear(void *arg)
{
    zap_heard(arg);
}

static const char *
watch_after(const char *other_status, unsigned enough_ms)
{
    cert_t own;
    char *path = make_folder(&own);
    loop_t *loop = loop_new();
    zap_t *zap = NULL;
    const char *why = NULL;
    cr_assert_eq(zap_new(path, &own, &zap, &why), BUS_OK, "%s", why);
    watch_t watch = {.loop = loop};
    zactor_t *other = NULL;
    if (other_status == NULL || other_status[0] != '-') {
        zactor_destroy(actor_of(zap)); // killed
    }
    if (other_status != NULL && strchr("-+", other_status[0]) == NULL) {
        other = zactor_new(answer, (void *) other_status);
    }
    zap_watch(zap, loop, on_failed, &watch);
    if (other_status != NULL && strcmp(other_status, "+") == 0) {
        loop_add_timer(loop, ZAP_WATCH_MS, 0, hear, zap);
    }
    loop_add_timer(loop, enough_ms, 1, on_enough, &watch);
    loop_run(loop);
    zap_destroy(&zap);
    zactor_destroy(&other);
    loop_destroy(&loop);
    zap_close_context();
    remove_folder(path);
    return watch.why;
}

Test(zap, a_keeper_that_is_killed_is_noticed)
{
    cr_assert_str_eq(watch_after(NULL, 15000), "nobody answers at the gate any more");
}

Test(zap, a_keeper_that_lets_a_random_key_in_is_noticed)
{
    cr_assert_str_eq(watch_after("200", 15000), "a random key was let in");
}

Test(zap, a_keeper_that_does_its_work_goes_on)
{
    cr_assert_null(watch_after("-", (ZAP_SILENCE_MAX + 2) * ZAP_WATCH_MS));
}

// Our question waits behind those of a crowd; killed, it does not come back to answer it.
Test(zap, a_keeper_that_answers_others_is_not_gone)
{
    cr_assert_null(watch_after("+", (ZAP_SILENCE_MAX + 2) * ZAP_WATCH_MS));
}

Test(zap, a_keeper_that_keeps_us_out_is_none)
{
    cert_t own;
    char *path = make_folder(&own);
    char other[CERT_KEY_SIZE];
    zap_t *zap = NULL;
    const char *why = NULL;
    cr_assert_eq(zmq_curve_keypair(other, own.secret_key), 0);
    cr_assert_eq(zap_new(path, &own, &zap, &why), BUS_TIMEOUT);
    cr_assert_str_eq(why, "a handshake with our own key failed");
    cr_assert_null(zap);
    zap_close_context();
    remove_folder(path);
}

Test(zap, a_keeper_without_a_folder_is_none)
{
    cert_t own;
    char *path = make_folder(&own);
    zap_t *zap = NULL;
    const char *why = NULL;
    cr_assert_eq(zap_new("/dev/null", &own, &zap, &why), BUS_IO);
    cr_assert_null(zap);
    remove_folder(path);
}

// What the door says first of a handshake with a key that nobody knows.
static int
first_handshake(zap_t *zap, const cert_t *own, const char *news_name)
{
    char endpoint[64];
    size_t size = sizeof(endpoint);
    void *door = zmq_socket(zap_context(), ZMQ_PULL);
    void *news = zmq_socket(zap_context(), ZMQ_PAIR);
    void *socket = zmq_socket(zap_context(), ZMQ_PUSH);
    zap_protect(zap, door);
    cr_assert_eq(zmq_socket_monitor(door,
                                    news_name,
                                    ZMQ_EVENT_HANDSHAKE_SUCCEEDED |
                                        ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL |
                                        ZMQ_EVENT_HANDSHAKE_FAILED_AUTH),
                 0);
    cr_assert_eq(zmq_connect(news, news_name), 0);
    cr_assert_eq(zmq_bind(door, "tcp://127.0.0.1:*"), 0);
    cr_assert_eq(zmq_getsockopt(door, ZMQ_LAST_ENDPOINT, endpoint, &size), 0);
    cert_t stranger = {.name = "stranger"};
    cr_assert_eq(zmq_curve_keypair(stranger.public_key, stranger.secret_key), 0);
    memcpy(stranger.server_key, own->public_key, CERT_KEY_SIZE);
    cert_apply(&stranger, socket, endpoint);
    cr_assert_eq(zmq_connect(socket, endpoint), 0);
    zmq_pollitem_t item = {.socket = news, .events = ZMQ_POLLIN};
    cr_assert_eq(zmq_poll(&item, 1, 10000), 1, "the door says nothing");
    uint8_t bytes[6];
    cr_assert_eq(zmq_recv(news, bytes, sizeof(bytes), 0), 6);
    uint16_t event;
    memcpy(&event, bytes, sizeof(event));
    zmq_socket_monitor(door, NULL, 0);
    void *sockets[] = {door, news, socket};
    for (size_t i = 0; i < sizeof(sockets) / sizeof(sockets[0]); i++) {
        int linger = 0;
        zmq_setsockopt(sockets[i], ZMQ_LINGER, &linger, sizeof(linger));
        zmq_close(sockets[i]);
    }
    return event;
}

Test(zap, a_door_whose_keeper_was_killed_lets_nobody_in)
{
    cert_t own;
    char *path = make_folder(&own);
    zap_t *zap = NULL;
    const char *why = NULL;
    cr_assert_eq(zap_new(path, &own, &zap, &why), BUS_OK, "%s", why);
    cr_assert_eq(first_handshake(zap, &own, "inproc://with"), ZMQ_EVENT_HANDSHAKE_FAILED_AUTH);
    zactor_destroy(actor_of(zap));
    cr_assert_eq(first_handshake(zap, &own, "inproc://without"),
                 ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL);
    zap_destroy(&zap);
    zap_close_context();
    remove_folder(path);
}
