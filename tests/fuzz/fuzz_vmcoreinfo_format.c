/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "format/vmcoreinfo_format.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const keys[] = {
		"OSRELEASE", "SYMBOL(init_uts_ns)", "NUMBER(phys_base)", "KERNELOFFSET", "A", ""
	};
	struct bytes text = { data, size };
	struct bytes value;
	uint64_t hex;
	int64_t number;

	size_t length = vmcoreinfo_length(text);
	FUZZ_CHECK(length <= size);
	for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++) {
		if (vmcoreinfo_find(text, keys[i], &value))
			FUZZ_CHECK(value.data >= data && value.data + value.size <= data + size);
		vmcoreinfo_hex(text, keys[i], &hex);
		vmcoreinfo_decimal(text, keys[i], &number);
	}
	return 0;
}
