/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "view/code_cells.h"

#include <stdio.h>

struct kioku_cell function_cell(struct kioku_kernel *kernel, const struct kernel_code *code,
				uint64_t address, char room[CODE_TEXT])
{
	struct code_name found;

	if (!kernel_code_function(kernel, code, address, &found))
		return cell_absent(KIOKU_CELL_NOT_APPLICABLE);
	int size = address == found.address
			   ? snprintf(room, CODE_TEXT, "%s", found.name)
			   : snprintf(room, CODE_TEXT, "%s+0x%llx", found.name,
				      (unsigned long long)(address - found.address));
	return cell_text(room, (size_t)size);
}

struct kioku_cell code_module_cell(const struct kernel_code *code, uint64_t address)
{
	const struct module *module = modules_at(&code->modules, address);

	return cell_string_if_any(module ? module->name : NULL);
}
