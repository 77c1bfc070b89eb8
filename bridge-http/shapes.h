// shapes.h - the C shape of shapes.def, as proto/schema.h makes it of the bus's messages.
#pragma once
#include "proto/schema.h"

#define MESSAGE(name, topic, meaning) typedef struct {
#define FIELD(message, field, type, need, min, max, meaning) C_TYPE_##type field;
#define END(name)                                                                                  \
    }                                                                                              \
    bridge_shape_##name##_t;
#include "shapes.def"
#undef MESSAGE
#undef FIELD
#undef END

#define MESSAGE(name, topic, meaning) extern const schema_t BRIDGE_SHAPE_##name;
#define FIELD(message, field, type, need, min, max, meaning)
#define END(name)
#include "shapes.def"
#undef MESSAGE
#undef FIELD
#undef END
