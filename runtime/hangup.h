// hangup.h - keeps a peer that hangs up, unread, from ending this process.
//
// While a socket's queue is full libzmq asks the kernel for no more input of its connection. A
// hang-up is told all the same, and the connection then waits, with an engine that calls itself
// broken, for room in the queue. Whatever makes that engine write before, a heartbeat that is due
// or a PING that was read ahead, fails an assertion of libzmq 4.3 (zeromq/libzmq#4364) and ends the
// process: one connection that sends much with PINGs between and closes is enough.
//
// So a connection that is not read is not watched either, until it is read again; and where input
// and a hang-up are told at once only the input is, which libzmq would else take twice, the second
// time with a queue that the first one filled. The end is found then, behind what was said before
// it. libzmq offers no hook for that: the program defines `epoll_ctl` and `epoll_wait` itself,
// which libzmq then calls in place of the C library's. See docs/adr/0018.
#pragma once

enum { HANGUP_FDS_MAX = 65536 }; // descriptors that are looked after; higher ones are as in libzmq

// From now on, for the whole process and to its end. Call it before the first socket that may hear
// from a peer. Any thread; again is no error.
void hangup_defer(void);
