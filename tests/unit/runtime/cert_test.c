// cert_test.c - certificates: made whole, read back, refused where they are wrong.
#include "runtime/cert.h"
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[64];

static void
begin(void)
{
    snprintf(folder, sizeof(folder), "/tmp/bhiv-cert-XXXXXX");
    cr_assert_not_null(mkdtemp(folder));
    cr_assert_eq(cert_make(folder, CERT_BROKER), BUS_OK);
}

static void
end(void)
{
    char command[128];
    cr_assert_eq(cert_revoke(folder, CERT_BROKER), BUS_OK);
    bus_err_t err = cert_revoke(folder, "karma");
    cr_assert(err == BUS_OK || err == BUS_NOT_FOUND);
    snprintf(command, sizeof(command), "%s/" CERT_FOLDER, folder);
    rmdir(command);
    cr_assert_eq(rmdir(folder), 0, "nothing else is left in the folder");
}

TestSuite(cert, .init = begin, .fini = end);

static bus_err_t
load(const char *name, cert_t *ret_cert)
{
    const char *why = NULL;
    bus_err_t err = cert_load(folder, name, ret_cert, &why);
    cr_assert(err == BUS_OK || why != NULL);
    return err;
}

static const char *
path_of(const char *leaf)
{
    static char path[256];
    snprintf(path, sizeof(path), "%s/" CERT_FOLDER "/%s", folder, leaf);
    return path;
}

Test(cert, what_is_made_is_read_by_name_and_by_either_file)
{
    cr_assert_eq(cert_make(folder, "karma"), BUS_OK);
    cert_t by_name, by_file, by_secret, broker;
    cr_assert_eq(load("karma", &by_name), BUS_OK);
    cr_assert_eq(load(path_of("karma.cert"), &by_file), BUS_OK);
    cr_assert_eq(load(path_of("karma.cert_secret"), &by_secret), BUS_OK);
    cr_assert_eq(cert_load_public(path_of("broker.cert"), &broker), BUS_OK);
    cr_assert_str_eq(by_name.name, "karma");
    cr_assert_eq(memcmp(&by_name, &by_file, sizeof(by_name)), 0);
    cr_assert_eq(memcmp(&by_name, &by_secret, sizeof(by_name)), 0);
    cr_assert_str_eq(by_name.server_key, broker.public_key);
    cr_assert_str_eq(broker.secret_key, "");
    cr_assert_neq(strcmp(by_name.public_key, broker.public_key), 0);
    struct stat secret;
    cr_assert_eq(stat(path_of("karma.cert_secret"), &secret), 0);
    cr_assert_eq(secret.st_mode & 0777, 0600);
    cert_clear(&by_name);
    cr_assert_str_eq(by_name.secret_key, "");
}

Test(cert, a_name_has_one_certificate)
{
    cr_assert_eq(cert_make(folder, "karma"), BUS_OK);
    cr_assert_eq(cert_make(folder, "karma"), BUS_CONFLICT);
    cr_assert_eq(cert_revoke(folder, "karma"), BUS_OK);
    cr_assert_eq(cert_revoke(folder, "karma"), BUS_NOT_FOUND);
    cr_assert_eq(cert_make(folder, "karma"), BUS_OK);
}

Test(cert, a_secret_that_others_may_read_is_none)
{
    cert_t cert;
    cr_assert_eq(cert_make(folder, "karma"), BUS_OK);
    cr_assert_eq(chmod(path_of("karma.cert_secret"), 0640), 0);
    cr_assert_eq(load("karma", &cert), BUS_FORBIDDEN);
    cr_assert_eq(load("nobody", &cert), BUS_NOT_FOUND);
}

Test(cert, what_is_no_certificate_is_refused)
{
    static const char *const wrong[] = {
        "",
        "metadata\n",
        "curve\n    public-key = \"short\"\n",
        "metadata\n    name = \"a.b\"\ncurve\n    public-key = "
        "\">Po^a*L!1)hbr7q1>fBT6xkWhAX)gD?^k6woI2sG\"\n",
        "curve\n    public-key = \">Po^a*L!1)hbr7q1>fBT6xkWhAX)gD?^k6woI2sG\"\n",
        "metadata\n    name = \"a",
        "metadata\n    name = \"",
        "metadata\n     = \"a\"\n",
        "metadata\n  name = \"a\"\n",
        "metadata\n    name = \"a\" x\"\n",
        "metadata\n    name = \"a\"\r\n",
        "\x1b[2J",
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        FILE *file = fopen(path_of("x.cert"), "w");
        cr_assert_not_null(file);
        fputs(wrong[i], file);
        fclose(file);
        cert_t cert;
        cr_assert_eq(cert_load_public(path_of("x.cert"), &cert), BUS_INVALID_REQUEST, "%zu", i);
    }
    unlink(path_of("x.cert"));
}

Test(cert, names_are_tokens)
{
    static const char *const good[] = {"a", "kernel-memory", "agent_1", "0"};
    static const char *const bad[] = {"", "a.b", "$bus", "_a", "a b", "a/b", "..", "a\n", "-a"};
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        cr_assert(cert_is_name(view_from_text(good[i])), "%s", good[i]);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        cr_assert_not(cert_is_name(view_from_text(bad[i])), "%s", bad[i]);
    }
    char name[CERT_NAME_MAX + 2];
    memset(name, 'a', sizeof(name));
    cr_assert(cert_is_name(view_from(name, CERT_NAME_MAX)));
    cr_assert_not(cert_is_name(view_from(name, CERT_NAME_MAX + 1)));
}
