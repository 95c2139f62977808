/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "format/task_format.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const keys[] = { "Name", "Uid", "Groups", "CapEff", "NSpid", "" };
	struct bytes text = { data, size }, value;
	struct task_stat stat;
	uint64_t numbers[4], bits;

	FUZZ_CHECK(auxv_word_size(text) % 4 == 0);
	if (task_stat_decode(text, &stat))
		FUZZ_CHECK(stat.name.data > data && stat.name.data + stat.name.size < data + size);
	for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++) {
		if (task_status_find(text, keys[i], &value))
			FUZZ_CHECK(value.data > data && value.data + value.size <= data + size);
		FUZZ_CHECK(task_status_numbers(text, keys[i], numbers, 4) <= 4);
		task_status_bits(text, keys[i], &bits);
	}
	return 0;
}
