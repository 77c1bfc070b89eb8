// stress_boot.h - the second half of the boot drill: what is broken on purpose, and what came of
// it.
#pragma once
#include "stress.h"
#include "stress_instance.h"

typedef struct {
    pack_t *tests; // the entries of failure_tests, one after the other; made by the caller
    uint32_t count;
    unsigned failed;
    unsigned watchdog_triggers;     // parts that `bhiv up` started again, by its log
    unsigned self_heal_activations; // what the self_healing kernel put right, by its results
} cli_stress_failures_t;

// kill_process and config_corruption, in an instance of their own. Returns 0 also where a test
// failed; else why they could not be run.
BUS_CHECK int cli_stress_boot_failures(cli_stress_run_t *run, cli_stress_failures_t *ret_failures);

// Asks every service of the instance for its health. `ret_errors[i]`: of the i-th part; BUS_OK also
// for the two that answer no questions on the bus. CLI_NO_ANSWER, CLI_INTERRUPTED.
BUS_CHECK int cli_stress_boot_health(cli_stress_instance_t *instance,
                                     const cli_stress_part_t *parts,
                                     size_t count,
                                     bus_err_t ret_errors[CLI_STRESS_PARTS_MAX]);
