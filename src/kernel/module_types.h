/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Types that a module has and the kernel itself does not. */
#ifndef KERNEL_MODULE_TYPES_H
#define KERNEL_MODULE_TYPES_H

#include "kernel/record.h"

/*
 * The types of a module, by name: its own BTF, which the kernel keeps (btf_modules, kernel/bpf/btf.c, v5.11).
 * Kept with the kernel. Errors: UNSUPPORTED, with the reason, which is then kept, too; NO_MEMORY.
 */
enum kioku_status module_types(struct kioku_kernel *kernel, const char *module,
			       const struct kioku_types **out, struct kioku_error *error);
void module_types_release(struct kioku_kernel *kernel);

/* As record_bind(), for a struct of what may be built in, or a module. Errors: UNSUPPORTED, NO_MEMORY. */
enum kioku_status module_record_bind(struct kioku_kernel *kernel, const char *module,
				     const struct record *record, const struct binding **out,
				     struct kioku_error *error);

/* The least value of an enumeration's members. */
bool enum_least(const struct kioku_types *types, const char *enumeration, uint64_t *out);

#endif
