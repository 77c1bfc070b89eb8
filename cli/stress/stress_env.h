// stress_env.h - the environment of a drill's private instance, and the file that changes it.
//
// drill.conf in a system's folder has lines NAME=VALUE of BHIV_ settings, and `#` comments.
#pragma once
#include "cli.h"

enum {
    CLI_STRESS_ENV_CONF_SIZE_MAX = 65536, // bytes of a drill.conf: a person writes it
    CLI_STRESS_ENV_DEPTH_MAX = 3          // drills within drills
};

// Our environment without what says where and which parts, then `conf` (NULL, or no such file:
// nothing), then `settings` ("NAME=VALUE", ended by NULL; or NULL): the later wins. The caller
// frees it. Returns 0, or says what is wrong with the file and returns CLI_CONFIG.
BUS_CHECK int
cli_stress_env_make(const char *conf, const char *const *settings, char ***ret_environment);
void cli_stress_env_free(char ***environment_p);

// How many drills this process is inside of: BHIV_STRESS_DEPTH, 0 where nobody says.
unsigned cli_stress_env_depth(void);
