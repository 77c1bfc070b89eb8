// schema.h - the C shape of every message body, built from the tables in schema/. Read the tables,
// not this file.
//
// A MESSAGE row makes a struct schema_<name>_t of its FIELD rows, and SCHEMA_<name>, the same as
// data, over which decoding, checking, encoding, the OpenAPI page and the docs loop. Decoded
// structs own nothing: their views point into the body. Pure functions, any thread.
#pragma once
#include "auto.h"
#include "error.h"
#include "pack.h"
#include "view.h"
#include <stdint.h>

// The field types of the tables. An optional field that is absent (or nil) is an absent view, or
// has its has_<field> false.
typedef struct {
    bool has;
    int64_t value;
} schema_int_t;
typedef struct {
    bool has;
    double value;
} schema_real_t;
typedef struct {
    bool has;
    bool value;
} schema_bool_t;

#define C_TYPE_STR bus_view_t   // text, UTF-8
#define C_TYPE_INT schema_int_t // int64; limits are in the row
#define C_TYPE_REAL schema_real_t
#define C_TYPE_BOOL schema_bool_t
#define C_TYPE_MAP bus_view_t // one whole msgpack map, as bytes
#define C_TYPE_ARRAY bus_view_t
#define C_TYPE_ANY bus_view_t     // one whole msgpack value, as bytes
#define C_TYPE_TEXTMAP bus_view_t // a map or a string, as bytes

#define MESSAGE(name, topic, meaning) typedef struct {
#define FIELD(message, field, type, need, min, max, meaning) C_TYPE_##type field;
#define END(name)                                                                                  \
    }                                                                                              \
    schema_##name##_t;
#include "schema/messages.def"
#undef MESSAGE
#undef FIELD
#undef END

typedef enum {
    SCHEMA_STR,
    SCHEMA_INT,
    SCHEMA_REAL,
    SCHEMA_BOOL,
    SCHEMA_MAP,
    SCHEMA_ARRAY,
    SCHEMA_ANY,
    SCHEMA_TEXTMAP
} schema_type_t;

typedef struct {
    const char *name;
    schema_type_t type;
    bool required;
    int64_t min;   // STR: fewest bytes; INT: smallest value
    int64_t max;   // STR, MAP, ARRAY, ANY, TEXTMAP: most bytes encoded (0: the body's own limit);
                   // INT: largest value (min = max = 0: any)
    size_t offset; // where the field sits in its struct
    const char *meaning;
} schema_field_t;

typedef struct {
    const char *name;
    const char *topic; // where it is said; "" for parts and parameters
    const char *meaning;
    size_t size; // sizeof its struct
    const schema_field_t *fields;
    size_t field_count;
} schema_t;

#define MESSAGE(name, topic, meaning) extern const schema_t SCHEMA_##name;
#define FIELD(message, field, type, need, min, max, meaning)
#define END(name)
#include "schema/messages.def"
#undef MESSAGE
#undef FIELD
#undef END

extern const schema_t *const schema_all[];
extern const size_t schema_count;

// One thing that is wrong with a body. Both texts are literals or the table's.
typedef struct {
    const char *field;
    const char *problem;
} schema_problem_t;

enum { SCHEMA_PROBLEMS_MAX = 16 };

typedef struct {
    size_t count;
    schema_problem_t at[SCHEMA_PROBLEMS_MAX];
} schema_problems_t;

// Decodes `body` (which passed walk_check) into the schema's struct at `ret_struct`, of
// schema->size bytes. Unknown fields are allowed and ignored. BUS_VALIDATION_FAILED with every
// problem found; then the struct holds what fitted.
BUS_CHECK bus_err_t schema_decode(const schema_t *schema,
                                  bus_view_t body,
                                  void *ret_struct,
                                  schema_problems_t *reterr_problems);

// Encodes every field that is present, in the table's order, as one map.
void schema_encode(const schema_t *schema, const void *struct_, pack_t *out);

// The problems as `details: [{field, problem}…]`: one msgpack array.
void schema_pack_problems(const schema_problems_t *problems, pack_t *out);

// Packs an error body: {status: "error", error_code, message, details?, retry_after?}.
// `message` NULL: the error's own meaning. `details`: whole msgpack, or absent. `retry_after_s` 0:
// none.
void schema_pack_error(
    pack_t *out, bus_err_t err, const char *message, bus_view_t details, unsigned retry_after_s);
