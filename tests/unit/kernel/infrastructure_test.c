// infrastructure_test.c - the figures of machines and processes, against known texts and against
// what other calls of the system say.
#include "help.h"
#include "kernel/infrastructure_events.h"
#include "kernel/infrastructure_sample.h"
#include "proto/transcode.h"
#include <criterion/criterion.h>
#include <fcntl.h>
#include <math.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

// --- Texts ---------------------------------------------------------------------------------------

Test(infrastructure_proc, counts_busy_time_without_idle_iowait_and_guests)
{
    kernel_infrastructure_proc_cpu_t cpu;
    cr_assert(kernel_infrastructure_proc_parse_cpu(
        "cpu  100 20 30 800 50 1 2 3 7 8\ncpu0 1 1 1 1 1 1 1 1 1 1\n", &cpu));
    cr_expect_eq(cpu.busy, 156); // user, nice, system, irq, softirq, steal; guests are in user
    cr_expect_eq(cpu.total, 1006);
    cr_expect_not(kernel_infrastructure_proc_parse_cpu("cpu0 1 2 3 4 5 6 7 8\n", &cpu));
    cr_expect_not(kernel_infrastructure_proc_parse_cpu("cpu  1 2 3 4 5 6 7\n", &cpu));
    cr_expect_not(kernel_infrastructure_proc_parse_cpu("", &cpu));
}

Test(infrastructure_proc, finds_a_line_by_its_whole_name)
{
    static const char text[] = "MemTotal:        4028444 kB\nMemFree:  12 kB\nMemAvailable: 7 kB\n";
    uint64_t number = 0;
    cr_expect(kernel_infrastructure_proc_parse_line(text, "MemTotal", &number));
    cr_expect_eq(number, 4028444);
    cr_expect(kernel_infrastructure_proc_parse_line(text, "MemAvailable", &number));
    cr_expect_eq(number, 7);
    cr_expect_not(kernel_infrastructure_proc_parse_line(text, "Mem", &number));
    cr_expect_not(kernel_infrastructure_proc_parse_line(text, "SwapTotal", &number));
    cr_expect_not(kernel_infrastructure_proc_parse_line("MemTotal: x kB\n", "MemTotal", &number));
}

Test(infrastructure_proc, reads_threads_and_start_behind_a_name_of_any_bytes)
{
    static const char *const names[] = {"bhiv", "a b", "a) S 1 (b", ")", ""};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char text[300];
        uint64_t threads = 0;
        uint64_t start = 0;
        snprintf(text,
                 sizeof text,
                 "4711 (%s) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 20 0 5 0 987654 99 98\n",
                 names[i]);
        cr_assert(kernel_infrastructure_proc_parse_stat(text, &threads, &start), "%s", text);
        cr_expect_eq(threads, 5);
        cr_expect_eq(start, 987654);
    }
    uint64_t none;
    cr_expect_not(kernel_infrastructure_proc_parse_stat("1 (a) S 1 2 3\n", &none, &none));
    cr_expect_not(kernel_infrastructure_proc_parse_stat("", &none, &none));
}

Test(infrastructure_proc, reads_pages)
{
    uint64_t resident = 0;
    uint64_t shared = 0;
    cr_assert(kernel_infrastructure_proc_parse_statm("900 120 20 1 0 80 0\n", &resident, &shared));
    cr_expect_eq(resident, 120);
    cr_expect_eq(shared, 20);
    cr_expect_not(kernel_infrastructure_proc_parse_statm("900 120\n", &resident, &shared));
}

Test(infrastructure_proc, takes_a_share_of_nothing_as_nothing)
{
    cr_expect_eq(kernel_infrastructure_proc_percent(1, 0), 0.0);
    cr_expect_eq(kernel_infrastructure_proc_percent(1, 4), 25.0);
}

// --- This machine, and this process --------------------------------------------------------------

static bool
is_near(double value, double wanted, double share)
{
    return fabs(value - wanted) <= fabs(wanted) * share;
}

Test(infrastructure_proc, says_the_memory_and_disk_that_other_calls_say)
{
    kernel_infrastructure_proc_host_t host;
    kernel_infrastructure_proc_disk_t disk;
    struct sysinfo info;
    cr_assert(kernel_infrastructure_proc_host(&host));
    cr_assert_eq(sysinfo(&info), 0);
    cr_expect_eq(host.memory_total / 1024 / 1024, info.totalram * info.mem_unit / 1024 / 1024);
    cr_expect_gt(host.memory_available, info.freeram * info.mem_unit / 2);
    cr_expect_lt(host.memory_available, host.memory_total);
    double load[1];
    cr_assert_eq(getloadavg(load, 1), 1);
    cr_expect_lt(fabs(host.load1 - load[0]), 2.0);
    cr_expect_eq(host.cpus, (unsigned) get_nprocs());

    cr_assert(kernel_infrastructure_proc_disk("/", &disk));
    FILE *df = popen("df --output=size,used,avail -B1 /", "r");
    unsigned long long size = 0, used = 0, avail = 0;
    cr_assert_not_null(df);
    cr_assert_eq(fscanf(df, "%*[^\n]\n%llu %llu %llu", &size, &used, &avail), 3);
    pclose(df);
    cr_expect_eq(disk.size, size);
    cr_expect(is_near((double) disk.used, (double) used, 0.01)); // others write meanwhile
    cr_expect(is_near((double) disk.avail, (double) avail, 0.01));
    cr_expect_not(kernel_infrastructure_proc_disk("/nowhere/at/all", &disk));
}

static uint64_t
anonymous_bytes(void)
{
    char line[200];
    unsigned long long kib = 0;
    FILE *status = fopen("/proc/self/status", "r");
    cr_assert_not_null(status);
    while (fgets(line, sizeof line, status) != NULL) {
        sscanf(line, "RssAnon: %llu", &kib);
    }
    fclose(status);
    return kib * 1024;
}

static uint64_t
open_descriptors(void)
{
    uint64_t count = 0;
    for (int fd = 0; fd < 1024; fd++) {
        count += fcntl(fd, F_GETFD) >= 0;
    }
    return count;
}

Test(infrastructure_proc, says_of_this_process_what_the_process_knows_of_itself)
{
    enum { SIZE = 32 << 20 };
    kernel_infrastructure_proc_process_t before, now;
    struct rusage usage;
    cr_assert(kernel_infrastructure_proc_process(getpid(), &before));
    char *memory = malloc(SIZE);
    cr_assert_not_null(memory);
    memset(memory, 1, SIZE);
    __asm__ volatile("" : : "r"(memory) : "memory"); // it is written, whoever optimises
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    cr_assert_geq(fd, 0);
    cr_assert_eq(getrusage(RUSAGE_SELF, &usage), 0);
    cr_assert(kernel_infrastructure_proc_process(getpid(), &now));
    double used_s = (double) (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
                    (double) (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
    cr_expect_lt(fabs((double) now.cpu_ns / 1e9 - used_s), 0.05);
    cr_expect_geq(now.descriptors, open_descriptors(), "valgrind hides its own from fcntl");
    cr_expect_eq(now.descriptors, before.descriptors + 1);
    cr_expect_eq(now.start_ticks, before.start_ticks);
    cr_expect_geq(now.threads, 1);
    cr_expect_lt(fabs((double) now.memory_bytes - (double) anonymous_bytes()), 2e6);
    cr_expect_geq(now.memory_bytes, before.memory_bytes + SIZE / 10 * 9);
    close(fd);
    free(memory);
}

Test(infrastructure_proc, knows_no_process_that_is_gone)
{
    kernel_infrastructure_proc_process_t process;
    pid_t pid = fork();
    if (pid == 0) {
        _exit(0);
    }
    cr_assert_eq(waitpid(pid, NULL, 0), pid);
    cr_expect_not(kernel_infrastructure_proc_process(pid, &process));
}

Test(infrastructure_proc, tells_how_old_a_process_is)
{
    kernel_infrastructure_proc_process_t process;
    pid_t pid = fork();
    if (pid == 0) {
        pause();
        _exit(0);
    }
    cr_assert(kernel_infrastructure_proc_process(pid, &process));
    uint64_t age_us = kernel_infrastructure_proc_age_us(process.start_ticks);
    cr_expect_lt(age_us, 5000000);
    kill(pid, SIGKILL);
    cr_assert_eq(waitpid(pid, NULL, 0), pid);
}

// --- Shares --------------------------------------------------------------------------------------

Test(infrastructure_sample, takes_the_share_between_two_readings)
{
    kernel_infrastructure_proc_cpu_t from = {.busy = 100, .total = 1000};
    kernel_infrastructure_proc_cpu_t to = {.busy = 150, .total = 1200};
    cr_expect_eq(kernel_infrastructure_sample_share(&from, &to, 7.0), 25.0);
    cr_expect_eq(kernel_infrastructure_sample_share(&to, &to, 7.0), 7.0, "no time went by");
    cr_expect_eq(kernel_infrastructure_sample_share(&to, &from, 7.0), 7.0, "it went back");
    kernel_infrastructure_proc_cpu_t odd = {.busy = 400, .total = 1100}; // iowait went back
    cr_expect_eq(kernel_infrastructure_sample_share(&from, &odd, 7.0), 100.0);
}

// A child that burns processor time until it is killed.
static pid_t
burn(void)
{
    pid_t pid = fork();
    if (pid == 0) {
        for (volatile unsigned i = 0;; i++) {
        }
    }
    cr_assert_gt(pid, 0);
    return pid;
}

// Waits until the process has taken this much processor time.
static void
wait_for_cpu(pid_t pid, double seconds)
{
    clockid_t clock;
    struct timespec now;
    cr_assert_eq(clock_getcpuclockid(pid, &clock), 0);
    do {
        sched_yield();
        cr_assert_eq(clock_gettime(clock, &now), 0);
    } while ((double) now.tv_sec + (double) now.tv_nsec / 1e9 < seconds);
}

static double
wall(void)
{
    struct timespec now;
    clock_gettime(CLOCK_BOOTTIME, &now);
    return (double) now.tv_sec + (double) now.tv_nsec / 1e9;
}

Test(infrastructure_sample, counts_what_a_busy_process_took_since_the_last_reading)
{
    kernel_infrastructure_sample_t sample;
    kernel_infrastructure_sample_init(&sample);
    pid_t pid = burn();
    wait_for_cpu(pid, 0.4); // what a count since its start would add
    kernel_infrastructure_sample_begin(&sample);
    kernel_infrastructure_sample_add(&sample, VIEW_LITERAL("burner"), pid);
    kernel_infrastructure_sample_end(&sample);
    cr_assert_eq(sample.process_count, 1);
    uint64_t before_ns = sample.processes[0].now.cpu_ns;
    double from = wall();
    wait_for_cpu(pid, 0.8);
    kernel_infrastructure_sample_begin(&sample);
    kernel_infrastructure_sample_add(&sample, VIEW_LITERAL("burner"), pid);
    kernel_infrastructure_sample_add(&sample, VIEW_LITERAL("zalias"), pid);
    kernel_infrastructure_sample_end(&sample);
    double took = wall() - from;
    const kernel_infrastructure_sample_process_t *process = &sample.processes[0];
    cr_assert_eq(sample.process_count, 1, "who answers for two services counts once");
    cr_expect_str_eq(process->service, "burner");
    double wanted = 100.0 * (double) (process->now.cpu_ns - before_ns) / 1e9 / took;
    cr_expect(is_near(process->cpu_percent, wanted, 0.25), "%g %g", process->cpu_percent, wanted);
    cr_expect_gt(process->cpu_percent, 1.0);
    cr_expect_lt(process->cpu_percent, 150.0);
    cr_expect_eq(sample.bus_cpu_percent, process->cpu_percent);
    kill(pid, SIGKILL);
    cr_assert_eq(waitpid(pid, NULL, 0), pid);
    kernel_infrastructure_sample_begin(&sample);
    kernel_infrastructure_sample_add(&sample, VIEW_LITERAL("burner"), pid);
    kernel_infrastructure_sample_end(&sample);
    cr_expect_eq(sample.process_count, 0, "it is gone");
    kernel_infrastructure_sample_clear(&sample);
}

Test(infrastructure_sample, takes_a_process_that_got_the_same_pid_as_a_new_one)
{
    kernel_infrastructure_sample_t sample;
    kernel_infrastructure_sample_init(&sample);
    kernel_infrastructure_sample_begin(&sample);
    kernel_infrastructure_sample_add(&sample, VIEW_LITERAL("me"), getpid());
    kernel_infrastructure_sample_end(&sample);
    sample.processes[0].now.start_ticks -= 1;
    sample.processes[0].now.cpu_ns = UINT64_C(1) << 60; // of the one before
    kernel_infrastructure_sample_begin(&sample);
    kernel_infrastructure_sample_add(&sample, VIEW_LITERAL("me"), getpid());
    kernel_infrastructure_sample_end(&sample);
    cr_expect_geq(sample.processes[0].cpu_percent, 0.0);
    cr_expect_lt(sample.processes[0].cpu_percent, 200.0);
    kernel_infrastructure_sample_clear(&sample);
}

Test(infrastructure_sample, sums_up_as_least_mean_and_most)
{
    static const double values[] = {5, -1, 8};
    kernel_infrastructure_sample_sum_t sum = {.count = 0};
    for (size_t i = 0; i < 3; i++) {
        kernel_infrastructure_sample_sum_add(&sum, values[i]);
    }
    cr_expect_eq(sum.min, -1);
    cr_expect_eq(sum.max, 8);
    cr_expect_eq(kernel_infrastructure_sample_mean(&sum), 4);
    sum = (kernel_infrastructure_sample_sum_t){.count = 0};
    for (size_t i = 0; i < 6; i++) {
        kernel_infrastructure_sample_sum_add(&sum, 28.64); // whose sum is not six times as much
    }
    cr_expect_eq(kernel_infrastructure_sample_mean(&sum), 28.64);
}

// --- Who comes and goes --------------------------------------------------------------------------

static kernel_infrastructure_events_t events;
static kernel_watch_news_t news;

static void
setup_events(void)
{
    kernel_infrastructure_events_init(&events);
}

static void
teardown_events(void)
{
    kernel_infrastructure_events_clear(&events);
    kernel_watch_news_clear(&news);
}

TestSuite(infrastructure_events, .init = setup_events, .fini = teardown_events);

// How many anomalies there are at `now_ms`, with a patience of 10 s.
static unsigned
judged(uint64_t now_ms)
{
    kernel_watch_news_clear(&news);
    kernel_infrastructure_events_judge(&events, now_ms, 10000, &news);
    return news.count;
}

static void
falls(const char *service, uint64_t now_ms)
{
    kernel_infrastructure_events_down(
        &events, view_from_text(service), VIEW_LITERAL("silent"), now_ms);
}

Test(infrastructure_events, misses_a_service_that_fell_silent_until_it_is_back)
{
    falls("karma", 1000);
    cr_expect_eq(judged(11000), 0, "not yet");
    cr_expect_eq(judged(11001), 1);
    cr_expect_eq(judged(1000 + 3600000), 1);
    cr_expect_eq(judged(1001 + 3600000), 0, "after an hour nobody expects it");
    kernel_infrastructure_events_up(&events, VIEW_LITERAL("karma"));
    cr_expect_eq(judged(12000), 0);
    falls("karma", 20000);
    kernel_infrastructure_events_listed(&events, VIEW_LITERAL("karma"));
    cr_expect_eq(judged(40000), 0, "another instance is there");
}

Test(infrastructure_events, misses_neither_who_said_goodbye_nor_workers)
{
    kernel_infrastructure_events_down(&events, VIEW_LITERAL("core"), VIEW_LITERAL("bye"), 1000);
    falls("worker.a", 1000);
    cr_expect_eq(judged(60000), 0);
    cr_expect_eq(events.count, 2, "both were noticed");
}

Test(infrastructure_events, says_of_a_service_that_falls_three_times_in_five_minutes)
{
    for (uint64_t i = 0; i < 3; i++) {
        cr_expect_eq(judged(1 + i * 100000), 0);
        falls("core", 1 + i * 100000);
        kernel_infrastructure_events_up(&events, VIEW_LITERAL("core"));
    }
    cr_expect_eq(judged(300000), 1);
    cr_expect_eq(judged(300002), 0, "the first is five minutes ago");
}

Test(infrastructure_events, keeps_the_last_ten)
{
    for (int i = 0; i < 25; i++) {
        kernel_infrastructure_events_add(&events, "event %d", i);
    }
    BUS_AUTO(pack_destroy) pack_t *out = pack_new();
    BUS_AUTO(text_destroy) text_t *json = text_new();
    kernel_infrastructure_events_pack(&events, out);
    transcode_to_json(pack_view(out), 0, json);
    cr_expect_null(strstr(text_view(json).data, "event 14\""));
    const char *first = strstr(text_view(json).data, "event 15\"");
    const char *last = strstr(text_view(json).data, "event 24\"");
    cr_expect(first != NULL && last != NULL && first < last);
}

// --- What is kept --------------------------------------------------------------------------------

Test(infrastructure, keeps_the_last_hundred_anomalies_of_every_kernel)
{
    help_t *help = help_new(&kernel_infrastructure_definition);
    for (int i = 0; i < 103; i++) {
        char json[200];
        help->source = i % 2 == 0 ? "kernel-code" : "kernel-infrastructure";
        snprintf(json,
                 sizeof json,
                 "{\"anomalies\":[{\"type\":\"t%d\"}],\"timestamp\":\"2026-01-01T00:00:00Z\"}",
                 i);
        cr_assert_eq(help_apply(help, "hunter.anomaly.detected", json), BUS_OK);
    }
    cr_expect_eq(help_count(help, KERNEL_WATCH_KEPT), KERNEL_WATCH_KEPT_MAX);
    cr_assert_eq(help_ask(help, "report", "{}"), BUS_OK);
    const char *kept = help_at(help, "anomalies");
    cr_expect_not_null(strstr(kept, "\"t102\""));
    cr_expect_not_null(strstr(kept, "\"t3\""));
    cr_expect_null(strstr(kept, "\"t2\""));
    cr_expect_lt(strstr(kept, "\"t102\""), strstr(kept, "\"t3\""), "the newest first");
    help_destroy(&help);
}
