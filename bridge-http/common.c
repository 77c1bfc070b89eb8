// common.c - handlers that only need their row: a question, a command, and what every port has.
#include "answer.h"
#include "ask.h"
#include "handler.h"
#include "health.h"
#include "metrics.h"
#include "params.h"
#include "proto/walk.h"

void
bridge_common_question(bridge_request_t *self)
{
    BUS_AUTO(pack_destroy) pack_t *body = pack_new();
    if (self->route->query == NULL) {
        pack_map(body, 0);
    } else if (!bridge_params_read(self, body, NULL)) {
        return;
    }
    bridge_ask(self,
               &(bridge_ask_t){.kind = BRIDGE_ASK_QUESTION,
                               .topic = self->route->topic,
                               .body = pack_view(body)});
}

void
bridge_common_command(bridge_request_t *self)
{
    if (!bridge_params_decode(self, self->route->body, self->body, NULL)) {
        return;
    }
    bridge_ask(self,
               &(bridge_ask_t){.kind = BRIDGE_ASK_COMMAND,
                               .topic = self->route->topic,
                               .body = self->body,
                               .idem = true});
}

void
bridge_common_index(bridge_request_t *self)
{
    BUS_AUTO(pack_destroy) pack_t *body = pack_new();
    pack_map(body, 4);
    pack_pair_text(body, "service", bridge_server_port_name(self->port->id));
    pack_pair_text(body, "version", BHIV_VERSION);
    pack_pair_text(body, "health", "/health");
    pack_pair_text(body, "openapi", "/openapi.json");
    bridge_answer(self, MHD_HTTP_OK, pack_view(body));
}

void
bridge_common_openapi(bridge_request_t *self)
{
    bridge_answer_static(self, "application/json", view_from_text(self->port->openapi));
}

void
bridge_common_metrics(bridge_request_t *self)
{
    text_t *text = text_new();
    bridge_metrics_write(self->bridge->metrics, text);
    bridge_health_write_metrics(self->bridge->health, text);
    bridge_answer_text(self, MHD_HTTP_OK, "text/plain; version=0.0.4; charset=utf-8", &text);
}
