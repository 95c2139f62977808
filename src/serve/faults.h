/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What goes wrong, drawn from a seed. No sockets, no clock. */
#ifndef SERVE_FAULTS_H
#define SERVE_FAULTS_H

#include <kioku/serve.h>

#include "serve/completer.h"

struct faults {
	struct random random;
	struct random splits; /* its own, so that splitting changes no other fault */
	const struct kioku_serve_options *options;
};

void faults_init(struct faults *faults, const struct kioku_serve_options *options);

/* Whether something happens that has a chance, in percent. */
bool faults_happen(struct faults *faults, double percent);

/* How long the completions of a request take, in nanoseconds; *is_late: they meet that fault. */
uint64_t faults_delay(struct faults *faults, bool *is_late);

/* How much longer a datagram takes that others overtake, or a copy. */
uint64_t faults_detour(struct faults *faults);

/* Lets a request fail in one of the ways of options->errors. There is at least one completion. */
void faults_fail(struct faults *faults, struct completions *completions);

/*
 * Spoils one field of an encoded completion, of those of options->corruptions. Returns its size, which
 * is smaller if it was cut.
 */
size_t faults_corrupt(struct faults *faults, uint8_t *tlp, size_t size);

#endif
