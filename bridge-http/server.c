// server.c - libmicrohttpd in our loop: one daemon a port, no thread of its own.
#include "server.h"
#include "link.h"
#include "request.h"
#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <unistd.h>

enum {
    TURNS_MAX = 8,                 // of one daemon before others have theirs
    CONNECTION_MEMORY = 32 * 1024, // head, reading and writing: 16 KiB of headers fit
    IDLE_SECONDS = 60,             // a connection that is kept alive
    BACKLOG = 1024,
};

static const char *const names[BRIDGE_PORT_COUNT] = {[BRIDGE_KARMA] = "karma",
                                                     [BRIDGE_BUCKET] = "bucket",
                                                     [BRIDGE_CORE] = "core",
                                                     [BRIDGE_WORKFLOW] = "workflow",
                                                     [BRIDGE_CONSOLE] = "console"};

const char *
bridge_server_port_name(bridge_port_id_t id)
{
    return names[id];
}

// --- Listening ----------------------------------------------------------------------------------

typedef union {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
} address_t;

// False where `text` is no address. Of names only localhost is one: nothing is looked up.
static bool
parse_address(const char *text, uint16_t port_number, address_t *ret_address, socklen_t *ret_size)
{
    memset(ret_address, 0, sizeof(*ret_address));
    if (strcmp(text, "localhost") == 0) {
        text = "127.0.0.1";
    }
    if (inet_pton(AF_INET, text, &ret_address->v4.sin_addr) == 1) {
        ret_address->v4.sin_family = AF_INET;
        ret_address->v4.sin_port = htons(port_number);
        *ret_size = sizeof(ret_address->v4);
        return true;
    }
    if (inet_pton(AF_INET6, text, &ret_address->v6.sin6_addr) == 1) {
        ret_address->v6.sin6_family = AF_INET6;
        ret_address->v6.sin6_port = htons(port_number);
        *ret_size = sizeof(ret_address->v6);
        return true;
    }
    return false;
}

static int
open_socket(const address_t *address, socklen_t size)
{
    int fd = socket(address->any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int on = 1;
    if (fd < 0) {
        return -1;
    }
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0 ||
        bind(fd, &address->any, size) != 0 || listen(fd, BACKLOG) != 0) {
        int kept = errno;
        (void) close(fd);
        errno = kept;
        return -1;
    }
    return fd;
}

static void
on_connection(void *arg,
              struct MHD_Connection *http,
              void **link_p,
              enum MHD_ConnectionNotificationCode what)
{
    if (what == MHD_CONNECTION_NOTIFY_STARTED) {
        *link_p = bridge_link_new(arg, http);
        return;
    }
    bridge_link_t *link = *link_p;
    *link_p = NULL;
    bridge_link_destroy(&link);
}

static void
on_readable(void *arg)
{
    bridge_server_turn(arg);
}

// From one address, a port; 0: as many as the port has.
static unsigned
connections_of_address(const bridge_t *bridge)
{
    uint64_t wanted = bridge->options->address_connections;
    if (wanted > 0) {
        return (unsigned) wanted;
    }
    return bridge->tokens != NULL ? BRIDGE_CONNECTIONS_ADDRESS : 0;
}

static bool
start_daemon(bridge_port_t *port, int fd, uint16_t port_number)
{
    const bridge_t *bridge = port->bridge;
    bool is_tls = bridge->tls.cert != NULL;
    unsigned flags = MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | (is_tls ? MHD_USE_TLS : 0U);
    struct MHD_OptionItem end = {MHD_OPTION_END, 0, NULL};
    struct MHD_OptionItem tls[] = {
        {MHD_OPTION_HTTPS_MEM_CERT, 0, bridge->tls.cert},
        {MHD_OPTION_HTTPS_MEM_KEY, 0, bridge->tls.key},
        {MHD_OPTION_HTTPS_PRIORITIES, 0, (void *) BRIDGE_TLS_PRIORITIES},
        end,
    };
    port->daemon = MHD_start_daemon(flags,
                                    port_number,
                                    NULL,
                                    NULL,
                                    bridge_request_access,
                                    port,
                                    MHD_OPTION_LISTEN_SOCKET,
                                    fd,
                                    MHD_OPTION_CONNECTION_LIMIT,
                                    (unsigned) BRIDGE_CONNECTIONS_MAX,
                                    MHD_OPTION_PER_IP_CONNECTION_LIMIT,
                                    connections_of_address(bridge),
                                    MHD_OPTION_CONNECTION_MEMORY_LIMIT,
                                    (size_t) CONNECTION_MEMORY,
                                    MHD_OPTION_CONNECTION_TIMEOUT,
                                    (unsigned) IDLE_SECONDS,
                                    MHD_OPTION_URI_LOG_CALLBACK,
                                    bridge_request_begin,
                                    port,
                                    MHD_OPTION_NOTIFY_COMPLETED,
                                    bridge_request_end,
                                    port,
                                    MHD_OPTION_NOTIFY_CONNECTION,
                                    on_connection,
                                    port,
                                    MHD_OPTION_ARRAY,
                                    is_tls ? tls : &end,
                                    MHD_OPTION_END);
    return port->daemon != NULL;
}

int
bridge_server_listen(bridge_port_t *port, uint64_t port_number)
{
    const char *bind_text = port->bridge->options->http_bind;
    address_t address;
    socklen_t size = 0;
    if (!parse_address(bind_text, (uint16_t) port_number, &address, &size)) {
        fprintf(stderr, "bhiv bridge: --http-bind %s is no IP address\n", bind_text);
        return EX_CONFIG;
    }
    int fd = open_socket(&address, size);
    if (fd < 0) {
        int cause = errno;
        fprintf(stderr,
                "bhiv bridge: cannot listen on %s port %lu (%s): %s\n",
                bind_text,
                (unsigned long) port_number,
                bridge_server_port_name(port->id),
                strerror(cause));
        return cause == EADDRINUSE ? EX_TEMPFAIL : EX_UNAVAILABLE;
    }
    if (!start_daemon(port, fd, (uint16_t) port_number)) {
        (void) close(fd);
        fprintf(stderr,
                "bhiv bridge: libmicrohttpd does not start%s\n",
                port->bridge->tls.cert == NULL ? "" : "; or --tls-key is not that of --tls-cert");
        return port->bridge->tls.cert == NULL ? EX_UNAVAILABLE : EX_CONFIG;
    }
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(port->daemon, MHD_DAEMON_INFO_EPOLL_FD);
    assert(info != NULL);
    loop_add_fd(port->bridge->loop, info->epoll_fd, POLLIN, on_readable, port);
    return 0;
}

// --- Running ------------------------------------------------------------------------------------

static void
on_turn_due(void *arg)
{
    bridge_port_t *port = arg;
    port->turn_is_due = false;
    bridge_server_turn(port);
}

void
bridge_server_kick(bridge_port_t *port)
{
    if (!port->turn_is_due) {
        port->turn_is_due = true;
        (void) loop_add_timer(port->bridge->loop, 0, 1, on_turn_due, port);
    }
}

void
bridge_server_turn(bridge_port_t *port)
{
    MHD_UNSIGNED_LONG_LONG wait_ms = 1;
    bool has_more = true;
    for (unsigned i = 0; i < TURNS_MAX && has_more; i++) {
        client_hold(port->bridge->client);
        (void) MHD_run(port->daemon);
        client_release(port->bridge->client);
        has_more = MHD_get_timeout(port->daemon, &wait_ms) == MHD_YES && wait_ms == 0;
    }
    if (has_more) {
        bridge_server_kick(port);
    } // else the descriptor or the sweep wakes it
}

void
bridge_server_quiet(bridge_port_t *port)
{
    if (port->daemon == NULL || port->is_quiet) {
        return;
    }
    port->is_quiet = true;
    int fd = MHD_quiesce_daemon(port->daemon);
    if (fd >= 0) {
        (void) close(fd);
    }
}

void
bridge_server_close(bridge_port_t *port)
{
    if (port->daemon == NULL) {
        return;
    }
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(port->daemon, MHD_DAEMON_INFO_EPOLL_FD);
    loop_remove_fd(port->bridge->loop, info->epoll_fd);
    (void) MHD_run(port->daemon); // takes up what was resumed
    MHD_stop_daemon(port->daemon);
    port->daemon = NULL;
}
