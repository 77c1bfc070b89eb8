// grace_test.c - who of Grace is on the bus, and how that is shown.
#include "bridge-http/grace.h"
#include "proto/auto.h"
#include "proto/text.h"
#include "proto/transcode.h"
#include <criterion/criterion.h>

static const char *const all_services[] = {
    "bucket",
    "brain",
    "kernel-infrastructure",
    "kernel-governance",
    "kernel-memory",
    "kernel-librarian",
    "kernel-verification",
    "kernel-self_healing",
    "kernel-code",
};
enum { ALL_COUNT = sizeof all_services / sizeof all_services[0] };

// What $bus.peers answers where the first `count` of them are there.
static pack_t *
peers_of(size_t count)
{
    pack_t *peers = pack_new();
    pack_map(peers, 1);
    pack_text(peers, "peers");
    pack_array(peers, (uint32_t) count);
    for (size_t i = 0; i < count; i++) {
        pack_map(peers, 2);
        pack_pair_text(peers, "service", all_services[i]);
        pack_pair_uint(peers, "since", 1000 + i);
    }
    return peers;
}

static void
shows(const bridge_grace_t *grace, const char *expected)
{
    BUS_AUTO(pack_destroy) pack_t *body = pack_new();
    BUS_AUTO(text_destroy) text_t *text = text_new();
    bridge_grace_pack(grace, body);
    transcode_to_json(pack_view(body), 0, text);
    cr_assert_str_eq(text_view(text).data, expected);
}

Test(grace, finds_a_peer_by_its_whole_name)
{
    BUS_AUTO(pack_destroy) pack_t *peers = peers_of(ALL_COUNT);
    bus_view_t peer = VIEW_NONE;
    cr_assert(bridge_grace_find(pack_view(peers), "kernel-memory", &peer));
    cr_assert_not_null(peer.data);
    cr_assert(bridge_grace_find(pack_view(peers), "brain", NULL));
    cr_assert_not(bridge_grace_find(pack_view(peers), "kernel-mem", NULL));
    cr_assert_not(bridge_grace_find(pack_view(peers), "htm", NULL));
}

Test(grace, takes_what_is_no_list_of_peers_for_nobody)
{
    cr_assert_not(bridge_grace_find(VIEW_NONE, "brain", NULL));
    cr_assert_not(bridge_grace_find(VIEW_LITERAL("\x80"), "brain", NULL));
    cr_assert_not(bridge_grace_find(VIEW_LITERAL("\x81\xa5peers\x01"), "brain", NULL));
    // A service that is no text, and a list that breaks off.
    cr_assert_not(
        bridge_grace_find(VIEW_LITERAL("\x81\xa5peers\x91\x81\xa7service\x01"), "brain", NULL));
    cr_assert_not(bridge_grace_find(VIEW_LITERAL("\x81\xa5peers\x92\x80"), "brain", NULL));
    bridge_grace_t nobody = bridge_grace_look(VIEW_NONE);
    cr_assert_eq(nobody.kernels, 0);
    cr_assert_not(nobody.has_brain);
}

Test(grace, is_absent_in_part_or_whole_as_it_is)
{
    cr_assert_eq(BRIDGE_GRACE_KERNELS, 7);
    BUS_AUTO(pack_destroy) pack_t *some = peers_of(4);
    BUS_AUTO(pack_destroy) pack_t *all = peers_of(ALL_COUNT);
    bridge_grace_t grace = bridge_grace_look(VIEW_NONE);
    cr_assert_not(bridge_grace_is_there(&grace));
    shows(&grace,
          "{\"status\":\"unhealthy\",\"state\":\"absent\",\"lag\":null,\"htm\":\"absent\","
          "\"brain\":\"absent\",\"kernels_up\":0}");

    grace = bridge_grace_look(pack_view(some));
    cr_assert(bridge_grace_is_there(&grace));
    cr_assert_not(bridge_grace_is_well(&grace));
    shows(&grace,
          "{\"status\":\"degraded\",\"state\":\"partial\",\"lag\":null,\"htm\":\"absent\","
          "\"brain\":\"up\",\"kernels_up\":2}");

    grace = bridge_grace_look(pack_view(all));
    grace.has_htm = true;
    grace.has_lag = true;
    grace.lag = 5;
    cr_assert_not(bridge_grace_is_well(&grace));
    shows(&grace,
          "{\"status\":\"degraded\",\"state\":\"up\",\"lag\":5,\"htm\":\"up\",\"brain\":\"up\","
          "\"kernels_up\":7}");
    grace.is_htm_well = true;
    cr_assert(bridge_grace_is_well(&grace));
}
