// link.c - connections and their deadlines.
//
// A connection between two requests has no deadline of ours (libmicrohttpd's idle timeout closes
// it), but one whose client has begun the next request has; libmicrohttpd tells of a request only
// when its first line is whole, so the sweep asks the kernel how many bytes have come.
#include "link.h"
#include "answer.h"
#include "metrics.h"
#include "proto/transcode.h"
#include "runtime/clock.h"
#include <assert.h>
#include <linux/tcp.h> // its tcp_info has grown since that of glibc was written
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

bridge_link_t *
bridge_link_new(bridge_port_t *port, struct MHD_Connection *http)
{
    bridge_link_t *self = calloc(1, sizeof(*self));
    assert(self != NULL);
    self->port = port;
    self->http = http;
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(http, MHD_CONNECTION_INFO_CONNECTION_FD);
    assert(info != NULL);
    self->fd = info->connect_fd;
    self->state = BRIDGE_LINK_IDLE;
    info = MHD_get_connection_info(http, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    if (info == NULL || info->client_addr == NULL ||
        getnameinfo(info->client_addr,
                    info->client_addr->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6)
                                                             : sizeof(struct sockaddr_in),
                    self->address,
                    sizeof(self->address),
                    NULL,
                    0,
                    NI_NUMERICHOST) != 0) {
        (void) snprintf(self->address, sizeof(self->address), "unknown");
    }
    self->next = port->links;
    if (self->next != NULL) {
        self->next->prev = self;
    }
    port->links = self;
    return self;
}

void
bridge_link_destroy(bridge_link_t **self_p)
{
    bridge_link_t *self = *self_p;
    if (self == NULL) {
        return;
    }
    if (self->next != NULL) {
        self->next->prev = self->prev;
    }
    *(self->prev != NULL ? &self->prev->next : &self->port->links) = self->next;
    free(self);
    *self_p = NULL;
}

static uint64_t
time_allowed(const bridge_link_t *self, bridge_link_state_t state)
{
    switch (state) {
    case BRIDGE_LINK_RECEIVING:
        return self->port->bridge->request_timeout_us;
    case BRIDGE_LINK_SENDING:
        return BRIDGE_LINK_SEND_MS * 1000ULL;
    case BRIDGE_LINK_CUT:
        return BRIDGE_LINK_LINGER_MS * 1000ULL;
    case BRIDGE_LINK_IDLE:
    case BRIDGE_LINK_WORKING:
    case BRIDGE_LINK_STREAMING:
        break;
    }
    return 0;
}

void
bridge_link_enter(bridge_link_t *self, bridge_link_state_t state)
{
    if (self->state == BRIDGE_LINK_CUT ||
        (self->state == BRIDGE_LINK_RECEIVING && state == BRIDGE_LINK_RECEIVING)) {
        return; // the time runs from the first byte that was noticed
    }
    uint64_t allowed = time_allowed(self, state);
    self->state = state;
    self->deadline_us = allowed == 0 ? 0 : clock_boot_us() + allowed;
    self->seen_bytes = UINT64_MAX;
}

void
bridge_link_refuse(bridge_link_t *self, bus_err_t err, int status, const char *why)
{
    if (self->state == BRIDGE_LINK_CUT) {
        return;
    }
    char trace_id[BRIDGE_TRACE_TEXT_SIZE];
    bridge_trace_choose(VIEW_NONE, VIEW_NONE, VIEW_NONE, trace_id);
    const bridge_error_t error = {.err = err, .status = status, .message = view_from_text(why)};
    const bridge_error_frame_t frame = {
        .shape = self->port->id == BRIDGE_KARMA ? BRIDGE_ERROR_KARMA : BRIDGE_ERROR_COMMON,
        .trace_id = trace_id,
        .path = VIEW_LITERAL(""), // what came is not to be trusted, nor repeated
        .time_us = clock_wall_us()};
    BUS_AUTO(pack_destroy) pack_t *body = pack_new();
    bridge_answer_pack_error(&frame, &error, body);
    BUS_AUTO(text_destroy) text_t *json = text_new();
    transcode_to_json(pack_view(body), 0, json);
    text_add(json, VIEW_LITERAL("\n"));
    unsigned code = (unsigned) (status != 0 ? status : error_http(err));
    BUS_AUTO(text_destroy) text_t *text = text_new();
    text_add_format(text,
                    "HTTP/1.1 %u %s\r\nContent-Type: application/json\r\n"
                    "Content-Length: %zu\r\nX-Trace-Id: %s\r\nConnection: close\r\n\r\n%s",
                    code,
                    MHD_get_reason_phrase_for(code),
                    text_view(json).size,
                    trace_id,
                    text_view(json).data);
    bus_view_t whole = text_view(text);
    if (self->port->bridge->tls.cert == NULL) { // else the request answers for itself, or is cut
        (void) send(self->fd, whole.data, whole.size, MSG_DONTWAIT | MSG_NOSIGNAL);
        (void) shutdown(self->fd, SHUT_WR);
    }
    bridge_metrics_count_cut(self->port->bridge->metrics, self->port->id);
    bridge_link_enter(self, BRIDGE_LINK_CUT);
}

// Whether bytes came since the connection became idle.
static bool
has_begun(bridge_link_t *self)
{
    struct tcp_info info = {0};
    socklen_t size = sizeof(info);
    if (getsockopt(self->fd, IPPROTO_TCP, TCP_INFO, &info, &size) != 0) {
        return false;
    }
    uint64_t received = info.tcpi_bytes_received;
    bool begun = self->seen_bytes != UINT64_MAX && received > self->seen_bytes;
    self->seen_bytes = received;
    return begun;
}

static void
sweep_one(bridge_link_t *self, uint64_t now_us)
{
    if (self->state == BRIDGE_LINK_IDLE) {
        if (has_begun(self)) {
            bridge_link_enter(self, BRIDGE_LINK_RECEIVING);
        }
        return;
    }
    if (self->deadline_us == 0 || now_us < self->deadline_us) {
        return;
    }
    if (self->state == BRIDGE_LINK_RECEIVING) {
        bridge_link_refuse(self, BUS_REQUEST_TIMEOUT, 0, "the request took too long to arrive");
    }
    self->deadline_us = 0;
    (void) shutdown(self->fd, SHUT_RDWR); // libmicrohttpd sees the end, and closes it
}

void
bridge_link_sweep(bridge_port_t *port, uint64_t now_us)
{
    for (bridge_link_t *link = port->links; link != NULL; link = link->next) {
        sweep_one(link, now_us);
    }
}
