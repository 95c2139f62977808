/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A kernel's types and symbols, for volatility3. */
#ifndef KIOKU_ISF_H
#define KIOKU_ISF_H

#include <kioku/kernel.h>

#ifdef __cplusplus
extern "C" {
#endif

struct kioku_isf_options {
	size_t size;     /* sizeof(struct kioku_isf_options) */
	bool compressed; /* as an .xz file */
};

/* Takes what is written, front to back; size is at least 1. False ends it. */
typedef bool kioku_isf_fn(void *user, const void *data, size_t size);

/*
 * Writes a symbol table in volatility3's Intermediate Symbol Format (schema 6.2.0): the kernel's types, its
 * symbols at the addresses that it was linked for, and its banner. A symbol has a type where BTF or
 * what volatility3 asks for leaves no doubt, else void. What is missing is said to the kernel's
 * diagnostic function. options may be NULL.
 * Errors: UNSUPPORTED (the types are missing, or only worked out; compressed, and this build has no liblzma), OS (function returned
 * false; its errno is said), NO_MEMORY.
 */
KIOKU_PUBLIC KIOKU_CHECK enum kioku_status
kioku_kernel_export_isf(struct kioku_kernel *kernel, const struct kioku_isf_options *options,
			kioku_isf_fn *function, void *user, struct kioku_error *error);

#ifdef __cplusplus
}
#endif
#endif
