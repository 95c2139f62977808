/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "check/redirection.h"

#include <string.h>

#include "check/branch.h"
#include "check/handler.h"

/*
 * Where an instruction, or a pair of them that stands for one, leads to for certain; 0: that is not known.
 * Intel's manual, volume 2: CALL, JMP, PUSH, MOV.
 */
static uint64_t target(struct kioku_kernel *kernel, const uint8_t *code, uint64_t address)
{
	uint64_t pointer;

	if (code[0] == 0xe8 || code[0] == 0xe9)
		return branch_target(code + 1, address + 5);
	if (code[0] == 0xff && code[1] == 0x25)
		return address_read_u64(&kernel->space, branch_target(code + 2, address + 6),
					&pointer, NULL) == KIOKU_OK
			       ? pointer
			       : 0;
	if (code[0] == 0x68 && code[5] == 0xc3)
		return (uint64_t)(int64_t)(int32_t)load_le32(code + 1);
	if (code[0] == 0x48 && code[1] == 0xb8 && code[10] == 0xff && code[11] == 0xe0)
		return load_le64(code + 2);
	if (code[0] == 0x49 && code[1] == 0xbb && code[10] == 0x41 && code[11] == 0xff &&
	    code[12] == 0xe3)
		return load_le64(code + 2);
	return 0;
}

/* Bytes of what a function may begin with before it does anything: ENDBR64, and the place of ftrace. */
static unsigned prologue(const uint8_t *code)
{
	static const uint8_t landing[] = { 0xf3, 0x0f, 0x1e, 0xfa },
			     no_operation[] = { 0x0f, 0x1f, 0x44, 0x00, 0x00 };

	if (memcmp(code, landing, sizeof(landing)) == 0)
		return sizeof(landing);
	if (memcmp(code, no_operation, sizeof(no_operation)) == 0 || code[0] == 0xe8)
		return sizeof(no_operation);
	return 0;
}

enum kioku_status redirection_find(const struct check_run *run, uint64_t function, uint64_t *from,
				   uint64_t *to)
{
	struct kioku_kernel *kernel = run->kernel;
	uint8_t code[2 * REDIRECTION_SIZE] = { 0 };
	unsigned at = 0;

	TRY(kernel_read(kernel, function, code, REDIRECTION_SIZE, NULL));
	for (unsigned step; at < REDIRECTION_SIZE / 2; at += step) {
		*from = function + at;
		*to = target(kernel, code + at, *from);
		if (*to && !code_range_has(&run->code->image, *to) &&
		    handler_is_executable(run, *to))
			return KIOKU_OK;
		step = prologue(code + at);
		if (step == 0)
			break;
	}
	*to = 0;
	return KIOKU_OK;
}
