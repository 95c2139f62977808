/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Types and symbols that the caller gave, in files, instead of the image's own. They are used only if nothing in
 * the image contradicts them, or by force, and then that is said.
 */
#ifndef KERNEL_GIVEN_H
#define KERNEL_GIVEN_H

#include "kernel/kernel.h"
#include "kernel/type_file.h"

struct given {
	struct type_file *types;   /* NULL: none */
	struct type_file *symbols; /* NULL: none but those that types may have */
	bool force;
};

/* Opens the files that the options name; *out is NULL if they name none. Errors: as type_file_open(). */
enum kioku_status given_open(const struct kioku_kernel_options *options, struct given **out,
			     struct kioku_error *error);
void given_close(struct given *given); /* NULL is fine */
DEFINE_CLEANUP(given, struct given, given_close)
#define AUTO_GIVEN CLEANUP(cleanup_given)

/*
 * Gives a kernel, whose image was examined, what kernel->given has, which must stay open as long as the kernel.
 * Errors: REFUSED (it contradicts the image, and is not forced), NO_MEMORY.
 */
enum kioku_status given_apply(struct kioku_kernel *kernel, struct kioku_error *error);

/*
 * Afterwards, when init_task is known or was looked for: whether tasks are some with these types.
 * Errors: REFUSED, NO_MEMORY.
 */
enum kioku_status given_check_tasks(struct kioku_kernel *kernel, struct kioku_error *error);

#endif
