// monitor.c - telling the monitors what was answered, live.
#include "monitor.h"

#include "proto/limits.h"

#include <assert.h>
#include <stdio.h>

void
bucket_monitor_tell(service_apply_t *apply,
                    const char *channel,
                    channel_product_t product,
                    bus_view_t body)
{
    char topic[TOPIC_SIZE_MAX + 1];
    int size = snprintf(topic,
                        sizeof topic,
                        "bucket.out.%s.%s",
                        channel,
                        product == CHANNEL_PRODUCT_COUNT ? "none" : channel_product_name(product));
    assert(size > 0 && size < (int) sizeof topic);
    service_tell(apply, topic, body);
}
