// record.h - reading the records that are arrays: one field after the other, judged at the end.
//
// The first field that does not fit makes it bad, and what is read from then on is nothing. Pure.
#pragma once
#include "proto/walk.h"

typedef struct {
    walk_t walk;
    bool bad;
} karma_record_t;

karma_record_t karma_record_begin(bus_view_t bytes);
// The next item: an integer from 0, a float, a float or the integer 0, an array's count up to
// `count_max`, a text of so many bytes (a view into the record; absent where it is bad).
uint64_t karma_record_uint(karma_record_t *self);
double karma_record_real(karma_record_t *self);
double karma_record_number(karma_record_t *self);
uint32_t karma_record_count(karma_record_t *self, uint32_t count_max);
bus_view_t karma_record_text(karma_record_t *self, size_t size_min, size_t size_max);
// Whether all fitted and nothing is left.
bool karma_record_is_whole(const karma_record_t *self);
