/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Kernel modules as far as code of theirs is met: where it lies, its symbols, its ORC tables. */
#ifndef KERNEL_MODULES_H
#define KERNEL_MODULES_H

#include "kernel/orc.h"

struct module {
	char name[64];
	uint64_t text, text_size; /* virtual, bytes */
	uint64_t symbols;         /* of its struct mod_kallsyms; 0: it has none */
	struct orc_table orc;     /* without numbers of registers: they are the kernel's */
};

/* All zero are no modules. */
struct modules {
	struct module *list;
	size_t count, capacity;
};

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
