// stores.h - the stores of a system, whatever services made them: finding, checking, reading
// places.
//
// A store is a subfolder with LMDB's data file. Its tables are read from the store itself, so that
// backup and check know of a service nothing but what lies there. Main thread.
#pragma once
#include "cli.h"
#include "runtime/store.h"

enum {
    CLI_STORES_MAX = 64, // parts of one system
    CLI_STORES_NAME_SIZE = 64
};

typedef struct {
    char names[CLI_STORES_MAX][CLI_STORES_NAME_SIZE]; // services by name, then the broker
    size_t count;
} cli_stores_t;

// Lists the stores in a folder. Says what is wrong: CLI_IO.
BUS_CHECK int cli_stores_find(const char *dir, cli_stores_t *ret_stores);
// Whether `dir` has a store of this name.
bool cli_stores_has(const char *dir, const char *name);

typedef struct {
    uint64_t tables;
    uint64_t records;
    uint64_t bad;       // records that do not match their checksums
    char bad_table[64]; // the first of them is in
    uint64_t bytes;     // in use
    uint64_t place;     // the journal's head, or the seq that a service reads next; 0: neither
    bool is_journal;
} cli_stores_report_t;

// Reads every record of the store. BUS_CORRUPT where one is bad (the report says where),
// BUS_CONFLICT where a process has it open, BUS_NOT_FOUND. In a child process, because it may crash
// on a page that is no longer one: that is BUS_CORRUPT, too (with no table named).
BUS_CHECK bus_err_t cli_stores_check(const char *path, cli_stores_report_t *ret_report);
