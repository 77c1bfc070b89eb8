// committer_test.c - blocks go in, come back in order with their results, and none is lost.
#include "broker/committer.h"
#include "journal_fixture.h"
#include <criterion/criterion.h>

enum { ANSWER_MS_MAX = 20000 };

Test(committer, gives_each_block_back_with_its_results_in_order)
{
    enum { BLOCKS = 10 };
    fixture_t *f = fixture_new(NULL);
    void *context = zmq_ctx_new();
    void *socket = NULL;
    committer_t *committer = committer_new(context, f->journal, &socket);
    int timeout = ANSWER_MS_MAX;
    cr_assert_eq(zmq_setsockopt(socket, ZMQ_RCVTIMEO, &timeout, sizeof(timeout)), 0);
    for (int i = 0; i < BLOCKS; i++) {
        fixture_add(f, &(fixture_record_t){.topic = "core.x"});
        fixture_add(f, &(fixture_record_t){.topic = "karma.y"});
        zmq_msg_t block;
        batch_release(f->batch, &block);
        cr_assert_geq(zmq_msg_send(&block, socket, 0), 0);
    }
    uint64_t seq = 0;
    for (int i = 0; i < BLOCKS; i++) {
        zmq_msg_t block;
        zmq_msg_init(&block);
        cr_assert_geq(zmq_msg_recv(&block, socket, 0), 0);
        void *data = zmq_msg_data(&block);
        size_t size = zmq_msg_size(&block);
        for (batch_item_t *item = batch_first(data, size); item != NULL;
             item = batch_next(data, size, item)) {
            cr_assert_eq(item->err, BUS_OK);
            cr_assert_eq(item->seq, ++seq);
        }
        zmq_msg_close(&block);
    }
    cr_assert_eq(seq, 2 * BLOCKS);
    cr_assert_eq(fixture_info(f).head, seq);
    committer_destroy(&committer);
    zmq_ctx_term(context);
    fixture_destroy(&f);
}

Test(committer, journals_what_it_was_given_before_it_stops)
{
    enum { BLOCKS = 40 }; // more than may wait for the router
    fixture_t *f = fixture_new(NULL);
    void *context = zmq_ctx_new();
    void *socket = NULL;
    committer_t *committer = committer_new(context, f->journal, &socket);
    for (int i = 0; i < BLOCKS; i++) {
        fixture_add(f, &(fixture_record_t){.topic = "core.x"});
        zmq_msg_t block;
        batch_release(f->batch, &block);
        cr_assert_geq(zmq_msg_send(&block, socket, 0), 0);
    }
    committer_destroy(&committer);
    cr_assert_null(committer);
    zmq_ctx_term(context);
    fixture_reopen(f);
    cr_assert_eq(fixture_info(f).head, BLOCKS);
    fixture_destroy(&f);
}
