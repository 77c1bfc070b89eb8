// port.h - whether a port is somebody's already, for whoever is to say so in one sentence.
#pragma once
#include <stdbool.h>

// Whether somebody listens on `port` of `address`, of either family. Whatever else is wrong with
// the address: false.
bool cli_port_is_taken(const char *address, unsigned port);
