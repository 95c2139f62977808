/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The gates of the interrupt table: idt_table, arch/x86/kernel/idt.c, whose entries are struct gate_struct of
 * arch/x86/include/asm/desc_defs.h. The kernel fills it in when it boots, with code of its own; no module may.
 */
#include <stdio.h>

#include "base/bytes.h"
#include "check/handler.h"

enum { GATES = 256, GATE = 16 };

static uint64_t gate_handler(const uint8_t *gate)
{
	return load_le16(gate) | (uint64_t)load_le16(gate + 6) << 16 |
	       (uint64_t)load_le32(gate + 8) << 32;
}

static bool gate_is_present(const uint8_t *gate)
{
	return gate[5] & 0x80;
}

static enum kioku_status look_at(struct check_run *run, unsigned vector, uint64_t address,
				 uint64_t entry)
{
	struct handler handler;
	char subject[32];
	struct check_result result = {
		.severity = CHECK_FINDING,
		.certainty = CHECK_CERTAIN,
		.pid = -1,
		.subject = subject,
		.address = address,
		.compared = "idt_table with the kernel's own code",
		.expected = "code of the kernel",
		.found = handler.text,
	};

	handler_find(run, entry, &handler);
	if (handler.owner == HANDLER_OF_KERNEL)
		return KIOKU_OK;
	snprintf(subject, sizeof(subject), "interrupt vector %u", vector);
	handler_doubt(&handler, &result);
	return check_report(run, &result);
}

static enum kioku_status run_check(struct check_run *run, struct kioku_error *error)
{
	uint64_t table = kernel_symbol(run->kernel, "idt_table");
	uint8_t gates[GATES * GATE];
	struct kioku_error why = { 0 };

	if (table == 0)
		return error_set(error, KIOKU_ERROR_UNSUPPORTED, "no symbol idt_table");
	if (kernel_read(run->kernel, table, gates, sizeof(gates), &why) != KIOKU_OK) {
		diagnose(&run->kernel->diagnostics, KIOKU_GAP, "idt_table: %s", why.message);
		return KIOKU_OK;
	}
	for (unsigned i = 0; i < GATES; i++)
		if (gate_is_present(gates + i * GATE))
			TRY(look_at(run, i, table + i * GATE, gate_handler(gates + i * GATE)));
	return KIOKU_OK;
}

const struct check interrupt_table_check = {
	.name = "interrupt_table",
	.help = "gates of the interrupt table that lead out of the kernel's code",
	.run = run_check,
};
