// broker.c - the process: a journal, a router, a loop, and an exit status that says what was wrong.
#include "broker.h"
#include "alarm.h"
#include "journal.h"
#include "router.h"
#include "runtime/address.h"
#include "runtime/cert.h"
#include "runtime/clock.h"
#include "runtime/log.h"
#include "zap.h"
#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sysexits.h>
#include <zmq.h>

static const char *const door_names[2] = {[GATE_IN] = "bus.in", [GATE_OUT] = "bus.out"};

// Fills in the addresses. False where one does not fit, or is not one that we may listen on.
static bool
find_endpoints(const broker_options_t *options, gate_endpoints_t *ret_endpoints)
{
    const uint64_t ports[2] = {[GATE_IN] = options->tcp_in, [GATE_OUT] = options->tcp_out};
    *ret_endpoints = (gate_endpoints_t){0};
    bool has_tcp = options->tcp_bind != NULL && options->tcp_bind[0] != '\0' &&
                   (options->tcp_in > 0 || options->tcp_out > 0);
    // Without CURVE nothing says who speaks there, and libzmq 4.3.4 cannot bound an endless
    // multipart message.
    if (has_tcp && !options->is_secure && !address_is_loopback(options->tcp_bind)) {
        log_error("config_refused",
                  "bind=%s why=\"tcp beyond loopback needs CURVE: --secure\"",
                  options->tcp_bind);
        return false;
    }
    for (int i = 0; i < 2; i++) {
        int size = snprintf(ret_endpoints->ipc[i],
                            sizeof(ret_endpoints->ipc[i]),
                            "ipc://%s/%s",
                            options->dir,
                            door_names[i]);
        // A socket's path has room for 107 bytes.
        if (size >= (int) (sizeof("ipc://") + sizeof(((struct sockaddr_un *) 0)->sun_path) - 1)) {
            log_error("config_refused", "dir=%s why=\"too long for a socket\"", options->dir);
            return false;
        }
        if (has_tcp && ports[i] > 0) {
            snprintf(ret_endpoints->tcp[i],
                     sizeof(ret_endpoints->tcp[i]),
                     "tcp://%s:%llu",
                     options->tcp_bind,
                     (unsigned long long) ports[i]);
        }
    }
    return true;
}

// Opens the journal, and says what is wrong with it. Returns an exit status.
static int
open_journal(const broker_options_t *options, journal_t **ret_journal)
{
    char path[4096];
    int size = snprintf(path, sizeof(path), "%s/broker", options->dir);
    if (size >= (int) sizeof(path) || (mkdir(options->dir, 0700) != 0 && errno != EEXIST)) {
        log_error("folder_not_made", "dir=%s error=\"%s\"", options->dir, strerror(errno));
        return EX_IOERR;
    }
    const journal_options_t journal = {
        .path = path,
        .size_max = options->journal_bytes,
        .retention_bytes = options->retention_bytes,
        .retention_ms = options->retention_ms,
    };
    bus_err_t err = journal_open(&journal, ret_journal);
    if (err == BUS_OK) {
        return 0;
    }
    log_error("journal_not_open",
              "path=%s error=%s why=\"%s\"",
              path,
              error_text(err),
              err == BUS_CONFLICT ? "another broker has it open" : error_meaning(err));
    return err == BUS_CONFLICT ? EX_TEMPFAIL : EX_IOERR;
}

// Says that the clock is far ahead: to the operator, and, in the journal, to the services. The
// broker works without the fact, too.
static void
raise_alarm(journal_t *journal)
{
    log_warning("clock_jumped",
                "why=\"the clock is more than a day ahead of the journal's last record\" "
                "hint=\"nothing is let go by its age until the next start\"");
    bus_err_t err = alarm_clock_ahead(journal, clock_wall_us());
    if (err != BUS_OK) {
        log_error("alarm_not_journaled", "error=%s", error_text(err));
    }
}

static void
on_stop(void *arg, int signal_number)
{
    log_info("stopping", "signal=%d", signal_number);
    router_stop(arg);
}

static void
on_signal(void *arg, int signal_number)
{
    if (signal_number == SIGHUP) {
        router_reload(arg);
    }
}

// --- Keeping the gate --------------------------------------------------------------------------

// What the sockets live in, and who keeps its gate.
typedef struct {
    void *zmq;
    cert_t cert; // the broker's own
    zap_t *zap;  // NULL: an open bus
    bool is_failed;
    loop_t *loop; // borrowed
} context_t;

static void
close_context(context_t *context)
{
    bool is_open = context->zap == NULL;
    zap_destroy(&context->zap);
    cert_clear(&context->cert);
    if (context->zmq == NULL) {
        return;
    }
    // Waits for the linger of the sockets, 500 ms.
    if (is_open) {
        zmq_ctx_term(context->zmq);
    } else {
        zap_close_context();
    }
}

// Nothing that comes by tcp can be believed any more.
static void
on_zap_failed(void *arg, const char *why)
{
    context_t *context = arg;
    log_error("gate_open", "why=\"%s\" hint=\"the broker stops serving\"", why);
    context->is_failed = true;
    loop_stop(context->loop);
}

// Returns an exit status.
static int
open_context(const broker_options_t *options, loop_t *loop, context_t *ret_context)
{
    ret_context->loop = loop;
    if (!options->is_secure) {
        ret_context->zmq = zmq_ctx_new();
        assert(ret_context->zmq != NULL);
        return 0;
    }
    const char *why = NULL;
    bus_err_t err = cert_load(options->dir, CERT_BROKER, &ret_context->cert, &why);
    if (err != BUS_OK) {
        log_error("config_refused",
                  "certificate=%s/" CERT_FOLDER "/" CERT_BROKER CERT_SUFFIX " why=\"%s\"%s",
                  options->dir,
                  why,
                  err == BUS_NOT_FOUND ? " hint=\"bhiv keys cert " CERT_BROKER "\"" : "");
        return EX_CONFIG;
    }
    err = zap_new(options->dir, &ret_context->cert, &ret_context->zap, &why);
    if (err != BUS_OK) {
        log_error("gate_not_kept", "why=\"%s\"", why);
        zap_close_context();
        return EX_SOFTWARE;
    }
    ret_context->zmq = zap_context();
    zap_watch(ret_context->zap, loop, on_zap_failed, ret_context);
    return 0;
}

// --- Running -----------------------------------------------------------------------------------

static int
run(const broker_options_t *options,
    const gate_endpoints_t *endpoints,
    loop_t *loop,
    journal_t *journal)
{
    BUS_AUTO(close_context) context_t context = {.zmq = NULL};
    int status = open_context(options, loop, &context);
    if (status != 0) {
        return status;
    }
    BUS_AUTO(router_destroy) router_t *router = NULL;
    const router_options_t router_options = {
        .loop = loop,
        .context = context.zmq,
        .journal = journal,
        .zap = context.zap,
        .dir = options->dir,
        .endpoints = endpoints,
        .pending_bytes = options->pending_bytes,
        .is_trimming = options->retention_bytes > 0 || options->retention_ms > 0,
    };
    gate_problem_t problem;
    bus_err_t err = router_new(&router_options, &router, &problem);
    if (err == BUS_FORBIDDEN) {
        return EX_CONFIG; // it said what is wrong
    }
    if (err != BUS_OK) {
        log_error("not_bound", "address=%s why=\"%s\"", problem.where, problem.why);
        return err == BUS_CONFLICT ? EX_TEMPFAIL : EX_IOERR;
    }
    loop_on_stop(loop, on_stop, router);
    loop_on_signal(loop, on_signal, router);
    printf("ready %s\n", router_ingress(router));
    fflush(stdout);
    log_info("ready",
             "in=%s tcp=%s head=%llu",
             endpoints->ipc[GATE_IN],
             endpoints->tcp[GATE_IN],
             (unsigned long long) router_head(router));
    loop_run(loop);
    log_info("stopped", "head=%llu", (unsigned long long) router_head(router));
    return context.is_failed ? EX_SOFTWARE : 0;
}

int
broker_run(const broker_options_t *options)
{
    gate_endpoints_t endpoints;
    if (!find_endpoints(options, &endpoints)) {
        return EX_CONFIG;
    }
    BUS_AUTO(loop_destroy) loop_t *loop = loop_new(); // before any thread: it blocks signals
    BUS_AUTO(journal_destroy) journal_t *journal = NULL;
    int status = open_journal(options, &journal);
    if (status != 0) {
        return status;
    }
    if (journal_clock_jumped(journal)) {
        raise_alarm(journal);
    }
    return run(options, &endpoints, loop, journal);
}
