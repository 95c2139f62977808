/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kernel/floating_state.h"

#include <string.h>

struct thread {
	uint64_t fpstate; /* struct fpstate, a pointer since v5.16 */
	uint32_t old_fpu; /* whether there is one counts, not what it says */
};

static const struct member thread_members[] = {
	OPTIONAL(struct thread, fpstate, "thread.fpu.fpstate"),
	OPTIONAL(struct thread, old_fpu, "thread.fpu.last_cpu"), /* until v6.16 */
};
static const struct record thread_record = RECORD(struct thread, "task_struct", thread_members);

/* Where an fpstate has its registers; before v5.16 the task has them itself. */
struct area {
	uint64_t features; /* that programs can use */
	uint8_t mark[1];   /* of the registers; of this only the place matters */
};

static const struct member state_members[] = {
	MEMBER(struct area, features, "user_xfeatures"),
	MEMBER(struct area, mark, "regs.__padding"),
};
static const struct record state_record = RECORD(struct area, "fpstate", state_members);
static const struct member inner_members[] = {
	MEMBER(struct area, mark, "thread.fpu.state.__padding"),
};
static const struct record inner_record = RECORD(struct area, "task_struct", inner_members);

/* Since v6.16 the struct fpu follows the task (x86_task_fpu()). */
struct fpu {
	uint64_t fpstate;
};

static const struct member fpu_members[] = { MEMBER(struct fpu, fpstate, "fpstate") };
static const struct record fpu_record = RECORD(struct fpu, "fpu", fpu_members);

/* The struct fpstate of a thread; 0: it has none of its own. */
static uint64_t find_fpstate(struct kioku_kernel *kernel, const struct task *task)
{
	const struct binding *binding, *fpu_binding;
	struct thread thread;
	struct fpu fpu;
	uint32_t type;

	if (record_bind(kernel, &thread_record, &binding, NULL) != KIOKU_OK)
		return 0;
	if (BINDING_HAS(binding, struct thread, old_fpu))
		return record_read(kernel, binding, task->address, &thread, NULL) == KIOKU_OK
			       ? thread.fpstate
			       : 0;
	if (record_bind(kernel, &fpu_record, &fpu_binding, NULL) != KIOKU_OK ||
	    kioku_types_find(kernel->types, "struct task_struct", &type, NULL) != KIOKU_OK)
		return 0;
	uint64_t address = task->address + kioku_type_size(kernel->types, type);
	return record_read(kernel, fpu_binding, address, &fpu, NULL) == KIOKU_OK ? fpu.fpstate : 0;
}

/* Where the registers lie, and which features they can have; none: the CPU only has FXSAVE. */
static enum kioku_status find_area(struct kioku_kernel *kernel, const struct task *task,
				   uint64_t *address, uint64_t *features)
{
	uint64_t fpstate = find_fpstate(kernel, task);
	bool is_apart = kernel_is_pointer(kernel, fpstate);
	uint64_t symbol = kernel_symbol(kernel, "xfeatures_mask_all"); /* before v5.16 */
	const struct binding *binding;
	struct area area;
	uint8_t raw[8] = { 0 };

	TRY(record_bind(kernel, is_apart ? &state_record : &inner_record, &binding, NULL));
	*address =
		(is_apart ? fpstate : task->address) + BINDING_OFFSET(binding, struct area, mark);
	if (is_apart) {
		TRY(record_read(kernel, binding, fpstate, &area, NULL));
		*features = area.features;
		return KIOKU_OK;
	}
	if (symbol)
		(void)!kernel_read(kernel, symbol, raw, sizeof(raw), NULL);
	*features = load_le64(raw);
	return KIOKU_OK;
}

/* Where an area that is not compacted has a part: as the CPU said to the kernel at boot. */
static bool standard_offset(struct kioku_kernel *kernel, const struct xstate_part *part,
			    uint32_t *offset)
{
	uint64_t table = kernel_symbol(kernel, "xstate_offsets");
	uint8_t raw[4];

	if (!table ||
	    kernel_read(kernel, table + 4 * part->feature, raw, sizeof(raw), NULL) != KIOKU_OK)
		return false;
	*offset = load_le32(raw);
	return *offset >= XSTATE_HEAD_SIZE && *offset < 64 * PAGE_SIZE;
}

/* Parts that are as at first are zeros. False: it cannot be read. */
static bool read_part(struct kioku_kernel *kernel, uint64_t area,
		      const struct xstate_header *header, const struct xstate_part *part,
		      uint8_t *out)
{
	uint32_t offset;

	if (!(header->present >> part->feature & 1))
		return true;
	bool is_found = header->layout ? xstate_compacted_offset(header->layout, part, &offset)
				       : standard_offset(kernel, part, &offset);
	return is_found &&
	       kernel_read(kernel, area + offset, out + part->offset, part->size, NULL) == KIOKU_OK;
}

static size_t read_parts(struct kioku_kernel *kernel, uint64_t area, uint64_t features,
			 uint8_t *out)
{
	struct xstate_header header = xstate_header_decode(out);
	uint64_t known = XSTATE_LEGACY;
	size_t size = XSTATE_HEAD_SIZE;

	xstate_complete_legacy(out, header.present);
	for (size_t i = 0; i < XSTATE_PARTS; i++) {
		const struct xstate_part *part = &xstate_parts[i];
		if (!(features >> part->feature & 1) ||
		    !read_part(kernel, area, &header, part, out))
			continue;
		known |= UINT64_C(1) << part->feature;
		size = part->offset + part->size;
	}
	/* The header says of what there is that it is as it stands here. */
	memset(out + XSTATE_FXSAVE_SIZE, 0, XSTATE_HEAD_SIZE - XSTATE_FXSAVE_SIZE);
	store_le64(out + XSTATE_FXSAVE_SIZE, known);
	store_le64(out + XSTATE_FEATURES, known);
	return size;
}

size_t floating_state_read(struct kioku_kernel *kernel, const struct task *task,
			   uint8_t out[XSTATE_COMMON_LIMIT])
{
	uint64_t area, features;

	memset(out, 0, XSTATE_COMMON_LIMIT);
	if (find_area(kernel, task, &area, &features) != KIOKU_OK)
		return 0;
	if (!(features & ~XSTATE_LEGACY))
		return kernel_read(kernel, area, out, XSTATE_FXSAVE_SIZE, NULL) == KIOKU_OK
			       ? XSTATE_FXSAVE_SIZE
			       : 0;
	return kernel_read(kernel, area, out, XSTATE_HEAD_SIZE, NULL) == KIOKU_OK
		       ? read_parts(kernel, area, features, out)
		       : 0;
}
