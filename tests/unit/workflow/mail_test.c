// mail_test.c - a mail as SMTP takes it.
#include "proto/auto.h"
#include "proto/view.h"
#include "workflow/mail.h"
#include <criterion/criterion.h>
#include <stdlib.h>

static workflow_mail_t
plain_mail(void)
{
    return (workflow_mail_t){
        .from = VIEW_LITERAL("bus@example.org"),
        .to = VIEW_LITERAL("ann@example.org"),
        .subject = VIEW_LITERAL("Hello"),
        .message_id = VIEW_LITERAL("email_1.boot@bhiv"),
        .trace_id = VIEW_LITERAL("t-1"),
        .at = UINT64_C(1767225600000000),
        .text = VIEW_LITERAL("Text"),
    };
}

static char *
write_mail(const workflow_mail_t *mail)
{
    BUS_AUTO(text_destroy) text_t *out = text_new();
    workflow_mail_write(mail, out);
    return strndup(text_view(out).data, text_view(out).size);
}

static char *
write_subject(const char *subject)
{
    workflow_mail_t mail = plain_mail();
    mail.subject = view_from_text(subject);
    char *whole = write_mail(&mail);
    char *begin = strstr(whole, "Subject: ");
    char *end = strstr(begin, "\r\nDate: ");
    char *line = strndup(begin, (size_t) (end - begin));
    free(whole);
    return line;
}

static void
free_text(char **text_p)
{
    free(*text_p);
}

Test(mail, is_written_whole)
{
    workflow_mail_t mail = plain_mail();
    BUS_AUTO(free_text) char *text = write_mail(&mail);
    cr_assert_str_eq(text,
                     "From: bus@example.org\r\n"
                     "To: ann@example.org\r\n"
                     "Subject: Hello\r\n"
                     "Date: Thu, 01 Jan 2026 00:00:00 +0000\r\n"
                     "Message-ID: <email_1.boot@bhiv>\r\n"
                     "X-Trace-Id: t-1\r\n"
                     "Auto-Submitted: auto-generated\r\n"
                     "MIME-Version: 1.0\r\n"
                     "Content-Type: text/plain; charset=utf-8\r\n"
                     "Content-Transfer-Encoding: base64\r\n"
                     "\r\n"
                     "VGV4dA==\r\n");
}

Test(mail, says_the_date_in_words_of_rfc_5322)
{
    const struct {
        uint64_t at;
        const char *date;
    } cases[] = {
        {0, "Date: Thu, 01 Jan 1970 00:00:00 +0000\r\n"},
        {UINT64_C(880127706999999), "Date: Fri, 21 Nov 1997 15:55:06 +0000\r\n"}, // RFC 5322 A.1.1
        {UINT64_C(1709251199000000), "Date: Thu, 29 Feb 2024 23:59:59 +0000\r\n"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        workflow_mail_t mail = plain_mail();
        mail.at = cases[i].at;
        BUS_AUTO(free_text) char *text = write_mail(&mail);
        cr_assert_not_null(strstr(text, cases[i].date), "%s", text);
    }
}

Test(mail, makes_encoded_words_of_what_is_no_plain_subject)
{
    const struct {
        const char *subject;
        const char *line;
    } cases[] = {
        {"Plain", "Subject: Plain"},
        {"Gr\xc3\xbc\xc3\x9f"
         "e",
         "Subject: =?UTF-8?B?R3LDvMOfZQ==?="},
        {"a\r\nBcc: x", "Subject: a  Bcc: x"},
        {"=?x?=", "Subject: =?UTF-8?B?PT94Pz0=?="},
        {" x", "Subject: =?UTF-8?B?IHg=?="},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        BUS_AUTO(free_text) char *line = write_subject(cases[i].subject);
        cr_assert_str_eq(line, cases[i].line);
    }
}

Test(mail, folds_words_below_76_characters_and_never_within_a_character)
{
    char subject[900];
    for (size_t i = 0; i < sizeof subject - 3; i += 3) {
        memcpy(subject + i, "\xe2\x82\xac", 3); // the euro sign
    }
    subject[sizeof subject - 3] = '\0';
    BUS_AUTO(free_text) char *line = write_subject(subject);
    size_t words = 0;
    for (char *at = line; at != NULL; at = strstr(at, "\r\n ")) {
        at += at == line ? strlen("Subject: ") : strlen("\r\n ");
        char *end = strstr(at, "?=");
        cr_assert(end != NULL && end + 2 - at <= 75);
        cr_assert_eq((end - at - 10) % 4, 0);
        cr_assert_neq(end[-1], '=', "whole characters of three bytes need no padding");
        words++;
    }
    cr_assert_eq(words, (sizeof subject - 3 + 41) / 42);
}

Test(mail, keeps_lines_short_and_ends_them_all_alike)
{
    char *body = malloc(100001);
    memset(body, '.', 100000);
    body[100000] = '\0';
    workflow_mail_t mail = plain_mail();
    mail.text = view_from_text(body);
    BUS_AUTO(free_text) char *text = write_mail(&mail);
    size_t length = 0;
    for (const char *at = text; *at != '\0'; at++) {
        cr_assert(*at != '\n' || (at > text && at[-1] == '\r'));
        cr_assert(*at != '\r' || at[1] == '\n');
        length = *at == '\n' ? 0 : length + 1;
        cr_assert_leq(length, 77);
    }
    free(body);
}

Test(mail, has_no_trace_that_would_break_a_header)
{
    const bus_view_t traces[] = {
        VIEW_LITERAL("a\r\nBcc: eve@example.org"), VIEW_LITERAL("\xc3\xbc"), VIEW_NONE};
    for (size_t i = 0; i < 3; i++) {
        workflow_mail_t mail = plain_mail();
        mail.trace_id = traces[i];
        BUS_AUTO(free_text) char *text = write_mail(&mail);
        cr_assert_null(strstr(text, "X-Trace-Id"));
        cr_assert_null(strstr(text, "Bcc"));
    }
}

Test(mail, takes_one_plain_address_and_nothing_else)
{
    const char *const good[] = {
        "a@b", "ann.o'neil+tag@mail.example.org", "\xc3\xbc@ex\xc3\xa4mple.org", "a_b-c@x--y.z"};
    const char *const bad[] = {"",
                               "a",
                               "@b",
                               "a@",
                               "a@b@c",
                               "a b@c",
                               "a@b\r\n",
                               "a@b\t",
                               "<a@b>",
                               "a@b,c@d",
                               "a@b;c@d",
                               "\"a\"@b",
                               "a(b)@c",
                               "a\\b@c",
                               "-a@b",
                               "a:b@c",
                               "\xff@b",
                               "a@[127.0.0.1]"};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        cr_assert(workflow_mail_is_address(view_from_text(good[i])), "%s", good[i]);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        cr_assert_not(workflow_mail_is_address(view_from_text(bad[i])), "%s", bad[i]);
    }
    char longest[WORKFLOW_MAIL_ADDRESS_MAX + 2];
    memset(longest, 'x', sizeof longest);
    longest[1] = '@';
    cr_assert(workflow_mail_is_address(view_from(longest, WORKFLOW_MAIL_ADDRESS_MAX)));
    cr_assert_not(workflow_mail_is_address(view_from(longest, WORKFLOW_MAIL_ADDRESS_MAX + 1)));
    cr_assert_not(workflow_mail_is_address(view_from("a\0@b", 4)));
}
