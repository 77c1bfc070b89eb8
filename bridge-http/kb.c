// kb.c - the knowledge base's endpoint that is more than a row.
#include "ask.h"
#include "handler.h"
#include "params.h"

void
bridge_kb_remove(bridge_request_t *self)
{
    BUS_AUTO(pack_destroy) pack_t *body = pack_new();
    if (!bridge_params_read(self, body, NULL)) {
        return;
    }
    bridge_ask(self,
               &(bridge_ask_t){.kind = BRIDGE_ASK_COMMAND,
                               .topic = self->route->topic,
                               .body = pack_view(body),
                               .idem = true});
}
