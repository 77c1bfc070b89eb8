// audit_query.h - what the audit log answers and proves. docs/contract.md section 3.
//
// Leaves and hashes are base64 with padding. audit_query.c has what is listed and verified,
// audit_prove.c what is proved and signed. All return BUS_AUDIT_ENTRY_NOT_FOUND for an audit_id
// that there is none of, BUS_VALIDATION_FAILED for a tree that there is none of, BUS_CORRUPT where
// what is asked for is damaged.
#pragma once
#include "runtime/service.h"

// req.bucket.audit_log -> {entries: [{leaf_index, logged_at, …entry}…], count, next}: count is of
// this page, next is the `after` of the page behind it (-1: before the first). A damaged entry is
// {leaf_index, error_code}. Where few entries fit all the filters a page may be short, or empty,
// before the end: there `next` still moves on. Where the last entries were asked for, searched_from
// is then the first leaf that was looked at: what is older was not.
bus_err_t bucket_audit_query_log(service_query_t *query, const void *message);
// req.bucket.audit_entry -> {audit_id, leaf_index, leaf (base64), leaf_hash, entry}
bus_err_t bucket_audit_query_entry(service_query_t *query, const void *message);
// req.bucket.audit_checkpoint -> {checkpoint (C2SP text), vkey, tree_size, root}
bus_err_t bucket_audit_query_checkpoint(service_query_t *query, const void *message);
// req.bucket.audit_inclusion, audit_consistency
bus_err_t bucket_audit_query_inclusion(service_query_t *query, const void *message);
bus_err_t bucket_audit_query_consistency(service_query_t *query, const void *message);
// req.bucket.audit_receipt -> {receipt (C2SP tlog-proof text), audit_id, vkey}
bus_err_t bucket_audit_query_receipt(service_query_t *query, const void *message);
// req.bucket.audit_leaves -> {from, next, tree_size, leaves: [{leaf (base64) | null, hash}…]}
bus_err_t bucket_audit_query_leaves(service_query_t *query, const void *message);
// req.bucket.audit_verify: checks leaves [from, from + limit): entry against its hash, the nodes
// that each leaf completes, and the content of what it says was written
// -> {from, next, tree_size, checked, bad: [{leaf_index, audit_id?, problem}…]}
bus_err_t bucket_audit_query_verify(service_query_t *query, const void *message);
