// keyring_test.c - the folder that zauth reads holds each key that was given, once, and nothing
// else.
#include "broker/keyring.h"
#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zmq.h>

typedef struct {
    char path[64]; // of a folder that is made for the test
    char folder[80];
    keyring_key_t keys[4]; // a, b, c, d
} place_t;

static place_t
make_place(void)
{
    place_t place = {.path = "/tmp/bhiv-keyring-XXXXXX"};
    char secret[CERT_KEY_SIZE];
    cr_assert_not_null(mkdtemp(place.path));
    snprintf(place.folder, sizeof(place.folder), "%s/gate", place.path);
    for (int i = 0; i < 4; i++) {
        snprintf(place.keys[i].name, sizeof(place.keys[i].name), "%c", 'a' + i);
        cr_assert_eq(zmq_curve_keypair(place.keys[i].key, secret), 0);
    }
    return place;
}

static size_t
count_files(const place_t *place)
{
    size_t count = 0;
    DIR *files = opendir(place->folder);
    cr_assert_not_null(files);
    for (const struct dirent *file = readdir(files); file != NULL; file = readdir(files)) {
        count += file->d_name[0] != '.';
    }
    closedir(files);
    return count;
}

// The key of the certificate `name`, "" where there is none.
static const char *
key_of(const place_t *place, const char *name)
{
    static cert_t cert;
    char path[128];
    snprintf(path, sizeof(path), "%s/%s" CERT_SUFFIX, place->folder, name);
    if (cert_load_public(path, &cert) != BUS_OK) {
        return "";
    }
    cr_assert_str_eq(cert.name, name);
    return cert.public_key;
}

Test(keyring, holds_what_it_was_given)
{
    place_t place = make_place();
    const keyring_key_t *keys = place.keys;
    keyring_t *keyring = keyring_new(place.folder);
    cr_assert_not_null(keyring);
    cr_assert_eq(count_files(&place), 0);
    cr_assert_eq(keyring_set(keyring, keys, 3), BUS_OK);
    cr_assert_eq(count_files(&place), 3);
    cr_assert_str_eq(key_of(&place, "b"), keys[1].key);
    cr_assert_eq(keyring_set(keyring, keys + 1, 3), BUS_OK);
    cr_assert_eq(count_files(&place), 3);
    cr_assert_str_eq(key_of(&place, "a"), "");
    cr_assert_str_eq(key_of(&place, "d"), keys[3].key);
    cr_assert_eq(keyring_set(keyring, NULL, 0), BUS_OK);
    cr_assert_eq(count_files(&place), 0);
    keyring_destroy(&keyring);
    cr_assert_neq(access(place.folder, F_OK), 0);
    rmdir(place.path);
}

Test(keyring, a_key_that_changes_its_name_is_there_once)
{
    place_t place = make_place();
    keyring_key_t swapped[2] = {place.keys[0], place.keys[1]};
    memcpy(swapped[0].key, place.keys[1].key, CERT_KEY_SIZE);
    memcpy(swapped[1].key, place.keys[0].key, CERT_KEY_SIZE);
    keyring_t *keyring = keyring_new(place.folder);
    cr_assert_eq(keyring_set(keyring, place.keys, 2), BUS_OK);
    cr_assert_eq(keyring_set(keyring, swapped, 2), BUS_OK);
    cr_assert_eq(count_files(&place), 2);
    cr_assert_str_eq(key_of(&place, "a"), place.keys[1].key);
    cr_assert_str_eq(key_of(&place, "b"), place.keys[0].key);
    keyring_destroy(&keyring);
    rmdir(place.path);
}

Test(keyring, what_was_left_there_is_let_in_no_more)
{
    place_t place = make_place();
    char left[128];
    cr_assert_eq(mkdir(place.folder, 0700), 0);
    snprintf(left, sizeof(left), "%s/old" CERT_SUFFIX, place.folder);
    close(open(left, O_WRONLY | O_CREAT, 0600));
    keyring_t *keyring = keyring_new(place.folder);
    cr_assert_not_null(keyring);
    cr_assert_neq(access(left, F_OK), 0);
    keyring_destroy(&keyring);
    rmdir(place.path);
}

Test(keyring, what_could_not_be_written_is_written_later)
{
    place_t place = make_place();
    char in_the_way[128];
    keyring_t *keyring = keyring_new(place.folder);
    snprintf(in_the_way, sizeof(in_the_way), "%s/b" CERT_SUFFIX, place.folder);
    cr_assert_eq(mkdir(in_the_way, 0700), 0);
    cr_assert_eq(keyring_set(keyring, place.keys, 3), BUS_IO);
    cr_assert_eq(errno, EISDIR);
    cr_assert_str_eq(key_of(&place, "c"), place.keys[2].key);
    cr_assert_eq(rmdir(in_the_way), 0);
    cr_assert_eq(keyring_set(keyring, place.keys, 3), BUS_OK);
    cr_assert_str_eq(key_of(&place, "b"), place.keys[1].key);
    keyring_destroy(&keyring);
    rmdir(place.path);
}
