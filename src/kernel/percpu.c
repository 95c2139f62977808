/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kernel/percpu.h"

#define CPU_LIMIT 8192 /* NR_CPUS, arch/x86/Kconfig */

uint32_t percpu_count(struct kioku_kernel *kernel)
{
	uint64_t address = kernel_symbol(kernel, "nr_cpu_ids");
	uint8_t raw[4];

	if (!address || kernel_read(kernel, address, raw, sizeof(raw), NULL) != KIOKU_OK)
		return 1;
	uint32_t count = load_le32(raw);
	return count >= 1 && count <= CPU_LIMIT ? count : 1;
}

bool percpu_is_possible(struct kioku_kernel *kernel, uint32_t cpu)
{
	uint64_t mask = kernel_symbol(kernel, "__cpu_possible_mask");
	uint8_t byte;

	if (!mask || kernel_read(kernel, mask + cpu / 8, &byte, 1, NULL) != KIOKU_OK)
		return true;
	return byte >> cpu % 8 & 1;
}

enum kioku_status percpu_pointer(struct kioku_kernel *kernel, uint64_t pointer, uint32_t cpu,
				 uint64_t *out, struct kioku_error *error)
{
	uint64_t offsets = kernel_symbol(kernel, "__per_cpu_offset"), offset = 0;

	/* A kernel without SMP has no offsets: its per-CPU variables are ordinary ones. */
	if (offsets)
		TRY(address_read_u64(&kernel->space, offsets + 8ull * cpu, &offset, error));
	*out = pointer + offset;
	return KIOKU_OK;
}

enum kioku_status percpu_address(struct kioku_kernel *kernel, const char *name, uint32_t cpu,
				 uint64_t *out, struct kioku_error *error)
{
	struct kioku_symbol symbol;

	if (!kernel->symbols)
		return error_set(error, KIOKU_ERROR_NOT_FOUND, "no symbols to find %s by", name);
	TRY(kioku_symbols_find(kernel->symbols, name, &symbol, error));
	return percpu_pointer(kernel, symbol.address, cpu, out, error);
}
