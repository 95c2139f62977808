/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kernel/orc.h"

static const struct member rule_members[] = {
	MEMBER(struct orc_rule, sp_offset, "sp_offset"),
	MEMBER(struct orc_rule, bp_offset, "bp_offset"),
	MEMBER(struct orc_rule, sp_register, "sp_reg"),
	MEMBER(struct orc_rule, bp_register, "bp_reg"),
	MEMBER(struct orc_rule, type, "type"),
	OPTIONAL(struct orc_rule, is_signal, "signal"),
	OPTIONAL(struct orc_rule, ends, "end"),
};
static const struct record rule_record = RECORD(struct orc_rule, "orc_entry", rule_members);

enum { ADDRESS_SIZE = 4, COUNT_LIMIT = 64 << 20, REGISTERS = 16 };

/* ORC_REG_*, in two orders: the other one was seen in v7.2 first. */
static const uint8_t numberings[][REGISTERS] = {
	{ ORC_REGISTER_UNDEFINED, ORC_REGISTER_PREVIOUS_SP, ORC_REGISTER_DX, ORC_REGISTER_DI,
	  ORC_REGISTER_BP, ORC_REGISTER_SP, ORC_REGISTER_R10, ORC_REGISTER_R13,
	  ORC_REGISTER_BP_INDIRECT, ORC_REGISTER_SP_INDIRECT, ORC_REGISTER_UNKNOWN,
	  ORC_REGISTER_UNKNOWN, ORC_REGISTER_UNKNOWN, ORC_REGISTER_UNKNOWN, ORC_REGISTER_UNKNOWN,
	  ORC_REGISTER_UNKNOWN },
	{ ORC_REGISTER_UNDEFINED, ORC_REGISTER_AX, ORC_REGISTER_DX, ORC_REGISTER_SP,
	  ORC_REGISTER_BP, ORC_REGISTER_DI, ORC_REGISTER_R10, ORC_REGISTER_R13,
	  ORC_REGISTER_PREVIOUS_SP, ORC_REGISTER_SP_INDIRECT, ORC_REGISTER_BP_INDIRECT,
	  ORC_REGISTER_UNKNOWN, ORC_REGISTER_UNKNOWN, ORC_REGISTER_UNKNOWN, ORC_REGISTER_UNKNOWN,
	  ORC_REGISTER_UNKNOWN },
};

static enum kioku_status read_address(struct kioku_kernel *kernel, const struct orc_table *table,
				      uint32_t index, uint64_t *out)
{
	uint64_t where = table->addresses + (uint64_t)index * ADDRESS_SIZE;
	uint8_t raw[ADDRESS_SIZE];

	TRY(kernel_read(kernel, where, raw, sizeof(raw), NULL));
	*out = where + (uint64_t)(int64_t)(int32_t)load_le32(raw);
	return KIOKU_OK;
}

/* The last entry whose address is not above the instruction's. */
static enum kioku_status find_index(struct kioku_kernel *kernel, const struct orc_table *table,
				    uint64_t instruction, uint32_t *out)
{
	uint32_t low = 0, high = table->count;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		uint64_t address;
		TRY(read_address(kernel, table, middle, &address));
		if (address <= instruction)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == 0)
		return KIOKU_ERROR_NOT_FOUND;
	*out = low - 1;
	return KIOKU_OK;
}

/*
 * Until v6.4 the type has two bits, and no numbers for what is undefined and for the end: both have no
 * register to find the stack by, and the end says so, too.
 */
static void renumber(const struct binding *binding, struct orc_rule *rule)
{
	if (binding_member(binding, offsetof(struct orc_rule, type))->bit_size > 2)
		return;
	if (rule->sp_register == ORC_REGISTER_UNDEFINED)
		rule->type = rule->ends ? ORC_END : ORC_UNDEFINED;
	else
		rule->type += ORC_CALL;
}

static enum kioku_status read_rule(struct kioku_kernel *kernel, const struct orc_table *table,
				   uint64_t instruction, struct orc_rule *out)
{
	const struct binding *binding;
	uint32_t index, type;

	TRY(record_bind(kernel, &rule_record, &binding, NULL));
	TRY(kioku_types_find(kernel->types, "struct orc_entry", &type, NULL));
	TRY(find_index(kernel, table, instruction, &index));
	uint64_t size = kioku_type_size(kernel->types, type);
	TRY(record_read(kernel, binding, table->rules + index * size, out, NULL));
	renumber(binding, out);
	return KIOKU_OK;
}

/* Where a function starts, its caller's stack pointer is 8 above its own: so this one's number is known. */
static const uint8_t *find_numbering(struct kioku_kernel *kernel, const struct orc_table *table)
{
	static const char *const functions[] = { "schedule", "kthread", "kernel_clone", "do_exit" };
	struct orc_rule rule;

	for (size_t i = 0; i < sizeof(functions) / sizeof(*functions); i++) {
		uint64_t start = kernel_symbol(kernel, functions[i]);
		if (!start || read_rule(kernel, table, start, &rule) != KIOKU_OK ||
		    rule.type != ORC_CALL || rule.sp_offset != 8)
			continue;
		for (size_t j = 0; j < sizeof(numberings) / sizeof(*numberings); j++)
			if (numberings[j][rule.sp_register] == ORC_REGISTER_SP)
				return numberings[j];
	}
	return NULL;
}

bool orc_of_kernel(struct kioku_kernel *kernel, struct orc_table *out)
{
	const struct binding *binding;
	uint64_t start = kernel_symbol(kernel, "__start_orc_unwind_ip");
	uint64_t end = kernel_symbol(kernel, "__stop_orc_unwind_ip");
	uint64_t rules = kernel_symbol(kernel, "__start_orc_unwind");

	*out = (struct orc_table){ 0 };
	if (!start || end <= start || !rules || (end - start) / ADDRESS_SIZE > COUNT_LIMIT ||
	    record_bind(kernel, &rule_record, &binding, NULL) != KIOKU_OK)
		return false;
	*out = (struct orc_table){ start, rules, (uint32_t)((end - start) / ADDRESS_SIZE), NULL };
	out->registers = find_numbering(kernel, out);
	if (!out->registers)
		*out = (struct orc_table){ 0 };
	return out->registers != NULL;
}

enum kioku_status orc_find(struct kioku_kernel *kernel, const struct orc_table *table,
			   uint64_t instruction, struct orc_rule *out)
{
	TRY(read_rule(kernel, table, instruction, out));
	out->sp_register = table->registers[out->sp_register];
	out->bp_register = table->registers[out->bp_register];
	return KIOKU_OK;
}
