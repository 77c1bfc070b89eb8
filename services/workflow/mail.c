// mail.c - a mail as SMTP takes it.
//
// Nothing that a caller gives reaches a header line as it is: addresses are checked, a subject
// becomes encoded words unless it is short plain ASCII. The text is base64, whatever it holds: no
// line is too long, none begins with a dot, and nobody on the way rewrites it.
#include "mail.h"

#include "proto/note.h"
#include "proto/walk.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

enum {
    LINE_MAX_BASE64 = 76,   // RFC 2045
    WORD_BYTES_MAX = 42,    // of text in one encoded word, which then is below 75 characters
    SUBJECT_PLAIN_MAX = 60, // longer ones are folded as encoded words
    SUBJECT_MAX = 2048,     // bytes; the rest is cut
};

bool
workflow_mail_is_address(bus_view_t text)
{
    const char *at = text.size == 0 ? NULL : memchr(text.data, '@', text.size);
    if (text.size > WORKFLOW_MAIL_ADDRESS_MAX || at == NULL || at == text.data ||
        at == text.data + text.size - 1 || text.data[0] == '-' || !walk_utf8(text)) {
        return false;
    }
    for (size_t i = 0; i < text.size; i++) {
        unsigned char byte = (unsigned char) text.data[i];
        bool is_second = byte == '@' && text.data + i != at;
        if (byte <= ' ' || byte == 0x7f || strchr(",;:<>\"\\()[]", byte) != NULL || is_second) {
            return false;
        }
    }
    return true;
}

static bool
is_plain(bus_view_t text)
{
    for (size_t i = 0; i < text.size; i++) {
        unsigned char byte = (unsigned char) text.data[i];
        if (byte < ' ' || byte > '~') {
            return false;
        }
    }
    return true;
}

// "=?" could be read as the beginning of a word that nobody wrote.
static bool
may_stand_as_it_is(bus_view_t subject)
{
    bool is_word = subject.size >= 2 && memmem(subject.data, subject.size, "=?", 2) != NULL;
    bool is_padded =
        subject.size > 0 && (subject.data[0] == ' ' || subject.data[subject.size - 1] == ' ');
    return subject.size <= SUBJECT_PLAIN_MAX && is_plain(subject) && !is_word && !is_padded;
}

static void
write_words(bus_view_t text, text_t *out)
{
    for (size_t done = 0; done < text.size;) {
        size_t left = text.size - done;
        size_t size = left < WORD_BYTES_MAX ? left : WORD_BYTES_MAX;
        size_t whole = walk_utf8_size(view_from(text.data + done, size)); // not within a character
        size = whole > 0 ? whole : size;
        text_add(out, view_from_text(done == 0 ? "=?UTF-8?B?" : "\r\n =?UTF-8?B?"));
        note_base64(view_from(text.data + done, size), out);
        text_add(out, VIEW_LITERAL("?="));
        done += size;
    }
}

static void
write_subject(bus_view_t given, text_t *out)
{
    char text[SUBJECT_MAX];
    size_t size = given.size < sizeof text ? given.size : sizeof text;
    memcpy(text, given.data, size);
    size = walk_utf8_size(view_from(text, size));
    for (size_t i = 0; i < size; i++) {
        if ((unsigned char) text[i] < ' ' || text[i] == 0x7f) {
            text[i] = ' ';
        }
    }
    bus_view_t subject = view_from(text, size);
    text_add(out, VIEW_LITERAL("Subject: "));
    if (may_stand_as_it_is(subject)) {
        text_add(out, subject);
    } else {
        write_words(subject, out);
    }
    text_add(out, VIEW_LITERAL("\r\n"));
}

// RFC 5322 section 3.3, in English whatever the locale.
static void
write_date(uint64_t at, text_t *out)
{
    static const char days[][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char months[][4] = {
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    time_t seconds = (time_t) (at / 1000000);
    struct tm parts = {.tm_mday = 1};
    (void) gmtime_r(&seconds, &parts);
    text_add_format(out,
                    "Date: %s, %02d %s %04d %02d:%02d:%02d +0000\r\n",
                    days[parts.tm_wday],
                    parts.tm_mday,
                    months[parts.tm_mon],
                    parts.tm_year + 1900,
                    parts.tm_hour,
                    parts.tm_min,
                    parts.tm_sec);
}

static void
write_pair(const char *name, bus_view_t value, text_t *out)
{
    text_add_format(out, "%s: %.*s\r\n", name, (int) value.size, value.data);
}

static void
write_text(bus_view_t text, text_t *out)
{
    BUS_AUTO(text_destroy) text_t *whole = text_new();
    note_base64(text, whole);
    bus_view_t left = text_view(whole);
    while (left.size > 0) {
        size_t size = left.size < LINE_MAX_BASE64 ? left.size : LINE_MAX_BASE64;
        text_add(out, view_from(left.data, size));
        text_add(out, VIEW_LITERAL("\r\n"));
        left = view_from(left.data + size, left.size - size);
    }
}

void
workflow_mail_write(const workflow_mail_t *mail, text_t *out)
{
    write_pair("From", mail->from, out);
    write_pair("To", mail->to, out);
    write_subject(mail->subject, out);
    write_date(mail->at, out);
    text_add_format(
        out, "Message-ID: <%.*s>\r\n", (int) mail->message_id.size, mail->message_id.data);
    if (mail->trace_id.size > 0 && is_plain(mail->trace_id)) {
        write_pair("X-Trace-Id", mail->trace_id, out);
    }
    text_add(out,
             VIEW_LITERAL("Auto-Submitted: auto-generated\r\n"
                          "MIME-Version: 1.0\r\n"
                          "Content-Type: text/plain; charset=utf-8\r\n"
                          "Content-Transfer-Encoding: base64\r\n\r\n"));
    write_text(mail->text, out);
}
