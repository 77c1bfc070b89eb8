// held_test.c - what is charged, and that it is taken off when the last one lets go.
#include "broker/held.h"
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static void
make_frame(zmq_msg_t *ret_frame, size_t size, int fill)
{
    cr_assert_eq(zmq_msg_init_size(ret_frame, size), 0);
    memset(zmq_msg_data(ret_frame), fill, size);
}

Test(held, a_message_is_charged_until_its_last_copy_is_closed)
{
    BUS_AUTO(held_destroy) held_t *held = held_new();
    zmq_msg_t frame;
    make_frame(&frame, 100000, 'x');
    const void *data = zmq_msg_data(&frame);
    held_charge(held, &frame, 100000);
    cr_assert_eq(held_bytes(held), 100000 + HELD_EACH);
    cr_assert_eq(zmq_msg_data(&frame), data, "it was copied");
    cr_assert_eq(zmq_msg_size(&frame), 100000);
    zmq_msg_t copy;
    zmq_msg_init(&copy);
    zmq_msg_copy(&copy, &frame);
    zmq_msg_close(&frame);
    cr_assert_eq(held_bytes(held), 100000 + HELD_EACH);
    zmq_msg_close(&copy);
    cr_assert_eq(held_bytes(held), 0);
}

Test(held, small_messages_are_charged_what_they_are_on_average)
{
    enum { COUNT = 20000, SIZE = 300 };
    BUS_AUTO(held_destroy) held_t *held = held_new();
    zmq_msg_t *frames = calloc(COUNT, sizeof(*frames));
    for (int i = 0; i < COUNT; i++) {
        make_frame(&frames[i], 20, i);
        held_charge(held, &frames[i], SIZE);
    }
    double mean = (double) held_bytes(held) / COUNT;
    // Its standard deviation is 10: this fails once in a million runs.
    cr_assert_float_eq(mean, SIZE + HELD_EACH, 50, "%f", mean);
    for (int i = 0; i < COUNT; i++) {
        cr_assert_eq(((char *) zmq_msg_data(&frames[i]))[19], (char) i);
        zmq_msg_close(&frames[i]);
    }
    cr_assert_eq(held_bytes(held), 0);
    free(frames);
}

Test(held, is_full_from_its_bound_on)
{
    BUS_AUTO(held_destroy) held_t *held = held_new();
    zmq_msg_t frames[2];
    make_frame(&frames[0], 1, 'x');
    make_frame(&frames[1], 1, 'x');
    held_charge(held, &frames[0], HELD_MAX - HELD_EACH - HELD_GRAIN - 1);
    held_charge(held, &frames[1], HELD_GRAIN - HELD_EACH);
    cr_assert_not(held_is_full(held));
    zmq_msg_t last;
    make_frame(&last, 1, 'x');
    held_charge(held, &last, HELD_GRAIN);
    cr_assert(held_is_full(held));
    zmq_msg_close(&last);
    cr_assert_not(held_is_full(held));
    zmq_msg_close(&frames[0]);
    zmq_msg_close(&frames[1]);
}

Test(held, messages_may_outlive_it)
{
    held_t *held = held_new();
    zmq_msg_t frame;
    make_frame(&frame, 50000, 'x');
    held_charge(held, &frame, 50000);
    held_destroy(&held);
    cr_assert_null(held);
    zmq_msg_close(&frame); // the sanitizers see what is used after, or never freed
}
