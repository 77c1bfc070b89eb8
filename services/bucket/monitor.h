// monitor.h - telling the monitors what was answered, live. docs/contract.md section 3, output
// channels.
#pragma once
#include "proto/channel.h"
#include "runtime/service.h"

// Tells `body`, one whole map, on bucket.out.<channel>.<product>; CHANNEL_PRODUCT_COUNT, of no
// product, is "none" there. Like all that is told: after the commit, and never in a rebuild.
void bucket_monitor_tell(service_apply_t *apply,
                         const char *channel,
                         channel_product_t product,
                         bus_view_t body);
