// file_test.c - small files are read whole and replaced whole.
#include "folder.h"
#include "runtime/file.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <sys/stat.h>

static folder_t folder;
static char path[2 * FOLDER_SIZE];

static void
begin(void)
{
    folder = folder_make();
    folder_join(&folder, "file", path);
}

static void
end(void)
{
    folder_remove(&folder);
}

TestSuite(file, .init = begin, .fini = end);

Test(file, what_is_put_in_its_place_is_read_back_and_private)
{
    static const char bytes[] = "one\0two\n";
    static const char *const names[] = {"", "a", bytes};
    file_text_t file;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        bus_view_t text = i == 2 ? view_from(bytes, sizeof bytes - 1) : view_from_text(names[i]);
        cr_assert_eq(file_replace(path, text), BUS_OK);
        cr_assert_eq(file_read(path, 8, &file), BUS_OK);
        cr_assert(view_equal(view_from(file.text, file.size), text) || text.size == 0);
        cr_assert(file.size == text.size && file.text[file.size] == '\0' && file.mode == 0600);
        file_clear(&file);
        cr_assert_null(file.text);
    }
}

Test(file, what_a_writer_that_was_killed_left_is_in_nobodys_way)
{
    char fresh[2 * FOLDER_SIZE];
    FILE *left = fopen(folder_join(&folder, "file.new", fresh), "w");
    cr_assert(left != NULL && fputs("half", left) >= 0);
    fclose(left);
    cr_assert_eq(file_replace(path, VIEW_LITERAL("whole")), BUS_OK);
    cr_assert_eq(access(fresh, F_OK), -1);
}

Test(file, one_that_cannot_be_written_leaves_what_was_there)
{
    char fresh[2 * FOLDER_SIZE];
    file_text_t file;
    cr_assert_eq(file_replace(path, VIEW_LITERAL("first")), BUS_OK);
    cr_assert_eq(mkdir(folder_join(&folder, "file.new", fresh), 0700), 0);
    cr_assert_eq(file_replace(path, VIEW_LITERAL("second")), BUS_IO);
    cr_assert_eq(errno, EEXIST);
    cr_assert_eq(file_read(path, 100, &file), BUS_OK);
    cr_assert_str_eq(file.text, "first");
    file_clear(&file);
    cr_assert_eq(file_replace("/nonexistent/file", VIEW_LITERAL("x")), BUS_IO);
}

Test(file, what_is_absent_too_large_or_no_file_is_told_apart)
{
    file_text_t file = {.text = NULL};
    char pipe_path[2 * FOLDER_SIZE];
    cr_assert_eq(file_read(path, 8, &file), BUS_NOT_FOUND);
    cr_assert_eq(file_replace(path, VIEW_LITERAL("123456789")), BUS_OK);
    cr_assert_eq(file_read(path, 8, &file), BUS_PAYLOAD_TOO_LARGE);
    cr_assert_eq(file_read(folder.path, 8, &file), BUS_INVALID_REQUEST);
    cr_assert_eq(mkfifo(folder_join(&folder, "pipe", pipe_path), 0600), 0);
    cr_assert_eq(file_read(pipe_path, 8, &file), BUS_INVALID_REQUEST);
    cr_assert_null(file.text);
}
