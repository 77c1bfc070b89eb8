// client_refused.c - a broker that does not know our certificate: said once, and asked again, since
// it may come to know it. libzmq itself gives up.
#include "client_self.h"
#include "log.h"

static void
on_again(void *arg)
{
    client_t *self = arg;
    self->again = 0;
    client_link_try_again(&self->link);
}

void
client_refused_later(client_t *self)
{
    if (!self->is_refused) {
        self->is_refused = true;
        log_error("certificate_refused",
                  "name=%s in=%s why=\"the broker does not know this certificate\"",
                  self->source,
                  self->ingress);
    }
    if (self->again == 0) {
        self->again = loop_add_timer(self->loop, CLIENT_REFUSED_MS, 1, on_again, self);
    }
}

bool
client_is_refused(const client_t *self)
{
    return self->is_refused && !self->is_connected;
}

void
client_refused_clear(client_t *self)
{
    if (self->again != 0) {
        loop_cancel_timer(self->loop, self->again);
        self->again = 0;
    }
}
