// stress_ingestion.c - `bhiv stress ingestion`: documents through the librarian kernel of a private
// instance, as tasks of its queue, to Core's knowledge base. The latencies are what the librarian
// measured; the documents are those of the originals' drill: small, medium and large ones of a
// sixteen-word vocabulary, from a seed.
#include "proto/walk.h"
#include "stress.h"
#include "stress_instance.h"
#include "stress_task.h"

#include "proto/rfc3339.h"
#include "proto/text.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    DOCS_MAX = 1000,
    TASK_MS = 60000,    // for all of few
    TASK_EACH_MS = 500, // and for each of many
    NAME_SIZE = 48,
    DRIFT_EXTRACT_MS = 750, // one and a half times the originals' baseline of 500
    ERROR_SIZE = 200
};

static const char *const vocabulary[] = {"system",
                                         "kernel",
                                         "message",
                                         "journal",
                                         "memory",
                                         "governance",
                                         "artifact",
                                         "workflow",
                                         "document",
                                         "chunk",
                                         "knowledge",
                                         "trace",
                                         "priority",
                                         "telemetry",
                                         "record",
                                         "service"};
enum { WORDS = sizeof vocabulary / sizeof vocabulary[0] };

static const struct {
    const char *name;
    unsigned from, to; // words
} sizes[] = {{"small", 100, 500}, {"medium", 500, 2000}, {"large", 2000, 10000}};
enum { SIZES = sizeof sizes / sizeof sizes[0] };

// What the librarian said of one document.
typedef struct {
    char file[NAME_SIZE];
    unsigned words;
    pack_t *body; // of its task
    bool succeeded;
    char status[32];
    uint64_t chunks;
    double trust, quality, extract_ms, chunk_ms, seconds;
} job_t;

typedef struct {
    const cli_stress_ingestion_t *options;
    cli_stress_run_t *run;
    uint64_t random;
    size_t count;
    job_t *jobs;
    cli_stress_task_t *tasks;
} ingestion_t;

// --- Documents ---------------------------------------------------------------------------------

// SplitMix64 (Steele, Lea, Flood 2014): the same seed, the same documents.
static unsigned
next_below(ingestion_t *self, unsigned limit)
{
    uint64_t z = self->random += 0x9e3779b97f4a7c15U;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
    return (unsigned) ((z ^ (z >> 31)) % limit);
}

static void
write_document(ingestion_t *self, size_t number, job_t *job, text_t *text)
{
    size_t size = number % SIZES;
    snprintf(job->file, NAME_SIZE, "doc_%03zu_%s.txt", number, sizes[size].name);
    job->words = sizes[size].from + next_below(self, sizes[size].to - sizes[size].from + 1);
    text_clear(text);
    for (unsigned i = 0; i < job->words; ++i) {
        text_add_format(text, i == 0 ? "%s" : " %s", vocabulary[next_below(self, WORDS)]);
    }
}

static void
make_job(ingestion_t *self, size_t number, text_t *text)
{
    job_t *job = &self->jobs[number];
    cli_stress_task_t *task = &self->tasks[number];
    write_document(self, number, job, text);
    snprintf(task->id, sizeof task->id, "ingest_%03zu", number);
    job->body = pack_new();
    pack_map(job->body, 6);
    pack_pair_text(job->body, "task_id", task->id);
    pack_pair_text(job->body, "task_type", "ingest_document");
    pack_pair_text(job->body, "handler", "librarian");
    pack_pair_text(job->body, "priority", "normal");
    pack_pair_text(job->body, "requester_id", "bhiv_stress");
    pack_text(job->body, "context");
    pack_map(job->body, 4);
    pack_pair_text(job->body, "document_id", job->file);
    pack_pair_text(job->body, "title", job->file);
    pack_pair_str(job->body, "text", text_view(text));
    pack_pair_text(job->body, "source", "filesystem");
    task->body = pack_view(job->body);
}

// --- Results -----------------------------------------------------------------------------------

static bool
text_at(bus_view_t map, const char *path, bus_view_t *ret_text)
{
    bus_view_t value;
    return walk_find_path(map, path, &value) == BUS_OK && walk_as_str(value, ret_text) == BUS_OK;
}

static void
take_result(job_t *job, const cli_stress_task_t *task)
{
    bus_view_t done = pack_view(task->done);
    bus_view_t text = view_from_text(error_text(task->err));
    bus_view_t outer;
    bool is_over = task->err == BUS_OK && text_at(done, "status", &outer);
    if (is_over && !text_at(done, "result.status", &text)) {
        text = outer; // a dead letter has no result
    }
    snprintf(job->status, sizeof job->status, "%.*s", (int) text.size, text.data);
    job->chunks = (uint64_t) walk_real_at(done, "result.chunks_created", 0);
    job->trust = walk_real_at(done, "result.trust_score", 0);
    job->quality = walk_real_at(done, "result.quality_score", 0);
    job->extract_ms = walk_real_at(done, "result.stages.extract_ms", 0);
    job->chunk_ms = walk_real_at(done, "result.stages.chunk_ms", 0);
    job->seconds = walk_real_at(done, "result.duration_seconds", 0);
    job->succeeded = is_over && view_is(outer, "completed") && job->chunks > 0 &&
                     (view_is(text, "success") || view_is(text, "completed"));
}

static void
pack_time(pack_t *out, const char *key, uint64_t at_us)
{
    if (at_us == 0) {
        pack_pair_nil(out, key); // it never came that far
    } else {
        pack_pair_rfc3339(out, key, at_us);
    }
}

static void
pack_job(const job_t *job, const cli_stress_task_t *task, pack_t *out)
{
    pack_map(out, 12);
    pack_pair_text(out, "file", job->file);
    pack_pair_uint(out, "words", job->words);
    pack_time(out, "started_at", task->queued);
    pack_pair_text(out, "job_id", task->id);
    pack_pair_text(out, "status", job->status);
    pack_pair_uint(out, "chunks_created", job->chunks);
    pack_pair_real(out, "trust_score", job->trust);
    pack_pair_real(out, "quality_score", job->quality);
    pack_pair_real(out, "extract_latency_ms", job->extract_ms);
    pack_pair_real(out, "chunk_latency_ms", job->chunk_ms);
    pack_pair_real(out, "duration_seconds", job->seconds);
    pack_time(out, "completed_at", task->done_at);
}

// The means of what succeeded.
typedef struct {
    size_t good;
    uint64_t chunks;
    double trust, quality, extract_ms, chunk_ms, seconds;
} means_t;

static means_t
means_of(const ingestion_t *self)
{
    means_t means = {0};
    for (size_t i = 0; i < self->count; ++i) {
        const job_t *job = &self->jobs[i];
        if (job->succeeded) {
            ++means.good;
            means.chunks += job->chunks;
            means.trust += job->trust;
            means.quality += job->quality;
            means.extract_ms += job->extract_ms;
            means.chunk_ms += job->chunk_ms;
            means.seconds += job->seconds;
        }
    }
    double good = means.good == 0 ? 1 : (double) means.good;
    means.trust /= good;
    means.quality /= good;
    means.extract_ms /= good;
    means.chunk_ms /= good;
    means.seconds /= good;
    return means;
}

static void
judge(const ingestion_t *self, const means_t *means, char ret_why[ERROR_SIZE])
{
    double least = (double) self->options->min_score / 100;
    ret_why[0] = '\0';
    if (means->good < self->count) {
        snprintf(ret_why,
                 ERROR_SIZE,
                 "%zu of %zu documents were not taken",
                 self->count - means->good,
                 self->count);
    } else if (means->trust < least) {
        snprintf(ret_why, ERROR_SIZE, "average trust is %.3f, below %.2f", means->trust, least);
    } else if (means->quality < least) {
        snprintf(ret_why, ERROR_SIZE, "average quality is %.3f, below %.2f", means->quality, least);
    }
}

static int
finish(const ingestion_t *self)
{
    BUS_AUTO(pack_destroy) pack_t *document = pack_new();
    BUS_AUTO(pack_destroy) pack_t *summary = pack_new();
    means_t means = means_of(self);
    char why[ERROR_SIZE];
    judge(self, &means, why);
    pack_map(summary, 10);
    pack_pair_uint(summary, "total_jobs", self->count);
    pack_pair_uint(summary, "successful", means.good);
    pack_pair_uint(summary, "failed", self->count - means.good);
    pack_pair_real(summary, "avg_extract_ms", means.extract_ms);
    pack_pair_real(summary, "avg_chunk_ms", means.chunk_ms);
    pack_pair_uint(summary, "total_chunks", means.chunks);
    pack_pair_real(summary, "avg_trust_score", means.trust);
    pack_pair_real(summary, "avg_quality_score", means.quality);
    pack_pair_real(summary, "avg_duration_seconds", means.seconds);
    pack_pair_bool(summary, "drift_detected", means.extract_ms > DRIFT_EXTRACT_MS);
    pack_map(document, 3);
    pack_pair_uint(document, "docs", self->count);
    pack_pair_uint(document, "seed", self->options->seed);
    pack_text(document, "jobs");
    pack_array(document, (uint32_t) self->count);
    for (size_t i = 0; i < self->count; ++i) {
        pack_job(&self->jobs[i], &self->tasks[i], document);
    }
    const cli_stress_outcome_t outcome = {.document = pack_view(document),
                                          .summary = pack_view(summary),
                                          .passed = why[0] == '\0',
                                          .failed = why};
    return cli_stress_run_finish(self->run, &outcome);
}

// --- The drill ---------------------------------------------------------------------------------

static void
on_progress(void *arg, size_t done)
{
    const ingestion_t *self = arg;
    cli_stress_run_progress(self->run, done, self->count, "documents");
}

static int
drill(ingestion_t *self)
{
    cli_stress_run_progress(self->run, 0, self->count, "starting the system");
    const cli_stress_instance_options_t options = {.conf = cli_stress_run_conf(self->run)};
    BUS_AUTO(cli_stress_instance_destroy) cli_stress_instance_t *instance = NULL;
    int status = cli_stress_instance_start(&options, &instance);
    if (status != CLI_DONE) {
        return status;
    }
    BUS_AUTO(text_destroy) text_t *text = text_new();
    for (size_t i = 0; i < self->count; ++i) {
        make_job(self, i, text);
    }
    const cli_stress_tasks_t tasks = {.instance = instance,
                                      .tasks = self->tasks,
                                      .count = self->count,
                                      .timeout_ms = TASK_MS + TASK_EACH_MS * (unsigned) self->count,
                                      .progress = on_progress,
                                      .arg = self};
    status = cli_stress_task_run(&tasks);
    bool is_whole = status == CLI_DONE;
    for (size_t i = 0; i < self->count && status == CLI_DONE; ++i) {
        take_result(&self->jobs[i], &self->tasks[i]);
        is_whole = is_whole && self->jobs[i].succeeded;
    }
    if (!is_whole && status != CLI_INTERRUPTED) {
        cli_stress_run_keep(self->run, cli_stress_instance_log(instance));
    }
    cli_stress_instance_destroy(&instance);
    status = status == CLI_DONE ? finish(self) : status;
    cli_stress_task_clear(self->tasks, self->count);
    for (size_t i = 0; i < self->count; ++i) {
        pack_destroy(&self->jobs[i].body);
    }
    return status;
}

int
cli_stress_ingestion_run(const cli_stress_flags_t *flags, const cli_stress_ingestion_t *ingestion)
{
    BUS_AUTO(cli_stress_run_destroy) cli_stress_run_t *run = NULL;
    int status = cli_stress_run_open(flags, "ingestion", "ingest", false, &run);
    if (status != CLI_DONE) {
        return status;
    }
    ingestion_t self = {.options = ingestion,
                        .run = run,
                        .random = ingestion->seed,
                        .count = (size_t) ingestion->docs};
    self.jobs = calloc(self.count, sizeof *self.jobs);
    self.tasks = calloc(self.count, sizeof *self.tasks);
    assert(self.jobs != NULL && self.tasks != NULL);
    status = drill(&self);
    free(self.jobs);
    free(self.tasks);
    return status;
}

// --- The verb ----------------------------------------------------------------------------------

typedef struct {
    cli_stress_flags_t stress;
    cli_stress_ingestion_t ingestion;
} flags_t;

#define AT(field) offsetof(flags_t, ingestion.field)
// clang-format off
static const option_row_t rows[] = {
    CLI_STRESS_ROWS(flags_t, stress),
    {"docs", 'n', OPTION_COUNT, "N", "10", AT(docs), 1, DOCS_MAX, "how many"},
    {"seed", 0, OPTION_COUNT, "N", "1", AT(seed), 0, 0, "of the documents"},
    {"min-score", 0, OPTION_COUNT, "PERCENT", "70", AT(min_score), 0, 100,
     "gate: average trust and average quality, at least"},
};
// clang-format on
#undef AT

static const option_table_t options = {
    .program = "bhiv stress ingestion",
    .arguments = "",
    .help = "Has the librarian of a private instance take documents in, through the task queue: "
            "chunks, quality, trust, the knowledge base.\v"
            "Exit status 1 where one was not taken, or average trust or quality is below "
            "--min-score. drift_detected: extracting took over 750 ms on average.\n\n"
            "  bhiv stress ingestion --docs 10",
    .rows = rows,
    .row_count = sizeof rows / sizeof rows[0],
};

static int
run_verb(int argc, char **argv)
{
    flags_t flags = {.ingestion = {0}};
    option_parse(&options, argc, argv, &flags, NULL, NULL);
    return cli_stress_ingestion_run(&flags.stress, &flags.ingestion);
}

const cli_command_t cli_stress_ingestion = {
    .name = "ingestion",
    .summary = "documents through the librarian",
    .group = CLI_GROUP_KEEP,
    .options = &options,
    .run = run_verb,
};
