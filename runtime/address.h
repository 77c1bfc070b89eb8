// address.h - what an address to listen on means. Pure functions, any thread.
#pragma once
#include <stdbool.h>

// Whether only this machine can reach `address`: 127.0.0.0/8, ::1 or "localhost". Names are not
// looked up: what a resolver says may change after the check.
bool address_is_loopback(const char *address);
