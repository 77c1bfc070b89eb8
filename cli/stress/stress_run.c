// stress_run.c - see stress_run.h.
#include "stress_run.h"

#include "output.h"
#include "progress.h"
#include "proto/rfc3339.h"
#include "proto/text.h"
#include "proto/transcode.h"
#include "proto/walk.h"
#include "runtime/clock.h"
#include "runtime/id.h"
#include "runtime/sha256.h"
#include "stress_env.h"
#include "stress_report.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
    IDS_TRIED = 60,  // seconds ahead that a name is looked for, where many drills start at once
    TOPIC_SIZE = 64, // stress.<suite>.completed
    BAR_SIZE = 24,   // of a progress bar
    TELL_MS = 2000,  // for a broker of this machine to answer
    INDENT = 2,      // of the summary file
    SUITE_PATH = 64  // "/<suite>/<id>_summary.json.new"
};

struct cli_stress_run {
    const cli_stress_flags_t *flags;
    const char *suite;
    char id[CLI_STRESS_ID_SIZE];
    char started_at[CLI_STRESS_TIME_SIZE];
    char conf[CLI_PATH_SIZE]; // "" where the folder has no name
    char
        conf_hash[SHA256_HEX_SIZE]; // of its bytes when the run began; "" where they cannot be read
    char summary[CLI_PATH_SIZE];    // path
    FILE *log;                      // NULL: it has none
};

// --- Its files ---------------------------------------------------------------------------------

// Makes the folder, with its parents.
static int
make_folders(const char *path)
{
    char part[CLI_PATH_SIZE];
    snprintf(part, sizeof part, "%s", path);
    for (char *at = part + 1; at != NULL;) {
        at = strchr(at, '/');
        if (at != NULL) {
            *at = '\0';
        }
        if (mkdir(part, 0777) != 0 && errno != EEXIST) {
            return cli_fail(CLI_IO, "cannot make %s: %s", part, strerror(errno));
        }
        if (at != NULL) {
            *at++ = '/';
        }
    }
    return CLI_DONE;
}

static void
name_run(cli_stress_run_t *self, const char *prefix, time_t at)
{
    struct tm parts;
    char stamp[32];
    gmtime_r(&at, &parts);
    strftime(stamp, sizeof stamp, "%Y%m%d_%H%M%S", &parts);
    snprintf(self->id, sizeof self->id, "%s_stress_%s", prefix, stamp);
}

// Writes <folder>/<id><end>. Returns 0, or CLI_CONFIG where that is too long.
static int
join(const cli_stress_run_t *self, const char *folder, const char *end, char path[CLI_PATH_SIZE])
{
    int size = snprintf(path, CLI_PATH_SIZE, "%s/%s%s", folder, self->id, end);
    return size >= 0 && size < CLI_PATH_SIZE ? CLI_DONE
                                             : cli_fail(CLI_CONFIG, "--logs: the path is too long");
}

// Opens the first file; two runs that began in the same second get two names.
static int
open_files(cli_stress_run_t *self, const char *folder, const char *prefix, bool has_log)
{
    time_t now = time(NULL);
    char path[CLI_PATH_SIZE];
    for (int i = 0; i < IDS_TRIED; ++i) {
        name_run(self, prefix, now + i);
        int status = join(self, folder, has_log ? ".jsonl" : ".json", path);
        if (status == CLI_DONE) {
            status = join(self, folder, has_log ? "_summary.json" : ".json", self->summary);
        }
        if (status != CLI_DONE) {
            return status;
        }
        int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (fd < 0 && errno != EEXIST) {
            return cli_fail(CLI_IO, "cannot write %s: %s", path, strerror(errno));
        }
        if (fd >= 0) {
            self->log = has_log ? fdopen(fd, "w") : NULL;
            if (!has_log) {
                close(fd); // it only holds the name, until the summary takes its place
            }
            return CLI_DONE;
        }
    }
    return cli_fail(CLI_TRY_AGAIN, "too many drills write to %s", folder);
}

// The SHA-256 of drill.conf, so that a good one is known again; no file is as an empty one. Its
// text stays here: a setting may be a secret.
static void
hash_conf(const cli_stress_run_t *self, char ret_hex[SHA256_HEX_SIZE])
{
    unsigned char bytes[CLI_STRESS_ENV_CONF_SIZE_MAX];
    ret_hex[0] = '\0';
    int fd = open(self->conf, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 && errno != ENOENT) {
        return;
    }
    ssize_t count = fd < 0 ? 0 : read(fd, bytes, sizeof bytes);
    if (fd >= 0) {
        close(fd);
    }
    if (count >= 0) {
        sha256_hex(view_from(bytes, (size_t) count), ret_hex);
    }
}

int
cli_stress_run_open(const cli_stress_flags_t *flags,
                    const char *suite,
                    const char *prefix,
                    bool has_log,
                    cli_stress_run_t **ret_self)
{
    char folder[CLI_PATH_SIZE];
    const int room = CLI_PATH_SIZE - SUITE_PATH;
    if (snprintf(folder, sizeof folder, "%s/%s", flags->logs, suite) >= room) {
        return cli_fail(CLI_CONFIG, "--logs: the path is too long");
    }
    BUS_AUTO(cli_stress_run_destroy) cli_stress_run_t *self = calloc(1, sizeof *self);
    assert(self);
    self->flags = flags;
    self->suite = suite;
    cli_stress_run_now(self->started_at);
    cli_dir_t dir;
    int status = cli_dir_find(flags->place.dir, &dir);
    if (status == CLI_DONE) {
        status = cli_dir_join(&dir, "drill.conf", self->conf);
    }
    if (status == CLI_DONE) {
        hash_conf(self, self->conf_hash);
        status = make_folders(folder);
    }
    if (status == CLI_DONE) {
        status = open_files(self, folder, prefix, has_log);
    }
    if (status == CLI_DONE) {
        *ret_self = self;
        self = NULL;
    }
    return status;
}

void
cli_stress_run_destroy(cli_stress_run_t **self_p)
{
    cli_stress_run_t *self = *self_p;
    if (self != NULL) {
        struct stat about;
        if (self->log != NULL) {
            fclose(self->log);
        } else if (stat(self->summary, &about) == 0 && about.st_size == 0) {
            (void) unlink(self->summary); // it was never written
        }
        free(self);
        *self_p = NULL;
    }
}

const char *
cli_stress_run_id(const cli_stress_run_t *self)
{
    return self->id;
}

const char *
cli_stress_run_started_at(const cli_stress_run_t *self)
{
    return self->started_at;
}

const char *
cli_stress_run_conf(const cli_stress_run_t *self)
{
    return self->conf;
}

// --- Events ------------------------------------------------------------------------------------

// Adds the pairs of `map`, and returns how many they are.
static uint32_t
add_pairs(pack_t *out, bus_view_t map)
{
    uint32_t count = 0;
    bus_view_t key, value;
    walk_pairs_t pairs = walk_pairs(map);
    while (walk_pairs_next(&pairs, &key, &value) == BUS_OK) {
        pack_str(out, key);
        pack_raw(out, value);
        ++count;
    }
    return count;
}

void
cli_stress_run_event(cli_stress_run_t *self,
                     const char *event_type,
                     const char *message,
                     bus_view_t fields)
{
    if (self->log == NULL) {
        return;
    }
    BUS_AUTO(pack_destroy) pack_t *line = pack_new();
    BUS_AUTO(text_destroy) text_t *json = text_new();
    char now[CLI_STRESS_TIME_SIZE];
    cli_stress_run_now(now);
    size_t place = pack_map_begin(line);
    pack_pair_text(line, "test_id", self->id);
    pack_pair_text(line, "timestamp", now);
    pack_pair_text(line, "event_type", event_type);
    pack_pair_text(line, "message", message);
    pack_count(line, place, 4 + add_pairs(line, fields));
    transcode_to_json(pack_view(line), 0, json);
    bus_view_t text = text_view(json);
    (void) fwrite(text.data, 1, text.size, self->log); // cli_stress_run_finish sees a failure
    (void) fputc('\n', self->log);
    (void) fflush(self->log);
}

void
cli_stress_run_keep(const cli_stress_run_t *self, const char *path)
{
    char kept[CLI_PATH_SIZE];
    char piece[8192];
    snprintf(kept, sizeof kept, "%s", self->summary);
    char *leaf = strrchr(kept, '/');
    size_t room = leaf == NULL ? 0 : (size_t) (kept + sizeof kept - leaf);
    if (room == 0 || (size_t) snprintf(leaf, room, "/%s.log", self->id) >= room) {
        return;
    }
    FILE *from = fopen(path, "re");
    FILE *to = from == NULL ? NULL : fopen(kept, "we");
    size_t size = 0;
    while (to != NULL && (size = fread(piece, 1, sizeof piece, from)) > 0) {
        (void) fwrite(piece, 1, size, to); // for a person who looks into it: as much as there is
    }
    if (from != NULL) {
        fclose(from);
    }
    if (to != NULL) {
        fclose(to);
        fprintf(stderr, "bhiv: the instance's log is %s\n", kept);
    }
}

// --- The end -----------------------------------------------------------------------------------

static int
write_summary(const cli_stress_run_t *self, const cli_stress_outcome_t *outcome, const char *now)
{
    BUS_AUTO(pack_destroy) pack_t *whole = pack_new();
    BUS_AUTO(text_destroy) text_t *json = text_new();
    size_t place = pack_map_begin(whole);
    pack_pair_text(whole, "test_id", self->id);
    uint32_t count = add_pairs(whole, outcome->document);
    pack_pair_text(whole, "started_at", self->started_at);
    pack_pair_raw(whole, "summary", outcome->summary);
    pack_pair_bool(whole, "passed", outcome->passed);
    pack_pair_text(whole, "completed_at", now);
    pack_count(whole, place, 5 + count);
    transcode_to_json(pack_view(whole), INDENT, json);
    char fresh[CLI_PATH_SIZE + 8];
    snprintf(fresh, sizeof fresh, "%s.new", self->summary);
    FILE *file = fopen(fresh, "we");
    bus_view_t text = text_view(json);
    bool written = file != NULL && fwrite(text.data, 1, text.size, file) == text.size &&
                   fputc('\n', file) != EOF;
    written = file != NULL && fclose(file) == 0 && written;
    if (!written || rename(fresh, self->summary) != 0) {
        return cli_fail(CLI_IO, "cannot write %s: %s", self->summary, strerror(errno));
    }
    return CLI_DONE;
}

typedef struct {
    const char *topic;
    bus_view_t body;
    const char *trace;
    cli_connect_t *connect;
} telling_t;

static void
on_told(void *arg, const client_answer_t *answer)
{
    telling_t *self = arg;
    if (answer->err != BUS_ABORTED) {
        int status = answer->err == BUS_OK ? CLI_DONE : cli_connect_refused(self->topic, answer);
        cli_connect_end(self->connect, status);
    }
}

static void
tell_now(void *arg, cli_connect_t *connect)
{
    telling_t *self = arg;
    self->connect = connect;
    const client_message_t message = {
        .topic = self->topic,
        .body = self->body,
        .trace_id = view_from_text(self->trace),
        .want = CLIENT_WANT_ACK,
        .timeout_ms = TELL_MS,
    };
    bus_err_t err = client_send(connect->client, &message, on_told, self, NULL);
    if (err != BUS_OK) {
        cli_connect_end(connect,
                        cli_fail(CLI_NO_ANSWER, "%s: %s", self->topic, error_meaning(err)));
    }
}

// Whether there may be a bus to tell: a folder without its sockets has none.
static bool
may_have_bus(const cli_stress_run_t *self)
{
    cli_endpoints_t bus;
    if (cli_connect_tool(&self->flags->place, &bus) != CLI_DONE) {
        return false;
    }
    const char *path = strncmp(bus.ingress, "ipc://", 6) == 0 ? bus.ingress + 6 : NULL;
    return path == NULL || access(path, F_OK) == 0;
}

// Never a reason for a drill to fail: only an interruption is handed on.
static int
publish(const cli_stress_run_t *self, const cli_stress_outcome_t *outcome, const char *now)
{
    char topic[TOPIC_SIZE];
    snprintf(topic, sizeof topic, "stress.%s.completed", self->suite);
    if (!may_have_bus(self)) {
        fprintf(stderr, "bhiv: no bus is there to be told %s\n", topic);
        return CLI_DONE;
    }
    BUS_AUTO(pack_destroy) pack_t *body = pack_new();
    char hash[SHA256_HEX_SIZE];
    hash_conf(self, hash);
    bool is_same_conf = hash[0] != '\0' && strcmp(hash, self->conf_hash) == 0;
    pack_map(body, is_same_conf ? 7 : 6);
    pack_pair_text(body, "test_id", self->id);
    pack_pair_text(body, "suite", self->suite);
    pack_pair_bool(body, "passed", outcome->passed);
    pack_pair_raw(body, "summary", outcome->summary);
    pack_pair_text(body, "started_at", self->started_at);
    pack_pair_text(body, "completed_at", now);
    if (is_same_conf) {
        pack_pair_text(body, "conf_sha256", hash);
    }
    telling_t telling = {.topic = topic, .body = pack_view(body), .trace = self->flags->trace};
    const cli_connect_options_t options = {
        .place = &self->flags->place,
        .source = "bhiv_stress",
        .timeout_ms = TELL_MS,
        .ready = tell_now,
        .arg = &telling,
    };
    int status = cli_connect_run(&options);
    if (status != CLI_DONE && status != CLI_INTERRUPTED) {
        fprintf(stderr, "bhiv: so no bus was told %s; the result stands\n", topic);
    }
    return status == CLI_INTERRUPTED ? CLI_INTERRUPTED : CLI_DONE;
}

static void
make_dashboard(const cli_stress_run_t *self)
{
    char path[CLI_PATH_SIZE];
    cli_stress_report_path(self->flags->logs, self->flags->report, path);
    if (cli_stress_report_write(self->flags->logs, path) != CLI_DONE) {
        fprintf(stderr, "bhiv: the dashboard is as it was\n"); // the drill's result stands
    }
}

// For a person: a figure a line.
static void
add_lines(text_t *text, bus_view_t summary)
{
    bus_view_t key, value;
    walk_pairs_t pairs = walk_pairs(summary);
    while (walk_pairs_next(&pairs, &key, &value) == BUS_OK) {
        double real = 0;
        int64_t integer = 0;
        text_add_format(text, "  %-26.*s ", (int) key.size, key.data);
        if (walk_as_int(value, &integer) != BUS_OK && walk_as_real(value, &real) == BUS_OK) {
            text_add_format(text, "%.4g", real);
        } else {
            transcode_to_json(value, 0, text);
        }
        text_add(text, VIEW_LITERAL("\n"));
    }
}

// {test_id, passed, summary, file}
static void
pack_result(const cli_stress_run_t *self, const cli_stress_outcome_t *outcome, pack_t *out)
{
    pack_map(out, 4);
    pack_pair_text(out, "test_id", self->id);
    pack_pair_bool(out, "passed", outcome->passed);
    pack_pair_raw(out, "summary", outcome->summary);
    pack_pair_text(out, "file", self->summary);
}

static int
print(const cli_stress_run_t *self, const cli_stress_outcome_t *outcome)
{
    cli_output_t out;
    int status = cli_output_init(&out, self->flags->format);
    if (status != CLI_DONE) {
        return status;
    }
    if (out.format == CLI_FORMAT_LINE) {
        text_add_format(out.text, "%s %s\n", self->id, outcome->passed ? "passed" : "FAILED");
        add_lines(out.text, outcome->summary);
        text_add_format(out.text, "  %s\n", self->summary);
        cli_output_text(&out);
    } else if (self->flags->collected != NULL) {
        pack_text(self->flags->collected, self->suite);
        pack_result(self, outcome, self->flags->collected);
    } else {
        BUS_AUTO(pack_destroy) pack_t *value = pack_new();
        pack_result(self, outcome, value);
        cli_output_value(&out, pack_view(value));
    }
    status = cli_output_flush(&out) ? CLI_DONE : CLI_IO;
    cli_output_clear(&out);
    return status;
}

int
cli_stress_run_finish(cli_stress_run_t *self, const cli_stress_outcome_t *outcome)
{
    cli_progress_clear();
    char now[CLI_STRESS_TIME_SIZE];
    cli_stress_run_now(now);
    BUS_AUTO(pack_destroy) pack_t *fields = pack_new();
    pack_map(fields, 2);
    pack_pair_bool(fields, "passed", outcome->passed);
    pack_pair_raw(fields, "summary", outcome->summary);
    cli_stress_run_event(self, "stress.run.completed", "Drill completed", pack_view(fields));
    if (self->log != NULL && ferror(self->log) != 0) {
        return cli_fail(CLI_IO, "cannot write the log of %s", self->id);
    }
    int status = write_summary(self, outcome, now);
    if (status == CLI_DONE) {
        status = publish(self, outcome, now);
        make_dashboard(self);
    }
    if (status == CLI_DONE) {
        status = print(self, outcome);
    }
    if (status == CLI_DONE && !outcome->passed) {
        status = cli_fail(CLI_NEGATIVE,
                          "%s: %s",
                          self->id,
                          outcome->failed == NULL ? "a gate was not kept" : outcome->failed);
    }
    return status;
}

void
cli_stress_run_progress(const cli_stress_run_t *self, uint64_t done, uint64_t of, const char *what)
{
    char bar[BAR_SIZE + 1];
    char text[BAR_SIZE + 128];
    uint64_t filled = of == 0 ? 0 : done * BAR_SIZE / of;
    memset(bar, '.', BAR_SIZE);
    memset(bar, '#', filled > BAR_SIZE ? BAR_SIZE : (size_t) filled);
    bar[BAR_SIZE] = '\0';
    snprintf(text,
             sizeof text,
             "[%s] %llu/%llu %.80s",
             bar,
             (unsigned long long) done,
             (unsigned long long) of,
             what);
    cli_progress_show(self->suite, text);
}

// --- Figures -----------------------------------------------------------------------------------

static int
compare(const void *a, const void *b)
{
    double left = *(const double *) a;
    double right = *(const double *) b;
    return (left > right) - (left < right);
}

double
cli_stress_run_percentile(double *samples, size_t count, double share)
{
    if (count == 0) {
        return 0;
    }
    qsort(samples, count, sizeof *samples, compare);
    size_t at = (size_t) (share * (double) count);
    return samples[at < count ? at : count - 1];
}

double
cli_stress_run_mean(const double *samples, size_t count)
{
    double sum = 0;
    for (size_t i = 0; i < count; ++i) {
        sum += samples[i];
    }
    return count == 0 ? 0 : sum / (double) count;
}

void
cli_stress_run_now(char ret_text[CLI_STRESS_TIME_SIZE])
{
    _Static_assert((int) CLI_STRESS_TIME_SIZE >= (int) RFC3339_SIZE, "a time fits");
    rfc3339_format(clock_wall_us(), ret_text);
}
