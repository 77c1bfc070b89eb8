// handler.h - what the rows of the route table call. Each handler answers, or asks the bus and
// answers later; none blocks.
#pragma once
#include "route.h"

// common.c: rows that need no code of their own.
bridge_handler_t bridge_common_question; // parameters -> route->topic -> the reply as it is
bridge_handler_t bridge_common_command;  // body (and parameters) -> route->topic -> the reply
bridge_handler_t bridge_common_queue;    // the same as question, for a seq that may be none
bridge_handler_t bridge_common_index;    // what this port is
bridge_handler_t bridge_common_openapi;
bridge_handler_t bridge_common_metrics;

// health.c
bridge_handler_t bridge_health_show;
bridge_handler_t bridge_health_alive;
bridge_handler_t bridge_health_ready;
bridge_handler_t bridge_health_status;

// bucket.c
bridge_handler_t bridge_bucket_write_event;
bridge_handler_t bridge_bucket_read_context;
bridge_handler_t bridge_bucket_contract;
bridge_handler_t bridge_bucket_sla;

// karma.c
bridge_handler_t bridge_karma_event;
bridge_handler_t bridge_karma_create_user;
bridge_handler_t bridge_karma_delete_user;
bridge_handler_t bridge_karma_fix_timestamps;

// page.c
bridge_handler_t bridge_page_html;
bridge_handler_t bridge_page_script;
bridge_handler_t bridge_page_style;

// console.c
bridge_handler_t bridge_console_publish;
bridge_handler_t bridge_console_events;
bridge_handler_t bridge_console_topics;

// stream.c
bridge_handler_t bridge_stream_open;
