/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Layouts of kernel structures from source and a configuration. */
#ifndef KIOKU_LAYOUT_H
#define KIOKU_LAYOUT_H

#include <stdbool.h>
#include <stddef.h>

#include <kioku/error.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Called some times a second with what is being done, in words. False: end. */
typedef bool kioku_layout_fn(void *user, const char *doing);

struct kioku_layout_options {
	size_t size;        /* sizeof(struct kioku_layout_options) */
	const char *source; /* the folder of the kernel's source, which is only read; not NULL */
	const char *config; /* the configuration, also packed by gzip or xz; not NULL */
	const char *output; /* the file that is made; not NULL */
	const char *
		compiler; /* NULL: the one that the configuration names, if it is there, else gcc */
	unsigned jobs;    /* compilers at a time; 0: one for each CPU */
	bool force; /* use a configuration that this source makes another one of, and say so in the file */
	kioku_diagnostic_fn *diagnostic; /* may be NULL */
	kioku_layout_fn *goes_on;        /* may be NULL */
	void *user;
};

/*
 * Makes a profile that has types alone, for kioku_kernel_options.types. RUNS PROGRAMS: make, and with it whatever the
 * source's makefiles say, and the compiler. They work in a folder of their own below $TMPDIR, or /tmp, which is
 * removed again in any case. What cannot be had is said to the diagnostic function: a GAP is a type whose file could
 * not be compiled. An existing file is replaced as a whole or not at all.
 * Errors: OS; ARGUMENT (a path that make cannot work with, or that is no file's); REFUSED (that is no source or no
 * configuration; the source makes another configuration of it; structures are laid out at random); UNSUPPORTED (make or
 * the compiler failed: what it said is diagnosed before; or this build reads no DWARF); STOPPED (goes_on returned
 * false); NO_MEMORY.
 */
KIOKU_PUBLIC KIOKU_CHECK enum kioku_status
kioku_layout_build(const struct kioku_layout_options *options, struct kioku_error *error);

#ifdef __cplusplus
}
#endif
#endif
