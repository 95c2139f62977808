/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Where an x86-64 kernel rewrites its own code while it boots and runs, by the tables that its file has of
 * these places, and whether what is there now is what it would write: arch/x86/kernel/alternative.c,
 * paravirt.c, static_call.c, jump_label.c, ftrace.c, callthunks.c; 5.10 to 7.2.
 */
#ifndef CHECK_PATCH_SITES_H
#define CHECK_PATCH_SITES_H

#include "check/made_code.h"
#include "kernel/kernel_file.h"

enum patch_kind {
	PATCH_ALTERNATIVE,
	PATCH_PARAVIRT,
	PATCH_RETPOLINE,
	PATCH_RETURN,
	PATCH_LANDING,
	PATCH_CALL,
	PATCH_LOCK,
	PATCH_TRACE,
	PATCH_TRACER, /* where what functions call calls on: other is the variable that says whom */
	PATCH_JUMP,
	PATCH_STATIC_CALL,
	PATCH_POINTER,
	PATCH_SHIFT,
	PATCH_UNNAMED, /* a constant that has no symbol: other is the first place of those that have the same */
	PATCH_PROBE,
};

/* Addresses are those that the file is linked to. */
struct patch_site {
	uint64_t address;
	uint64_t
		other; /* a replacement; where a jump goes; what the kernel reads there: a variable; 0: none */
	enum patch_kind kind;
	uint8_t length, other_length; /* in bytes */
};

struct patch_sites {
	struct check_run *run;
	const struct kernel_file *file;
	uint64_t slide; /* to be added to an address of the file for one of the running kernel */
	const uint8_t *memory; /* the code as it is now, from start to end */
	uint64_t start, end;
	struct made_code made;
	struct patch_site *sites; /* by address */
	size_t count, capacity;
	unsigned longest; /* bytes of a site */
	bool is_sealed; /* there are places that are rewritten in ways that are not known here (kCFI) */
};

/*
 * Reads the tables; run, file, slide, memory, start and end are the caller's. Errors: NO_MEMORY, UNSUPPORTED (a
 * table's elements are of an unknown layout).
 */
enum kioku_status patch_sites_read(struct patch_sites *sites, struct kioku_error *error);
void patch_sites_release(struct patch_sites *sites);

/*
 * Up to where the code at address is as the kernel would write it; address itself: it is not. A byte that is
 * as in the file is not asked for.
 */
uint64_t patch_sites_explain(struct patch_sites *sites, uint64_t address);

#endif
