// transfer.c - libcurl's multi interface in the loop.
//
// libcurl says which descriptors it waits for and when it wants to be called (the socket and timer
// callbacks); the loop calls it back with what happened. A transfer that has ended is taken from
// libcurl's own list of messages, outside of any of its callbacks, and only then is its owner told.
#include "transfer.h"
#include "clock.h"
#include <assert.h>
#include <curl/curl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    CONNECT_MS_MAX = 5000, // to connect, where the whole may take longer
    TEXT_MAX = 4096,       // bytes of a url, a header or an address
};

typedef struct transfer transfer_t;

struct transfer {
    transfers_t *pool;
    transfer_t *next; // in the pool's list
    uint64_t id;
    CURL *easy;
    struct curl_slist *headers;
    struct curl_slist *recipients;
    char *body; // owned copy
    size_t body_size;
    size_t body_read; // of a mail: what libcurl took
    char *answer;
    size_t answer_size;
    size_t answer_size_max;
    bool is_too_large;
    char why[CURL_ERROR_SIZE];
    uint64_t started_us;
    transfer_fn *fn;
    void *arg;
};

// A descriptor that libcurl waits for: the loop knows one set of events for it.
typedef struct watch {
    struct watch *next;
    transfers_t *pool;
    curl_socket_t fd;
    int wanted; // CURL_POLL_IN, OUT or INOUT
} watch_t;

struct transfers {
    loop_t *loop;
    CURLM *multi;
    transfer_t *first;
    watch_t *watches;
    size_t count;
    uint64_t last_id;
    int timer; // 0: none
};

// --- libcurl and the loop ------------------------------------------------------------------------

static void finish_ended(transfers_t *self);

static void
act(transfers_t *self, curl_socket_t fd, int happened)
{
    int running = 0;
    CURLMcode code = curl_multi_socket_action(self->multi, fd, happened, &running);
    assert(code == CURLM_OK); // a bad handle or socket is ours
    finish_ended(self);
}

static void
on_readable(void *arg)
{
    const watch_t *watch = arg;
    act(watch->pool, watch->fd, CURL_CSELECT_IN);
}

static void
on_writable(void *arg)
{
    const watch_t *watch = arg;
    act(watch->pool, watch->fd, CURL_CSELECT_OUT);
}

static void
on_either(void *arg)
{
    const watch_t *watch = arg;
    act(watch->pool, watch->fd, 0); // libcurl looks for itself
}

static void
listen_to(transfers_t *self, watch_t *watch)
{
    switch (watch->wanted) {
    case CURL_POLL_IN:
        loop_add_fd(self->loop, watch->fd, POLLIN, on_readable, watch);
        return;
    case CURL_POLL_OUT:
        loop_add_fd(self->loop, watch->fd, POLLOUT, on_writable, watch);
        return;
    default: // an int of libcurl's: in and out
        loop_add_fd(self->loop, watch->fd, POLLIN | POLLOUT, on_either, watch);
        return;
    }
}

static void
forget_watch(transfers_t *self, watch_t *watch)
{
    for (watch_t **at = &self->watches; *at != NULL; at = &(*at)->next) {
        if (*at == watch) {
            *at = watch->next;
            break;
        }
    }
    free(watch);
}

// libcurl's socket callback. `mine` is what was assigned to the descriptor: our watch.
static int
on_socket(CURL *easy BUS_UNUSED, curl_socket_t fd, int wanted, void *arg, void *mine)
{
    transfers_t *self = arg;
    watch_t *watch = mine;
    if (watch != NULL) {
        loop_remove_fd(self->loop, fd);
    }
    if (wanted == CURL_POLL_REMOVE) {
        if (watch != NULL) {
            (void) curl_multi_assign(self->multi, fd, NULL);
            forget_watch(self, watch);
        }
        return 0;
    }
    if (watch == NULL) {
        watch = calloc(1, sizeof *watch);
        assert(watch);
        *watch = (watch_t){.next = self->watches, .pool = self, .fd = fd};
        self->watches = watch;
        (void) curl_multi_assign(self->multi, fd, watch);
    }
    watch->wanted = wanted;
    listen_to(self, watch);
    return 0;
}

static void
on_time(void *arg)
{
    transfers_t *self = arg;
    self->timer = 0; // it has fired its last time
    act(self, CURL_SOCKET_TIMEOUT, 0);
}

static int
on_timer(CURLM *multi BUS_UNUSED, long timeout_ms, void *arg)
{
    transfers_t *self = arg;
    if (self->timer != 0) {
        loop_cancel_timer(self->loop, self->timer);
        self->timer = 0;
    }
    if (timeout_ms >= 0) {
        self->timer = loop_add_timer(self->loop, (unsigned) timeout_ms, 1, on_time, self);
    }
    return 0;
}

// --- One transfer --------------------------------------------------------------------------------

static void
transfer_free(transfer_t *self)
{
    if (self->easy != NULL) {
        curl_easy_cleanup(self->easy);
    }
    curl_slist_free_all(self->headers);
    curl_slist_free_all(self->recipients);
    free(self->body);
    free(self->answer);
    free(self);
}

// Takes it from the pool and from libcurl.
static void
detach(transfer_t *self)
{
    transfers_t *pool = self->pool;
    for (transfer_t **at = &pool->first; *at != NULL; at = &(*at)->next) {
        if (*at == self) {
            *at = self->next;
            break;
        }
    }
    pool->count--;
    (void) curl_multi_remove_handle(pool->multi, self->easy);
}

static size_t
take_answer(char *bytes, size_t size, size_t count, void *arg)
{
    transfer_t *self = arg;
    size_t more = size * count;
    if (more > self->answer_size_max - self->answer_size) {
        self->is_too_large = true;
        return 0; // libcurl ends the transfer
    }
    char *grown = realloc(self->answer, self->answer_size + more + 1);
    assert(grown);
    self->answer = grown;
    memcpy(self->answer + self->answer_size, bytes, more);
    self->answer_size += more;
    return more;
}

static size_t
give_mail(char *buffer, size_t size, size_t count, void *arg)
{
    transfer_t *self = arg;
    size_t room = size * count;
    size_t left = self->body_size - self->body_read;
    size_t given = left < room ? left : room;
    memcpy(buffer, self->body + self->body_read, given);
    self->body_read += given;
    return given;
}

static bus_err_t
error_of(const transfer_t *self, CURLcode code)
{
    if (code == CURLE_OK) {
        return BUS_OK;
    }
    if (self->is_too_large) {
        return BUS_PAYLOAD_TOO_LARGE;
    }
    switch (code) {
    case CURLE_OPERATION_TIMEDOUT:
        return BUS_TIMEOUT;
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_COULDNT_CONNECT:
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_USE_SSL_FAILED:
        return BUS_SERVICE_UNAVAILABLE;
    case CURLE_LOGIN_DENIED:
        return BUS_UNAUTHENTICATED;
    default: // of some hundred codes
        return BUS_IO;
    }
}

// Whether the far end may have begun to act: bytes of the request left, or of a mail.
static bool
was_sent(const transfer_t *self)
{
    long request_size = 0;
    curl_off_t uploaded = 0;
    (void) curl_easy_getinfo(self->easy, CURLINFO_REQUEST_SIZE, &request_size);
    (void) curl_easy_getinfo(self->easy, CURLINFO_SIZE_UPLOAD_T, &uploaded);
    return request_size > 0 || uploaded > 0 || self->body_read > 0;
}

static void
finish(transfer_t *self, CURLcode code)
{
    long status = 0;
    (void) curl_easy_getinfo(self->easy, CURLINFO_RESPONSE_CODE, &status);
    if (code != CURLE_OK && self->why[0] == '\0') {
        (void) snprintf(self->why, sizeof self->why, "%s", curl_easy_strerror(code));
    }
    transfer_answer_t answer = {
        .err = error_of(self, code),
        .was_sent = was_sent(self),
        .status = (int) status,
        .body = view_from(self->answer == NULL ? "" : self->answer, self->answer_size),
        .why = code == CURLE_OK ? "" : self->why,
        .duration_us = clock_boot_us() - self->started_us,
    };
    detach(self);
    self->fn(self->arg, &answer);
    transfer_free(self);
}

static void
finish_ended(transfers_t *self)
{
    int left = 0;
    const CURLMsg *message = curl_multi_info_read(self->multi, &left);
    while (message != NULL) {
        if (message->msg == CURLMSG_DONE) {
            transfer_t *transfer = NULL;
            CURLcode code = message->data.result;
            CURLcode got = curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &transfer);
            assert(got == CURLE_OK && transfer != NULL);
            finish(transfer, code);
        }
        message = curl_multi_info_read(self->multi, &left);
    }
}

// --- The pool ------------------------------------------------------------------------------------

transfers_t *
transfer_pool_new(loop_t *loop)
{
    CURLcode started = curl_global_init(CURL_GLOBAL_DEFAULT); // counted: any pool may do it
    assert(started == CURLE_OK);
    transfers_t *self = calloc(1, sizeof *self);
    assert(self);
    self->loop = loop;
    self->multi = curl_multi_init();
    assert(self->multi);
    (void) curl_multi_setopt(self->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    (void) curl_multi_setopt(self->multi, CURLMOPT_SOCKETDATA, self);
    (void) curl_multi_setopt(self->multi, CURLMOPT_TIMERFUNCTION, on_timer);
    (void) curl_multi_setopt(self->multi, CURLMOPT_TIMERDATA, self);
    (void) curl_multi_setopt(self->multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, (long) TRANSFER_MAX);
    return self;
}

void
transfer_pool_destroy(transfers_t **self_p)
{
    assert(self_p);
    transfers_t *self = *self_p;
    if (self == NULL) {
        return;
    }
    for (transfer_t *at = self->first, *next; at != NULL; at = next) {
        next = at->next;
        detach(at);
        transfer_free(at);
    }
    curl_multi_cleanup(self->multi); // lets go of its idle connections: their watches go with them
    while (self->watches != NULL) {
        loop_remove_fd(self->loop, self->watches->fd);
        forget_watch(self, self->watches);
    }
    if (self->timer != 0) {
        loop_cancel_timer(self->loop, self->timer);
    }
    free(self);
    curl_global_cleanup();
    *self_p = NULL;
}

size_t
transfer_pool_count(const transfers_t *self)
{
    return self->count;
}

// --- Starting ------------------------------------------------------------------------------------

static bool
is_one_line(const char *text)
{
    return text == NULL || (strlen(text) <= TEXT_MAX && strpbrk(text, "\r\n") == NULL);
}

static bool
is_plain(const transfer_request_t *request)
{
    bool plain = request->url != NULL && is_one_line(request->url) &&
                 is_one_line(request->bearer) && is_one_line(request->user) &&
                 is_one_line(request->password) && is_one_line(request->mail_from) &&
                 request->header_count <= TRANSFER_HEADERS_MAX &&
                 request->mail_to_count <= TRANSFER_RECIPIENTS_MAX && request->timeout_ms > 0;
    for (size_t i = 0; plain && i < request->header_count; i++) {
        plain = is_one_line(request->headers[i]);
    }
    for (size_t i = 0; plain && i < request->mail_to_count; i++) {
        plain = is_one_line(request->mail_to[i]);
    }
    return plain;
}

static struct curl_slist *
list_add(struct curl_slist *list, const char *text)
{
    struct curl_slist *grown = curl_slist_append(list, text);
    assert(grown);
    return grown;
}

static void
set_mail(transfer_t *self, const transfer_request_t *request)
{
    CURL *easy = self->easy;
    for (size_t i = 0; i < request->mail_to_count; i++) {
        self->recipients = list_add(self->recipients, request->mail_to[i]);
    }
    (void) curl_easy_setopt(easy, CURLOPT_MAIL_FROM, request->mail_from);
    (void) curl_easy_setopt(easy, CURLOPT_MAIL_RCPT, self->recipients);
    (void) curl_easy_setopt(easy, CURLOPT_UPLOAD, 1L);
    (void) curl_easy_setopt(easy, CURLOPT_READFUNCTION, give_mail);
    (void) curl_easy_setopt(easy, CURLOPT_READDATA, self);
    (void) curl_easy_setopt(
        easy, CURLOPT_USE_SSL, (long) (request->user != NULL ? CURLUSESSL_ALL : CURLUSESSL_TRY));
    if (request->user != NULL) {
        (void) curl_easy_setopt(easy, CURLOPT_USERNAME, request->user);
        (void) curl_easy_setopt(
            easy, CURLOPT_PASSWORD, request->password != NULL ? request->password : "");
    }
}

static void
set_http(transfer_t *self, const transfer_request_t *request)
{
    CURL *easy = self->easy;
    for (size_t i = 0; i < request->header_count; i++) {
        self->headers = list_add(self->headers, request->headers[i]);
    }
    if (request->bearer != NULL) {
        (void) curl_easy_setopt(easy, CURLOPT_HTTPAUTH, (long) CURLAUTH_BEARER);
        (void) curl_easy_setopt(easy, CURLOPT_XOAUTH2_BEARER, request->bearer);
    }
    if (request->is_once) {
        (void) curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, 1L);
        (void) curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, 1L);
    }
    self->headers = list_add(self->headers, "Expect:"); // no waiting for 100 Continue
    (void) curl_easy_setopt(easy, CURLOPT_HTTPHEADER, self->headers);
    if (request->body.data != NULL) {
        (void) curl_easy_setopt(easy, CURLOPT_POST, 1L);
        (void) curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t) self->body_size);
        (void) curl_easy_setopt(easy, CURLOPT_POSTFIELDS, self->body);
    }
}

static void
set_common(transfer_t *self, const transfer_request_t *request)
{
    CURL *easy = self->easy;
    unsigned connect_ms =
        request->timeout_ms < CONNECT_MS_MAX ? request->timeout_ms : CONNECT_MS_MAX;
    (void) curl_easy_setopt(easy, CURLOPT_URL, request->url);
    (void) curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https,smtp,smtps");
    (void) curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    (void) curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    (void) curl_easy_setopt(easy, CURLOPT_NOPROGRESS, 1L);
    (void) curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long) request->timeout_ms);
    (void) curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long) connect_ms);
    (void) curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, self->why);
    (void) curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_answer);
    (void) curl_easy_setopt(easy, CURLOPT_WRITEDATA, self);
    (void) curl_easy_setopt(easy, CURLOPT_PRIVATE, self);
    (void) curl_easy_setopt(easy, CURLOPT_USERAGENT, "bhiv/" BHIV_VERSION);
    if (request->ca_file != NULL) {
        (void) curl_easy_setopt(easy, CURLOPT_CAINFO, request->ca_file);
    }
}

bus_err_t
transfer_start(transfers_t *self,
               const transfer_request_t *request,
               transfer_fn *fn,
               void *arg,
               uint64_t *ret_id)
{
    if (!is_plain(request)) {
        return BUS_VALIDATION_FAILED;
    }
    if (self->count >= TRANSFER_MAX) {
        return BUS_BUSY;
    }
    transfer_t *transfer = calloc(1, sizeof *transfer);
    assert(transfer);
    *transfer =
        (transfer_t){.pool = self,
                     .id = ++self->last_id,
                     .easy = curl_easy_init(),
                     .answer_size_max = request->answer_size_max == 0 ? TRANSFER_ANSWER_MAX
                                                                      : request->answer_size_max,
                     .started_us = clock_boot_us(),
                     .fn = fn,
                     .arg = arg};
    assert(transfer->easy);
    if (request->body.data != NULL) {
        transfer->body_size = request->body.size;
        transfer->body = malloc(request->body.size + 1);
        assert(transfer->body);
        memcpy(transfer->body, request->body.data, request->body.size);
    }
    set_common(transfer, request);
    if (request->mail_from != NULL) {
        set_mail(transfer, request);
    } else {
        set_http(transfer, request);
    }
    transfer->next = self->first;
    self->first = transfer;
    self->count++;
    *ret_id = transfer->id;
    CURLMcode code = curl_multi_add_handle(self->multi, transfer->easy);
    assert(code == CURLM_OK); // it only asks for its timer: nothing happens before the loop goes on
    return BUS_OK;
}

void
transfer_cancel(transfers_t *self, uint64_t id)
{
    for (transfer_t *at = self->first; at != NULL; at = at->next) {
        if (at->id == id) {
            detach(at);
            transfer_free(at);
            return;
        }
    }
}
