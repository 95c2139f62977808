/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * ORC: the kernel's own tables of how the caller's frame is found from any instruction
 * (arch/x86/include/asm/orc_types.h, v4.14 to v7.0; CONFIG_UNWINDER_ORC).
 */
#ifndef KERNEL_ORC_H
#define KERNEL_ORC_H

#include "kernel/record.h"

/* A sorted array of addresses, each relative to where it lies, and one of as many rules. */
struct orc_table {
	uint64_t addresses, rules; /* virtual */
	uint32_t count;            /* 0: there is none */
	const uint8_t
		*registers; /* enum orc_register by the number that rules have for it; static */
};

enum orc_register {
	ORC_REGISTER_UNDEFINED,
	ORC_REGISTER_PREVIOUS_SP,
	ORC_REGISTER_DX,
	ORC_REGISTER_DI,
	ORC_REGISTER_BP,
	ORC_REGISTER_SP,
	ORC_REGISTER_R10,
	ORC_REGISTER_R13,
	ORC_REGISTER_BP_INDIRECT,
	ORC_REGISTER_SP_INDIRECT,
	ORC_REGISTER_AX,
	ORC_REGISTER_UNKNOWN
};

/* What lies at the caller's stack pointer; the numbers are those of v6.4 on (fb799447ae29). */
enum orc_type {
	ORC_UNDEFINED, /* nothing is known */
	ORC_END,       /* nobody called this */
	ORC_CALL,
	ORC_REGISTERS,         /* a struct pt_regs */
	ORC_REGISTERS_PARTIAL, /* the part of one that the processor pushes */
};

struct orc_rule {
	int16_t sp_offset, bp_offset;
	uint8_t sp_register, bp_register; /* enum orc_register */
	uint8_t type;                     /* enum orc_type */
	uint8_t is_signal, ends;          /* the address itself was interrupted; v6.3, until v6.4 */
};

/* The kernel image's own; modules' have the same numbers of registers. False: it has none. */
bool orc_of_kernel(struct kioku_kernel *kernel, struct orc_table *out);

/*
 * The rule for an instruction, which must be in the code that the table is for.
 * Errors: NOT_FOUND (it lies below all addresses), UNSUPPORTED (types are missing), UNMAPPED, ABSENT.
 */
enum kioku_status orc_find(struct kioku_kernel *kernel, const struct orc_table *table,
			   uint64_t instruction, struct orc_rule *out);

#endif
