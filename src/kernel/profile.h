/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Symbols and types kept from an earlier image of the same kernel. A profile is believed only if
 * its bytes are what was saved (digest) and the image has its banner and build id in their places.
 */
#ifndef KERNEL_PROFILE_H
#define KERNEL_PROFILE_H

#include "format/profile_format.h"
#include "kernel/kernel.h"

struct profile {
	struct bytes file; /* mapped */
	struct profile_header header;
};

/*
 * Maps a profile and checks that it is whole.
 * Errors: OS, REFUSED (no profile, or changed since it was saved).
 */
enum kioku_status profile_open(const char *path, struct profile **out, struct kioku_error *error);
void profile_close(struct profile *profile);
DEFINE_CLEANUP(profile, struct profile, profile_close)
#define AUTO_PROFILE CLEANUP(cleanup_profile)

/*
 * Gives a kernel, whose image is mapped, the symbols and types of a profile, which must stay open
 * as long as the kernel. Errors: REFUSED (of another kernel), NO_MEMORY.
 */
enum kioku_status profile_apply(struct kioku_kernel *kernel, const struct profile *profile,
				struct kioku_error *error);

/*
 * What says where members of its types are, if they were inferred: see member_evidence.h; otherwise nothing. False:
 * it lies outside the profile.
 */
bool profile_evidence(const struct profile *profile, struct bytes *out);

/* Looks in a folder for a profile that fits and applies it; false if none does. */
bool profile_find(struct kioku_kernel *kernel, const char *folder);

/* Of layouts that were made from source: no kernel, no symbols. They are for --types. */
struct profile_origin {
	const char *version;       /* of the source, as in its Makefile: "6.1.192" */
	const char *local_version; /* CONFIG_LOCALVERSION; "": none */
	const char *evidence;      /* in words */
	const char *forced;        /* what was against it; NULL: nothing */
};

/* An existing file is replaced as a whole or not at all. Errors: OS, ARGUMENT (the path is no file's), NO_MEMORY. */
enum kioku_status profile_save_layouts(const struct kioku_types *types,
				       const struct profile_origin *origin, const char *path,
				       struct kioku_error *error);

/* Keeps the kernel in the folder, under its build id. Failure only costs the next run's time. */
void profile_keep(struct kioku_kernel *kernel, const char *folder);

#endif
