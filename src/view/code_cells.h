/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Cells about functions that the kernel calls through a pointer. */
#ifndef VIEW_CODE_CELLS_H
#define VIEW_CODE_CELLS_H

#include "kernel/kernel_code.h"
#include "view/view.h"

/* FUNCTION, or FUNCTION+0x10 where it is not the start of one; NOT_APPLICABLE: it is in no code that is known. */
struct kioku_cell function_cell(struct kioku_kernel *kernel, const struct kernel_code *code,
				uint64_t address, char room[CODE_TEXT]);

/* The module whose code it is; NOT_APPLICABLE: it is the kernel's own, or nobody's. */
struct kioku_cell code_module_cell(const struct kernel_code *code, uint64_t address);

#endif
