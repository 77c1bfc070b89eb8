// heal_conf_test.c - drill.conf, its last good state, and going back and forth between them.
#include "../runtime/folder.h"
#include "kernel/heal_conf.h"
#include <criterion/criterion.h>
#include <sys/stat.h>

static void
put(const folder_t *folder, const char *leaf, const char *text)
{
    char path[FOLDER_SIZE + 40];
    snprintf(path, sizeof path, "%s/%s", folder->path, leaf);
    FILE *file = fopen(path, "w");
    cr_assert_not_null(file);
    fputs(text, file);
    fclose(file);
}

// The text of a file, "(none)" where there is none. Valid until the next call.
static const char *
text_of(const folder_t *folder, const char *leaf)
{
    static char text[1000];
    char path[FOLDER_SIZE + 40];
    snprintf(path, sizeof path, "%s/%s", folder->path, leaf);
    FILE *file = fopen(path, "r");
    if (file == NULL) {
        return "(none)";
    }
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    fclose(file);
    return text;
}

static void
hash_of_current(const folder_t *folder, char ret_hex[SHA256_HEX_SIZE])
{
    kernel_heal_conf_t conf;
    cr_assert_eq(kernel_heal_conf_read(folder->path, &conf), BUS_OK);
    kernel_heal_conf_hash(&conf, ret_hex);
    kernel_heal_conf_clear(&conf);
}

Test(heal_conf, no_file_is_an_empty_one_and_its_hash_that_of_no_bytes)
{
    folder_t folder = folder_make();
    char hex[SHA256_HEX_SIZE];
    hash_of_current(&folder, hex);
    cr_assert_str_eq(hex, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    put(&folder, "drill.conf", "abc"); // FIPS 180-4's example
    hash_of_current(&folder, hex);
    cr_assert_str_eq(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    folder_remove(&folder);
}

Test(heal_conf, keeps_the_one_that_was_good_and_not_what_it_became_meanwhile)
{
    folder_t folder = folder_make();
    char hex[SHA256_HEX_SIZE];
    kernel_heal_conf_t good;
    cr_assert_eq(kernel_heal_conf_read_good(folder.path, &good), BUS_NOT_FOUND);
    put(&folder, "drill.conf", "BHIV_A=1\n");
    hash_of_current(&folder, hex);
    put(&folder, "drill.conf", "BHIV_A=2\n");
    cr_assert_eq(kernel_heal_conf_keep(folder.path, view_from_text(hex)), BUS_CONFLICT);
    cr_assert_str_eq(text_of(&folder, "drill.conf.good"), "(none)");
    put(&folder, "drill.conf", "BHIV_A=1\n");
    cr_assert_eq(kernel_heal_conf_keep(folder.path, view_from_text(hex)), BUS_OK);
    cr_assert_str_eq(text_of(&folder, "drill.conf.good"), "BHIV_A=1\n");
    cr_assert_eq(kernel_heal_conf_keep(folder.path, view_from_text(hex)), BUS_OK);
    struct stat about;
    char path[FOLDER_SIZE + 40];
    snprintf(path, sizeof path, "%s/drill.conf.good", folder.path);
    cr_assert_eq(stat(path, &about), 0);
    cr_assert_eq(about.st_mode & 0777, 0600);
    folder_remove(&folder);
}

Test(heal_conf, no_settings_at_all_can_be_the_good_ones)
{
    folder_t folder = folder_make();
    char hex[SHA256_HEX_SIZE];
    kernel_heal_conf_t current, good;
    hash_of_current(&folder, hex);
    cr_assert_eq(kernel_heal_conf_keep(folder.path, view_from_text(hex)), BUS_OK);
    cr_assert_eq(kernel_heal_conf_read_good(folder.path, &good), BUS_OK);
    put(&folder, "drill.conf", "BHIV_A=1\n");
    cr_assert_eq(kernel_heal_conf_read(folder.path, &current), BUS_OK);
    cr_assert_not(kernel_heal_conf_equal(&current, &good));
    cr_assert_eq(kernel_heal_conf_restore(folder.path, &current, &good), BUS_OK);
    cr_assert_str_eq(text_of(&folder, "drill.conf"), "(none)");
    cr_assert_str_eq(text_of(&folder, "drill.conf.rejected"), "BHIV_A=1\n");
    cr_assert_eq(kernel_heal_conf_put_back(folder.path, &good, &current), BUS_OK);
    cr_assert_str_eq(text_of(&folder, "drill.conf"), "BHIV_A=1\n");
    kernel_heal_conf_clear(&current);
    kernel_heal_conf_clear(&good);
    folder_remove(&folder);
}

Test(heal_conf, leaves_alone_what_a_person_changed_meanwhile)
{
    folder_t folder = folder_make();
    char hex[SHA256_HEX_SIZE];
    kernel_heal_conf_t current, good;
    put(&folder, "drill.conf", "BHIV_A=1\n");
    hash_of_current(&folder, hex);
    cr_assert_eq(kernel_heal_conf_keep(folder.path, view_from_text(hex)), BUS_OK);
    cr_assert_eq(kernel_heal_conf_read_good(folder.path, &good), BUS_OK);
    put(&folder, "drill.conf", "BHIV_A=2\n");
    cr_assert_eq(kernel_heal_conf_read(folder.path, &current), BUS_OK);
    put(&folder, "drill.conf", "BHIV_A=3\n");
    cr_assert_eq(kernel_heal_conf_restore(folder.path, &current, &good), BUS_CONFLICT);
    cr_assert_eq(kernel_heal_conf_put_back(folder.path, &good, &current), BUS_CONFLICT);
    cr_assert_str_eq(text_of(&folder, "drill.conf"), "BHIV_A=3\n");
    kernel_heal_conf_clear(&current);
    kernel_heal_conf_clear(&good);
    folder_remove(&folder);
}

Test(heal_conf, names_the_settings_that_differ_without_their_values)
{
    kernel_heal_conf_t a = {.text = strdup("# why\nBHIV_A=1\nBHIV_B=2\n"), .size = 24};
    kernel_heal_conf_t b = {.text = strdup("BHIV_B=3\nBHIV_A=1\nBHIV_C=secret"), .size = 31};
    char name[64];
    static const char *const expected[] = {"BHIV_B", "BHIV_B", "BHIV_C"};
    for (size_t i = 0; i < 3; i++) {
        cr_assert(kernel_heal_conf_difference(&a, &b, i, name, sizeof name));
        cr_assert_str_eq(name, expected[i]);
    }
    cr_assert_not(kernel_heal_conf_difference(&a, &b, 3, name, sizeof name));
    cr_assert_not(kernel_heal_conf_difference(&a, &a, 0, name, sizeof name));
    kernel_heal_conf_clear(&a);
    kernel_heal_conf_clear(&b);
}

Test(heal_conf, names_no_line_that_is_no_setting)
{
    kernel_heal_conf_t a = {.text = NULL};
    char text[] = "BHIV_PASS: c2VjcmV0Cg==\n\xff\xfe=1\n=\nBHIV_A=1\n";
    kernel_heal_conf_t b = {.text = text, .size = sizeof text - 1};
    char name[64];
    static const char *const expected[] = {"a line that is no setting",
                                           "a line that is no setting",
                                           "a line that is no setting",
                                           "BHIV_A"};
    for (size_t i = 0; i < 4; i++) {
        cr_assert(kernel_heal_conf_difference(&a, &b, i, name, sizeof name));
        cr_assert_str_eq(name, expected[i]);
    }
}

Test(heal_conf, refuses_what_is_larger_than_a_drill_takes)
{
    folder_t folder = folder_make();
    kernel_heal_conf_t conf;
    char path[FOLDER_SIZE + 40];
    snprintf(path, sizeof path, "%s/drill.conf", folder.path);
    FILE *file = fopen(path, "w");
    for (int i = 0; i <= KERNEL_HEAL_CONF_SIZE_MAX; i++) {
        fputc('#', file);
    }
    fclose(file);
    cr_assert_eq(kernel_heal_conf_read(folder.path, &conf), BUS_PAYLOAD_TOO_LARGE);
    folder_remove(&folder);
}
