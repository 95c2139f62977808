/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Symbols that came after the kernel itself: of modules, of trampolines of ftrace, of BPF programs, of probes
 * (what get_ksymbol_mod() and those behind it give, kernel/kallsyms.c, 5.7 to 7.2).
 */
#ifndef KERNEL_LIVE_SYMBOLS_H
#define KERNEL_LIVE_SYMBOLS_H

#include "kernel/module.h"

#define SYMBOL_NAME_ROOM 512 /* KSYM_NAME_LEN, include/linux/kallsyms.h, v6.1 on */

struct live_symbol {
	uint64_t address;
	char type;          /* as /proc/kallsyms shows it */
	const char *name;   /* this and module: valid until the function returns */
	const char *module; /* "bpf", "__builtin__ftrace", "__builtin__kprobes", too */
};

/* Not OK: the walk stops with this status. */
typedef enum kioku_status live_symbol_fn(void *user, const struct live_symbol *symbol);

/*
 * All of them, in the order of /proc/kallsyms; what is damaged is reported as a gap, what this kernel's types
 * do not describe as a warning. Errors: receive's.
 */
enum kioku_status live_symbols_each(struct kioku_kernel *kernel, live_symbol_fn *receive,
				    void *user);

/* All but the modules'. Errors: receive's. */
enum kioku_status live_symbols_each_made(struct kioku_kernel *kernel, live_symbol_fn *receive,
					 void *user);

/* Those of one module. Errors: receive's, UNSUPPORTED, CORRUPT, NO_MEMORY, UNMAPPED, ABSENT. */
enum kioku_status module_each_symbol(struct kioku_kernel *kernel, const struct module *module,
				     live_symbol_fn *receive, void *user);

#endif
