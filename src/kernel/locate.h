/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* From nothing but memory to a proved kernel: candidates for page tables, then proof. */
#ifndef KERNEL_LOCATE_H
#define KERNEL_LOCATE_H

#include "kernel/kernel.h"

/* Page tables that may be a Linux kernel's. */
struct candidate {
	uint64_t root;
	const struct paging *paging;
	const char *evidence;
};

/* Receives candidates; not OK stops the search with that status. */
typedef enum kioku_status candidate_fn(void *user, const struct candidate *candidate);

/*
 * The cheap places, best first: CPU registers and VMCOREINFO that came with the image, then the
 * real-mode trampoline in low memory (about 160 reads of 8 bytes).
 */
enum kioku_status candidates_known(struct kioku_source *source, candidate_fn *receive, void *user);

/*
 * The table that a trampoline in low memory names and that is not in the source, 0 if there is none:
 * then the running kernel may not be either.
 */
uint64_t candidates_missing(struct kioku_source *source);

/* Everywhere: every page of the source is looked at. */
enum kioku_status candidates_scan(struct kioku_source *source, candidate_fn *receive, void *user);

/*
 * Starts a kernel, all zero but for its source and diagnostics, from a candidate's page tables:
 * PROOF_IMAGE, or false if they map nothing of a kernel's shape.
 */
bool kernel_map(struct kioku_kernel *kernel, const struct candidate *candidate);

/* What a symbol's address was found in, in words: "kallsyms", or a file that was given. */
const char *kernel_symbols_evidence(const struct kioku_kernel *kernel);

/* Takes the banner from a virtual address if one is there, whole. */
bool kernel_read_banner(struct kioku_kernel *kernel, uint64_t virtual);

/*
 * Decodes a kernel whose image is mapped and says in kernel->proof how far it got. Symbols and types
 * come from profile if there is one, else from a profile in cache_folder that fits, if that is not
 * NULL, else from the image; then what kernel->given has takes their place.
 * Errors: NO_MEMORY, REFUSED (profile or a given file is of another kernel); anything else is a lack of proof.
 */
enum kioku_status kernel_prove(struct kioku_kernel *kernel, const struct profile *profile,
			       const char *cache_folder, struct kioku_error *error);

#endif
