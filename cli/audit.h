// audit.h - what the verbs of `bhiv audit` share: questions to Bucket one after the other, keys,
// the tree that is computed anew, and a report of what is wrong.
//
// Nothing that is verified here is believed from the one who is verified: roots are computed from
// leaves, and signatures are checked with keys from outside where they are given. Main thread.
#pragma once
#include "question.h"

#include "proto/note.h"
#include "proto/pack.h"

extern const cli_command_t cli_audit_log;
extern const cli_command_t cli_audit_show;
extern const cli_command_t cli_audit_checkpoint;
extern const cli_command_t cli_audit_receipt;
extern const cli_command_t cli_audit_verify;
extern const cli_command_t cli_audit_verify_receipt;
extern const cli_command_t cli_audit_export;
extern const cli_command_t cli_audit_verify_export;

enum { CLI_AUDIT_PAGE = 2000 }; // leaves asked for at once; Bucket cuts a page at 3 MiB

// --- Questions: audit.c --------------------------------------------------------------------------

typedef struct {
    cli_place_t place;
    uint64_t timeout_ms; // of each answer
} cli_audit_place_t;

// clang-format off
#define CLI_AUDIT_PLACE_ROWS \
    CLI_PLACE_ROWS(cli_audit_place_t, place), \
    CLI_TIMEOUT_ROW(cli_audit_place_t, timeout_ms, "10s")
// clang-format on

// A run on the bus: `begin` asks the first question, each answer's function the next one or ends
// it.
typedef struct {
    const cli_audit_place_t *place;
    void (*begin)(void *arg);
    void *arg;              // given to each function
    cli_connect_t *connect; // from `begin` on
    const char *topic;      // of the question that is open
    void (*take)(void *arg, const client_answer_t *answer);
} cli_audit_bus_t;

// Returns the exit status.
BUS_CHECK int cli_audit_bus_run(cli_audit_bus_t *self);
// Asks; `take` is called with the answer, good or bad, unless the run ends before.
void cli_audit_bus_ask(cli_audit_bus_t *self,
                       const char *topic,
                       bus_view_t body,
                       void (*take)(void *arg, const client_answer_t *answer));
void cli_audit_bus_end(cli_audit_bus_t *self, int status);

typedef struct {
    const cli_audit_place_t *place;
    const char *topic;
    bus_view_t body;
    // Prints the answer, and returns the exit status.
    int (*print)(void *arg, bus_view_t answer);
    void *arg;
} cli_audit_question_t;
// One question; an error is said on stderr. Returns the exit status.
BUS_CHECK int cli_audit_ask(const cli_audit_question_t *question);

// A field of an answer that is a hash in base64. False where it is not there, or no hash.
BUS_CHECK bool cli_audit_hash(bus_view_t map, const char *key, merkle_hash_t *ret_hash);

// --- Files and keys: audit_keys.c ----------------------------------------------------------------

enum { CLI_AUDIT_FILE_MAX = 1024 * 1024 }; // bytes of a receipt: an entry at most 64 KiB, in base64

// Adds a whole file, or "-": standard input. Returns 0, or says what is wrong: CLI_NOT_FOUND,
// CLI_IO, CLI_BAD_DATA where it has more than CLI_AUDIT_FILE_MAX bytes.
BUS_CHECK int cli_audit_read(const char *path, text_t *out);

enum { CLI_AUDIT_KEYS_MAX = 1024 }; // Bucket keeps a thousand

typedef struct {
    note_verifier_t at[CLI_AUDIT_KEYS_MAX];
    size_t count;
} cli_audit_keys_t;

// clang-format off
#define CLI_AUDIT_KEY_ROW(type, field, preset_help) \
    {"key", 'k', OPTION_TEXT, "KEY", NULL, offsetof(type, field), 0, 0, \
     "the log's public key, or a file with one or more of them, a line each; " preset_help}
// clang-format on

// Reads --key: a vkey, or the path of a file of them; NULL adds none. Returns 0, or says what is
// wrong and returns the exit status.
BUS_CHECK int cli_audit_keys_read(const char *given, cli_audit_keys_t *ret_keys);
// Adds one. False where it is none, or there is no room.
bool cli_audit_keys_add(cli_audit_keys_t *self, bus_view_t vkey);

typedef struct {
    note_checkpoint_t checkpoint;
    const note_verifier_t *signer; // one of the keys
} cli_audit_signed_t;

// Whether `note` is a checkpoint, signed by one of the keys in its own log's name; otherwise
// *reterr_why says what it is not.
BUS_CHECK bool cli_audit_keys_open(const cli_audit_keys_t *self,
                                   bus_view_t note,
                                   cli_audit_signed_t *ret_signed,
                                   const char **reterr_why);

// --- Older checkpoints: audit_since.c ------------------------------------------------------------

// What --since names: a file of checkpoints, one behind the other, as `>>` puts them.
typedef struct {
    const char *path;       // NULL: none was given
    text_t *notes;          // owned: the file
    cli_audit_signed_t *at; // owned: its checkpoints, the smallest log first; views into `notes`
    size_t count;           //
    size_t next;            // the first that the tree has not reached
    uint64_t good;          // how many of the log's first entries they sign, as far as seen
    bool is_broken;         // one of them was not met: what follows says nothing more
} cli_audit_since_t;

// clang-format off
#define CLI_AUDIT_SINCE_ROW(type, field) \
    {"since", 's', OPTION_TEXT, "FILE", NULL, offsetof(type, field), 0, 0, \
     "older checkpoints, one or more, which this log must be a longer form of"}
// clang-format on

// Reads the file. `path` NULL: none. Returns 0, or says what is wrong and returns the exit status.
BUS_CHECK int cli_audit_since_read(cli_audit_since_t *self, const char *path);
void cli_audit_since_clear(cli_audit_since_t *self);

// --- A report: audit_report.c; what it says of heads: audit_since.c ------------------------------

enum { CLI_AUDIT_PROBLEMS_SHOWN = 1000 }; // the rest is counted

typedef struct {
    cli_output_t out;
    pack_t *facts;       // pairs of a map: what was verified
    uint32_t fact_count; //
    uint64_t problems;   // found
    bool has_first;      //
    uint64_t first_bad;  // the least leaf index that a problem names
} cli_audit_report_t;

// Returns 0, or says that there is no such format and returns CLI_USAGE.
BUS_CHECK int cli_audit_report_init(cli_audit_report_t *self, const char *format);
void cli_audit_report_clear(cli_audit_report_t *self);
void cli_audit_report_text(cli_audit_report_t *self, const char *key, bus_view_t value);
void cli_audit_report_uint(cli_audit_report_t *self, const char *key, uint64_t value);
void cli_audit_report_hash(cli_audit_report_t *self, const char *key, const merkle_hash_t *hash);
// What a checkpoint says: its log, size, root and signer.
void cli_audit_report_signed(cli_audit_report_t *self, const cli_audit_signed_t *signed_);
// A problem with one entry, printed at once; `audit_id` may be absent.
void cli_audit_report_entry(cli_audit_report_t *self,
                            uint64_t leaf_index,
                            bus_view_t audit_id,
                            const char *format,
                            ...) __attribute__((format(printf, 4, 5)));
// A problem with all of it.
void cli_audit_report_whole(cli_audit_report_t *self, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
// Prints the facts and the verdict. Returns the exit status: CLI_DONE where nothing is wrong,
// CLI_NEGATIVE otherwise, CLI_IO where nobody reads.
BUS_CHECK int cli_audit_report_end(cli_audit_report_t *self);

// Takes the file's checkpoints apart and verifies each; reports those that are not good.
void cli_audit_report_open(cli_audit_report_t *self,
                           cli_audit_since_t *since,
                           const cli_audit_keys_t *keys);
// Holds the older checkpoints of the tree's size against it: to be called at every size, 0 too.
void cli_audit_report_since(cli_audit_report_t *self,
                            cli_audit_since_t *since,
                            const merkle_tree_t *tree);
// The same for the checkpoint of the whole, once the leaves are all seen.
void cli_audit_report_head(cli_audit_report_t *self,
                           const merkle_head_t *head,
                           const cli_audit_since_t *since,
                           const merkle_tree_t *tree);
// And for older ones that sign more entries than there are.
void cli_audit_report_missing(cli_audit_report_t *self,
                              const cli_audit_since_t *since,
                              const merkle_tree_t *tree);

// --- Lines of an export: audit_line.c ------------------------------------------------------------

#define CLI_AUDIT_EXPORT_MARK "bhiv-audit-export@v1"

// One entry as a line without its LF: {"leaf_index", "leaf" (base64, or null), "hash", "root" (of
// the tree up to here), "entry" (the leaf as JSON, or null)}. `leaf` is absent where it was let go.
typedef struct {
    uint64_t index;
    bus_view_t leaf; // its bytes
    merkle_hash_t hash;
    merkle_hash_t root;
} cli_audit_line_t;
void cli_audit_line_format(const cli_audit_line_t *line, text_t *out);

// The fields of a line as they stand there: views into it.
typedef struct {
    uint64_t index;
    bus_view_t leaf; // base64; absent: null
    merkle_hash_t hash;
    merkle_hash_t root;
    bus_view_t entry; // JSON
} cli_audit_fields_t;
// False where it is no such line.
BUS_CHECK bool cli_audit_line_parse(bus_view_t line, cli_audit_fields_t *ret_fields);
// Adds a leaf as JSON, or null where it is absent or no msgpack.
void cli_audit_line_entry(bus_view_t leaf, text_t *out);
