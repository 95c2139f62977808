/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Loaded modules: include/linux/module.h and kernel/module/, 4.18 to 7.0. */
#ifndef KERNEL_MODULE_H
#define KERNEL_MODULE_H

#include "kernel/record.h"

#define MODULE_NAME_ROOM 64

/* A part of a module's memory, such as its text. */
struct module_part {
	uint64_t base; /* 0: none */
	uint32_t size; /* bytes */
};

#define MODULE_PARTS 8

struct module {
	uint64_t address; /* of the struct module; not a member of it */
	char name[MODULE_NAME_ROOM];
	uint32_t state;     /* enum module_state */
	int32_t references; /* with one of the module itself, unless it is being unloaded */
	uint64_t list_next, list_previous, users_next;
	uint64_t taints;
	uint64_t version, source_version, arguments; /* texts; 0: none */
	uint64_t parameters, parameter_count;
	uint64_t sections;                 /* struct module_sect_attrs; 0: none */
	uint64_t symbols;                  /* struct mod_kallsyms; 0: none */
	uint64_t orc_addresses, orc_rules; /* see orc.h; 0: none */
	uint32_t orc_count;
	/* Where its memory is, in one of these ways. */
	uint64_t core_base, init_base, data_base;
	uint32_t core_size, init_size, data_size;
	uint32_t core_text_size;
	uint8_t memory_mark; /* "mem", 6.4 on */
	/* Not members: filled in from these, the one with the text first. */
	struct module_part parts[MODULE_PARTS];
	size_t part_count;
	uint32_t text_size; /* bytes of code, with which the first begins */
};

extern const struct record module_record;

/* The head of the kernel's list of them, virtual; 0: it is not known, or the kernel can have none. */
uint64_t module_list(const struct kioku_kernel *kernel);

/* Not OK: the walk stops with this status. */
typedef enum kioku_status module_fn(void *user, const struct module *module);

/*
 * Every module of the kernel's list, the last that was loaded first; what is damaged is reported as a gap.
 * Errors: receive's, UNSUPPORTED.
 */
enum kioku_status module_each(struct kioku_kernel *kernel, module_fn *receive, void *user,
			      struct kioku_error *error);

/* NULL, or why there is none at an address. */
const char *module_read(struct kioku_kernel *kernel, uint64_t address, struct module *out);

/* Bytes of all its parts: what /proc/modules shows. */
uint64_t module_size(const struct module *module);

/* The modules that use one. Not OK: the walk stops with this status. */
typedef enum kioku_status module_user_fn(void *user, const char *name);
enum kioku_status module_each_user(struct kioku_kernel *kernel, const struct module *module,
				   module_user_fn *receive, void *user);

/* What /proc/modules shows of a module's state: "Live", "Loading", "Unloading"; NULL: unknown. */
const char *module_state(const struct kioku_kernel *kernel, const struct module *module);

/*
 * The letters of its taints, as the kernel's own table has them (taint_flags, kernel/panic.c).
 * Errors: UNSUPPORTED, UNMAPPED, ABSENT.
 */
#define MODULE_TAINT_ROOM 65
enum kioku_status module_taints(struct kioku_kernel *kernel, const struct module *module,
				char out[MODULE_TAINT_ROOM]);

/* A section, and where it was loaded. Not OK: the walk stops with this status. */
typedef enum kioku_status module_section_fn(void *user, const char *name, uint64_t address);
enum kioku_status module_each_section(struct kioku_kernel *kernel, const struct module *module,
				      module_section_fn *receive, void *user);

/*
 * A parameter; value: as /sys/module/NAME/parameters shows it, NULL where its kind is not known or it could
 * not be read. Not OK: the walk stops with this status.
 */
typedef enum kioku_status module_parameter_fn(void *user, const char *name, const char *value);
enum kioku_status module_each_parameter(struct kioku_kernel *kernel, const struct module *module,
					module_parameter_fn *receive, void *user);

#endif
