/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Code of modules: whose an address is, and what the function around it is called. */
#ifndef KERNEL_MODULE_CODE_H
#define KERNEL_MODULE_CODE_H

#include "kernel/module.h"

/* All zero are no modules. */
struct modules {
	struct module *list;
	size_t count, capacity;
	bool is_damaged; /* some may be missing */
};

/* Adds one. Errors: NO_MEMORY. */
enum kioku_status modules_add(struct modules *modules, const struct module *module);

/* Reads the kernel's list; what is damaged is left out, and said. False: no memory. */
bool modules_read(struct kioku_kernel *kernel, struct modules *out);
void modules_release(struct modules *modules);

/* The module whose code an address is; NULL: none. */
const struct module *modules_at(const struct modules *modules, uint64_t address);

/* What an address is called, or what is known of that. */
struct code_name {
	char name[512];         /* KSYM_NAME_LEN, include/linux/kallsyms.h, v6.1 on */
	uint64_t address, size; /* of the function; size 0: not known */
};

/*
 * The function of a module around an address. Errors: NOT_FOUND (it has no such symbol), UNSUPPORTED,
 * CORRUPT, UNMAPPED, ABSENT.
 */
enum kioku_status module_function(struct kioku_kernel *kernel, const struct module *module,
				  uint64_t address, struct code_name *out);

#endif
