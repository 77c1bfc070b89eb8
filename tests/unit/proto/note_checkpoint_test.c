// note_checkpoint_test.c - checkpoints and proofs as texts: C2SP tlog-checkpoint and tlog-proof.
#include "help.h"
#include "proto/note.h"

// --- Checkpoints ---------------------------------------------------------------------------------

// C2SP tlog-checkpoint's example.
#define SOFA_ORIGIN "example.com/behind-the-sofa"
#define SOFA_ROOT "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I="
#define SOFA SOFA_ORIGIN "\n20852163\n" SOFA_ROOT "\n"

static bool
reads_checkpoint(const char *text)
{
    bus_view_t copy = exact(view_from_text(text));
    note_checkpoint_t checkpoint;
    bus_err_t err = note_checkpoint_parse(copy, &checkpoint);
    exact_free(&copy);
    cr_assert(err == BUS_OK || err == BUS_VALIDATION_FAILED);
    return err == BUS_OK;
}

Test(note_checkpoint, reads_c2sps_example_and_writes_it_back)
{
    note_checkpoint_t checkpoint;
    BUS_AUTO(text_destroy) text_t *out = text_new();
    cr_assert_eq(note_checkpoint_parse(VIEW_LITERAL(SOFA), &checkpoint), BUS_OK);
    assert_text(checkpoint.origin, SOFA_ORIGIN);
    cr_assert_eq(checkpoint.head.size, 20852163);
    cr_assert_eq(checkpoint.head.root.bytes[0], 0x0a);
    cr_assert_eq(checkpoint.head.root.bytes[31], 0x62);
    note_checkpoint_format(&checkpoint, out);
    assert_text(text_view(out), SOFA);
}

Test(note_checkpoint, reads_extensions_and_the_ends_of_numbers)
{
    note_checkpoint_t checkpoint;
    cr_expect(reads_checkpoint(SOFA "an extension\nand another\n"));
    cr_expect(reads_checkpoint("any name at all\n0\n" SOFA_ROOT "\n"));
    cr_assert_eq(note_checkpoint_parse(VIEW_LITERAL("o\n18446744073709551615\n" SOFA_ROOT "\n"),
                                       &checkpoint),
                 BUS_OK);
    cr_expect_eq(checkpoint.head.size, UINT64_MAX);
}

Test(note_checkpoint, refuses_any_other_form)
{
    static const char *const wrong[] = {
        "",
        "\n",
        SOFA_ORIGIN,
        SOFA_ORIGIN "\n",
        SOFA_ORIGIN "\n1\n",
        SOFA_ORIGIN "\n1\n" SOFA_ROOT,
        "\n1\n" SOFA_ROOT "\n",
        SOFA_ORIGIN "\n\n" SOFA_ROOT "\n",
        SOFA_ORIGIN "\n01\n" SOFA_ROOT "\n",
        SOFA_ORIGIN "\n00\n" SOFA_ROOT "\n",
        SOFA_ORIGIN "\n+1\n" SOFA_ROOT "\n",
        SOFA_ORIGIN "\n-1\n" SOFA_ROOT "\n",
        SOFA_ORIGIN "\n 1\n" SOFA_ROOT "\n",
        SOFA_ORIGIN "\n1 \n" SOFA_ROOT "\n",
        SOFA_ORIGIN "\n0x1\n" SOFA_ROOT "\n",
        SOFA_ORIGIN "\n1e3\n" SOFA_ROOT "\n",
        SOFA_ORIGIN "\n18446744073709551616\n" SOFA_ROOT "\n",
        SOFA_ORIGIN "\n99999999999999999999\n" SOFA_ROOT "\n",
        SOFA_ORIGIN "\n1\n" SOFA_ROOT " \n",
        SOFA_ORIGIN "\n1\n\n",
        SOFA_ORIGIN "\n1\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxqw==\n", // 31 bytes
        SOFA_ORIGIN "\n1\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2IA\n", // 33
        SOFA_ORIGIN "\n1\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2J=\n", // not canonical
        SOFA_ORIGIN "\n1\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I\n",  // no padding
        SOFA "\n",
        SOFA "extension\n\n",
        SOFA "extension without an end",
        "a\tb\n1\n" SOFA_ROOT "\n",
        "\xff\n1\n" SOFA_ROOT "\n",
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        cr_expect_not(reads_checkpoint(wrong[i]), "%zu: %s", i, wrong[i]);
    }
    char long_origin[NOTE_NAME_MAX + 128];
    memset(long_origin, 'o', NOTE_NAME_MAX + 1);
    strcpy(long_origin + NOTE_NAME_MAX + 1, "\n1\n" SOFA_ROOT "\n");
    cr_expect_not(reads_checkpoint(long_origin));
    cr_expect(reads_checkpoint(long_origin + 1));
}

// --- Proofs --------------------------------------------------------------------------------------

// C2SP tlog-proof's example, its hashes and its checkpoint.
#define PROOF_HEAD "c2sp.org/tlog-proof@v1\n"
#define PROOF_EXTRA "extra YWdlLXYxLjIuMS1kYXJ3aW4tYXJtNjQudGFyLmd6kYXJ3aW4tYXJ\n"
#define PROOF_HASHES                                                                               \
    "gSKyXoYZUgZ6jduWYrkDOARinOMGJveXjgMkBTcdPlQ=\n"                                               \
    "B95lDa8R83lS8n0eG+o0buTxRKQTYFi//1U8anccXmA=\n"                                               \
    "EKNzoDWG8LGC0Yp9o+sv3qllpMP9uHQ9B20KNL+Q1zs=\n"                                               \
    "RoopEkOdqkYqMB4MJXrbt/hMjOxsVn0IrWjpz1ZMMes=\n"                                               \
    "AHCioX9nLjsrse6YhjRRmk1WUEirVOLLRoOQ6vfO5vk=\n"
#define PROOF_CHECKPOINT                                                                           \
    "example.com/fancylog\n109482\nsFodV/vSp5O8n9a8QpW6PRY97tfOSW5bsc2Xl/EQi08=\n\n"               \
    "\xe2\x80\x94 example.com/fancylog hI2DJw==\n"

static bool
reads_proof(const char *text)
{
    bus_view_t copy = exact(view_from_text(text));
    note_proof_t proof;
    bus_err_t err = note_proof_parse(copy, &proof);
    exact_free(&copy);
    cr_assert(err == BUS_OK || err == BUS_VALIDATION_FAILED);
    return err == BUS_OK;
}

Test(note_proof, reads_c2sps_example_and_writes_it_back)
{
    static const char whole[] =
        PROOF_HEAD PROOF_EXTRA "index 73894\n" PROOF_HASHES "\n" PROOF_CHECKPOINT;
    note_proof_t proof;
    BUS_AUTO(text_destroy) text_t *out = text_new();
    cr_assert_eq(note_proof_parse(VIEW_LITERAL(whole), &proof), BUS_OK);
    cr_expect_eq(proof.index, 73894);
    cr_expect_eq(proof.path.count, 5);
    cr_expect_eq(proof.path.hashes[0].bytes[0], 0x81);
    cr_expect_eq(proof.path.hashes[4].bytes[0], 0x00);
    assert_text(proof.extra, "YWdlLXYxLjIuMS1kYXJ3aW4tYXJtNjQudGFyLmd6kYXJ3aW4tYXJ");
    assert_text(proof.checkpoint, PROOF_CHECKPOINT);
    note_proof_format(&proof, out);
    assert_text(text_view(out), whole);
}

Test(note_proof, tells_no_extra_from_an_empty_one)
{
    static const char without[] = PROOF_HEAD "index 0\n\n" PROOF_CHECKPOINT;
    static const char empty[] = PROOF_HEAD "extra \nindex 0\n\n" PROOF_CHECKPOINT;
    note_proof_t proof;
    BUS_AUTO(text_destroy) text_t *out = text_new();
    cr_assert_eq(note_proof_parse(VIEW_LITERAL(without), &proof), BUS_OK);
    cr_expect_null(proof.extra.data);
    note_proof_format(&proof, out);
    assert_text(text_view(out), without);
    text_clear(out);
    cr_assert_eq(note_proof_parse(VIEW_LITERAL(empty), &proof), BUS_OK);
    cr_expect_not_null(proof.extra.data);
    cr_expect_eq(proof.extra.size, 0);
    note_proof_format(&proof, out);
    assert_text(text_view(out), empty);
}

Test(note_proof, refuses_any_other_form)
{
    static const char *const wrong[] = {
        "",
        PROOF_HEAD,
        "c2sp.org/tlog-proof@v2\nindex 0\n\n" PROOF_CHECKPOINT,
        "c2sp.org/tlog-proof@v1 \nindex 0\n\n" PROOF_CHECKPOINT,
        PROOF_HEAD PROOF_EXTRA,
        PROOF_HEAD "index 0\n",
        PROOF_HEAD "index 0\n\n",
        PROOF_HEAD "index 0\n" PROOF_CHECKPOINT,
        PROOF_HEAD "index 00\n\n" PROOF_CHECKPOINT,
        PROOF_HEAD "index -1\n\n" PROOF_CHECKPOINT,
        PROOF_HEAD "index\n\n" PROOF_CHECKPOINT,
        PROOF_HEAD "index \n\n" PROOF_CHECKPOINT,
        PROOF_HEAD "index  1\n\n" PROOF_CHECKPOINT,
        PROOF_HEAD "Index 1\n\n" PROOF_CHECKPOINT,
        PROOF_HEAD "index 18446744073709551616\n\n" PROOF_CHECKPOINT,
        PROOF_HEAD "\nindex 1\n\n" PROOF_CHECKPOINT,
        PROOF_HEAD "index 1\n" PROOF_EXTRA "\n" PROOF_CHECKPOINT,
        PROOF_HEAD PROOF_EXTRA PROOF_EXTRA "index 1\n\n" PROOF_CHECKPOINT,
        PROOF_HEAD "index 1\n" PROOF_HASHES,
        PROOF_HEAD "index 1\n" PROOF_HASHES "AAAA\n\n" PROOF_CHECKPOINT,
        PROOF_HEAD "index 1\n" PROOF_HASHES
                   "gSKyXoYZUgZ6jduWYrkDOARinOMGJveXjgMkBTcdPg==\n\n" PROOF_CHECKPOINT,
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        cr_expect_not(reads_proof(wrong[i]), "%zu: %s", i, wrong[i]);
    }
}

Test(note_proof, reads_the_longest_path_and_none_longer)
{
    BUS_AUTO(text_destroy) text_t *text = text_new();
    text_add(text, VIEW_LITERAL(PROOF_HEAD "index 7\n"));
    for (unsigned i = 0; i < MERKLE_PATH_MAX; i++) {
        text_add(text, VIEW_LITERAL("gSKyXoYZUgZ6jduWYrkDOARinOMGJveXjgMkBTcdPlQ=\n"));
    }
    BUS_AUTO(text_destroy) text_t *longer = text_new();
    text_add(longer, text_view(text));
    text_add(longer, VIEW_LITERAL("gSKyXoYZUgZ6jduWYrkDOARinOMGJveXjgMkBTcdPlQ=\n"));
    text_add(text, VIEW_LITERAL("\n" PROOF_CHECKPOINT));
    text_add(longer, VIEW_LITERAL("\n" PROOF_CHECKPOINT));
    cr_expect(reads_proof(text_view(text).data));
    cr_expect_not(reads_proof(text_view(longer).data));
}

Test(note_proof, reads_no_byte_beyond_its_text)
{
    static const char whole[] =
        PROOF_HEAD PROOF_EXTRA "index 73894\n" PROOF_HASHES "\n" PROOF_CHECKPOINT;
    for (size_t size = 0; size < sizeof(whole); size++) {
        bus_view_t copy = exact(view_from(whole, size));
        note_proof_t proof;
        bus_err_t err = note_proof_parse(copy, &proof);
        cr_expect(err == BUS_OK || err == BUS_VALIDATION_FAILED);
        exact_free(&copy);
    }
}
