// config.c - what the executor was started with. See config.h.
#include "config.h"

#include "proto/schema.h"
#include "runtime/log.h"
#include "runtime/option.h"
#include "runtime/setting.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <strings.h>

#define CONFIG_KEY VIEW_LITERAL("config")
#define TIMEOUT_DEFAULT "2.0" // seconds: the seeds' own
#define FROM_DEFAULT "bhiv@localhost"

enum {
    TIMEOUT_MS_MAX = 600000, // ten minutes
};

// --- Switches ------------------------------------------------------------------------------------

static const struct {
    const char *variable;
    const char *field;
} switches[] = {
    {"ENABLE_WORKFLOW_EXECUTION", "enabled"},
    {"WORKFLOW_EVENTS_ENABLED", "events"},
    {"WORKFLOW_BEHAVIORAL_TRACKING", "karma"},
};
enum { SWITCH_COUNT = sizeof switches / sizeof switches[0] };

// Python's True is a word for it too. False: it is no switch.
static bool
read_switch(const char *name, bool *ret_on)
{
    const char *text = setting_text(name);
    uint64_t on = 1;
    if (text != NULL && strcasecmp(text, "true") == 0) {
        text = "true";
    } else if (text != NULL && strcasecmp(text, "false") == 0) {
        text = "false";
    }
    if (text != NULL && option_value(OPTION_FLAG, text, &on) != BUS_OK) {
        return false;
    }
    *ret_on = on != 0;
    return true;
}

void
workflow_config_pack(const service_options_t *options BUS_UNUSED, pack_t *out)
{
    pack_map(out, SWITCH_COUNT);
    for (size_t i = 0; i < SWITCH_COUNT; i++) {
        bool on = true;
        bool is_read = read_switch(switches[i].variable, &on);
        assert(is_read); // workflow_config_read came before
        pack_pair_bool(out, switches[i].field, on);
    }
}

bus_err_t
workflow_config_apply(service_apply_t *apply, const void *message BUS_UNUSED)
{
    return store_put(apply->txn, WORKFLOW_CONFIG, CONFIG_KEY, apply->body);
}

bus_err_t
workflow_config_get(store_txn_t *txn, workflow_switches_t *ret_switches)
{
    *ret_switches = (workflow_switches_t){.enabled = true, .events = true, .karma = true};
    bus_view_t value;
    bus_err_t err = store_get(txn, WORKFLOW_CONFIG, CONFIG_KEY, &value);
    if (err != BUS_OK) {
        return store_forgive(err);
    }
    schema_workflow_config_t stored;
    schema_problems_t problems = {.count = 0};
    if (schema_decode(&SCHEMA_workflow_config, value, &stored, &problems) == BUS_OK) {
        *ret_switches = (workflow_switches_t){.enabled = stored.enabled.value,
                                              .events = stored.events.value,
                                              .karma = stored.karma.value};
    }
    return BUS_OK;
}

// --- Timeouts ------------------------------------------------------------------------------------

static bool
read_seconds(const char *text, unsigned *ret_ms)
{
    char *end = NULL;
    errno = 0;
    double seconds = strtod(text, &end);
    if (errno != 0 || end == text || *end != '\0' || !(seconds >= 0.001) ||
        !(seconds * 1000 <= TIMEOUT_MS_MAX)) {
        return false;
    }
    *ret_ms = (unsigned) (seconds * 1000 + 0.5);
    return true;
}

static const char *const timeout_variables[WORKFLOW_ACTION_COUNT] = {
    [WORKFLOW_TASK] = "WORKFLOW_TIMEOUT",
    [WORKFLOW_EMAIL] = "WORKFLOW_TIMEOUT_EMAIL",
    [WORKFLOW_WHATSAPP] = "WORKFLOW_TIMEOUT_WHATSAPP",
    [WORKFLOW_AI] = "WORKFLOW_TIMEOUT_AI",
};

static bus_err_t
read_timeouts(workflow_servers_t *ret_servers)
{
    const char *common = setting_text("WORKFLOW_TIMEOUT");
    for (unsigned i = 0; i < WORKFLOW_ACTION_COUNT; i++) {
        const char *own = setting_text(timeout_variables[i]);
        const char *text = own != NULL ? own : common != NULL ? common : TIMEOUT_DEFAULT;
        if (!read_seconds(text, &ret_servers->timeouts_ms[i])) {
            return setting_refuse(own != NULL ? timeout_variables[i] : "WORKFLOW_TIMEOUT",
                                  "want_seconds_from_0.001_to_600");
        }
    }
    return BUS_OK;
}

// --- Servers -------------------------------------------------------------------------------------

// Whether every byte may stand in a header, a command or an address of a server.
static bool
is_plain(const char *text)
{
    for (const char *at = text; at != NULL && *at != '\0'; at++) {
        if ((unsigned char) *at < ' ' || *at == 0x7f) {
            return false;
        }
    }
    return true;
}

typedef struct {
    const char *variable;
    const char *schemes[2];
    size_t offset;      // of the text in workflow_servers_t
    const char *secret; // the variable of what goes there; NULL: none
} url_row_t;

static const url_row_t urls[] = {
    {"BHIV_SMTP_URL",
     {"smtp://", "smtps://"},
     offsetof(workflow_servers_t, smtp_url),
     NULL}, // a login demands encryption anyway
    {"BHIV_WHATSAPP_URL",
     {"http://", "https://"},
     offsetof(workflow_servers_t, whatsapp_url),
     "BHIV_WHATSAPP_TOKEN"},
    {"BHIV_AI_URL", {"http://", "https://"}, offsetof(workflow_servers_t, ai_url), "BHIV_AI_KEY"},
};

// Whether what follows the scheme is on this machine; 127.evil.example is not.
static bool
is_local(const char *host)
{
    size_t size = strcspn(host, ":/");
    return (size == 9 && strncmp(host, "localhost", 9) == 0) || strncmp(host, "[::1]", 5) == 0 ||
           (strncmp(host, "127.", 4) == 0 && strspn(host, "0123456789.") == size);
}

static bus_err_t
read_url(const url_row_t *row, workflow_servers_t *servers)
{
    const char *url = setting_text(row->variable);
    if (url == NULL) {
        return BUS_OK;
    }
    const char *host = NULL;
    for (size_t i = 0; i < 2; i++) {
        size_t size = strlen(row->schemes[i]);
        host = strncmp(url, row->schemes[i], size) == 0 ? url + size : host;
    }
    if (host == NULL || !is_plain(url) || strpbrk(host, " ?#") != NULL || host[0] == '\0') {
        return setting_refuse(row->variable, "want_scheme_host_and_path");
    }
    if (strchr(host, '@') != NULL) { // it would be in messages that name the server
        return setting_refuse(row->variable, "credentials_have_variables_of_their_own");
    }
    bool is_open = strncmp(url, "http://", 7) == 0;
    if (is_open && row->secret != NULL && setting_text(row->secret) != NULL && !is_local(host)) {
        log_warning("secret_unencrypted", "variable=%s hint=use_https", row->secret);
    }
    memcpy((char *) servers + row->offset, &url, sizeof url);
    return BUS_OK;
}

typedef struct {
    const char *variable;
    size_t offset; // of the text in workflow_servers_t
} text_row_t;

#define AT(field) offsetof(workflow_servers_t, field)
static const text_row_t texts[] = {
    {"BHIV_SMTP_FROM", AT(smtp_from)},
    {"BHIV_SMTP_USER", AT(smtp_user)},
    {"BHIV_SMTP_PASSWORD", AT(smtp_password)},
    {"BHIV_WHATSAPP_PHONE_ID", AT(whatsapp_phone_id)},
    {"BHIV_WHATSAPP_TOKEN", AT(whatsapp_token)},
    {"BHIV_AI_MODEL", AT(ai_model)},
    {"BHIV_AI_KEY", AT(ai_key)},
    {"SSL_CERT_FILE", AT(ca_file)},
};
#undef AT

static bus_err_t
read_texts(workflow_servers_t *servers)
{
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        const char *value = setting_text(texts[i].variable);
        if (!is_plain(value)) {
            return setting_refuse(texts[i].variable, "has_control_characters");
        }
        memcpy((char *) servers + texts[i].offset, &value, sizeof value);
    }
    return BUS_OK;
}

// What is needed beside an url, or is not as it must be.
static bus_err_t
check_servers(workflow_servers_t *servers)
{
    if (servers->smtp_from == NULL) {
        servers->smtp_from = FROM_DEFAULT;
    }
    if (strchr(servers->smtp_from, '@') == NULL || strpbrk(servers->smtp_from, " <>,;") != NULL) {
        return setting_refuse("BHIV_SMTP_FROM", "want_one_plain_address");
    }
    const char *phone_id = servers->whatsapp_phone_id;
    if (servers->whatsapp_url != NULL && phone_id == NULL) {
        log_warning("adapter_not_configured",
                    "action=whatsapp hint=set_BHIV_WHATSAPP_PHONE_ID_beside_the_url");
    }
    if (phone_id != NULL && strpbrk(phone_id, "/?#% ") != NULL) {
        return setting_refuse("BHIV_WHATSAPP_PHONE_ID", "want_an_id");
    }
    return BUS_OK;
}

bus_err_t
workflow_config_read(workflow_servers_t *ret_servers)
{
    *ret_servers = (workflow_servers_t){.smtp_url = NULL};
    for (size_t i = 0; i < SWITCH_COUNT; i++) {
        bool on = true;
        if (!read_switch(switches[i].variable, &on)) {
            return setting_refuse(switches[i].variable, "want_true_or_false");
        }
    }
    bus_err_t err = read_timeouts(ret_servers);
    for (size_t i = 0; i < sizeof urls / sizeof urls[0] && err == BUS_OK; i++) {
        err = read_url(&urls[i], ret_servers);
    }
    err = err == BUS_OK ? read_texts(ret_servers) : err;
    err = err == BUS_OK ? check_servers(ret_servers) : err;
    if (err == BUS_OK && setting_text("WORKFLOW_EXECUTOR_URL") != NULL) {
        log_warning("variable_ignored",
                    "variable=WORKFLOW_EXECUTOR_URL hint=the_executor_is_found_on_the_bus");
    }
    return err;
}
