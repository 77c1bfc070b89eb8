// handler.h - what the rows of the route table call. Each handler answers, or asks the bus and
// answers later; none blocks.
#pragma once
#include "proto/pack.h"
#include "proto/text.h"
#include "route.h"

// common.c: rows that need no code of their own.
bridge_handler_t bridge_common_question; // parameters -> route->topic -> the reply as it is
bridge_handler_t bridge_common_window;   // the same, with the time that it is
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

// bucket_channel.c
bridge_handler_t bridge_bucket_channel_body;    // the channel of route->topic, asked in a body
bridge_handler_t bridge_bucket_channel_read;    // artifact_read, asked in parameters
bridge_handler_t bridge_bucket_channel_request; // whichever the body names
bridge_handler_t bridge_bucket_channel_mutate;  // refused, whatever comes
bridge_handler_t bridge_bucket_channel_delete;  // likewise
// Whether nothing in body and parameters is what nobody may ask for. False: it answers.
bool bridge_bucket_channel_allows(bridge_request_t *request);

// bucket_owner.c
bridge_handler_t bridge_bucket_owner_command; // as common_command, signed for the owner
// Packs `body` as the owner's command. Only where the owner's token came with the request. False:
// it answered.
bool
bridge_bucket_owner_sign(bridge_request_t *request, bus_view_t topic, bus_view_t body, pack_t *out);

// bucket_audit.c
bridge_handler_t bridge_bucket_audit_checkpoint; // text
bridge_handler_t bridge_bucket_audit_receipt;    // text

// bucket_sla.c
bridge_handler_t bridge_bucket_sla_show;
void bridge_bucket_sla_write_metrics(const bridge_t *bridge, text_t *out);

// core.c
bridge_handler_t bridge_core_task; // as common_question with a body, for as long as a task takes
// Asks Core, once in a while, whether it still works on what is waited for: it may have been
// restarted meanwhile. To be called a few times a second.
void bridge_core_sweep(bridge_t *bridge, uint64_t now_us);

// kb.c
bridge_handler_t bridge_kb_remove;

// karma_event.c
bridge_handler_t bridge_karma_event;

// karma.c
bridge_handler_t bridge_karma_command; // as common_command; effective_at only with test helpers
bridge_handler_t bridge_karma_create_user;
bridge_handler_t bridge_karma_delete_user;
bridge_handler_t bridge_karma_fix_timestamps;

// prana.c
bridge_handler_t bridge_prana_ingest;
bridge_handler_t bridge_prana_script;

// workflow.c
bridge_handler_t bridge_workflow_execute;
bridge_handler_t bridge_workflow_complete;

// workflow_metrics.c
void bridge_workflow_write_metrics(const bridge_t *bridge, text_t *out);

// grace.c
bridge_handler_t bridge_grace_command; // parameters -> route->topic, a command -> the reply
bridge_handler_t bridge_grace_cancel;  // the same, with a reason in the body
bridge_handler_t bridge_grace_kernels;

// grace_metrics.c
void bridge_grace_write_metrics(const bridge_t *bridge, text_t *out);

// trace_show.c
bridge_handler_t bridge_trace_show_tree;

// page.c
bridge_handler_t bridge_page_html;
bridge_handler_t bridge_page_script;
bridge_handler_t bridge_page_trace_script;
bridge_handler_t bridge_page_style;

// console.c
bridge_handler_t bridge_console_publish;
bridge_handler_t bridge_console_events;
bridge_handler_t bridge_console_topics;

// stream.c
bridge_handler_t bridge_stream_open;
