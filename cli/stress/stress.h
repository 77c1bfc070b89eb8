// stress.h - the verbs of `bhiv stress`, and what several of its files share. docs/grace.md.
//
// Each suite is a verb in a file of its own: it starts a private instance (stress_instance.h), does
// what it does to it, and leaves a log and a summary (stress_run.h).
#pragma once
#include "cli.h"
#include "stress_report.h"
#include "stress_run.h"

// The gates of CI: beyond them a drill, and `bhiv stress gates`, exits with 1.
#define CLI_STRESS_GATE_BOOT_MS 500.0 // average boot, at most
#define CLI_STRESS_GATE_TRUST 0.7     // average trust, at least
#define CLI_STRESS_GATE_QUALITY 0.7   // average quality, at least
#define CLI_STRESS_GATE_BREACHES 0.0  // of SLAs, at most

extern const cli_command_t cli_stress_boot;
extern const cli_command_t cli_stress_ingestion;
extern const cli_command_t cli_stress_htm;
extern const cli_command_t cli_stress_all;
extern const cli_command_t cli_stress_faults; // fault.c
extern const cli_command_t cli_stress_report; // stress_report.c
extern const cli_command_t cli_stress_gates;  // stress_gates.c

// --- The suites, as `all` runs them ------------------------------------------------------------

// What came of a suite. Returns the exit status: CLI_NEGATIVE where a gate was not kept.
typedef struct {
    uint64_t cycles;
    uint64_t max_boot_ms; // gate: the average of the boots
    bool no_failures;     // the cycles alone: no part is killed, no setting spoiled
} cli_stress_boot_t;
int cli_stress_boot_run(const cli_stress_flags_t *flags, const cli_stress_boot_t *boot);

typedef struct {
    uint64_t docs;
    uint64_t seed;
    uint64_t min_score; // gate: percent of average trust, and of average quality
} cli_stress_ingestion_t;
int cli_stress_ingestion_run(const cli_stress_flags_t *flags,
                             const cli_stress_ingestion_t *ingestion);

typedef struct {
    uint64_t tasks;
    uint64_t workers; // processes
    uint64_t slots;   // of each
    uint64_t work_ms; // that a task takes
    uint64_t kills;   // of workers, while it runs
    uint64_t rate;    // tasks a second; 0: as fast as they are taken
    uint64_t seed;
    uint64_t max_breaches; // gate: of SLAs
    uint64_t sla_ms;       // of every task; 0: as its priority has it
} cli_stress_htm_t;
int cli_stress_htm_run(const cli_stress_flags_t *flags, const cli_stress_htm_t *htm);
