// shapes.c - shapes.def as data.
#include "shapes.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define REQUIRED true
#define OPTIONAL false

#define MESSAGE(name, topic, meaning) static const schema_field_t name##_fields[] = {
#define FIELD(message, field, type, need, min, max, meaning)                                       \
    {#field, SCHEMA_##type, need, min, max, offsetof(bridge_shape_##message##_t, field), meaning},
#define END(name)                                                                                  \
    }                                                                                              \
    ;
#include "shapes.def"
#undef MESSAGE
#undef FIELD
#undef END

#define MESSAGE(name, topic, meaning)                                                              \
    const schema_t BRIDGE_SHAPE_##name = {#name,                                                   \
                                          topic,                                                   \
                                          meaning,                                                 \
                                          sizeof(bridge_shape_##name##_t),                         \
                                          name##_fields,                                           \
                                          COUNT(name##_fields)};
#define FIELD(message, field, type, need, min, max, meaning)
#define END(name)
#include "shapes.def"
#undef MESSAGE
#undef FIELD
#undef END
