/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Restartable sequences (rseq(2)), which glibc has since 2.35: a thread that is interrupted within one takes
 * it up again from its abort handler. The kernel sees to that when it finds the thread there on its way
 * back, and not when it finds it elsewhere, as after an injected call: then it only forgets the sequence.
 */
#ifndef SNAPSHOT_SEQUENCE_H
#define SNAPSHOT_SEQUENCE_H

#include "snapshot/thread_record.h"

/* Where a stopped thread that was at an address is to go on; what the kernel tells since Linux 5.13. */
uint64_t sequence_address(pid_t tid, uint64_t address);

/*
 * Before Linux 5.13: a thread which is stopped at work is let go for one instruction, before which the kernel
 * sends it out of a sequence that it was in. The record is of the moment after it. deadline: of wait_now().
 * Errors: NOT_FOUND (the thread was killed), LIMIT, OS.
 */
enum kioku_status sequence_leave(struct thread_record *record, uint64_t deadline,
				 struct kioku_error *error);

#endif
