// notify.h - telling a service manager how we are: systemd's readiness protocol, sd_notify(3).
//
// One datagram to the socket that NOTIFY_SOCKET names; nothing where it names none. Never blocks,
// never fails: who does not listen is not told.
#pragma once

// `state`: "READY=1", "STOPPING=1".
void cli_notify(const char *state);
