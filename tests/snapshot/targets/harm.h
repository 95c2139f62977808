/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The parts of the target "harm": each does one kind of work, and finds out what came in between. */
#ifndef HARM_H
#define HARM_H

#include "target.h"

/*
 * begin() runs before any thread is started, in the main thread; run() in each thread, of which the
 * main thread is one if the part was named first; check() by the main thread when all have ended.
 * begin and check may be NULL. A run() that finds nothing but returns has to go on until it is told.
 */
struct harm_part {
	const char *name;
	unsigned threads;
	void (*begin)(void);
	void (*run)(unsigned index);
	void (*check)(void);
	bool moves; /* threads or mappings come and go: they are not to be compared */
};

extern const struct harm_part harm_blocking, harm_children, harm_futex, harm_maps, harm_registers,
	harm_rseq, harm_signals, harm_storm, harm_timers, harm_vfork;

/* What /proc says of this process that a snapshot must not change; what differs is a fault. */
void state_take(bool moves);
void state_compare(void);

/* The number of a blocking call that is the only one to be made; harm_blocking.c */
extern unsigned long harm_call;

#endif
