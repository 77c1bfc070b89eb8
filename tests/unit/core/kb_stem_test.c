// kb_stem_test.c - Porter's algorithm: the examples of the paper, and answers of Snowball's own
// implementation ("porter" of libstemmer 2.2.0) for words that try every rule.
#include "core/kb_stem.h"
#include <criterion/criterion.h>

typedef struct {
    const char *word;
    const char *stem;
} pair_t;

static void
check(const pair_t *pairs, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        char word[64];
        size_t size = strlen(pairs[i].word);
        memcpy(word, pairs[i].word, size);
        size = core_kb_stem(word, size);
        cr_expect(view_is(view_from(word, size), pairs[i].stem),
                  "%s: %.*s, not %s",
                  pairs[i].word,
                  (int) size,
                  word,
                  pairs[i].stem);
    }
}

#define CHECK(...)                                                                                 \
    do {                                                                                           \
        static const pair_t pairs[] = {__VA_ARGS__};                                               \
        check(pairs, sizeof pairs / sizeof pairs[0]);                                              \
    } while (0)

// clang-format off
Test(kb_stem, does_what_the_paper_says_of_steps_1_and_2)
{
    CHECK({"caresses", "caress"}, {"ponies", "poni"}, {"ties", "ti"}, {"caress", "caress"},
          {"cats", "cat"}, {"feed", "feed"}, {"agreed", "agre"}, {"plastered", "plaster"},
          {"bled", "bled"}, {"motoring", "motor"}, {"sing", "sing"}, {"conflated", "conflat"},
          {"troubled", "troubl"}, {"sized", "size"}, {"hopping", "hop"}, {"tanned", "tan"},
          {"falling", "fall"}, {"hissing", "hiss"}, {"fizzed", "fizz"}, {"failing", "fail"},
          {"filing", "file"}, {"happy", "happi"}, {"sky", "sky"}, {"relational", "relat"},
          {"conditional", "condit"}, {"rational", "ration"}, {"valenci", "valenc"},
          {"hesitanci", "hesit"}, {"digitizer", "digit"}, {"conformabli", "conform"},
          {"radicalli", "radic"}, {"differentli", "differ"}, {"vileli", "vile"},
          {"analogousli", "analog"}, {"vietnamization", "vietnam"}, {"predication", "predic"},
          {"operator", "oper"}, {"feudalism", "feudal"}, {"decisiveness", "decis"},
          {"hopefulness", "hope"}, {"callousness", "callous"}, {"formaliti", "formal"},
          {"sensitiviti", "sensit"}, {"sensibiliti", "sensibl"});
}

Test(kb_stem, does_what_the_paper_says_of_steps_3_to_5)
{
    CHECK({"triplicate", "triplic"}, {"formative", "form"}, {"formalize", "formal"},
          {"electriciti", "electr"}, {"electrical", "electr"}, {"hopeful", "hope"},
          {"goodness", "good"}, {"revival", "reviv"}, {"allowance", "allow"},
          {"inference", "infer"}, {"airliner", "airlin"}, {"gyroscopic", "gyroscop"},
          {"adjustable", "adjust"}, {"defensible", "defens"}, {"irritant", "irrit"},
          {"replacement", "replac"}, {"adjustment", "adjust"}, {"dependent", "depend"},
          {"adoption", "adopt"}, {"homologou", "homolog"}, {"communism", "commun"},
          {"activate", "activ"}, {"angulariti", "angular"}, {"homologous", "homolog"},
          {"effective", "effect"}, {"bowdlerize", "bowdler"}, {"probate", "probat"},
          {"rate", "rate"}, {"cease", "ceas"}, {"controll", "control"}, {"roll", "roll"},
          {"generalizations", "gener"}, {"oscillators", "oscil"});
}

Test(kb_stem, agrees_with_snowball)
{
    CHECK({"university", "univers"}, {"universe", "univers"}, {"actions", "action"},
          {"acting", "act"}, {"syzygy", "syzygi"}, {"crying", "cry"}, {"dying", "dy"},
          {"toys", "toi"}, {"yellow", "yellow"}, {"sayings", "sai"}, {"oversaying", "oversai"},
          {"knowledge", "knowledg"}, {"knowing", "know"}, {"duties", "duti"}, {"duty", "duti"},
          {"meditation", "medit"}, {"meditating", "medit"}, {"meditative", "medit"},
          {"possessions", "possess"}, {"ionization", "ioniz"}, {"fluffiness", "fluffi"},
          {"traditional", "tradit"}, {"aed", "a"}, {"ing", "ing"}, {"eed", "eed"}, {"yed", "yed"},
          {"sion", "sion"}, {"ion", "ion"}, {"bus", "bu"}, {"buses", "buse"}, {"was", "wa"});
}
// clang-format on

Test(kb_stem, leaves_what_is_no_english_word)
{
    CHECK({"as", "as"},
          {"is", "is"},
          {"x", "x"},
          {"v2s", "v2s"},
          {"2024s", "2024s"},
          {"λογοσ", "λογοσ"},
          {"नगरs", "नगरs"});
}
